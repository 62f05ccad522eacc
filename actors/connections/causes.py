"""What a person would name as the cause of a network error."""

import os
import socket
import ssl
from collections.abc import Iterator


def why(error: BaseException) -> str:
    """Find the cause that a person would name."""
    leaf = next(leaves(error))
    if isinstance(leaf, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({leaf.verify_message})"
    if isinstance(leaf, ssl.SSLError):
        return leaf.reason or str(leaf)
    if isinstance(leaf, socket.gaierror):
        return f"its name cannot be resolved ({leaf.strerror})"
    if isinstance(leaf, OSError) and leaf.errno:
        return os.strerror(leaf.errno)
    return str(leaf)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Walk groups, and the causes of the errors that only sum up others."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from leaves(part)
    elif isinstance(error, OSError) and not error.errno and error.__cause__ is not None:
        yield from leaves(error.__cause__)
    else:
        yield error
