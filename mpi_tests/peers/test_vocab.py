"""`vocab`: names, tokens and medians of a corpus, as numpy computes them."""

from __future__ import annotations

import csv
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from plates import make_plate, write, write_plates
from program import SHARED_DATA, cellmill, fails, succeed


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def scaled(x: sp.spmatrix | np.ndarray) -> sp.csc_matrix:
    """count / total · 10,000 in float64; a cell without counts has no value."""
    counts = sp.csr_matrix(x).astype(np.float64)
    counts.eliminate_zeros()
    total = np.asarray(counts.sum(1)).ravel()
    counts.data = counts.data / np.repeat(total, np.diff(counts.indptr)) * 10_000
    return counts.tocsc()


def medians(x: sp.spmatrix | np.ndarray, names: list[str]) -> dict[str, float]:
    columns = scaled(x)
    of = (columns.data[columns.indptr[i] : columns.indptr[i + 1]] for i in range(len(names)))
    return {name: float(np.median(values)) for name, values in zip(names, of, strict=True) if len(values)}


def assert_medians(rows: list[dict[str, str]], expected: dict[str, float]) -> None:
    assert {row["gene"]: float(row["median"]) for row in rows if row["median"]} == expected  # to the last bit


@pytest.mark.parametrize("memory", ["2G", "160M"])
def test_medians_are_numpys(tmp_path, memory):
    plates = [make_plate(number) for number in (1, 2, 3)]
    write_plates(tmp_path / "plates", plates)
    out = tmp_path / "genes.tsv"
    found = succeed("vocab", tmp_path / "plates", "-o", out, "--medians", "--memory", memory, "--json").json
    x = sp.vstack([plate.X for plate in plates])
    names = list(plates[0].var_names)
    rows = table(out)
    assert [row["gene"] for row in rows] == names
    assert [int(row["token"]) for row in rows] == list(range(len(names)))
    assert [int(row["n_cells"]) for row in rows] == x.getnnz(axis=0).tolist()
    assert_medians(rows, medians(x, names))
    assert found["cells"] == 900
    assert found["not_expressed"] == sum(row["median"] == "" for row in rows) > 0


@pytest.mark.parametrize(
    ("name", "key"), [("pbmc3k/pbmc3k_raw.h5ad", None), ("tenx/3.0.0/filtered_feature_bc_matrix.h5", "gene_ids")]
)
def test_medians_of_published_cells(tmp_path, name, key):
    path = SHARED_DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    options = ["--gene-key", key] if key else []
    succeed("vocab", path, "-o", tmp_path / "genes.tsv", "--medians", *options)
    succeed("convert", path, "-o", tmp_path / "plain.h5ad")
    data = ad.read_h5ad(tmp_path / "plain.h5ad")
    assert_medians(table(tmp_path / "genes.tsv"), medians(data.X, list(data.var[key] if key else data.var_names)))


def test_genes_join_by_name_and_the_filter_chooses_cells(tmp_path):
    one, two = make_plate(1), make_plate(2)[:, 50:].copy()
    two = two[:, ::-1].copy()
    two.var_names = [f"é{name}" if i < 20 else name for i, name in enumerate(two.var_names)]
    write_plates(tmp_path, [one, two])
    inputs = [tmp_path / "plate1.h5ad", tmp_path / "plate2.h5ad"]
    both = ad.concat([one, two], join="outer", index_unique="-")
    kept = both[both.obs["pass_filter"] == "full"]
    x = scaled(np.nan_to_num(sp.csr_matrix(kept.X).toarray()))
    for join, names in [("outer", set(both.var_names)), ("inner", set(one.var_names) & set(two.var_names))]:
        out = tmp_path / f"{join}.tsv"
        options = ["--join", join, "--filter", 'pass_filter == "full"']
        succeed("vocab", *inputs, "-o", out, "--medians", *options)
        rows = table(out)
        assert {row["gene"] for row in rows} == names
        for row in rows:
            column = x[:, both.var_names.get_loc(row["gene"])]
            assert int(row["n_cells"]) == column.nnz
            assert row["median"] == "" if column.nnz == 0 else float(row["median"]) == np.median(column.data)
    assert any(row["gene"].startswith("é") for row in table(tmp_path / "outer.tsv"))


def test_the_genes_of_most_cells_are_chosen(tmp_path):
    plate = make_plate(1)
    write(plate, tmp_path / "plate.h5ad")
    succeed("vocab", tmp_path / "plate.h5ad", "-o", tmp_path / "genes.tsv", "--n-genes", 25)
    cells = plate.X.getnnz(axis=0)
    chosen = np.sort(np.argsort(-cells, kind="stable")[:25])
    rows = table(tmp_path / "genes.tsv")
    assert [row["gene"] for row in rows] == list(plate.var_names[chosen])
    assert set(rows[0]) == {"gene", "token", "n_cells"}
    more = succeed("vocab", tmp_path / "plate.h5ad", "-o", tmp_path / "all.tsv", "--n-genes", 9999)
    assert "fewer than --n-genes 9999" in more.stderr
    assert len(table(tmp_path / "all.tsv")) == plate.n_vars


