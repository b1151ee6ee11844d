"""Lightning: `DataModule` gives a Trainer its batches.

Works with the packages ``lightning`` and ``pytorch_lightning``; `DataModule` is made for those that
are imported already, otherwise for the first that is installed.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from .config import plain
from .dataset import Dataset, open, resolve_rows
from .errors import InputError
from .loader import Loader
from .world import World

_PACKAGES = ("lightning.pytorch", "pytorch_lightning")
_NO_CELLS = "{0}: it has no cells of its own; expected a share of split, or {0}=dict(rows=…), filter or data"
_OF_CELLS = ("data", "rows", "filter")  #: options that say which cells a set has

_Cells = tuple[Dataset, np.ndarray | None]  #: of a set; none for all rows


def _bases() -> list[type]:
    """What a Trainer takes for a data module: each package knows its own only."""
    imported = [name for name in _PACKAGES if name in sys.modules]
    for name in imported or _PACKAGES:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name.split(".")[0]:
                raise
            continue
        return [sys.modules[each].LightningDataModule for each in imported or [name]]
    raise ImportError("cellmill.lightning needs the package lightning or pytorch_lightning; neither is installed")


class DataModule(*_bases()):
    """Loaders of training, validation, test and prediction cells, for Lightning's Trainer.

    Each process gets its own batches, all equally many; checkpoints hold where training is, also in the
    middle of an epoch.

    Parameters
    ----------
    data
        What `cellmill.open` gives, or paths.
    batch_size
        Cells of a batch, for each process.
    split, by
        As of `Dataset.split`: set → share, of ``"train"``, ``"val"``, ``"test"``, ``"predict"``; whole
        groups of a column of obs. Without it all cells are for training.
    seed
        Of the split and of the order.
    train, val, test, predict
        Options of one set: any of `Loader`'s, and ``data`` for a set of other files. A set that is held
        out needs cells of its own: a share of `split`, or ``rows``, ``filter``, ``data``; none of them
        may be training's. Prediction takes all cells unless told.
    options
        Of all sets: `Loader`'s. ``order`` and ``tail`` are training's only: other sets have every cell
        once, in the order of the files, unless told; in several processes their last batches are
        filled up, and ``batch.valid`` tells.
    """

    def __init__(
        self,
        data: Any,
        batch_size: int = 4096,
        *,
        split: Mapping[str, float] | None = None,
        by: str | None = None,
        seed: int = 0,
        train: Mapping[str, Any] | None = None,
        val: Mapping[str, Any] | None = None,
        test: Mapping[str, Any] | None = None,
        predict: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        given = {"train": train, "val": val, "test": test, "predict": predict}
        self.data = _opened(data)
        self._split, self._by, self._seed = dict(plain(split) or {}), by, seed
        self._own = {name: dict(plain(own)) for name, own in given.items() if own is not None}
        self._rows, self._filter = options.pop("rows", None), options.pop("filter", None)
        self._common = {"batch_size": batch_size, "seed": seed, "to": "torch", **options}
        self._sets: dict[str, _Cells] | None = None
        self._loaders: dict[str, tuple[World | None, Loader]] = {}
        self._state: Mapping[str, Any] | None = None
        self._check_names(given)

    # What a model is made from ---------------------------------------------------------------------

    @property
    def var_names(self) -> list[str]:
        """Names of a batch's genes."""
        return self.loader("train").var_names

    @property
    def categories(self) -> dict[str, list[str]]:
        """Levels of the columns of obs that have codes."""
        return self.loader("train").categories

    @property
    def n_tokens(self) -> int:
        """Rows that an embedding of the tokens needs, where cells become tokens."""
        return self.loader("train").n_tokens

    # What a Trainer asks for -----------------------------------------------------------------------

    def loader(self, name: str) -> Loader:
        """This process's loader of a set, ``"train"`` and so on; the same one each time."""
        world = self._world()
        made_for, loader = self._loaders.get(name, (None, None))
        if loader is None or made_for != world:
            loader = self._make(name, world)
            self._loaders[name] = world, loader
        return loader

    def train_dataloader(self) -> Loader:
        loader = self.loader("train")
        if self._state is not None:
            loader.load_state_dict(self._state)
            self._state = None
        return loader

    def val_dataloader(self) -> Loader | list[Loader]:
        return self.loader("val") if "val" in self._split or "val" in self._own else []  # none: no validation

    def test_dataloader(self) -> Loader:
        return self.loader("test")

    def predict_dataloader(self) -> Loader:
        return self.loader("predict")

    def state_dict(self) -> dict[str, Any]:
        """Where training is: the same on every rank."""
        return {"train": self._loaders["train"][1].state_dict()} if "train" in self._loaders else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Training goes on with the batch that would have come."""
        if self.trainer is None or self.trainer.state.fn == "fit":  # evaluation of a checkpoint leaves it alone
            self._state = state.get("train")

    # Behind ----------------------------------------------------------------------------------------

    def _check_names(self, given: Mapping[str, Any]) -> None:
        for name in self._split:
            if name not in given:
                raise InputError(f"split: '{name}' found, expected {', '.join(given)}")
        if self._split and "train" not in self._split:
            raise InputError("split: it has no share for 'train'")
        for name, own in self._own.items():
            for option in ("rows", "data"):
                if option in own and name in self._split:
                    raise InputError(f"{name}: {option} and a share of split found, expected one of them")
        for option in ("rank", "world_size", "group"):
            if any(option in options for options in (self._common, *self._own.values())):
                raise InputError(f"{option}: found, but a Trainer says so")

    def _world(self) -> World | None:
        """As the Trainer says: processes that share the data count, not those that share a model."""
        if self.trainer is None:
            return None
        found = self.trainer.distributed_sampler_kwargs or {"rank": 0, "num_replicas": 1}
        size = found["num_replicas"]
        return World(found["rank"], size, local_size=min(self.trainer.num_devices, size))

    def _make(self, name: str, world: World | None) -> Loader:
        data, rows = self._cells(name)
        own = {option: value for option, value in self._own.get(name, {}).items() if option not in _OF_CELLS}
        if name != "train":
            own = {"order": "sequential", "tail": "pad" if world and world.size > 1 else "keep", **own}
        if data is not self._cells("train")[0]:
            own = {**self._meanings(), **own}
        loader = Loader(data, rows=rows, **{**self._common, **own})
        if world is not None:
            loader._membership.join(world, "Lightning")
        return loader

    def _meanings(self) -> dict[str, Any]:
        """Options with which batches of other files mean what training's do."""
        trained = self.loader("train")
        levels = {name: trained.categories.get(name) for name in trained._contents.read.obs}
        return {"obs": levels} if trained.tokenizer else {"obs": levels, "genes": trained.var_names}

    def _cells(self, name: str) -> _Cells:
        if self._sets is None:
            self._sets = self._find_sets()
        if name not in self._sets:
            raise InputError(_NO_CELLS.format(name))
        return self._sets[name]

    def _find_sets(self) -> dict[str, _Cells]:
        whole = self.data, resolve_rows(self.data, self._rows, self._filter)
        sets = {"train": whole, "predict": whole}
        if self._split:
            shares = self.data.split(self._split, self._by, self._seed, whole[1])
            sets |= {name: (self.data, rows) for name, rows in zip(self._split, shares, strict=True)}
        for name, own in self._own.items():
            if name not in sets and not set(_OF_CELLS) & set(own):
                raise InputError(_NO_CELLS.format(name))
            data, rows = sets.get(name, whole)
            if "data" in own:
                data, rows = _opened(own["data"]), None
            if "data" in own or "rows" in own:
                rows = resolve_rows(data, own.get("rows"), self._filter)
            sets[name] = data, resolve_rows(data, rows, own.get("filter"))
        for name in ("val", "test"):
            if name in self._own and name not in self._split:
                _check_held_out(name, sets[name], sets["train"])
        return sets

    def __getstate__(self) -> dict[str, Any]:
        """For a process that is spawned: it finds its own loaders."""
        return {**self.__dict__, "_sets": None, "_loaders": {}}


def _opened(data: Any) -> Dataset:
    return data if isinstance(data, Dataset) else open(data)


def _check_held_out(name: str, held: _Cells, trained: _Cells) -> None:
    if held[0] is not trained[0]:
        both = set.intersection(*(set(map(os.path.realpath, data.paths)) for data, _ in (held, trained)))
        if both:
            raise InputError(f"{name}: {min(both)} is a file of training, too; expected rows or filter, not data")
        return
    rows, others = (np.arange(len(data)) if rows is None else rows for data, rows in (held, trained))
    shared = np.intersect1d(rows, others, assume_unique=True)
    if shared.size:
        raise InputError(f"{name}: {shared.size:,} of its cells are in training, too, e.g. row {shared[0]:,}")
