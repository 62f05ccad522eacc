"""JSON-RPC messages as the bridge looks at them: what kind one is, and which headers carry it over HTTP."""

import base64
from typing import Any

import attrs
import msgspec

#: JSON-RPC's error codes, and that of a server which cannot be reached.
PARSE_ERROR = -32700
INVALID_REQUEST = -32600
UNREACHABLE = -32000

_VERSION = "io.modelcontextprotocol/protocolVersion"
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


class NotAMessageError(Exception):
    """A line that is no JSON-RPC message; ``code`` and ``str()`` say why."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@attrs.frozen
class Message:
    """One message from the agent, as it was written and as it is read."""

    line: bytes
    body: dict[str, Any]

    @classmethod
    def parse(cls, line: bytes) -> "Message":
        """Read a line. Raises NotAMessageError."""
        try:
            body = msgspec.json.decode(line)
        except msgspec.DecodeError as error:
            raise NotAMessageError(PARSE_ERROR, f"This is not JSON: {error}") from None
        if not isinstance(body, dict):
            raise NotAMessageError(INVALID_REQUEST, "Expected one JSON-RPC message, an object.")
        return cls(line, body)

    @property
    def method(self) -> str | None:
        """The method; None for an answer."""
        method = self.body.get("method")
        return method if isinstance(method, str) else None

    @property
    def id(self) -> str | int | None:
        """The id of a request; None for what is not answered."""
        found = self.body.get("id")
        return found if self.method is not None and isinstance(found, str | int) else None

    @property
    def cancels(self) -> str | int | None:
        """The id of the request that is cancelled by this."""
        found = self._params.get("requestId") if self.method == "notifications/cancelled" else None
        return found if isinstance(found, str | int) else None

    @property
    def version(self) -> str | None:
        """The protocol's version, where every request names it (since 2026-07-28)."""
        meta = self._params.get("_meta")
        version = meta.get(_VERSION) if isinstance(meta, dict) else None
        return version if isinstance(version, str) and version.isascii() and version.isprintable() else None

    @property
    def uri(self) -> str | None:
        """The resource that is meant."""
        found = self._params.get("uri")
        return found if isinstance(found, str) else None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that say over HTTP what the message says, where it names its version."""
        if self.version is None or self.method is None:
            return {}
        headers = {"MCP-Protocol-Version": self.version, "Mcp-Method": self.method}
        name = self._params.get(_NAMED.get(self.method, ""))
        return {**headers, "Mcp-Name": _as_header(name)} if isinstance(name, str) else headers

    @property
    def _params(self) -> dict[str, Any]:
        params = self.body.get("params")
        return params if isinstance(params, dict) else {}


def is_answer(line: bytes) -> bool:
    """Say whether a line ends a request: neither a notice on the way, nor a question to the agent."""
    return bool(line) and "method" not in msgspec.json.decode(line)


def _as_header(text: str) -> str:
    """Return text as it may stand in a header: base64 where it is not plain ASCII."""
    if text.isascii() and text.isprintable() and text == text.strip() and not text.startswith("=?"):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def error(request: str | int | None, code: int, sentence: str) -> bytes:
    """Return the answer that says what went wrong."""
    return msgspec.json.encode(
        {"jsonrpc": "2.0", "id": request, "error": {"code": code, "message": sentence}}
    )
