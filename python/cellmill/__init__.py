"""cellmill: single-cell data larger than memory, straight from AnnData.

``open`` and ``Loader`` feed training; ``run`` is the main job of the program.
"""

from __future__ import annotations

from . import _core
from .batch import Batch, CsrMatrix
from .commands import concat, convert, info, report, run, shard, simulate, validate
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

__version__: str = _core.version()

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
]
