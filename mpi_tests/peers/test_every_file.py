"""Every published AnnData and 10x file opens, and holds what Python reads from it."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scipy.sparse as sp
import zarr

from conftest import shared_file
from program import SHARED_DATA, cellmill, succeed

MOST_VALUES = 1_000_000  # of X at once: of larger matrices the first and the last rows are compared
# anndata reads no file without an index; its rows are numbered here.
WITHOUT_INDEX = "formats/duckdb_extension/test_no_index.h5ad"
SEVERAL_GENOMES = "tenx/1.2.0/multiple_genomes.h5"


def every_path() -> list[str]:
    """What lies in the folder of published files, as a user would name it to the program."""
    files = [path for path in SHARED_DATA.rglob("*") if path.suffix in (".h5ad", ".h5", ".zarr")]
    files += SHARED_DATA.rglob("*.zarr.zip")
    files += [path.parent for path in SHARED_DATA.rglob("matrix.mtx*")]
    paths = sorted(str(path.relative_to(SHARED_DATA)) for path in files)
    if SEVERAL_GENOMES in paths:
        paths.remove(SEVERAL_GENOMES)
        paths += [f"{SEVERAL_GENOMES}::{genome}" for genome in ("another_genome", "hg19_chr21")]
    return paths


def read_without_index(path: Path) -> ad.AnnData:
    with h5py.File(path) as file:
        frames = {}
        for name in ("obs", "var"):
            columns = {
                column: pd.Categorical.from_codes(file[name][column]["codes"][()], levels.asstr()[()])
                for column in file[name]
                for levels in [file[name][column]["categories"]]
            }
            frames[name] = pd.DataFrame(columns)
            frames[name].index = frames[name].index.astype(str)
        x = file["X"]
        matrix = sp.csr_matrix((x["data"][()], x["indices"][()], x["indptr"][()]), shape=x.attrs["shape"])
        return ad.AnnData(matrix, **frames)


def read_in_python(name: str) -> ad.AnnData:
    name, _, genome = name.partition("::")
    path = shared_file(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == WITHOUT_INDEX:
            return read_without_index(path)
        if path.suffix == ".h5":
            return sc.read_10x_h5(path, genome=genome or None)
        if path.suffix == ".zip":
            with zarr.storage.ZipStore(path, mode="r") as store:
                return ad.read_zarr(store)
        if path.suffix == ".zarr":
            return ad.read_zarr(path)
        if path.is_dir():
            compressed = (path / "matrix.mtx.gz").exists()
            return sc.read_10x_mtx(path, make_unique=False, gex_only=False, compressed=compressed)
        return ad.read_h5ad(path)


def plain(value: object) -> object:
    """As JSON has it: None where missing or not finite."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value


def expect_same_frame(names: list[str], columns: dict[str, list], frame: pd.DataFrame, *, as_text: bool) -> None:
    assert names == list(frame.index.astype(str))
    assert list(columns) == list(frame.columns)
    for name, values in columns.items():
        expected = [plain(value) for value in frame[name]]
        assert values == ([str(value) for value in expected] if as_text else expected), name


@pytest.mark.parametrize("name", every_path() or [WITHOUT_INDEX])
def test_values_are_those_that_python_reads(name):
    shared_file(name.partition("::")[0])
    adata = read_in_python(name)
    rows = max(1, min(adata.n_obs, MOST_VALUES // max(adata.n_vars, 1)))
    text_table = name.startswith("tenx/") and (SHARED_DATA / name).is_dir() and not name.endswith(".zarr")
    for begin in sorted({0, adata.n_obs - rows}):
        end = begin + rows
        (described,) = succeed("info", SHARED_DATA / name, "--rows", f"{begin}:{end}", "--json").json["files"]
        assert (described["n_obs"], described["n_vars"]) == adata.shape
        found = described["rows"]
        assert set(found["unreadable"]) <= {"X"}
        expect_same_frame(found["obs_names"], found["obs"], adata.obs.iloc[begin:end], as_text=text_table)
        expect_same_frame(found["var_names"], found["var"], adata.var, as_text=text_table)
        if adata.X is None:
            assert found["X"] is None
            continue
        assert not found["unreadable"]
        part = adata.X[begin:end]
        expected = part if isinstance(part, np.ndarray) else part.toarray()
        np.testing.assert_array_equal(np.asarray(found["X"], expected.dtype), expected)


def test_one_of_several_genomes_must_be_named():
    path = shared_file(SEVERAL_GENOMES)
    outcome = cellmill("info", path)
    assert outcome.status == 1
    assert "another_genome, hg19_chr21" in outcome.errors[0]
    assert f"{path.name}::another_genome" in outcome.errors[0]


@pytest.mark.parametrize("genome", ["GRCh38", "mm10"])
def test_one_of_several_genomes_in_one_matrix(tmp_path, genome):
    """As scanpy reads it; the published file's features are made those of two genomes."""
    path = tmp_path / "two.h5"
    path.write_bytes(shared_file("tenx/3.0.0/filtered_feature_bc_matrix.h5").read_bytes())
    with h5py.File(path, "a") as file:
        column = file["matrix/features/genome"]
        names = np.where(np.arange(column.shape[0]) % 3 == 1, b"mm10", b"GRCh38").astype("S6")
        del file["matrix/features/genome"]
        file["matrix/features/genome"] = names
    wanted = sc.read_10x_h5(path, genome=genome, gex_only=False)
    (described,) = succeed("info", f"{path}::{genome}", "--rows", "0:2000", "--json").json["files"]
    rows = described["rows"]
    assert rows["obs_names"] == list(wanted.obs_names)
    assert rows["var_names"] == list(wanted.var_names)
    expect_same_frame(rows["var_names"], rows["var"], wanted.var, as_text=False)
    np.testing.assert_array_equal(np.array(rows["X"]), wanted.X.toarray())
    copy = tmp_path / "copy.h5ad"
    succeed("convert", f"{path}::{genome}", "-o", copy)
    np.testing.assert_array_equal(ad.read_h5ad(copy).X.toarray(), wanted.X.toarray())


def test_rows_without_names_are_numbered_with_a_warning():
    outcome = succeed("info", shared_file(WITHOUT_INDEX))
    assert "obs has no names" in outcome.stderr


def test_rows_as_text():
    path = shared_file("tenx/int-ids")
    assert "AAACCCACACAATGAA-1" in succeed("info", path, "--rows", "1:2").stdout
    assert cellmill("info", path, "--rows", "2").status == 2
    assert succeed("info", path, "--rows", "4:9", "--json").json["files"][0]["rows"]["end"] == 5
