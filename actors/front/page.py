"""Pages: each one static file, allowed to run only what is written in it."""

import base64
import hashlib
import re
from pathlib import Path

import attrs

_FOLDER = Path(__file__).with_name("pages")


@attrs.frozen
class Page:
    """The page's bytes, its entity tag and its Content-Security-Policy."""

    body: bytes
    etag: str
    policy: str


def load(file: str) -> Page:
    """Read a page from the package."""
    text = (_FOLDER / file).read_text(encoding="utf-8")
    body = text.encode()
    return Page(body, hashlib.sha256(body).hexdigest()[:16], policy(text))


def policy(text: str) -> str:
    """Return the policy that allows exactly the inline style and script of ``text``, and its own origin."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hashes(text, 'script')}",
            f"style-src {_hashes(text, 'style')}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _hashes(text: str, tag: str) -> str:
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    digests = (hashlib.sha256(inline.encode()).digest() for inline in found)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests) or "'none'"
