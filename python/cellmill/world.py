"""Which of several processes this one is."""

from __future__ import annotations

import os
import sys
from typing import Any, NamedTuple

from .errors import InputError
from .log import log

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


def find_world(rank: int | None, world_size: int | None, group: Any) -> World:
    """From arguments, else torch.distributed, else what the launcher set, else one process."""
    if (rank is None) != (world_size is None):
        raise InputError("rank and world_size: both or neither are expected")
    if rank is not None and world_size is not None:
        if not 0 <= rank < world_size:
            raise InputError(f"rank {rank} of {world_size}: expected 0 to {world_size - 1}")
        found, source = (rank, world_size), "arguments"
    else:
        found, source = _discovered(group)
    if found[1] > 1:
        log.info("rank %d of %d (%s)", *found, source)
    return World(*found, local_size=min(local_size(), max(found[1], 1)))


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
