"""`simulate`, `info`, configuration files, help."""

from __future__ import annotations

import sys

import anndata as ad
import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from plates import make_plate, read, write, write_plates
from program import cellmill, succeed


@pytest.mark.parametrize("command", ["simulate", "info", "run", "concat", "vocab"])
def test_help_has_examples(command):
    outcome = succeed(command, "--help")
    assert "Examples:" in outcome.stdout
    assert f"cellmill {command}" in outcome.stdout
    assert "--config" in outcome.stdout
    assert command in succeed("--help").stdout


def test_unknown_command():
    outcome = cellmill("simulat", "x")
    assert outcome.status == 2
    assert "simulate" in outcome.errors[0]


@pytest.mark.parametrize("form", ["h5ad", "zarr"])
def test_simulated_plates_are_alike_for_the_same_seed(tmp_path, form):
    options = ["--plates", 2, "--cells", 700, "--genes", 900, "--nnz", 80, "--cell-lines", 6, "--format", form]
    for name, seed in [("a", 7), ("b", 7), ("c", 8)]:
        succeed("simulate", tmp_path / name, *options, "--seed", seed)
    a, b, c = (read(tmp_path / name / f"plate2.{form}") for name in "abc")
    assert a.shape == (700, 900)
    assert (a.X != b.X).nnz == 0
    assert a.obs.equals(b.obs)
    assert (a.X != c.X).nnz > 0
    assert {"pass_filter", "cell_line", "drug", "sample"} <= set(a.obs)
    assert set(a.obs["pass_filter"]) == {"full", "minimal"}
    full = a[a.obs["pass_filter"] == "full"]
    assert abs(full.X.nnz / full.n_obs / 80 - 1) < 0.25
    assert a.X.dtype == np.float32
    assert a.X.data.min() >= 1
    assert (a.X.data % 1 == 0).all()
    assert a.var_names.is_unique
    assert list(a.var_names) == list(read(tmp_path / "a" / f"plate1.{form}").var_names)


def test_simulated_h5ad_is_gzip_csr(tmp_path):
    succeed("simulate", tmp_path, "--plates", 1, "--cells", 100, "--genes", 200, "--nnz", 20)
    with h5py.File(tmp_path / "plate1.h5ad") as file:
        assert file["X"].attrs["encoding-type"] == "csr_matrix"
        assert file["X/data"].compression == "gzip"


@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
def test_info(tmp_path, suffix):
    adata = make_plate(1)
    adata.layers["counts"] = adata.X.copy()
    adata.obsm["X_pca"] = np.zeros((adata.n_obs, 4), np.float32)
    adata.uns["note"] = {"a": 1, "b": "text"}
    names = adata.var_names.tolist()
    names[1] = names[0]
    adata.var_names = names
    options = {"compression": "gzip"} if suffix == ".h5ad" else {}
    (path,) = write_plates(tmp_path, [adata], suffix, **options)

    (found,) = succeed("info", path, "--json").json["files"]
    assert (found["n_obs"], found["n_vars"]) == (300, 400)
    assert found["x"]["encoding"] == "csr_matrix"
    assert found["x"]["dtype"] == "float32"
    assert found["x"]["nnz"] == adata.X.nnz
    assert found["x"]["density"] == pytest.approx(adata.X.nnz / 120_000)
    assert set(found["x"]["arrays"]) == {"data", "indices", "indptr"}
    if suffix == ".h5ad":
        assert "gzip" in found["x"]["arrays"]["data"]["codecs"]
    columns = {column["name"]: column for column in found["obs"]["columns"]}
    assert list(columns) == list(adata.obs.columns)
    assert columns["cell_line"]["kind"] == "categorical"
    assert columns["cell_line"]["levels"] == 5
    assert columns["score"]["dtype"] == "float64"
    assert columns["doublet"]["kind"] == "boolean"
    assert found["var"]["repeated_names"] == {"count": 1, "examples": [names[0]]}
    assert found["obs"]["repeated_names"]["count"] == 0
    assert set(found["layers"]) == {"counts"}
    assert found["obsm"]["X_pca"]["shape"] == [300, 4]
    assert set(found["uns"]) == {"note"}
    assert found["disk_bytes"] > 0
    assert found["loaded_bytes"] > adata.X.data.nbytes

    text = succeed("info", path).stdout
    for word in ["300 cells", "400 genes", "csr_matrix", "float32", "cell_line", "LINE-0", "X_pca", names[0]]:
        assert word in text
    assert "indptr" in succeed("info", path, "--tree").stdout


def test_info_without_x_and_of_something_else(tmp_path):
    (path,) = write_plates(tmp_path, [make_plate(1)])
    with h5py.File(path, "a") as file:
        del file["X"]
    assert succeed("info", path, "--json").json["files"][0]["x"] is None
    other = tmp_path / "other.h5ad"
    other.write_text("text")
    outcome = cellmill("info", other)
    assert outcome.status == 1
    assert "other.h5ad" in outcome.errors[0]


