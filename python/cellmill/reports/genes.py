"""Genes by mean and dispersion, in each plate: all on a grid, the chosen ones one by one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .packing import pack, packed_levels, to_steps
from .reading import RunOutput, row_blocks

#: Plates with a view of their own; the mean is over all of them.
PLATES = 48
#: Chosen genes that are drawn in a view: those of the greatest dispersions.
POINTS = 5000

_GRID = (150, 240)  # y, x
_ROWS = 4096
_MEASURES = ("dispersions_norm", "dispersions")


@dataclass
class Tables:
    """Of the plates shown, genes × plates; and the means over all plates that have the gene."""

    plates: list[str]
    n_plates: int
    genes: np.ndarray
    values: dict[str, np.ndarray] = field(default_factory=dict)
    mean: dict[str, np.ndarray] = field(default_factory=dict)
    chosen: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), bool))
    n_chosen: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))  #: plates, of each gene


def read_tables(output: RunOutput) -> Tables | None:
    """Reads uns/hvg_per_plate in blocks of genes; None if it is not there or empty."""
    group = output.hvg_tables()
    if group is None or any(name not in group for name in ("genes", "plates", "means", *_MEASURES)):
        return None
    genes, plates = output.hvg_names("genes"), output.hvg_names("plates")
    if len(genes) == 0 or len(plates) == 0:
        return None
    shown = min(len(plates), PLATES)
    tables = Tables([str(name) for name in plates[:shown]], len(plates), genes)
    for name in ("means", *_MEASURES):
        tables.values[name] = np.empty((len(genes), shown), np.float32)
        tables.mean[name] = np.empty(len(genes), np.float32)
        for block in row_blocks(group[name], len(genes), _ROWS):
            part = np.asarray(group[name][block], np.float64)
            part[~np.isfinite(part)] = np.nan
            tables.values[name][block] = part[:, :shown]
            there = (~np.isnan(part)).sum(axis=1)
            tables.mean[name][block] = np.where(there, np.nansum(part, axis=1) / np.maximum(there, 1), np.nan)
    tables.chosen = np.zeros((len(genes), shown), bool)
    tables.n_chosen = np.zeros(len(genes), np.int64)
    if "highly_variable" in group:
        for block in row_blocks(group["highly_variable"], len(genes), _ROWS):
            part = np.asarray(group["highly_variable"][block], bool)
            tables.chosen[block], tables.n_chosen[block] = part[:, :shown], part.sum(axis=1)
    return tables


def genes_section(output: RunOutput) -> dict[str, Any] | None:
    """What the page gets: a view for the mean over plates, if there are several, and for each plate shown."""
    tables = read_tables(output)
    if tables is None:
        return None
    logarithmic = output.flavor == "cell_ranger"  # whose means are not log1p's
    kept = np.isin(tables.genes.astype(str), output.var_names().astype(str)) if output.n_vars else tables.n_chosen > 0
    views = []
    if tables.n_plates > 1:
        views.append(_view(f"mean of {tables.n_plates} plates", tables.mean, tables.n_chosen > 0, kept, logarithmic))
    for plate, name in enumerate(tables.plates):
        columns = {measure: values[:, plate] for measure, values in tables.values.items()}
        views.append(_view(name, columns, tables.chosen[:, plate], kept, logarithmic))
    named = np.unique(np.concatenate([view.pop("points") for view in views]))
    for view in views:
        view["genes"] = pack(np.searchsorted(named, view["genes"]).astype(np.uint32))
    return {
        "views": views,
        "names": [str(name) for name in tables.genes[named]],
        "x": "log10 of mean count" if logarithmic else "log1p of the mean count",
        "n_genes": len(tables.genes),
        "n_plates": tables.n_plates,
        "n_shown": len(tables.plates),
        "chosen_by": np.bincount(tables.n_chosen, minlength=tables.n_plates + 1).tolist(),
    }


def _view(
    name: str, columns: dict[str, np.ndarray], chosen: np.ndarray, kept: np.ndarray, logarithmic: bool
) -> dict[str, Any]:
    x = columns["means"].astype(np.float64)
    if logarithmic:
        x = np.log10(np.where(x > 0, x, np.nan))
    order = np.flatnonzero(chosen & np.isfinite(x))
    strength = np.nan_to_num(columns["dispersions_norm"][order], nan=-np.inf)
    points = order[np.argsort(-strength, kind="stable")[:POINTS]]
    view: dict[str, Any] = {
        "name": name,
        "n_chosen": int(chosen.sum()),
        "n_with_values": int((np.isfinite(x) & np.isfinite(columns["dispersions"])).sum()),
        "points": points,
        "genes": points,
        "kept": pack(kept[points].astype(np.uint8)),
        "x": to_steps(x[points]),
    }
    for measure in _MEASURES:
        y = columns[measure].astype(np.float64)
        view[measure] = {"y": to_steps(y[points]), **_grid(x, y, ~chosen)}
    return view


def _grid(x: np.ndarray, y: np.ndarray, others: np.ndarray) -> dict[str, Any]:
    """Counts of the other genes, over the range of all."""
    there = np.isfinite(x) & np.isfinite(y)
    if not there.any():
        return packed_levels(np.zeros((1, 1))) | {"x0": 0.0, "dx": 1.0, "y0": 0.0, "dy": 1.0}
    (y0, dy), (x0, dx) = (_bins(values[there], n) for values, n in zip((y, x), _GRID, strict=True))
    there &= others
    rows = ((y[there] - y0) / dy).astype(np.int64).clip(0, _GRID[0] - 1)
    columns = ((x[there] - x0) / dx).astype(np.int64).clip(0, _GRID[1] - 1)
    counts = np.bincount(rows * _GRID[1] + columns, minlength=_GRID[0] * _GRID[1]).reshape(_GRID)
    return packed_levels(counts) | {"x0": x0, "dx": dx, "y0": y0, "dy": dy}


def _bins(values: np.ndarray, n: int) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return low, (high - low) / n or 1.0
