"""Logs: structlog to standard error, for a terminal or as JSON lines; standard logging goes the same way.

What is logged while a request is answered carries its ``request_id``. No line leaves with a secret in it.
"""

import logging
import sys
from collections.abc import MutableMapping, Sequence
from typing import Any

import structlog

from wadm.redaction import redact, redact_values
from wadm.sections import LogSettings

#: Libraries that tell every request at info; they would drown what the daemon has to say.
_CHATTY = (
    "botocore", "fastmcp", "httpcore", "httpx", "httpx2", "hypercorn", "mcp", "pymongo", "redis",
    "trio_websocket", "urllib3", "wsproto",
)  # fmt: skip

Line = MutableMapping[str, Any]


def configure(settings: LogSettings, secrets: Sequence[str] = ()) -> None:
    """Send every log line to standard error in the form and from the level that the settings name.

    ``secrets`` are taken out of every line, wherever they stand in it.
    """
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Redacting(
            secrets,
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderer(settings)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def _renderer(settings: LogSettings) -> list[structlog.typing.Processor]:
    if settings.format == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    # The usual traceback of a terminal shows the values of variables, and those may be secret.
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]


def _hide(_logger: Any, _method: str, line: Line) -> Line:
    """Hide values whose names say that they are secret."""
    return redact_values(line)


#: What happens to every line, structlog's and standard logging's.
_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _hide,
]


class _Redacting(structlog.stdlib.ProcessorFormatter):
    """Takes secrets out of the finished line: they come in tracebacks and drivers' messages too."""

    def __init__(self, secrets: Sequence[str], **given: Any) -> None:
        super().__init__(**given)
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record), self._secrets)
