"""In which order rows come, and what is done to them: plain values that say so.

Each can also be given as a string or a dict, so that configuration files work:
``"sequential"``, ``{"shuffle": {"block": 64, "window": 65536}}``, ``{"balanced": "cell_line"}``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, get_args

from .errors import InputError


@dataclass(frozen=True)
class Shuffle:
    """Blocks of neighbouring rows in random order; the rows of a window of blocks permuted.

    Parameters
    ----------
    block
        Rows that are read together.
    window
        Rows, of each lane, that are permuted together. ``window / block`` independent blocks make a
        batch diverse; a window is decoded while the one before is used.
    """

    block: int = 64
    window: int = 65536


@dataclass(frozen=True)
class Sequential:
    """Rows as they come."""


@dataclass(frozen=True, eq=False)
class Weighted:
    """Rows drawn in proportion to their weights, with replacement; as many draws an epoch as rows.

    A block is drawn in proportion to its summed weight, then as many rows as it has, by weight.

    Parameters
    ----------
    weights
        One for each row of the data, in use or not: an array (also mapped into memory; it is not
        copied), a .npy file, or the name of a column of obs. `Dataset.label_weights` makes labels
        equally frequent.
    block, window
        As of `Shuffle`. Draws of one block are like each other where its rows are: smaller blocks make
        frequencies more exact, and repeat rows of large weight less.
    """

    weights: Any
    block: int = 64
    window: int = 65536


@dataclass(frozen=True)
class Balanced:
    """Equally many cells of each label in every batch, to within one.

    Rare labels come several times an epoch, of frequent ones other cells in each epoch; cells without a
    label never do.

    Parameters
    ----------
    by
        Column of obs with text or categories.
    levels
        The labels to balance; otherwise all, each of which must have a cell among the rows in use.
    block, window
        As of `Shuffle`.
    """

    by: str
    levels: Sequence[str] | None = None
    block: int = 64
    window: int = 65536


@dataclass(frozen=True)
class Stratified:
    """Every cell once an epoch, as with `Shuffle`, and the data's proportions of labels in every batch.

    Parameters
    ----------
    by
        Column of obs with text or categories; cells without a label are a label more.
    block, window
        As of `Shuffle`.
    """

    by: str
    block: int = 64
    window: int = 65536


@dataclass(frozen=True)
class Paired:
    """Cells of a condition, each once an epoch in shuffled order, with a matched control each.

    ``batch.control`` is a batch of the controls, row by row those of the batch's cells.

    Parameters
    ----------
    condition
        Column of obs, e.g. the drug; cells without one are left out.
    control
        The condition that controls have.
    match
        Columns of obs in which a cell's control agrees with it. A cell for which there is no control
        is an error.
    block, window
        As of `Shuffle`; a window has as many controls besides.
    """

    condition: str
    control: str
    match: str | Sequence[str] = ()
    block: int = 64
    window: int = 65536


@dataclass(frozen=True, eq=False)
class Curriculum:
    """From uniform to weighted: the share of draws by weight grows linearly, from none in epoch 0.

    Parameters
    ----------
    weights
        As of `Weighted`.
    warmup_epochs
        From this epoch on all draws are by weight.
    block, window
        As of `Weighted`.
    """

    weights: Any
    warmup_epochs: int
    block: int = 64
    window: int = 65536


Order = Shuffle | Sequential | Weighted | Balanced | Stratified | Paired | Curriculum


@dataclass(frozen=True)
class NormalizeTotal:
    """Scales each cell to this total, which is taken over all of its genes."""

    target_sum: float = 1e4


@dataclass(frozen=True)
class Log1p:
    """log(1 + x)."""


_ORDERS: dict[str, type] = {kind.__name__.lower(): kind for kind in get_args(Order)}
_TRANSFORMS: dict[str, type] = {"normalize_total": NormalizeTotal, "log1p": Log1p}


def _parsed(value: Any, known: Mapping[str, type], what: str) -> Any:
    if isinstance(value, tuple(known.values())):
        return value
    if isinstance(value, str):
        name, options = value, {}
    elif isinstance(value, Mapping) and len(value) == 1:
        ((name, options),) = value.items()
        options = {} if options is None else options
    else:
        raise InputError(f"{what}: {value!r} found, expected one of {', '.join(known)}, or {{name: options}}")
    key = str(name).lower().replace("-", "_")
    if key not in known:
        raise InputError(f"{what}: '{name}' found, expected one of {', '.join(known)}")
    names = [field.name for field in fields(known[key])]
    required = [field.name for field in fields(known[key]) if field.default is MISSING]
    if required and not isinstance(options, Mapping):  # {"balanced": "cell_line"}
        options = {required[0]: options}
    if not isinstance(options, Mapping):
        raise InputError(f"{what} {name}: {options!r} found, expected {{option: value}}")
    for option in options:
        if option not in names:
            raise InputError(f"{what} {name}: there is no option '{option}'; it has {', '.join(names) or 'none'}")
    for option in required:
        if option not in options:
            raise InputError(f"{what} {name}: it needs '{option}'")
    return known[key](**options)


def parse_order(value: Any) -> Order:
    """An order from what a user may write."""
    return _parsed(value, _ORDERS, "order")


def parse_transform(value: Any) -> list[NormalizeTotal | Log1p]:
    """Transforms, in their order, from what a user may write."""
    if value is None:
        return []
    if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence):
        value = [value]
    steps = [_parsed(step, _TRANSFORMS, "transform") for step in value]
    names = [type(step) for step in steps]
    if names not in ([], [NormalizeTotal], [Log1p], [NormalizeTotal, Log1p]):
        raise InputError("transform: expected NormalizeTotal, Log1p, or NormalizeTotal and then Log1p")
    return steps
