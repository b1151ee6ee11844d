"""Cells by their components: counted on grids, all of them, and some to draw."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .packing import pack, packed_levels, to_steps
from .reading import Column, RunOutput

#: Components of which any two have a grid with all cells.
DENSE_COMPONENTS = 10
#: Components of the cells that are drawn one by one.
SAMPLED_COMPONENTS = 50
#: Columns of obs that are offered if none is asked for.
COLUMNS = 24
#: Levels with a colour of their own.
LEVELS = 19

_BINS = 256
_FINEST = 128


class PairCounts:
    """Counts of cells on a grid, for any two of some components, in one reading.

    A grid that a later block exceeds covers twice as much from then on, with bins twice as wide, so every
    cell is counted and the range needn't be known before.
    """

    def __init__(self, n: int) -> None:
        self.n_cells = 0
        self.not_finite = 0
        self.low = np.zeros(n)
        self.width = np.zeros(n)
        self.counts = {pair: np.zeros((_BINS, _BINS), np.int64) for pair in itertools.combinations(range(n), 2)}

    def add(self, rows: np.ndarray) -> None:
        """Cells × components."""
        finite = np.isfinite(rows).all(axis=1)
        self.not_finite += int((~finite).sum())
        rows = rows[finite].astype(np.float64)
        if len(rows) == 0:
            return
        self._cover(rows.min(axis=0), rows.max(axis=0))
        bins = np.floor((rows - self.low) / self.width).astype(np.int64).clip(0, _BINS - 1)
        for (i, j), counts in self.counts.items():
            counts += np.bincount(bins[:, i] * _BINS + bins[:, j], minlength=_BINS * _BINS).reshape(_BINS, _BINS)
        self.n_cells += len(rows)

    def _cover(self, least: np.ndarray, most: np.ndarray) -> None:
        if self.n_cells == 0:
            self.low = least.copy()
            self.width = np.maximum((most - least) / _BINS, np.maximum(np.abs(least), 1) * 1e-9) * (1 + 1e-9)
        for c in range(len(self.low)):
            while least[c] < self.low[c] or most[c] > self.low[c] + _BINS * self.width[c]:
                downwards = least[c] < self.low[c]
                if downwards:
                    self.low[c] -= _BINS * self.width[c]
                self.width[c] *= 2
                for (i, j), counts in self.counts.items():
                    if c in (i, j):
                        self.counts[i, j] = _widened(counts, 0 if c == i else 1, downwards)

    def grids(self) -> list[dict[str, Any]]:
        """What the page draws: of each pair the counts, y × x, and where the first bin begins."""
        finest = int(np.clip(np.sqrt(self.n_cells / 4), 16, _FINEST))
        result = []
        for (i, j), counts in self.counts.items():
            grid, x_low, x_width = _trimmed(counts, self.low[i], self.width[i], finest)
            grid, y_low, y_width = _trimmed(grid.T, self.low[j], self.width[j], finest)
            axes = {"x": i, "y": j, "x0": x_low, "dx": x_width, "y0": y_low, "dy": y_width}
            result.append(axes | packed_levels(grid))
        return result


def _widened(counts: np.ndarray, axis: int, downwards: bool) -> np.ndarray:
    counts = np.moveaxis(counts, axis, 0)
    merged = counts[0::2] + counts[1::2]
    rest = np.zeros_like(merged)
    return np.moveaxis(np.concatenate([rest, merged] if downwards else [merged, rest]), 0, axis)


def _trimmed(counts: np.ndarray, low: float, width: float, finest: int) -> tuple[np.ndarray, float, float]:
    """Without the empty bins at the ends of the first axis, and at most `finest` bins."""
    used = np.flatnonzero(counts.any(axis=1))
    if len(used) == 0:
        return counts[:1], low, width
    counts, low = counts[used[0] : used[-1] + 1], low + used[0] * width
    while len(counts) > finest:
        padded = np.concatenate([counts, np.zeros_like(counts[:1])]) if len(counts) % 2 else counts
        counts, width = padded[0::2] + padded[1::2], width * 2
    return counts, low, width


def sampled_rows(n_cells: int, n_sampled: int) -> np.ndarray:
    """One row at random of each of `n_sampled` equal parts; the same ones in every report."""
    if n_cells <= n_sampled:
        return np.arange(n_cells)
    bounds = np.arange(n_sampled + 1) * n_cells // n_sampled
    return bounds[:-1] + (np.random.default_rng(0).random(n_sampled) * np.diff(bounds)).astype(np.int64)


@dataclass
class Cells:
    """`section` is what the page gets; the rest is for its tables and texts."""

    n_cells: int
    n_sampled: int
    n_components: int
    not_finite: int
    section: dict[str, Any] = field(repr=False)


def cells_section(output: RunOutput, wanted: list[str] | None, n_sampled: int) -> Cells | None:
    """None if there are no components, or no cells."""
    array = output.components()
    if array is None or 0 in array.shape:
        return None
    n_cells, k = array.shape
    rows = sampled_rows(n_cells, n_sampled)
    pairs, sample = PairCounts(min(k, DENSE_COMPONENTS)), []
    for begin, block in output.component_blocks():
        pairs.add(block[:, :DENSE_COMPONENTS])
        first, last = np.searchsorted(rows, (begin, begin + len(block)))
        sample.append(block[rows[first:last] - begin, :SAMPLED_COMPONENTS])
    drawn = np.concatenate(sample)
    columns = [output.column(name, rows) for name in output.shown_columns(wanted, COLUMNS)]
    section = {
        "n_cells": n_cells,
        "n_sampled": len(rows),
        "grids": pairs.grids(),
        "components": [to_steps(drawn[:, c]) for c in range(drawn.shape[1])],
        "columns": [_column_section(column) for column in columns],
    }
    return Cells(n_cells, len(rows), k, pairs.not_finite, section)


def _column_section(column: Column) -> dict[str, Any]:
    if column.numbers is not None:
        return {"name": column.name, "numbers": to_steps(column.numbers)}
    assert column.codes is not None
    assert column.levels is not None
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.levels))
    top = np.argsort(-counts, kind="stable")[: LEVELS if len(counts) > LEVELS + 1 else len(counts)]
    shown = np.sort(top[counts[top] > 0])
    names = [column.levels[level] for level in shown]
    place = np.full(len(counts) + 1, len(names))  # of levels without a colour of their own
    place[shown] = np.arange(len(names))
    place[-1] = len(names) + 1  # code −1
    return {"name": column.name, "levels": names, "codes": pack(place[column.codes].astype(np.uint8))}
