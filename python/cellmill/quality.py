"""How random batches are."""

from __future__ import annotations

from typing import Any, NamedTuple


class Measure(NamedTuple):
    """A mean over batches, and what rows drawn at random without replacement are expected to have."""

    measured: float
    random: float


class Quality(NamedTuple):
    """Batches against batches of rows drawn at random (docs/numerics.md, "Randomness of batches").

    Attributes
    ----------
    batches, rows
        How many were measured; padding is no row.
    within, across
        Spread of row numbers in a batch, and from one batch to the next: 0 as the rows are stored, 1
        as at random. None where nothing can be compared.
    label
        The column of obs that the rest is of; None: none was measured.
    entropy
        Of a batch's labels, in bits.
    distinct
        Labels in a batch.
    variation
        Total variation distance of a batch's label frequencies to those of all rows.
    """

    batches: int
    rows: int
    within: float | None = None
    across: float | None = None
    label: str | None = None
    entropy: Measure | None = None
    distinct: Measure | None = None
    variation: Measure | None = None


def quality_of(measured: dict[str, Any], label: str | None) -> Quality:
    """From what C++ has measured."""
    found = {name: Measure(**value) if isinstance(value, dict) else value for name, value in measured.items()}
    return Quality(label=label if "entropy" in found else None, **found)
