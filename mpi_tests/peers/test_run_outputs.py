"""What `cellmill run` writes is what docs/formats.md says, in every format."""

from __future__ import annotations

import json

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import zarr

from oracle import check, expect
from plates import make_plate, read, write_plates
from program import succeed

FORMATS = [("out.zarr", 3), ("out.zarr", 2), ("out.h5ad", 3)]


@pytest.mark.parametrize(("name", "zarr_format"), FORMATS)
@pytest.mark.parametrize("ranks", [0, 2])
def test_every_slot_is_there(plates, tmp_path, name, zarr_format, ranks):
    paths, inputs = plates
    out = tmp_path / name
    succeed("run", *paths, "-o", out, "--zarr-format", zarr_format, "--n-comps", 12, ranks=ranks)
    if out.suffix == ".zarr":
        assert zarr.open_group(out).metadata.zarr_format == zarr_format
        assert zarr.open_group(out).metadata.consolidated_metadata is not None
    adata = read(out)
    expected = expect(inputs, n_comps=12)
    check(adata, expected)
    assert adata.X is None

    assert list(adata.obs.columns) == [
        "pass_filter", "cell_line", "drug", "score", "n_reads", "doublet", "note", "plate",
    ]  # fmt: skip
    assert list(adata.obs["plate"].cat.categories) == ["plate1", "plate2", "plate3"]
    assert set(adata.uns) >= {"hvg_per_plate", "hvg", "pca", "cellmill"}
    assert adata.uns["hvg"]["flavor"] == "seurat"

    cellmill = adata.uns["cellmill"]
    assert {"version", "options", "inputs", "funnel", "timeline"} <= set(cellmill)
    funnel = cellmill["funnel"]
    assert list(funnel["plate"]) == expected.batches
    assert list(funnel["cells_read"]) == [300, 300, 300]
    assert list(funnel["cells_kept"]) == [300, 300, 300]
    with_counts = [int((plate.counts.sum(axis=0) > 0).sum()) for plate in inputs]
    assert list(funnel["genes_with_counts"]) == with_counts
    assert list(funnel["genes_chosen"]) == list(expected.moments["highly_variable"].sum(axis=0))
    assert int(funnel["genes_kept"]) == len(expected.kept)
    assert set(cellmill["timeline"]["rank"]) == set(range(max(ranks, 1)))
    assert len(cellmill["memory"]["peak_bytes"]) == max(ranks, 1)
    assert min(cellmill["memory"]["peak_bytes"]) > 2**20
    assert [str(p) for p in np.ravel(cellmill["inputs"])] == [str(path) for path in paths]


@pytest.mark.parametrize(("name", "zarr_format"), FORMATS)
def test_obs_is_what_anndata_would_concatenate(tmp_path, name, zarr_format):
    adatas = [make_plate(number) for number in (1, 2)]
    adatas[0].obs["only_first"] = np.arange(300)
    adatas[1].obs["only_second"] = pd.Categorical(["a", "b", "c"] * 100)
    paths = write_plates(tmp_path, adatas)
    out = tmp_path / name
    succeed("run", *paths, "-o", out, "--zarr-format", zarr_format, "--n-comps", 5)
    obs = read(out).obs
    wanted = ad.concat(
        dict(zip(["plate1", "plate2"], adatas, strict=True)), label="plate", index_unique="-", join="outer"
    ).obs
    assert list(obs.index) == list(wanted.index)
    assert set(obs.columns) == set(wanted.columns)
    for column in wanted.columns:
        found, want = obs[column], wanted[column]
        np.testing.assert_array_equal(found.isna(), want.isna(), err_msg=column)
        present = ~want.isna()
        if pd.api.types.is_numeric_dtype(want.dtype):
            np.testing.assert_array_equal(found[present].astype(float), want[present].astype(float), err_msg=column)
        else:
            assert list(found[present].astype(str)) == list(want[present].astype(str)), column
    for column in ["pass_filter", "cell_line", "drug", "only_second", "plate"]:
        assert isinstance(obs[column].dtype, pd.CategoricalDtype), column
    assert set(obs["drug"].cat.categories) == {"drug é1", "drug é2"}


def test_label_and_a_column_of_that_name(tmp_path):
    adatas = [make_plate(number) for number in (1, 2)]
    for adata in adatas:
        adata.obs["batch"] = "old"
    paths = write_plates(tmp_path, adatas)
    out = tmp_path / "out.zarr"
    outcome = succeed("run", *paths, "-o", out, "--label", "batch", "--n-comps", 5)
    assert "batch" in outcome.stderr
    assert "warning" in outcome.stderr
    obs = read(out).obs
    assert "plate" not in obs
    assert list(obs["batch"].cat.categories) == ["plate1", "plate2"]


def test_x_pca_is_read_slice_by_slice(simulated, tmp_path):
    for name in ["out.zarr", "out.h5ad"]:
        out = tmp_path / name
        succeed("run", *simulated, "-o", out, "--n-top-genes", 300, "--n-comps", 20, ranks=2)
        whole = read(out).obsm["X_pca"]
        if out.suffix == ".zarr":
            part = zarr.open_group(out)["obsm/X_pca"][7000:7010]
        else:
            with h5py.File(out) as file:
                part = file["obsm/X_pca"][7000:7010]
        np.testing.assert_array_equal(part, whole[7000:7010])


def test_json_and_summary(plates, tmp_path):
    paths, inputs = plates
    plain = succeed("run", *paths, "-o", tmp_path / "a.zarr", "--n-comps", 5)
    assert "900" in plain.stdout  # cells
    outcome = succeed("run", *paths, "-o", tmp_path / "b.zarr", "--n-comps", 5, "--json", ranks=2)
    summary = json.loads(outcome.stdout)
    assert len(outcome.stdout.splitlines()) == 1
    assert str(900) in json.dumps(summary)
    del inputs


def test_dry_run_writes_nothing(plates, tmp_path):
    paths, _ = plates
    outcome = succeed("run", *paths, "-o", tmp_path / "out.zarr", "--dry-run")
    assert "900" in outcome.stdout
    assert list(tmp_path.iterdir()) == []
    assert succeed("run", *paths, "-o", tmp_path / "out.zarr", "--dry-run", "--json").json
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.zarr", "out.h5ad"])
def test_overwrite_replaces_the_output(plates, tmp_path, name):
    paths, _ = plates
    out = tmp_path / name
    succeed("run", *paths, "-o", out, "--n-comps", 5)
    succeed("run", *paths, "-o", out, "--n-comps", 6, "--overwrite")
    assert read(out).obsm["X_pca"].shape[1] == 6
    assert [path.name for path in tmp_path.iterdir()] == [name]
