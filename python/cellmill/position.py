"""Where in training a loader is."""

from __future__ import annotations

import os
import sys
from typing import Any

from .processes import Workers, is_worker_in, this_worker


class Position:
    """Epoch, and global batches of it that were handed out, in this process or in a DataLoader's workers.

    Attributes
    ----------
    batches
        Of all processes; kept by who hands them out.
    """

    def __init__(self, epoch: int = 0, batches: int = 0, resumes: bool = False) -> None:
        self._epoch, self.batches, self._resumes = epoch, batches, resumes
        self._own = Workers() if "torch" in sys.modules else None
        self._home: Workers | None = None
        self._came_to = 0

    @property
    def _workers(self) -> Workers | None:
        return self._home if self._home is not None and is_worker_in(self._came_to) else self._own

    @property
    def epoch(self) -> int:
        return self._workers.epoch if self._workers is not None and self.is_in_workers() else self._epoch

    def is_in_workers(self) -> bool:
        """Whether others hand the batches out."""
        return self._workers is not None and self._workers.count > 0 and this_worker() is None

    def set_epoch(self, epoch: int) -> None:
        """The current one keeps its position."""
        if epoch != self.epoch:
            self._go_to(epoch, 0)
            if self._workers is not None:
                self._workers.set_epoch(epoch)

    def resume(self, epoch: int, batches: int) -> None:
        """The next iteration goes on from there."""
        self._go_to(epoch, batches, resumes=True)
        if self._workers is not None and this_worker() is None:
            self._workers.come_home(epoch)
        elif self._workers is not None:
            self._workers.advance(epoch)

    def begin(self) -> tuple[int, int]:
        """An iteration begins. Returns epoch and batch: 0, unless there is a place to go on from."""
        worker = this_worker()
        if self._workers is not None and (worker is not None or self._workers.count > 0):
            epoch = self._workers.epoch if worker is None else self._workers.begin(worker[1])
            if epoch != self._epoch:
                self._go_to(epoch, 0)
            if worker is None:
                self._workers.come_home(epoch)
        self._go_to(self._epoch, self.batches if self._resumes else 0)
        return self._epoch, self.batches

    def end(self) -> None:
        """The epoch is over."""
        worker = this_worker()
        if self._workers is not None and worker is not None:
            self._workers.end(worker[0], self._epoch)
        self._go_to(self._epoch + 1, 0)
        if self._workers is not None and worker is None:
            self._workers.set_epoch(self._epoch)

    def for_another(self) -> tuple[Any, ...]:
        """What a copy is made from; one in a worker that is being spawned shares memory with this."""
        shared = None if self._workers is None else self._workers.shared_fd()
        return self._epoch, self.batches, self._resumes, shared

    def _go_to(self, epoch: int, batches: int, *, resumes: bool = False) -> None:
        self._epoch, self.batches, self._resumes = epoch, batches, resumes


def position_of(epoch: int, batches: int, resumes: bool, shared: Any) -> Position:
    """The copy that `Position.for_another` gave: it shares memory if it comes to a worker."""
    position = Position(epoch, batches, resumes)
    if shared is not None:
        position._home, position._came_to = Workers(shared.detach()), os.getpid()
    return position
