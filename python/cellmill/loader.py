"""Batches for training, on any number of processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import _core
from .batch import Batch, BatchLayout
from .dataset import Dataset, Rows, open, resolve_genes, resolve_rows
from .errors import ForkError, InputError
from .orders import Log1p, NormalizeTotal, Sequential, Shuffle, parse_order, parse_transform
from .world import World, find_world

STATE_VERSION = 1


class Loader:
    """Batches of cells, epoch after epoch; each process of a job gets its own, equally many.

    The order is a function of (seed, epoch, data, lanes, options) alone: not of threads, workers or
    the number of processes. So training resumes anywhere (`state_dict`), also with another number of
    processes.

    Parameters
    ----------
    data
        What `cellmill.open` gives, or paths.
    batch_size
        Rows of a batch, for each process.
    order
        `Shuffle` (the default), `Sequential`, or their names.
    rows, filter
        Which rows: indices, a boolean mask, a .npy file, a set of `Dataset.split`; and those for
        which a condition on obs holds.
    obs
        Columns of obs to come with each batch: names, or name → levels, which fixes the codes.
    layers, obsm
        Matrices besides: ``"counts"``, ``"raw.X"``; and arrays of obsm.
    genes, join
        The genes of a batch, in this order: names, or a file of names; otherwise those of all
        sources ("inner") or of any ("outer").
    transform
        `NormalizeTotal`, `Log1p`, or both.
    output
        ``"csr"`` or ``"dense"``.
    to
        ``"numpy"`` or ``"torch"`` (no copy).
    tail
        What becomes of rows that fill no batch: ``"drop"`` (others in each epoch), ``"pad"`` (filled
        up with rows −1), ``"wrap"``, or ``"keep"`` (a smaller last batch; one process only).
        Sequential order keeps by default.
    rank, world_size, group
        Otherwise found: torch.distributed, torchrun, Slurm, OpenMPI.
    lanes
        Sequences that the order is made of; the number of processes of the first launch.
    threads, memory
        For this process; otherwise its share of the machine's cores, and 4G.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Loader:
        if cls is Loader and "torch" in sys.modules:
            cls = _torch_loader()
        return object.__new__(cls)

    def __init__(
        self,
        data: Dataset | str | os.PathLike[str] | Sequence[Any],
        batch_size: int = 4096,
        *,
        seed: int = 0,
        order: Any = None,
        rows: Rows = None,
        filter: str | None = None,
        obs: Sequence[str] | Mapping[str, Sequence[str] | None] | str | None = None,
        layers: Sequence[str] | str | None = None,
        obsm: Sequence[str] | str | None = None,
        genes: Any = None,
        join: str = "inner",
        transform: Any = None,
        output: str = "csr",
        to: str = "numpy",
        tail: str | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        group: Any = None,
        lanes: int | None = None,
        threads: int | None = None,
        memory: str | int = "4G",
    ) -> None:
        self._arguments = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        self.data = data if isinstance(data, Dataset) else open(data)
        self.batch_size = int(batch_size)
        self.seed = int(seed)
        self.order = Shuffle() if order is None else parse_order(order)
        self.tail = tail or ("keep" if isinstance(self.order, Sequential) else "drop")
        if output not in ("csr", "dense"):
            raise InputError(f"output: {output!r} found, expected 'csr' or 'dense'")
        if to not in ("numpy", "torch"):
            raise InputError(f"to: {to!r} found, expected 'numpy' or 'torch'")
        self._rows = resolve_rows(self.data, rows, filter)
        self._world_arguments = (rank, world_size, group)
        self._lanes = lanes
        self._threads = threads
        self._memory = memory if isinstance(memory, int) else _core.parse_bytes(memory)
        names = [obs] if isinstance(obs, str) else list(obs or [])
        self._levels = {name: list(obs[name]) for name in names if isinstance(obs, Mapping) and obs[name]}
        self._read = _core.ReadOptions()
        extra = [layers] if isinstance(layers, str) else list(layers or [])
        self._read.matrices = ["X", *(_matrix_path(name) for name in extra)]
        self._read.obs = names
        self._read.obsm = [obsm] if isinstance(obsm, str) else list(obsm or [])
        self._read.genes = resolve_genes(genes)
        self._read.set_join(join)
        steps = parse_transform(transform)
        target = next((step.target_sum for step in steps if isinstance(step, NormalizeTotal)), None)
        self._read.set_transform(target, any(isinstance(step, Log1p) for step in steps))
        if output == "dense":
            self._read.set_dense()
        self._layout = BatchLayout(
            {name: number for number, name in enumerate(["X", *extra])},
            {name: number for number, name in enumerate(self._read.obsm)},
            {name: number for number, name in enumerate(names)},
            output == "dense",
            to == "torch",
        )
        self._epoch = 0
        self._batches = 0  # of this epoch, over all processes
        self._resumes = False
        self._world: World | None = None
        self._core_order: Any = None
        self._core: Any = None
        self._reader = (0, 1)
        self._pid: int | None = None
        self._worker_started = False

    # Position ------------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """The next iteration is over this epoch; the current one keeps its position."""
        if epoch != self._epoch:
            self._epoch = int(epoch)
            self._batches = 0
            self._resumes = False

    def state_dict(self) -> dict[str, Any]:
        """Where training is: the same on every rank."""
        if self._worker_started:
            raise InputError(
                "state_dict: the position is in DataLoader's workers; "
                "torchdata's StatefulDataLoader asks them for it"
            )
        return {
            "version": STATE_VERSION,
            "seed": self.seed,
            "epoch": self._epoch,
            "batches": self._batches,
            "lanes": self._orders().lanes,
            "options": dict(self._orders().options),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The next iteration gives the batch that would have come."""
        if state.get("version") != STATE_VERSION:
            raise InputError(f"state: version {state.get('version')!r} found, expected {STATE_VERSION}")
        self._lanes = int(state["lanes"])
        self._core_order = self._core = None
        for name, value in dict(self._orders().options).items():
            saved = state["options"].get(name)
            if saved != value:
                raise InputError(f"state: it was saved with {name} = {saved}, this loader has {name} = {value}")
        self._epoch, self._batches = int(state["epoch"]), int(state["batches"])
        self._resumes = True

    # Iteration -----------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Steps of an epoch: the same on every rank."""
        world = self._worlds()
        batches = self._orders().batches
        return batches // world.size if self.tail == "drop" else -(-batches // world.size)

    def __iter__(self) -> Iterator[Batch]:
        if not self._resumes:
            self._batches = 0
        self._resumes = False
        core = self._started()
        core.go_to(self._epoch, self._batches)
        readers, layout, take = self._reader[1], self._layout, core.next
        while True:
            if _forked_from is not None and self._pid != os.getpid():
                raise _fork_error()
            batch = take()
            if batch is None:
                break
            self._batches += readers
            yield Batch(batch, layout)
        self._epoch += 1
        self._batches = 0

    @property
    def categories(self) -> dict[str, list[str]]:
        """Levels of the columns of obs that have codes; their order does not depend on rows."""
        core = self._started()
        columns = (core.obs(number) for number in range(len(self._read.obs)))
        return {column.name: column.levels for column in columns if column.kind == "codes"}

    @property
    def var_names(self) -> list[str]:
        """Names of a batch's genes."""
        return self._started().genes()

    @property
    def sampler(self) -> Loader:
        """Itself: Lightning calls ``sampler.set_epoch``, and adds no sampler of its own."""
        return self

    # Behind --------------------------------------------------------------------------------------

    def _worlds(self) -> World:
        if self._world is None:
            self._world = find_world(*self._world_arguments)
        return self._world

    def _orders(self) -> Any:
        if self._core_order is None:
            lanes = self._lanes or (1 if self.tail == "keep" else self._worlds().size)
            source = self.data._core.rows_of_sources
            common = {"batch_size": self.batch_size, "seed": self.seed, "lanes": lanes, "tail": self.tail}
            if isinstance(self.order, Sequential):
                self._core_order = _core.sequential_order(source, self._rows, **common)
            else:
                shape = {"block": self.order.block, "window": self.order.window}
                self._core_order = _core.shuffled_order(source, self._rows, **shape, **common)
        return self._core_order

    def _started(self) -> Any:
        if self._core is not None and self._pid != os.getpid():
            raise _fork_error()
        if self._core is None and _forked_from is not None:
            raise _fork_error()  # the threads that a new engine would share are not there
        if self._core is None:
            world = self._worlds()
            worker, workers = _worker()
            self._reader = (worker * world.size + world.rank, workers * world.size)
            self._read.threads = self._threads or max(_core.default_threads(world.local_size) // workers, 1)
            self._read.memory = self._memory // workers
            self._core = _core.Loader(self.data._core, self._orders(), self._read, *self._reader)
            self._pid = os.getpid()
            _engine_started()
        return self._core

    def __reduce__(self) -> Any:
        if self._core is not None:
            self._worker_started = True  # its copy goes on elsewhere
        return _rebuilt, (self._arguments, self._lanes, self._epoch, self._batches, self._resumes)

    def __repr__(self) -> str:
        return f"Loader of {self.data!r}, {self.batch_size} cells a batch, {self.order}"


def _rebuilt(arguments: dict[str, Any], lanes: int | None, epoch: int, batches: int, resumes: bool) -> Loader:
    loader = Loader(**arguments)
    loader._lanes, loader._epoch, loader._batches, loader._resumes = lanes, epoch, batches, resumes
    return loader


def _matrix_path(name: str) -> str:
    if name in ("X", "raw.X", "raw/X"):
        return name.replace(".", "/")
    return name if name.startswith("layers/") else f"layers/{name}"


def _worker() -> tuple[int, int]:
    """Which of torch's DataLoader workers this process is."""
    data = sys.modules.get("torch.utils.data")
    info = data.get_worker_info() if data is not None else None
    return (0, 1) if info is None else (info.id, info.num_workers)


_torch_class: type[Loader] | None = None


def _torch_loader() -> type[Loader]:
    """Loader that torch's DataLoader takes for what it is; torch is imported already."""
    global _torch_class
    if _torch_class is None:
        from torch.utils.data import IterableDataset

        _torch_class = type("Loader", (Loader, IterableDataset), {"__doc__": Loader.__doc__})
    return _torch_class


# Threads don't survive a fork: a child of a process whose engine runs would wait for ever.
_started_in: int | None = None
_forked_from: int | None = None


def _engine_started() -> None:
    global _started_in
    _started_in = os.getpid()


def _in_child() -> None:
    global _forked_from
    if _started_in is not None:
        _forked_from = _started_in


os.register_at_fork(after_in_child=_in_child)


def _fork_error() -> ForkError:
    return ForkError(
        "this process was forked after the loader had started its threads, which a fork does not copy: "
        "fork before the first batch, or use multiprocessing_context='spawn'"
    )
