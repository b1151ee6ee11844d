"""A whole AnnData, written anew: anndata reads the same from the copy."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata.tests.helpers import assert_equal

from plates import read, write
from program import cellmill, fails, succeed


def everything() -> ad.AnnData:
    """Every slot and every kind of element that anndata writes."""
    rng = np.random.default_rng(3)
    cells, genes = 70, 40
    obs = pd.DataFrame(
        {
            "number": rng.normal(size=cells),
            "whole": rng.integers(0, 9, cells).astype(np.int16),
            "flag": rng.random(cells) < 0.5,
            "line": pd.Categorical.from_codes(rng.integers(-1, 3, cells), ["é", "b", "c"], ordered=True),
            "level": pd.Categorical(rng.integers(0, 4, cells)),
            "maybe": pd.array([None, 1, 2, 3, 4, 5, 6] * 10, dtype="Int64"),
            "perhaps": pd.array([None, True, False, True, False, True, False] * 10, dtype="boolean"),
            "note": [f"ß{i}" for i in range(cells)],
        },
        index=[f"cell{i}" for i in range(cells)],
    )
    var = pd.DataFrame({"symbol": [f"G{i}" for i in range(genes)]}, index=[f"g{i}" for i in range(genes)])
    counts = sp.random(cells, genes, 0.3, "csr", random_state=rng, dtype=np.float32)
    adata = ad.AnnData(counts, obs=obs, var=var)
    adata.layers["csc"] = counts.tocsc().astype(np.float64)
    adata.layers["dense"] = rng.integers(0, 2**40, (cells, genes))
    adata.raw = adata.copy()
    adata.obsm["X_pca"] = rng.normal(size=(cells, 5)).astype(np.float32)
    adata.obsm["frame"] = obs[["number", "line"]].copy()
    adata.obsm["sparse"] = sp.random(cells, 3, 0.5, "csr", random_state=rng)
    adata.varm["PCs"] = rng.normal(size=(genes, 5))
    adata.obsp["near"] = sp.random(cells, cells, 0.1, "csr", random_state=rng)
    adata.varp["both"] = rng.normal(size=(genes, genes))
    adata.uns["nested"] = {"a": {"b": np.arange(6).reshape(2, 3), "empty": np.zeros((0, 4))}, "none": {}}
    adata.uns["text"] = "tëxt"
    adata.uns["texts"] = np.array(["x", "", "zé"], dtype=object)
    adata.uns["table of texts"] = np.array([["x", "", "zé"], ["細", "y", "long " * 20]], dtype=object)
    adata.obsm["texts"] = np.array([[f"ä{i}", "", "b"] for i in range(cells)], dtype=object)
    adata.uns["number"] = 1.5
    adata.uns["whole"] = np.int64(7)
    adata.uns["truth"] = True
    adata.uns["cube"] = rng.normal(size=(3, 4, 5))
    adata.uns["frame"] = pd.DataFrame({"x": [1.0, 2.0]}, index=["r", "s"])
    adata.uns["category"] = pd.Categorical(["u", "v", "u"])
    adata.uns["missing"] = None
    adata.uns["ranks"] = np.rec.fromarrays(
        [np.array(["AB", "é", "", "long name"], dtype=object), np.arange(4, dtype=np.float32), np.arange(4) > 1],
        names=["names", "scores", "kept"],
    )
    return adata


@pytest.mark.parametrize("source", ["in.h5ad", "gzip.h5ad", "in.zarr"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("out.h5ad", []),
        ("out.h5ad", ["--codec", "none"]),
        ("out.zarr", []),
        ("out.zarr", ["--zarr-format", "2", "--codec", "lz4"]),
        ("out.zarr", ["--chunk-size", "1K", "--shard-size", "4K", "--codec", "gzip", "--level", "1"]),
    ],
)
def test_every_slot_comes_back(tmp_path, source, name, options):
    adata = everything()
    write(adata, tmp_path / source, **({"compression": "gzip"} if "gzip" in source else {}))
    succeed("convert", tmp_path / source, "-o", tmp_path / name, *options)
    assert_equal(read(tmp_path / name), read(tmp_path / source), exact=True)


DTYPES = ["float64", "float32", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_types_of_numbers_stay_through_zarr_and_back(tmp_path, dtype, zarr_format):
    values = np.zeros((30, 20), dtype=dtype)
    if dtype == "bool":
        extremes = [True]
    elif np.issubdtype(dtype, np.floating):
        extremes = [np.finfo(dtype).max, np.finfo(dtype).tiny, -0.1, np.nan, np.inf]
    else:
        extremes = [np.iinfo(dtype).max, np.iinfo(dtype).min, 1]
    at = np.random.default_rng(1).choice(values.size, 60, replace=False)
    values.ravel()[at] = np.resize(np.array(extremes, dtype=dtype), 60)
    layers = {"csc": sp.csc_matrix(values), "dense": values}
    write(ad.AnnData(sp.csr_matrix(values), layers=layers), tmp_path / "in.h5ad")
    succeed("convert", tmp_path / "in.h5ad", "-o", tmp_path / "out.zarr", "--zarr-format", zarr_format)
    succeed("convert", tmp_path / "out.zarr", "-o", tmp_path / "back.h5ad")
    for name in ("out.zarr", "back.h5ad"):
        copy = read(tmp_path / name)
        assert (copy.X.format, copy.layers["csc"].format) == ("csr", "csc")
        for found in (copy.X.toarray(), copy.layers["csc"].toarray(), copy.layers["dense"]):
            assert found.dtype == np.dtype(dtype), name
            np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("source_format", [2, 3])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_dates_stay_dates_in_zarr(tmp_path, source_format, zarr_format):
    """HDF5 has no type for them: anndata writes none there, and here they become numbers, told."""
    adata = ad.AnnData(np.ones((3, 2), dtype=np.float32))
    dates = np.array(["2020-01-01", "2021-05-06T07:08:09.123456789", "NaT"], dtype="M8[ns]")
    adata.uns["dates"] = dates
    adata.uns["lengths"] = np.array([1, -5, "NaT"], dtype="m8[25s]")
    adata.obs["day"] = pd.Categorical(dates)
    write(adata, tmp_path / "in.zarr", zarr_format=source_format)
    succeed("convert", tmp_path / "in.zarr", "-o", tmp_path / "out.zarr", "--zarr-format", zarr_format)
    found, want = read(tmp_path / "out.zarr"), read(tmp_path / "in.zarr")
    for name in ("dates", "lengths"):
        assert found.uns[name].dtype == adata.uns[name].dtype
        np.testing.assert_array_equal(found.uns[name], adata.uns[name])
    pd.testing.assert_frame_equal(found.obs, want.obs)
    outcome = succeed("convert", tmp_path / "in.zarr", "-o", tmp_path / "out.h5ad")
    assert "uns/dates" in outcome.stderr
    assert "M8[ns]" in outcome.stderr
    np.testing.assert_array_equal(read(tmp_path / "out.h5ad").uns["dates"], dates.astype(np.int64))


def test_without_cells_or_genes(tmp_path):
    for shape in [(0, 5), (5, 0), (0, 0), (1, 1)]:
        adata = ad.AnnData(sp.csr_matrix(shape, dtype=np.float32))
        source = tmp_path / "in.h5ad"
        write(adata, source)
        for name in ("out.zarr", "out.h5ad"):
            succeed("convert", source, "-o", tmp_path / name, "--overwrite")
            assert_equal(read(tmp_path / name), read(source), exact=True)


def test_bad_input_leaves_nothing(tmp_path):
    adata = everything()
    source = tmp_path / "in.h5ad"
    write(adata, source, compression="gzip")
    source.write_bytes(source.read_bytes()[:-5000])
    fails(cellmill("convert", source, "-o", tmp_path / "out.zarr"), tmp_path / "out.zarr", 1, "in.h5ad")
    assert list(tmp_path.iterdir()) == [source]