@pytest.mark.parametrize("layout", ["csc", "dense", "layer", "raw"])
def test_counts_may_lie_anywhere(tmp_path, layout):
    plate = make_plate(1)
    x = plate.X.copy()
    options = []
    if layout == "csc":
        plate.X = sp.csc_matrix(x)
    elif layout == "dense":
        plate.X = x.toarray()
    elif layout == "layer":
        plate.layers["counts"], plate.X = x, x / 3
        options = ["--layer", "counts"]
    else:
        plate.raw = plate.copy()
        plate = plate[:, :10].copy()
        options = ["--layer", "raw.X"]
    write(plate, tmp_path / "plate.h5ad")
    succeed("vocab", tmp_path / "plate.h5ad", "-o", tmp_path / "genes.tsv", "--medians", *options)
    assert_medians(table(tmp_path / "genes.tsv"), medians(x, list(make_plate(1).var_names)))


@pytest.mark.parametrize("value", [np.nan, -1, 0.5, np.inf])
def test_what_is_no_count_is_named(tmp_path, value):
    plate = make_plate(1)
    row = int(np.flatnonzero(np.diff(plate.X.indptr))[100])
    plate.X.data[plate.X.indptr[row]] = value
    write(plate, tmp_path / "plate.h5ad")
    out = tmp_path / "genes.tsv"
    message = fails(cellmill("vocab", tmp_path / "plate.h5ad", "-o", out, "--medians"), out, 1, "expected raw counts")
    assert f"plate.h5ad: X, row {row}: value" in message
    outcome = cellmill("vocab", tmp_path / "plate.h5ad", "-o", out, "--n-genes", 30)
    if np.isfinite(value):  # genes are counted where they are above 0, of scaled values too
        assert outcome.status == 0, outcome.stderr
    else:
        fails(outcome, out, 1, f"X, row {row}", "expected a finite number")


def test_cells_without_counts_and_no_cells(tmp_path):
    empty = ad.AnnData(sp.csr_matrix((5, 3), dtype=np.float32), var=pd.DataFrame(index=["a", "b", "c"]))
    write(empty, tmp_path / "empty.h5ad")
    succeed("vocab", tmp_path / "empty.h5ad", "-o", tmp_path / "empty.tsv", "--medians")
    assert [(row["median"], row["n_cells"]) for row in table(tmp_path / "empty.tsv")] == [("", "0")] * 3
    write(empty[:0].copy(), tmp_path / "none.h5ad")
    out = tmp_path / "none.tsv"
    fails(cellmill("vocab", tmp_path / "none.h5ad", "-o", out, "--medians"), out, 1, "there are no cells")


def test_names_that_no_vocabulary_can_have(tmp_path):
    plate = make_plate(1)
    plate.var["twice"] = ["A", "A", *plate.var_names[2:]]
    plate.var["tab"] = ["A\tB", *plate.var_names[1:]]
    plate.var["some"] = ["", "", *plate.var_names[2:]]
    write(plate, tmp_path / "plate.h5ad")
    out = tmp_path / "genes.tsv"
    command = ["vocab", tmp_path / "plate.h5ad", "-o", out, "--gene-key"]
    fails(cellmill(*command, "twice"), out, 1, "'A' occurs more than once", "--gene-key")
    fails(cellmill(*command, "tab"), out, 1, "gene 0", "a tab")
    left = succeed(*command, "some")
    assert "2 genes have no name" in left.stderr
    assert [row["gene"] for row in table(out)] == list(plate.var_names[2:])


def test_outputs_that_are_refused(tmp_path):
    write(make_plate(1), tmp_path / "plate.h5ad")
    out = tmp_path / "genes.json"
    fails(cellmill("vocab", tmp_path / "plate.h5ad", "-o", out), out, 2, "must end in .tsv")
    out = tmp_path / "genes.tsv"
    fails(cellmill("vocab", tmp_path / "plate.h5ad", "-o", out, ranks=2), out, 2, "2 tasks")
    succeed("vocab", tmp_path / "plate.h5ad", "-o", out)
    again = cellmill("vocab", tmp_path / "plate.h5ad", "-o", out, "--n-genes", 3)
    assert again.status == 1
    assert "exists already" in again.errors[0]
    assert len(table(out)) == 400
    succeed("vocab", tmp_path / "plate.h5ad", "-o", out, "--n-genes", 3, "--overwrite")
    assert len(table(out)) == 3
