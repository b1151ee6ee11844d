"""In which order rows come, and what is done to them: plain values that say so.

Each can also be given as a string or a dict, so that configuration files work:
``"sequential"``, ``{"shuffle": {"block": 64, "window": 65536}}``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

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


@dataclass(frozen=True)
class NormalizeTotal:
    """Scales each cell to this total, which is taken over all of its genes."""

    target_sum: float = 1e4


@dataclass(frozen=True)
class Log1p:
    """log(1 + x)."""


_ORDERS: dict[str, type] = {"shuffle": Shuffle, "sequential": Sequential}
_TRANSFORMS: dict[str, type] = {"normalize_total": NormalizeTotal, "log1p": Log1p}


def _parsed(value: Any, known: Mapping[str, type], what: str) -> Any:
    if isinstance(value, tuple(known.values())):
        return value
    if isinstance(value, str):
        name, options = value, {}
    elif isinstance(value, Mapping) and len(value) == 1:
        ((name, options),) = value.items()
        options = options or {}
    else:
        raise InputError(f"{what}: {value!r} found, expected one of {', '.join(known)}, or {{name: options}}")
    key = str(name).lower().replace("-", "_")
    if key not in known:
        raise InputError(f"{what}: '{name}' found, expected one of {', '.join(known)}")
    names = [field.name for field in fields(known[key])]
    for option in options:
        if option not in names:
            raise InputError(f"{what} {name}: there is no option '{option}'; it has {', '.join(names) or 'none'}")
    return known[key](**options)


def parse_order(value: Any) -> Shuffle | Sequential:
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
