"""Every way that anndata writes a plate is read alike."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import zarr

from oracle import as_plate, check, expect
from plates import make_plate, read, write_plates
from program import succeed


def run_and_check(paths, adatas, out, *arguments, **options):
    succeed("run", *paths, "-o", out, "--n-comps", 10, *arguments)
    inputs = [as_plate(adata, path.stem) for adata, path in zip(adatas, paths, strict=True)]
    check(read(out), expect(inputs, n_comps=10, **options))


@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
def test_h5ad_compression(tmp_path, compression):
    adatas = [make_plate(number) for number in (1, 2)]
    paths = write_plates(tmp_path, adatas, compression=compression)
    run_and_check(paths, adatas, tmp_path / "out.zarr")


@pytest.mark.parametrize("dtype", ["float64", "int32", "int64", "uint8", "uint16", "int8"])
def test_dtypes_of_counts(tmp_path, dtype):
    adatas = [make_plate(number) for number in (1, 2)]
    for adata in adatas:
        adata.X.data = np.minimum(adata.X.data, 120)
        adata.X = adata.X.astype(dtype)
    paths = write_plates(tmp_path, adatas, compression="gzip")
    run_and_check(paths, adatas, tmp_path / "out.zarr")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr_formats(tmp_path, zarr_format):
    adatas = [make_plate(number) for number in (1, 2)]
    paths = write_plates(tmp_path, adatas, ".zarr", zarr_format=zarr_format)
    run_and_check(paths, adatas, tmp_path / "out.zarr")


@pytest.mark.parametrize("codec", ["zstd", "gzip", "blosc", "none"])
def test_zarr_codecs_and_shards(tmp_path, codec):
    adatas = [make_plate(number) for number in (1, 2)]
    paths = write_plates(tmp_path, adatas, ".zarr", zarr_format=3)
    codecs = {
        "zstd": zarr.codecs.ZstdCodec(),
        "gzip": zarr.codecs.GzipCodec(),
        "blosc": zarr.codecs.BloscCodec(cname="lz4"),
        "none": None,
    }
    for adata, path in zip(adatas, paths, strict=True):
        group = zarr.open_group(path, mode="r+", use_consolidated=False)
        ad.io.write_elem(
            group, "X", adata.X, dataset_kwargs={"chunks": (1000,), "shards": (8000,), "compressors": codecs[codec]}
        )
        zarr.consolidate_metadata(path)
    assert zarr.open_group(paths[0])["X/data"].shards is not None
    run_and_check(paths, adatas, tmp_path / "out.zarr")


def test_formats_may_be_mixed(tmp_path):
    adatas = [make_plate(number) for number in (1, 2, 3)]
    paths = [
        write_plates(tmp_path / "a", adatas[:1])[0],
        write_plates(tmp_path / "b", adatas[:2], ".zarr", zarr_format=2)[1],
        write_plates(tmp_path / "c", adatas, ".zarr", zarr_format=3)[2],
    ]
    run_and_check(paths, adatas, tmp_path / "out.h5ad")


def test_unsorted_indices_are_sorted(tmp_path):
    adatas = [make_plate(number) for number in (1, 2)]
    shuffled = adatas[0].copy()
    rng = np.random.default_rng(0)
    x = shuffled.X
    for row in range(x.shape[0]):
        order = rng.permutation(x.indptr[row + 1] - x.indptr[row]) + x.indptr[row]
        x.indices[x.indptr[row] : x.indptr[row + 1]] = x.indices[order]
        x.data[x.indptr[row] : x.indptr[row + 1]] = x.data[order]
    x.has_sorted_indices = False
    paths = write_plates(tmp_path, [shuffled, adatas[1]])
    run_and_check(paths, adatas, tmp_path / "out.zarr")


def test_paths_by_folder_glob_and_list(tmp_path):
    adatas = [make_plate(number, cells=100) for number in range(1, 12)]
    folder = tmp_path / "plates"
    write_plates(folder, adatas)
    (tmp_path / "list.txt").write_text("".join(f"plates/plate{n}.h5ad\n" for n in range(1, 12)))
    order = [f"plate{n}" for n in range(1, 12)]  # plate2 before plate10
    for number, argument in enumerate([folder, f"{folder}/plate*.h5ad", f"@{tmp_path}/list.txt"]):
        out = tmp_path / f"out{number}.zarr"
        outcome = succeed("run", argument, "-o", out, "--n-comps", 3, "--json")
        assert list(read(out).obs["plate"].cat.categories) == order
        assert outcome.json


@pytest.mark.parametrize("layout", ["csc", "dense", "dense gzip", "mixed"])
@pytest.mark.parametrize("scratch", ["auto", "none"])
def test_matrices_not_stored_by_rows(tmp_path, layout, scratch):
    adatas = [make_plate(number) for number in (1, 2)]
    layouts = {"csc": ["csc", "csc"], "mixed": ["csr", "csc"]}.get(layout, ["dense", "dense"])
    stored = [adata.copy() for adata in adatas]
    for adata, kind in zip(stored, layouts, strict=True):
        adata.X = {"csr": adata.X, "csc": adata.X.tocsc(), "dense": adata.X.toarray()}[kind]
    paths = write_plates(tmp_path, stored, compression="gzip" if "gzip" in layout else None)
    run_and_check(paths, adatas, tmp_path / "out.zarr", "--scratch", scratch)
