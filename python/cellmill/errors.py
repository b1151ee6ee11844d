"""Exceptions: each is also the built-in exception that a caller would expect."""

from __future__ import annotations


class Error(Exception):
    """What cellmill has to say; its message names file, element, what was found and expected."""


class InputError(Error, ValueError):
    """The data, or the value of an option, is wrong."""


class NotFoundError(Error, FileNotFoundError):
    """A file is not there."""


class MissingError(Error, KeyError):
    """An element, column or gene is not there."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""  # KeyError would show its repr


class ReadWriteError(Error, OSError):
    """Reading or writing failed."""


class CommError(Error, RuntimeError):
    """Another rank failed or vanished."""


class ForkError(Error, RuntimeError):
    """A process was forked after the engine had started its threads."""


class StoppedError(KeyboardInterrupt):
    """Stopped on request."""


error_types: dict[str, type[BaseException]] = {
    "input": InputError,
    "usage": InputError,
    "not_found": NotFoundError,
    "missing": MissingError,
    "io": ReadWriteError,
    "comm": CommError,
    "stopped": StoppedError,
}
