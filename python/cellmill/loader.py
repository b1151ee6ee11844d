"""Batches for training, on any number of processes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import _core
from .batch import Batch, BatchLayout
from .config import plain
from .contents import Contents
from .core_orders import core_order
from .dataset import Dataset, Rows, open, resolve_rows
from .errors import InputError
from .orders import Paired, Sequential, Shuffle, parse_order
from .pairs import batch_of_pairs
from .position import Position, position_of
from .processes import check_cuda_fork, check_fork, engine_started, this_worker
from .quality import Quality, quality_of
from .tokenizers import Tokenizer
from .world import Membership, World, check_not_shared_out

_MEMORY = 4 << 30


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
        `Shuffle` (the default), `Sequential`, `Weighted`, `Balanced`, `Stratified`, `Paired`,
        `Curriculum`; also by name, with a dict of options.
    rows, filter
        Which rows: indices, a boolean mask, a .npy file, a set of `Dataset.split`; and those for
        which a condition on obs holds.
    obs
        Columns of obs to come with each batch: names, or name → levels, which fixes the codes: cells
        of other levels count as missing.
    layers, obsm
        Matrices besides: ``"counts"``, ``"raw.X"``; and arrays of obsm.
    genes, join
        The genes of a batch, in this order: names, or a file of names; otherwise those of all
        sources ("inner", unless cells become tokens) or of any ("outer").
    transform
        `NormalizeTotal`, `Log1p`, or both; and then `MostExpressed` or `RandomExpressed`.
    output
        ``"csr"``, ``"dense"``, or tokens instead of X: `Geneformer`, `ScGPT`, `RankValue`.
    to
        ``"numpy"`` or ``"torch"`` (no copy).
    device, pin_memory
        Of torch: batches come on this device, or in pinned memory.
    unknown_label
        The code of cells whose label is missing.
    tail
        What becomes of rows that fill no batch: ``"drop"`` (others in each epoch), ``"pad"`` (filled
        up with rows −1), ``"wrap"``, or ``"keep"`` (a smaller last batch; one process only).
        Sequential order keeps by default.
    rank, world_size, group
        Otherwise found: torch.distributed, torchrun, Slurm, OpenMPI.
    lanes
        Sequences that the order is made of; the number of processes of the first launch.
    threads, memory
        For this process; otherwise its share of the machine's cores, and 4G, or its share of the
        memory if that is less.
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
        join: str | None = None,
        transform: Any = None,
        output: Any = "csr",
        to: str = "numpy",
        device: Any = None,
        pin_memory: bool = False,
        unknown_label: int = -1,
        tail: str | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        group: Any = None,
        lanes: int | None = None,
        threads: int | None = None,
        memory: str | int | None = None,
    ) -> None:
        self._arguments = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        order, output, obs, layers, obsm = map(plain, (order, output, obs, layers, obsm))
        genes, transform = map(plain, (genes, transform))
        self.data = data if isinstance(data, Dataset) else open(data)
        self.batch_size = int(batch_size)
        self.seed = int(seed)
        self.order = Shuffle() if order is None else parse_order(order)
        self.tail = tail or ("keep" if isinstance(self.order, Sequential) else "drop")
        if to not in ("numpy", "torch"):
            raise InputError(f"to: {to!r} found, expected 'numpy' or 'torch'")
        if to != "torch" and (device is not None or pin_memory):
            raise InputError("device, pin_memory: they are for torch; expected to='torch'")
        self._contents = Contents(
            *(self.data, self.seed, output, to == "torch"),
            **{"obs": obs, "layers": layers, "obsm": obsm, "unknown_label": unknown_label},
            **{"genes": genes, "join": join, "transform": transform},
        )
        self._rows = resolve_rows(self.data, rows, filter)
        self._membership = Membership(rank, world_size, group)
        self._lanes = lanes
        self._threads = threads
        self._memory = _core.parse_bytes(memory) if isinstance(memory, str) else memory
        self._device, self._pins = device, pin_memory
        self._position = Position()
        self._core_order: Any = None
        self._core: Any = None
        self._reader = (0, 1)
        self._layout: BatchLayout | None = None
        self._started_in: int | None = None

    # Position ------------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """The epoch of the last batch; once an epoch is over, the next one. Workers read a little ahead."""
        return self._position.epoch

    def set_epoch(self, epoch: int) -> None:
        """The next iteration is over this epoch; the current one keeps its position."""
        self._position.set_epoch(int(epoch))

    def state_dict(self) -> dict[str, Any]:
        """Where training is: the same on every rank."""
        if self._position.is_in_workers():
            raise InputError(
                "state_dict: the position is in DataLoader's workers; torchdata's StatefulDataLoader asks them for it"
            )
        place = self._position.epoch, self._position.batches
        state = _core.LoaderState.make(self._orders(), self.seed, *place, self._contents.fingerprint)
        return json.loads(state.to_json())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The next iteration gives the batch that would have come."""
        saved = _core.LoaderState.parse(json.dumps(dict(state)))
        before = self._lanes, self._core_order
        if saved.lanes != self._orders().lanes:
            self._lanes, self._core_order = saved.lanes, None
        try:
            saved.check(self._orders(), self._contents.fingerprint)
        except Exception:
            self._lanes, self._core_order = before
            raise
        if self._core_order is not before[1]:
            self._core = None
        self._position.resume(saved.epoch, saved.batches)

    # Iteration -----------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Steps of an epoch: the same on every rank."""
        world = self._world()
        batches = self._orders().batches
        return batches // world.size if self.tail == "drop" else -(-batches // world.size)

    def __iter__(self) -> Iterator[Batch]:
        check_not_shared_out(self._world())
        return self._batches()

    def _batches(self) -> Iterator[Batch]:
        core = self._started()
        core.go_to(*self._position.begin())
        readers, layout, take = self._reader[1], self._layout, core.next
        moves = self._pins or self._device is not None
        pairs = isinstance(self.order, Paired)
        while True:
            check_fork(self._started_in)
            found = take()
            if found is None:
                break
            self._position.batches += readers
            batch = batch_of_pairs(found, layout) if pairs else Batch(found, layout)
            yield self._moved(batch) if moves else batch
        self._position.end()

    def _moved(self, batch: Batch) -> Batch:
        check_cuda_fork()
        if self._pins:
            batch = batch.pin_memory()
        return batch if self._device is None else batch.to(self._device, non_blocking=self._pins)

    @property
    def categories(self) -> dict[str, list[str]]:
        """Levels of the columns of obs that have codes; their order does not depend on rows."""
        return self._contents.categories

    @property
    def var_names(self) -> list[str]:
        """Names of a batch's genes."""
        return self._contents.var_names

    @property
    def tokenizer(self) -> Tokenizer | None:
        """How cells become tokens, if they do."""
        return self._contents.tokenizer

    @property
    def special_tokens(self) -> dict[str, int]:
        """Ids of the special tokens; those that a vocabulary lacks come after its last id."""
        return self._contents.special_tokens

    @property
    def n_tokens(self) -> int:
        """Rows that an embedding of the tokens needs: more than any id, those of special tokens too."""
        return self._contents.n_tokens

    def quality(self, label: str | None = None, batches: int = 1000) -> Quality:
        """Measures how random this process's first batches of the epoch are; reads no matrix.

        Parameters
        ----------
        label
            Column of obs with text or categories; otherwise the first such one of `obs`.
        batches
            How many are measured, at most.
        """
        if label is None:
            label = next(iter(self.categories), None)
        labels = None if label is None else self.data._core.obs(label)
        world = self._world()
        measured = _core.measure_order(self._orders(), world.rank, world.size, self.epoch, batches, labels)
        return quality_of(measured, label)

    @property
    def sampler(self) -> Loader:
        """Itself: Lightning calls ``sampler.set_epoch``, and adds no sampler of its own."""
        return self

    @property
    def batch_sampler(self) -> Loader:
        """Itself: who finds a sampler asks for this one too, and it for its `batch_size`."""
        return self

    # Behind --------------------------------------------------------------------------------------

    def _world(self) -> World:
        return self._membership.world(begun=self._core is not None)

    def _orders(self) -> Any:
        lanes = self._lanes or (1 if self.tail == "keep" else self._world().size)
        if self._core_order is None or self._core_order.lanes != lanes:
            options = {"batch_size": self.batch_size, "seed": self.seed, "lanes": lanes, "tail": self.tail}
            self._core_order = core_order(self.data, self._rows, self.order, **options)
        return self._core_order

    def _started(self) -> Any:
        check_fork(self._started_in if self._core is not None else None)
        if self._core is None:
            world = self._world()
            worker, workers = this_worker() or (0, 1)
            self._reader = (worker * world.size + world.rank, workers * world.size)
            read = self._contents.read
            read.threads = self._threads or max(_core.default_threads(world.local_size) // workers, 1)
            share = _core.available_memory() // 10 * 7 // world.local_size
            read.memory = (self._memory or min(_MEMORY, share)) // workers
            self._core = _core.Loader(self.data._core, self._orders(), read, *self._reader)
            self._layout = self._contents.layout(self._core)
            self._started_in = engine_started()
        return self._core

    def __reduce__(self) -> Any:
        return _rebuilt, (
            self._arguments,
            self._lanes,
            self._position.for_another(),
            self._membership.for_another(),
        )

    def __repr__(self) -> str:
        return f"Loader of {self.data!r}, {self.batch_size} cells a batch, {self.order}"


def _rebuilt(arguments: dict[str, Any], lanes: int | None, position: tuple[Any, ...], home: World | None) -> Loader:
    loader = Loader(**arguments)
    loader._lanes, loader._position = lanes, position_of(*position)
    loader._membership.come_from(home)
    return loader


_torch_class: type[Loader] | None = None


def _torch_loader() -> type[Loader]:
    """Loader that torch's DataLoader takes for what it is; torch is imported already."""
    global _torch_class
    if _torch_class is None:
        from torch.utils.data import IterableDataset

        _torch_class = type("Loader", (Loader, IterableDataset), {"__doc__": Loader.__doc__})
    return _torch_class
