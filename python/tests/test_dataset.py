"""Data sets: rows of many files as one table."""

from __future__ import annotations

import numpy as np
import pytest

import cellmill as cm


def test_rows_of_all_files_are_one_table(plates: list[str]) -> None:
    data = cm.open(plates)
    assert len(data) == data.n_obs == 1400
    assert data.n_vars == len(data.var_names) == 900
    assert "plate1.h5ad" in repr(data)


def test_rows_come_in_the_order_asked(plates: list[str]) -> None:
    data = cm.open(plates)
    batch = data[[1399, 0, 5, 0]]
    assert batch.rows.tolist() == [1399, 0, 5, 0]
    dense = batch["X"].to_dense()
    assert dense.shape == (4, 900)
    assert (dense[1] == dense[3]).all()
    one_by_one = [data[row]["X"].to_dense()[0] for row in (1399, 0, 5, 0)]
    assert (dense == np.stack(one_by_one)).all()
    assert (data[-1]["X"].to_dense() == data[1399]["X"].to_dense()).all()
    assert len(data[10:20]) == 10
    assert len(data.__getitems__([3, 4])) == 2


def test_columns_of_obs_are_codes_and_levels(plates: list[str]) -> None:
    data = cm.open(plates)
    column = data.obs(["cell_line"])["cell_line"]
    assert len(column) == 1400
    assert column.codes.dtype == np.int64
    assert column.values[0] == column.levels[column.codes[0]]


def test_a_condition_on_obs_selects_rows(plates: list[str]) -> None:
    data = cm.open(plates)
    rows = data.select('pass_filter == "full"')
    assert (data.obs("pass_filter")["pass_filter"].values[rows] == "full").all()


def test_split_keeps_groups_whole_and_sets_disjoint(plates: list[str]) -> None:
    data = cm.open(plates)
    train, val = data.split({"train": 0.75, "val": 0.25}, by="cell_line", seed=1)
    assert not np.intersect1d(train, val).size
    assert len(train) + len(val) == 1400
    lines = data.obs("cell_line")["cell_line"].codes
    assert not np.intersect1d(lines[train], lines[val]).size
    assert 0.15 < len(val) / 1400 < 0.35
    plain = data.split({"train": 0.5, "val": 0.25})
    assert [len(rows) for rows in plain] == [700, 350]
    with pytest.raises(ValueError, match=r"add up to 1\.8"):
        data.split({"train": 0.9, "val": 0.9})


def test_what_is_wrong_is_said_as_pythons_own_exceptions(plates: list[str]) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.h5ad"):
        cm.open("nothing.h5ad")
    data = cm.open(plates)
    with pytest.raises(KeyError, match="did you mean cell_line"):
        data.obs("cel_line")
    with pytest.raises(ValueError, match="there are 1,400 rows"):
        data[[1400]]
    with pytest.raises(cm.Error):
        data.select("cell_line ==")


def test_gene_map_renames_before_genes_are_joined(plates: list[str]) -> None:
    first = cm.open(plates).var_names[0]
    assert cm.open(plates, gene_map={first: "RENAMED"}).var_names[0] == "RENAMED"


def test_to_anndata_is_what_anndata_reads(plates: list[str]) -> None:
    anndata = pytest.importorskip("anndata")
    pytest.importorskip("scipy")
    rows = [3, 4, 699]
    found = cm.open(plates).to_anndata(rows)
    expected = anndata.read_h5ad(plates[0])[rows]
    assert (found.X != expected.X).nnz == 0
    assert list(found.obs_names) == list(expected.obs_names)
    assert list(found.var_names) == list(expected.var_names)
    assert list(found.obs["cell_line"]) == list(expected.obs["cell_line"])
