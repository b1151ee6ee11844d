"""cellmill: single-cell data larger than memory, straight from AnnData.

``open`` and ``Loader`` feed training; ``run`` is the main job of the program.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import _core
from .batch import Batch, CsrMatrix
from .commands import concat, convert, info, report, run, shard, simulate, validate, vocab
from .dataset import Dataset, ObsColumn, ObsTable, open
from .errors import (
    CommError,
    Error,
    ForkError,
    InputError,
    MissingError,
    NotFoundError,
    ReadWriteError,
    StoppedError,
)
from .loader import Loader
from .orders import (
    Balanced,
    Curriculum,
    Log1p,
    NormalizeTotal,
    Paired,
    Sequential,
    Shuffle,
    Stratified,
    Weighted,
)
from .quality import Measure, Quality
from .selections import MostExpressed, RandomExpressed
from .tokenizers import Geneformer, RankValue, ScGPT

if TYPE_CHECKING:
    from . import lightning as lightning

__version__: str = _core.version()


def __getattr__(name: str) -> Any:
    """`cellmill.lightning` when it is asked for: it needs Lightning."""
    if name == "lightning":
        return importlib.import_module(".lightning", __name__)
    raise AttributeError(f"module 'cellmill' has no attribute '{name}'")


__all__ = [
    "Balanced",
    "Batch",
    "CommError",
    "CsrMatrix",
    "Curriculum",
    "Dataset",
    "Error",
    "ForkError",
    "Geneformer",
    "InputError",
    "Loader",
    "Log1p",
    "Measure",
    "MissingError",
    "MostExpressed",
    "NormalizeTotal",
    "NotFoundError",
    "ObsColumn",
    "ObsTable",
    "Paired",
    "Quality",
    "RandomExpressed",
    "RankValue",
    "ReadWriteError",
    "ScGPT",
    "Sequential",
    "Shuffle",
    "StoppedError",
    "Stratified",
    "Weighted",
    "concat",
    "convert",
    "info",
    "open",
    "report",
    "run",
    "shard",
    "simulate",
    "validate",
    "vocab",
]
