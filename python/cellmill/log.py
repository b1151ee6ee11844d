"""Messages: the logger ``cellmill`` of Python's logging.

A script that has set up logging gets them there; otherwise they go to standard error, as the
program writes them.
"""

from __future__ import annotations

import logging
import sys

log = logging.getLogger("cellmill")


class _PlainHandler(logging.Handler):
    """Speaks only where nobody else listens."""

    def emit(self, record: logging.LogRecord) -> None:
        if logging.getLogger().handlers:
            return
        prefix = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        print(f"cellmill: {prefix}{record.getMessage()}", file=sys.stderr)


if not log.handlers:
    log.addHandler(_PlainHandler())
    log.setLevel(logging.INFO)

_LEVELS = {"warning": logging.WARNING, "error": logging.ERROR}


def log_line(line: str) -> None:
    """A line that the program wrote to standard error; its last one, the error, is an exception here."""
    text = line.removeprefix("cellmill: ")
    level, colon, rest = text.partition(": ")
    if not colon or level not in _LEVELS:
        log.info("%s", text)
    elif level == "warning":
        log.warning("%s", rest)
