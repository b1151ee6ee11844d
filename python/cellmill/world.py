"""Which of several processes this one is."""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import Any, NamedTuple

from .errors import InputError
from .log import log
from .processes import is_worker_in

_VARIABLES = (
    ("torchrun", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"),
    # Not SLURM_NTASKS: sbatch sets it where only one process runs.
    ("Slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_TASKS_PER_NODE"),
    ("OpenMPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"),
)


class World(NamedTuple):
    """This process's number, how many there are, and how many on this machine."""

    rank: int
    size: int
    local_size: int


def _number(text: str | None) -> int | None:
    """A number; of Slurm's ``4(x2)`` the first."""
    digits = (text or "").split("(")[0].split(",")[0]
    return int(digits) if digits.isdigit() else None


def local_size() -> int:
    """Processes of this job on this machine, as far as the launcher says."""
    for _, rank, size, local in _VARIABLES:
        if _number(os.environ.get(rank)) is not None and (_number(os.environ.get(size)) or 1) > 1:
            return _number(os.environ.get(local)) or 1
    return 1


def find_world(rank: int | None, world_size: int | None, group: Any) -> tuple[World, str]:
    """From arguments, else torch.distributed, else what the launcher set, else one process; and who says so."""
    if (rank is None) != (world_size is None):
        raise InputError("rank and world_size: both or neither are expected")
    if rank is not None and world_size is not None:
        if not 0 <= rank < world_size:
            raise InputError(f"rank {rank} of {world_size}: expected 0 to {world_size - 1}")
        found, source = (rank, world_size), "arguments"
    else:
        found, source = _discovered(group)
    return World(*found, local_size=min(local_size(), max(found[1], 1))), source


def launched_world() -> tuple[World, str]:
    """Which of the launched processes this one is, and who says so; nothing is logged."""
    (rank, size), source = _discovered(None)
    return World(rank, size, local_size()), source


def _discovered(group: Any) -> tuple[tuple[int, int], str]:
    torch = sys.modules.get("torch")
    distributed = getattr(torch, "distributed", None)
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return (distributed.get_rank(group), distributed.get_world_size(group)), "torch.distributed"
    if group is not None:
        raise InputError("group: torch.distributed is not initialised")
    for source, rank, size, _ in _VARIABLES:
        number, count = _number(os.environ.get(rank)), _number(os.environ.get(size))
        if number is not None and count is not None:
            return (number, count), source
    return (0, 1), "alone"


class Membership:
    """Which process a loader is for.

    Looked up at each use until somebody has said so for good: processes may join after a script has
    asked for a loader's length, and each would read everything if it went on as one alone.
    """

    def __init__(self, rank: int | None, world_size: int | None, group: Any) -> None:
        self._arguments = rank, world_size, group
        self._world: World | None = None
        self._is_told = False
        self._home: World | None = None
        self._came_to = 0

    def join(self, world: World, source: str) -> None:
        """It is this one, as `source` says."""
        self._world, self._is_told = world, True
        if world.size > 1:
            log.info("rank %d of %d (%s)", world.rank, world.size, source)

    def world(self, *, begun: bool) -> World:
        """Which it is.

        Parameters
        ----------
        begun
            Batches have been made for the one of before, so that another can't be followed any more.
        """
        if self._world is not None and self._is_told:
            return self._world
        if self._home is not None and is_worker_in(self._came_to):
            found, source = self._home, "the process of this worker"
        else:
            found, source = find_world(*self._arguments)
        if self._world is not None and found.size <= self._world.size:
            return self._world
        if begun and self._world is not None:
            raise InputError(
                f"{source} says rank {found.rank} of {found.size}, but this loader has begun as one of "
                f"{self._world.size}: use it first, or make it, after the processes have joined"
            )
        self.join(found, source)
        self._is_told = source in ("arguments", "torch.distributed")
        return found

    def for_another(self) -> World | None:
        """For a copy in a worker that is spawned, where nothing says which process it belongs to."""
        if self._is_told:
            return self._world
        found, source = find_world(*self._arguments)
        return found if source == "torch.distributed" else None

    def come_from(self, home: World | None) -> None:
        """What `for_another` gave where this was copied."""
        self._home, self._came_to = home, os.getpid()


def check_not_shared_out(world: World) -> None:
    """Raises where accelerate would share a process's batches out among all processes, and so lose the others'."""
    if world.size == 1 or "accelerate.data_loader" not in sys.modules:
        return
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:  # the one trace of who asks: accelerate leaves none in what it makes of a DataLoader
        if frame.f_globals.get("__name__") == "accelerate.data_loader":
            raise InputError(
                "accelerate shares the batches of a DataLoader out among processes, but a loader has its process's own "
                "already: give accelerator.prepare() the loader, not a DataLoader of it"
            )
        frame = frame.f_back
