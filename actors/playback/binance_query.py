"""Reading the query of a Binance REST request."""

from collections.abc import Mapping, Sequence

Query = Mapping[str, Sequence[str]]


class RefusedError(Exception):
    """A request that Binance answers with an error."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def read_text(query: Query, name: str) -> str | None:
    """Return a parameter, None where it is absent. Raises RefusedError where it is empty or repeated."""
    values = query.get(name)
    if values is None:
        return None
    if len(values) > 1 or not values[0]:
        raise malformed(name)
    return values[0]


def read_integer(query: Query, name: str) -> int | None:
    """Return an integer parameter, None where it is absent. Raises RefusedError."""
    text = read_text(query, name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise malformed(name)
    return int(text)


def read_limit(query: Query, default: int, most: int, *, strict: bool) -> int:
    """Return how many rows are asked for; more than ``most`` are refused where ``strict``, else cut."""
    limit = read_integer(query, "limit")
    if limit is None:
        limit = default
    if limit < 1 or (limit > most and strict):
        raise RefusedError(400, -1130, "Data sent for parameter 'limit' is not valid.")
    return min(limit, most)


def malformed(name: str) -> RefusedError:
    """Return the refusal of a parameter."""
    return RefusedError(
        400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )
