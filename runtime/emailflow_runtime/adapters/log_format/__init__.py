"""Structured logs: one JSON object a line, with the fields that the code gave and nothing else.

Messages and fields name flows, reasons and opaque ids; what a person is called or wrote is never among them
(a test sends a mail through everything and looks).
"""

import json
import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}

_SHOWN = re.compile(r"[(<\n]")
"""Where a representation of something begins."""

log = logging.getLogger(__name__)


class LogFormat(StrEnum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: time, level, logger, message, what `extra` gave, and the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        at = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        line.update({name: value for name, value in vars(record).items() if name not in _STANDARD})
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = _where(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=repr)


class TextFormatter(logging.Formatter):
    """A record as a line for people, an exception by its kind and place."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base's name
        """See logging.Formatter."""
        record.message = _message(record)
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:  # noqa: N802 - the base's name
        """See logging.Formatter."""
        assert isinstance(ei, tuple)  # noqa: S101 - what the base gives
        return "\n".join(_where(ei[1]))


def _message(record: logging.LogRecord) -> str:
    """What a record says. asyncio goes on to show a task or a callback, with what it was called with and the
    exception's own words."""
    text = record.getMessage()
    return _SHOWN.split(text, maxsplit=1)[0].rstrip() if record.name == "asyncio" else text


def _where(error: BaseException) -> list[str]:
    """Kind and places of an exception, and of those that it groups. Not its message: that may quote a value
    that came from a person."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [type(error).__name__, *(f"{each.filename}:{each.lineno} in {each.name}" for each in frames)]
    for each in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        lines += _where(each)
    return lines


def set_up(level: int, form: LogFormat) -> None:
    """Log to standard error from this level on, also what ends the process."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form is LogFormat.JSON else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    sys.excepthook = _log_end


def _log_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Python's own would print an exception with its message."""
    if issubclass(kind, Exception):
        log.critical("ended by an error that nobody foresaw", exc_info=error)
    else:
        sys.__excepthook__(kind, error, trace)
