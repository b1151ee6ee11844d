"""Which genes a batch keeps, chosen by what is in it: the last of a loader's ``transform=``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from .errors import InputError


@dataclass(frozen=True)
class MostExpressed:
    """The genes with the largest sums over the batch; `batch.genes` tells which."""

    count: int = 2048
    kind: ClassVar[str] = "most_expressed"


@dataclass(frozen=True)
class RandomExpressed:
    """Random ones of the genes that a cell of the batch expresses; `batch.genes` tells which."""

    count: int = 2048
    kind: ClassVar[str] = "random_expressed"


Selection = MostExpressed | RandomExpressed
_SELECTIONS: dict[str, type] = {kind.kind: kind for kind in (MostExpressed, RandomExpressed)}


def split_selection(transform: Any) -> tuple[Selection | None, Any]:
    """The selection at the end of a transform, and the steps before it, as a user may write them."""
    if transform is None:
        return None, None
    steps = list(transform) if isinstance(transform, Sequence) and not isinstance(transform, str) else [transform]
    found = [_selection(step) for step in steps]
    if any(found[:-1]):
        raise InputError("transform: a selection of genes comes last, and only once")
    return (found[-1], steps[:-1] or None) if found and found[-1] else (None, transform)


def _selection(step: Any) -> Selection | None:
    if isinstance(step, Selection):
        return step
    name, options = step, {}
    if isinstance(step, Mapping) and len(step) == 1:
        ((name, options),) = step.items()
    kind = _SELECTIONS.get(name) if isinstance(name, str) else None
    if kind is None:
        return None
    if isinstance(options, int):
        options = {"count": options}
    for option in options or {}:
        if option != "count":
            raise InputError(f"transform {name}: there is no option '{option}'; it has count")
    return kind(**(options or {}))
