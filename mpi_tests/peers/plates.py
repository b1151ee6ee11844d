"""Small plates made in Python, as anndata writes them, and what it reads."""

from __future__ import annotations

import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp


def make_plate(number: int, cells: int = 300, genes: int = 400, *, seed: int = 5) -> ad.AnnData:
    """Counts whose markers depend on the cell line, with obs columns of every kind.

    Some cells are empty, some genes are without a count, some values are missing.
    """
    shared = np.random.default_rng(seed)
    rates = shared.lognormal(-1.5, 1.5, genes)
    rates[: genes // 20] = 0
    lines = 5
    markers = np.where(shared.random((lines, genes)) < 0.1, shared.lognormal(1.2, 0.5, (lines, genes)), 1.0)

    rng = np.random.default_rng(seed * 1000 + number)
    line = rng.integers(0, lines, cells)
    depth = rng.lognormal(0, 0.5, cells)
    counts = rng.poisson(rates * markers[line] * depth[:, None])
    counts[rng.choice(cells, 3, replace=False)] = 0

    names = [f"LINE-{i}" for i in range(lines)]
    obs = pd.DataFrame(
        {
            "pass_filter": pd.Categorical(np.where(rng.random(cells) < 0.8, "full", "minimal")),
            "cell_line": pd.Categorical([names[i] for i in line]),
            "drug": pd.Categorical([f"drug é{number}"] * cells),
            "score": rng.normal(size=cells),
            "n_reads": rng.integers(0, 10_000, cells),
            "doublet": rng.random(cells) < 0.1,
            "note": [f"nøte {i}" for i in range(cells)],
        },
        index=[f"CELL{i:04d}" for i in range(cells)],
    )
    obs.loc[obs.index[::50], "score"] = np.nan
    obs["cell_line"] = obs["cell_line"].where(rng.random(cells) > 0.02)
    var = pd.DataFrame({"symbol": [f"SYM{g}" for g in range(genes)]}, index=[f"GENE{g:04d}" for g in range(genes)])
    return ad.AnnData(sp.csr_matrix(counts.astype(np.float32)), obs=obs, var=var)


def write(adata: ad.AnnData, path: Path, *, zarr_format: int = 3, **options) -> Path:
    """As anndata writes it, by the name's ending; `compression` and the like are h5ad's options."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if path.suffix == ".zarr":
            with ad.settings.override(zarr_write_format=zarr_format):
                adata.write_zarr(path)
        else:
            adata.write_h5ad(path, **options)
    return path


def write_plates(folder: Path, plates: list[ad.AnnData], suffix: str = ".h5ad", **options) -> list[Path]:
    """Writes plate1, plate2 ...; options as for `write`."""
    folder.mkdir(parents=True, exist_ok=True)
    return [write(plate, folder / f"plate{number}{suffix}", **options) for number, plate in enumerate(plates, 1)]


def read(path: Path) -> ad.AnnData:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ad.read_zarr(path) if path.suffix == ".zarr" else ad.read_h5ad(path)
