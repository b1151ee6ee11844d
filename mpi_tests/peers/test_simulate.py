"""The plates that `cellmill simulate` makes up, as scanpy sees them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scanpy as sc

from plates import read
from program import succeed

PLATES = 4
GENES = 20_000
NONZEROS = 700
CHOSEN = 600


def test_plates_agree_on_their_variable_genes(tmp_path):
    options = ["--plates", PLATES, "--cells", 2000, "--genes", GENES, "--nnz", NONZEROS]
    succeed("simulate", tmp_path, *options)
    times_chosen = np.zeros(GENES, dtype=int)
    nonzeros = []
    for number in range(1, PLATES + 1):
        plate = read(tmp_path / f"plate{number}.h5ad")
        plate = plate[plate.obs["pass_filter"] == "full"].copy()
        nonzeros.extend(np.diff(plate.X.indptr))
        sc.pp.normalize_total(plate)
        sc.pp.log1p(plate)
        sc.pp.highly_variable_genes(plate, n_top_genes=CHOSEN)
        times_chosen += plate.var["highly_variable"].to_numpy()
    assert abs(np.mean(nonzeros) / NONZEROS - 1) < 0.03
    assert 0.85 * CHOSEN < (times_chosen >= 3).sum() < 1.15 * CHOSEN


def test_obs_describes_the_counts(tmp_path):
    succeed("simulate", tmp_path, "--plates", 1, "--cells", 300, "--genes", 2000, "--nnz", 100)
    plate = read(tmp_path / "plate1.h5ad")
    counts = plate.X.toarray()
    assert (plate.obs["gene_count"] == (counts > 0).sum(axis=1)).all()
    assert (plate.obs["tscp_count"] == counts.sum(axis=1)).all()
    mitochondrial = counts[:, plate.var_names.str.startswith("MT-")].sum(axis=1)
    np.testing.assert_allclose(plate.obs["pcnt_mito"], 100 * mitochondrial / counts.sum(axis=1))
    assert set(plate.obs["pass_filter"]) == {"full", "minimal"}
    for column in ("pass_filter", "cell_line", "drug", "sample"):
        assert isinstance(plate.obs[column].dtype, pd.CategoricalDtype)
    assert plate.obs_names.is_unique
    assert plate.var_names.is_unique