def test_configuration_file(tmp_path):
    paths = write_plates(tmp_path, [make_plate(n) for n in (1, 2)])
    listed = ",\n".join(f'  "{path}"' for path in paths)
    toml = tmp_path / "run.toml"
    toml.write_text(f'plates = [\n{listed},\n]\noutput = "{tmp_path}/a.zarr"\nn-comps = 7\ntarget-sum = 1e4\n')
    succeed("run", "--config", toml)
    assert read(tmp_path / "a.zarr").obsm["X_pca"].shape == (600, 7)
    yaml = tmp_path / "run.yaml"
    yaml.write_text(
        f"plates: [{paths[0]}, {paths[1]}]\noutput: {tmp_path}/b.zarr\nn-comps: 7\nfilter: n_reads >= 100\n"
        "overwrite: true\n"
    )
    succeed("run", "--config", yaml, "--n-comps", 3)  # the command line wins
    adata = read(tmp_path / "b.zarr")
    assert adata.obsm["X_pca"].shape[1] == 3
    assert (adata.obs["n_reads"] >= 100).all()
    succeed("run", "--config", yaml, paths[0])  # also over positional arguments
    assert set(read(tmp_path / "b.zarr").obs["plate"]) == {"plate1"}


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("c.toml", "n-comp = 3\n", "n-comps"),
        ("c.yaml", "n_comps: 3\n", "n-comps"),
        ("c.toml", "[run]\nn-comps = 3\n", "run"),
        ("c.toml", "n-comps = [1, 2]\n", "n-comps"),
        ("c.toml", 'overwrite = "maybe"\n', "overwrite"),
        ("c.toml", "n-comps = \n", "line 1"),
        ("c.yaml", "a: [b\n", "line"),
        ("c.ini", "n-comps = 3\n", ".toml"),
        ("c.toml", 'n-comps = "x"\n', "n-comps"),
    ],
)
def test_wrong_configuration_file(tmp_path, name, text, word):
    path = tmp_path / name
    path.write_text(text)
    outcome = cellmill("run", "a.h5ad", "-o", tmp_path / "out.zarr", "--config", path)
    assert outcome.status == 2
    assert len(outcome.errors) == 1
    assert word in outcome.errors[0]
    missing = cellmill("run", "a.h5ad", "-o", tmp_path / "out.zarr", "--config", tmp_path / "none.toml")
    assert missing.status == 2
    assert "none.toml" in missing.errors[0]


@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
def test_bench_read_counts_what_is_there(tmp_path, suffix):
    adata = make_plate(1)
    [path] = write_plates(tmp_path, [adata], suffix=suffix)
    result = succeed("bench", "read", path, "--seconds", 0.01, "--python", sys.executable, "--json").json
    assert result["cells"] == adata.n_obs
    assert result["nonzeros"] == adata.X.nnz
    assert result["decoded_bytes"] == sum(part.nbytes for part in (adata.X.data, adata.X.indices))
    assert result["stored_bytes"] > 0
    assert result["ratio_to_limit"] > 0
    assert result["processor_seconds"] > 0
    assert all(rate > 0 for rate in result["peers"].values())
    assert len(result["peers"]) == 1
    text = succeed("bench", "read", path, "--seconds", 0.01, "--python", "").stdout
    assert "% of the codec's limit (" in text


@pytest.mark.parametrize("order", ["shuffle", "weighted", "balanced", "stratified", "paired"])
def test_bench_loader_takes_any_order(tmp_path, order):
    succeed("simulate", tmp_path / "plates", "--plates", 1, "--cells", 700, "--genes", 300, "--nnz", 20)
    options = ("--order", order, "--by", "pass_filter", "--batch-size", 64, "--seconds", 0.01, "--warmup", 0.01)
    result = succeed("bench", "loader", tmp_path / "plates", *options, "--json").json
    assert result["order"] == order
    assert result["cells_per_second"] > 0
    assert result["runs"][0]["rows_read_ratio"] > 0


@pytest.mark.parametrize("layout", [sp.csr_matrix, sp.csc_matrix, np.asarray])
@pytest.mark.parametrize(
    ("dtype", "largest"),
    [
        ("int64", 2**53 - 1), ("int64", -(2**62) - 1), ("uint64", 2**64 - 1), ("int32", 2**31 - 1),
        ("uint32", 2**32 - 1), ("float64", 0.1), ("float64", 1e300), ("float32", 0.1), ("bool", True),
    ],
)  # fmt: skip
def test_info_rows_prints_every_number_exactly(tmp_path, dtype, largest, layout):
    values = np.zeros((300, 3), dtype=dtype)
    values[0, 2] = values[299, 0] = largest
    values[7, 1] = 1
    write(ad.AnnData(layout(values)), tmp_path / "a.h5ad")
    rows = succeed("info", tmp_path / "a.h5ad", "--rows", "0:300", "--json").json["files"][0]["rows"]
    if layout is sp.csc_matrix and dtype in ("int64", "uint64") and abs(largest) >= 2**53:
        # Sorted into rows, they are kept as float64: refused rather than rounded.
        assert "2^53" in rows["unreadable"]["X"]
        return
    assert rows["unreadable"] == {}
    assert rows["X"] == values.tolist()
