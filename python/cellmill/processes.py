"""Forks, and the worker processes of torch's DataLoader."""

from __future__ import annotations

import mmap
import os
import sys
from typing import Any

import numpy as np

from .errors import ForkError

# Forks ---------------------------------------------------------------------------------------------

# Threads don't survive a fork: a child of a process whose engine runs would wait for ever.
_started_in: int | None = None
_forked_from_started = False
_forked_after_cuda = False
_cuda_began = False


def engine_started() -> int:
    """Notes that this process has threads of the engine from now on. Returns its id."""
    global _started_in
    _started_in = os.getpid()
    return _started_in


def check_fork(started_in: int | None) -> None:
    """Raises in a child that was forked too late.

    Parameters
    ----------
    started_in
        The process in which what is asked for was started; None: nowhere yet.
    """
    if _forked_from_started and started_in != os.getpid():
        raise ForkError(
            "this process was forked after the loader had started its threads, which a fork does not copy: "
            "fork before the first batch, or use multiprocessing_context='spawn'"
        )


def check_cuda_fork() -> None:
    """Raises in a child that was forked after CUDA had begun: CUDA can't be used there."""
    if _forked_after_cuda:
        raise ForkError(
            "this process was forked after CUDA had begun, and can't use it: fork before, "
            "use multiprocessing_context='spawn', or leave out device= and pin_memory="
        )


def _before_fork() -> None:
    global _cuda_began
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    _cuda_began = cuda is not None and cuda.is_initialized()


def _in_child() -> None:
    global _forked_from_started, _forked_after_cuda
    _forked_from_started = _forked_from_started or _started_in is not None
    _forked_after_cuda = _forked_after_cuda or _cuda_began


os.register_at_fork(before=_before_fork, after_in_child=_in_child)


# Workers -------------------------------------------------------------------------------------------


def this_worker() -> tuple[int, int] | None:
    """Number of this worker of torch's DataLoader, and of all; None in any other process."""
    data = sys.modules.get("torch.utils.data")
    info = data.get_worker_info() if data is not None else None
    return None if info is None else (info.id, info.num_workers)


def is_worker_in(process: int) -> bool:
    """Whether this is a DataLoader's worker, and this process the one of that id.

    What a copy brought along that was spawned with it counts in a worker only: in a process of a job, which is
    spawned just so, and in workers that are forked from it, it would be another's.
    """
    return this_worker() is not None and os.getpid() == process


class Workers:
    """What a loader and its copies in a DataLoader's workers know of one another, in shared memory.

    Each worker says which epochs it has handed out its part of; an epoch is over when all have. So
    epochs advance as they do without workers, also where each epoch has new ones, and the loader at
    home knows that its position is in them.
    """

    _MOST = 1024

    def __init__(self, fd: int | None = None) -> None:
        size = 8 * (2 + self._MOST)
        self._fd = os.memfd_create("cellmill-workers") if fd is None else fd
        if fd is None:
            os.ftruncate(self._fd, size)
        numbers = np.frombuffer(mmap.mmap(self._fd, size), dtype=np.int64)
        # An epoch that was set; how many workers there are; of each, the epoch after its last one.
        self._set, self._count, self._next = numbers[0:1], numbers[1:2], numbers[2:]

    def __del__(self) -> None:
        os.close(self._fd)

    def shared_fd(self) -> Any:
        """For a process that is being spawned; None if none is."""
        context = sys.modules.get("multiprocessing.context")
        if context is None or context.get_spawning_popen() is None:
            return None
        from multiprocessing.reduction import DupFd

        return DupFd(self._fd)

    @property
    def count(self) -> int:
        """Workers that have the position; 0: it is at home."""
        return int(self._count[0])

    @property
    def epoch(self) -> int:
        """The epoch that workers hand out now, or next."""
        ended = int(self._next[: self.count].min()) if self.count else 0
        return max(int(self._set[0]), ended)

    def set_epoch(self, epoch: int) -> None:
        self._next[:] = 0
        self._set[0] = epoch

    def advance(self, epoch: int) -> None:
        """As `set_epoch`, from a worker: forwards only, so that no other's word is lost."""
        self._set[0] = max(int(self._set[0]), epoch)

    def begin(self, count: int) -> int:
        """A worker, one of so many, begins an epoch. Returns which."""
        if self.count != count:
            self._set[0] = self.epoch
            self._count[0] = count
        return self.epoch

    def end(self, worker: int, epoch: int) -> None:
        """A worker has handed out its part of an epoch."""
        self._next[worker] = epoch + 1

    def come_home(self, epoch: int) -> None:
        """The position is this process's from now on."""
        self.set_epoch(epoch)
        self._count[0] = 0
