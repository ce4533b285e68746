"""Where log lines go: standard error, as text or JSON, and never waiting for who reads it."""

from __future__ import annotations

import logging
import os
import select
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from structlog.typing import Processor

    from wassette_supervisor.settings import Settings

# pipe(7): a write of at most PIPE_BUF bytes to a pipe that polls writable doesn't block.
MAX_LINE_BYTES = select.PIPE_BUF

# A traceback's end says the most, and a line that is cut is no JSON.
MAX_TRACEBACK_CHARACTERS = 2000


def _bound_traceback(_: object, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    if "exception" in event:
        event["exception"] = event["exception"][-MAX_TRACEBACK_CHARACTERS:]
    return event


_SHARED: list[Processor] = [
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
    _bound_traceback,
]


def configure(settings: Settings, *, quiet: bool = False) -> None:
    """Send our log, and that of the libraries, to standard error.

    Args:
        settings: Say the level and the format.
        quiet: Only warnings, unless another level was asked for: for commands that answer.
    """
    level = settings.log_level
    if quiet and level == "info":
        level = "warning"
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer = structlog.processors.JSONRenderer() if settings.log_format == "json" else _as_text
    structlog.configure(
        processors=[*_SHARED, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: _Lines(),
    )
    handler = _Foreign()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    # The libraries' own information is ours to debug with, and nobody else's.
    logging.basicConfig(
        level=number if level == "debug" else max(number, logging.WARNING),
        handlers=[handler],
        force=True,
    )


def unexpected(error: BaseException) -> None:
    """Keep a bug's traceback for those who ask for it with `--log-level debug`."""
    # Before it is configured the library logs everything, and local variables with it.
    if structlog.is_configured():
        structlog.get_logger(__name__).debug("cli.unexpected_error", exc_info=error)


def _as_text(_: object, __: str, event: MutableMapping[str, Any]) -> str:
    """One line an event; every value is quoted, so none can be taken for another or for more."""
    head = [str(event.pop("timestamp", "")), str(event.pop("level", "")), str(event.pop("event"))]
    return " ".join([*map(_plain, head), *(f"{_plain(k)}={v!r}" for k, v in event.items())])


def _plain(text: str) -> str:
    return text if text.isprintable() else repr(text)


class _Lines:
    """A logger that drops what standard error doesn't take at once.

    A client that starts us and never reads our standard error would otherwise stop us.
    """

    def msg(self, line: str) -> None:
        data = line.encode(errors="backslashreplace")[: MAX_LINE_BYTES - 1] + b"\n"
        try:
            descriptor = sys.stderr.fileno()
            if select.select([], [descriptor], [], 0)[1]:
                os.write(descriptor, data)
        except (OSError, ValueError, AttributeError):
            return  # closed

    debug = info = warning = warn = error = critical = exception = fatal = failure = log = msg


class _Foreign(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _Lines().msg(self.format(record))
