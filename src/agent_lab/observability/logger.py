"""Logging: text for people, JSON for machines, and in every line whose work it was.

Modules log through `logging.getLogger(__name__)`; request, run, node and provider are context
variables, so they are right in concurrent runs without being passed around.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Literal, TextIO

from typing_extensions import override

from agent_lab.observability.redaction import Redactor

LOGGERS = ("agent_lab", "uvicorn")
"""Whose lines are written: ours, and those of the server that our application runs in."""
FIELDS = ("request_id", "run_id", "node", "provider")
_context: ContextVar[dict[str, str]] = ContextVar("agent_lab_log_context")


@contextmanager
def log_context(**fields: str) -> Iterator[None]:
    """Name the request, run, node or provider of every line that is logged inside."""
    token = _context.set({**_context.get({}), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def configure_logging(
    level: str, form: Literal["text", "json"], redactor: Redactor, stream: TextIO | None = None
) -> None:
    """Send the log lines of `LOGGERS` to a stream.

    Args:
        level: Least severity that is written: `DEBUG` to `CRITICAL`.
        form: One JSON object a line, or text.
        redactor: Takes secrets out of every line, tracebacks included.
        stream: Where lines go; None: stderr.
    """
    handler = _QuietHandler(stream)
    handler.setFormatter({"json": JsonFormatter, "text": TextFormatter}[form](redactor))
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False


class _QuietHandler(logging.StreamHandler[TextIO]):
    """Says that a line could not be formatted, without its arguments: they may be secrets."""

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):  # the stream itself may be what is broken
            self.stream.write(f"A log line of {record.pathname}:{record.lineno} has a fault.\n")


class TextFormatter(logging.Formatter):
    """One line: time, level, logger, message, then the context as key=value."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redact = redactor

    @override
    def format(self, record: logging.LogRecord) -> str:
        context = "".join(f" {name}={value}" for name, value in _fields().items() if value)
        return self._redact(super().format(record) + context)


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redact = redactor

    @override
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # Redacted value by value: a mask inside encoded JSON could break its quoting.
        return json.dumps({k: self._redact(v) for k, v in line.items()}, ensure_ascii=False)


def _fields() -> dict[str, str]:
    context = _context.get({})
    return {name: context.get(name, "") for name in FIELDS}
