"""`cellmill concat` joins as anndata.concat does, on any number of ranks."""

from __future__ import annotations

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import zarr

from plates import make_plate, read, write, write_plates
from program import cellmill, fails, succeed

OUTPUTS = [("out.zarr", 3), ("out.zarr", 2), ("out.h5ad", 3)]
NAMES = ["plate1", "plate2", "plate3"]


def dense(matrix) -> np.ndarray:
    return matrix.toarray() if sp.issparse(matrix) else np.asarray(matrix)


def same_matrix(found, want, what: str, *, padded: bool = False) -> None:
    if (found.dtype, want.dtype) == (np.float32, np.float64):
        # Where anndata pads what a plate lacks with float64, float32 stays itself here.
        assert padded, what
        np.testing.assert_array_equal(dense(want), dense(want).astype(np.float32))
    else:
        assert found.dtype == want.dtype, (what, found.dtype, want.dtype)
    assert sp.issparse(found) == sp.issparse(want), what
    np.testing.assert_array_equal(dense(found), dense(want), err_msg=what)
    if sp.issparse(found):
        assert found.format == "csr"
        assert found.nnz == want.nnz, what
        assert found.has_sorted_indices


def same_frame(found: pd.DataFrame, want: pd.DataFrame) -> None:
    assert list(found.index) == list(want.index)
    assert list(found.columns) == list(want.columns)
    for name in want.columns:
        column, expected = found[name], want[name]
        np.testing.assert_array_equal(column.isna(), expected.isna(), err_msg=name)
        present = np.asarray(~expected.isna())
        if isinstance(expected.dtype, pd.CategoricalDtype):
            assert list(column.cat.categories) == list(expected.cat.categories), name
            assert column.cat.ordered == expected.cat.ordered, name
        if pd.api.types.is_numeric_dtype(expected.dtype):
            assert column.dtype == expected.dtype, name
            np.testing.assert_array_equal(column[present].astype(float), expected[present].astype(float), err_msg=name)
        else:
            assert list(column[present].astype(str)) == list(expected[present].astype(str)), name


def same(found: ad.AnnData, want: ad.AnnData, *, padded: bool = False) -> None:
    assert list(found.var_names) == list(want.var_names)
    same_frame(found.obs, want.obs)
    if want.X is None:
        assert found.X is None
    else:
        same_matrix(found.X, want.X, "X")
    assert set(found.layers) == set(want.layers)
    for name in want.layers:
        same_matrix(found.layers[name], want.layers[name], f"layers/{name}", padded=padded)
    assert set(found.obsm) == set(want.obsm)
    for name, value in want.obsm.items():
        if isinstance(value, pd.DataFrame):
            same_frame(found.obsm[name], value)
        else:
            same_matrix(found.obsm[name], value, f"obsm/{name}", padded=padded)
    assert (found.raw is None) == (want.raw is None)
    if want.raw is not None:
        assert list(found.raw.var_names) == list(want.raw.var_names)
        same_matrix(found.raw.X, want.raw.X, "raw/X")
    assert not found.uns
    assert not found.varm
    assert not found.obsp
    assert list(found.var.columns) == []


def joined(adatas: list[ad.AnnData], keys: list[str] | None = None, **options) -> ad.AnnData:
    keys = keys or NAMES[: len(adatas)]
    options = {"label": "plate", "index_unique": "-"} | options
    return ad.concat(dict(zip(keys, adatas, strict=True)), **options)


def rich_plates() -> list[ad.AnnData]:
    """Three plates of different sizes whose genes, columns, layers and obsm differ."""
    rng = np.random.default_rng(11)
    plates = []
    for number, genes in enumerate([range(50), [*range(49, 10, -1), 55], [*range(5, 60)]], 1):
        plate = make_plate(number, cells=30 + 7 * number, genes=60)[:, list(genes)].copy()
        cells = plate.n_obs
        plate.layers["counts"] = plate.X.astype(np.int32)
        plate.layers["smooth"] = rng.normal(size=plate.shape).astype(np.float32)
        plate.obsm["X_pca"] = rng.normal(size=(cells, 4 + number)).astype(np.float32)
        plate.obsm["sparse"] = sp.random(cells, 6, 0.4, "csr", random_state=rng)
        plate.obsm["table"] = pd.DataFrame(
            {"x": rng.normal(size=cells), f"only{number}": rng.integers(0, 5, cells)}, index=plate.obs_names
        )
        plate.obs["line"] = pd.Categorical([f"é{(i * number) % 4}" for i in range(cells)])
        plate.obs[f"col{number}"] = np.arange(cells, dtype=np.float32)
        plate.uns["left"] = "behind"
        plate.varm["PCs"] = rng.normal(size=(plate.n_vars, 2))
        plates.append(plate)
    plates[0].layers["first"] = plates[0].X.copy()
    plates[1].obsm["second"] = np.arange(plates[1].n_obs * 2).reshape(-1, 2)
    return plates


def with_raw(plates: list[ad.AnnData]) -> list[ad.AnnData]:
    for plate in plates:
        plate.raw = plate.copy()
    return [plate[:, 3:-3].copy() for plate in plates]


@pytest.mark.parametrize("join", ["inner", "outer"])
@pytest.mark.parametrize(("name", "zarr_format"), OUTPUTS)
@pytest.mark.parametrize("ranks", [0, 3])
def test_every_slot_joins_as_in_anndata(tmp_path, join, name, zarr_format, ranks):
    plates = with_raw(rich_plates())
    paths = write_plates(tmp_path, plates)
    out = tmp_path / name
    succeed("concat", *paths, "-o", out, "--join", join, "--zarr-format", zarr_format, ranks=ranks)
    same(read(out), joined(plates, join=join), padded=join == "outer")
    if out.suffix == ".zarr":
        assert zarr.open_group(out).metadata.zarr_format == zarr_format
    assert not list(tmp_path.glob(".*partial*"))


@pytest.mark.parametrize("ranks", [1, 2])
def test_inputs_of_several_formats(tmp_path, ranks):
    plates = rich_plates()
    paths = [
        write(plates[0], tmp_path / "plate1.h5ad", compression="gzip"),
        write(plates[1], tmp_path / "plate2.zarr"),
        write(plates[2], tmp_path / "plate3.zarr", zarr_format=2),
    ]
    out = tmp_path / "out.zarr"
    succeed("concat", *paths, "-o", out, "--join", "outer", ranks=ranks)
    same(read(out), joined(plates, join="outer"), padded=True)


def test_many_blocks_on_any_number_of_ranks_within_memory(simulated, tmp_path):
    want = joined([read(path) for path in simulated])
    for name, ranks in [("a.zarr", 1), ("b.zarr", 3), ("c.h5ad", 2)]:
        outcome = succeed("concat", *simulated, "-o", tmp_path / name, "--json", "--memory", "192M", ranks=ranks)
        same(read(tmp_path / name), want)
        assert outcome.json["cells"] == 15000
        assert outcome.json["genes"] == 3000
        assert len(outcome.json["peak_memory_bytes"]) == ranks
        assert max(outcome.json["peak_memory_bytes"]) < 192 << 20


def test_matrices_stored_by_columns_or_dense(tmp_path):
    plates = [make_plate(number, cells=50, genes=40) for number in (1, 2, 3)]
    plates[1].X = sp.csc_matrix(plates[1].X)
    plates[2].X = plates[2].X.toarray()
    for plate in plates:
        plate.layers["csc"] = sp.csc_matrix(plate.X).astype(np.float64)
    paths = write_plates(tmp_path, plates)
    out = tmp_path / "out.zarr"
    for ranks in (1, 2):
        succeed("concat", *paths, "-o", out, "--overwrite", ranks=ranks)
        found = read(out)
        np.testing.assert_array_equal(dense(found.X), np.vstack([dense(plate.X) for plate in plates]))
        same_matrix(found.layers["csc"], sp.csr_matrix(dense(found.X).astype(np.float64)), "csc")


@pytest.mark.parametrize("join", ["inner", "outer"])
@pytest.mark.parametrize(
    "dtypes",
    [
        ("float32", "float64"), ("int32", "int64"), ("uint8", "int8"), ("bool", "bool"),
        ("float32", "float32"), ("uint16", "uint16"), ("int64", "float32"),
    ],
)  # fmt: skip
def test_types_of_numbers_join_as_in_anndata(tmp_path, join, dtypes):
    plates = []
    for number, dtype in enumerate(dtypes):
        values = np.random.default_rng(number).integers(0, 2, (9, 5)).astype(dtype)
        plate = ad.AnnData(sp.csr_matrix(values), var=pd.DataFrame(index=[f"g{g + number}" for g in range(5)]))
        plate.layers["array"] = values
        plates.append(plate)
    paths = write_plates(tmp_path, plates)
    out = tmp_path / "out.zarr"
    succeed("concat", *paths, "-o", out, "--join", join)
    found, want = read(out), joined(plates, join=join)
    same_matrix(found.X, want.X, "X")
    if join == "outer" and set(dtypes) <= {"bool", "uint16", "int8", "uint8", "int32", "int64"}:
        # anndata makes objects of some of these; the gaps are NaN either way.
        assert found.layers["array"].dtype == np.float64
        np.testing.assert_array_equal(found.layers["array"], want.layers["array"].astype(np.float64))
    else:
        same_matrix(found.layers["array"], want.layers["array"], "array", padded=join == "outer")


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--keys", "a", "ß-b"], {"keys": ["a", "ß-b"]}),
        (["--label", "batch", "--index-unique", "_"], {"label": "batch", "index_unique": "_"}),
        (["--label", ""], {"label": None}),
        (["--index-unique", ""], {"index_unique": None}),
        (["--label", "", "--index-unique", ""], {"label": None, "index_unique": None}),
    ],
)
def test_names_of_plates(tmp_path, options, wanted):
    plates = [make_plate(number, cells=20, genes=30) for number in (1, 2)]
    paths = write_plates(tmp_path, plates)
    out = tmp_path / "out.zarr"
    succeed("concat", *paths, "-o", out, *options)
    same(read(out), joined(plates, **wanted))


def test_names_that_repeat_and_are_not_ascii(tmp_path):
    plates = [make_plate(number, cells=12, genes=30) for number in (1, 2)]
    for number, plate in enumerate(plates, 1):
        plate.obs_names = ["zelle-ä"] * 6 + [f"細胞{i}" for i in range(6)]
        plate.var_names = [f"gène-{i}" for i in range(29)] + [f"ω{number}"]
    paths = write_plates(tmp_path, plates)
    out = tmp_path / "out.h5ad"
    succeed("concat", *paths, "-o", out, "--index-unique", "", "--join", "outer")
    same(read(out), joined(plates, index_unique=None, join="outer"))


@pytest.mark.parametrize("empty", [[0], [1], [2], [0, 2], [0, 1, 2]])
@pytest.mark.parametrize("ranks", [0, 2])
def test_plates_without_cells(tmp_path, empty, ranks):
    plates = rich_plates()
    plates = [plate[:0].copy() if number in empty else plate for number, plate in enumerate(plates)]
    paths = write_plates(tmp_path, plates)
    for name in ("out.zarr", "out.h5ad"):
        succeed("concat", *paths, "-o", tmp_path / name, ranks=ranks)
        found = read(tmp_path / name)
        want = joined(plates)
        assert found.shape == want.shape
        assert list(found.obs_names) == list(want.obs_names)
        np.testing.assert_array_equal(dense(found.X), dense(want.X))
        np.testing.assert_array_equal(found.obsm["X_pca"], want.obsm["X_pca"])


def test_one_plate(tmp_path):
    plate = rich_plates()[0]
    paths = write_plates(tmp_path, [plate])
    out = tmp_path / "out.zarr"
    succeed("concat", *paths, "-o", out)
    same(read(out), joined([plate]))


def test_plates_without_x(tmp_path):
    plates = rich_plates()
    for plate in plates:
        del plate.X
    paths = write_plates(tmp_path, plates)
    out = tmp_path / "out.zarr"
    succeed("concat", *paths, "-o", out)
    same(read(out), joined(plates))


def test_what_is_left_out_is_told(tmp_path):
    plates = rich_plates()
    plates[0].raw = plates[0].copy()
    paths = write_plates(tmp_path, plates)
    outcome = succeed("concat", *paths, "-o", tmp_path / "out.zarr", "--json")
    left = outcome.json["left_out"]
    for element in ("raw", "layers/first", "obsm/second"):
        assert any(line.startswith(element + ":") for line in left), left
        assert f"left out: {element}" in outcome.stderr
    assert read(tmp_path / "out.zarr").raw is None


def test_a_column_of_the_labels_name_is_replaced(tmp_path):
    plates = [make_plate(number, cells=20, genes=30) for number in (1, 2)]
    for plate in plates:
        plate.obs["plate"] = "old"
    paths = write_plates(tmp_path, plates)
    outcome = succeed("concat", *paths, "-o", tmp_path / "out.zarr")
    assert "'plate' is replaced" in outcome.stderr
    assert list(read(tmp_path / "out.zarr").obs["plate"].cat.categories) == ["plate1", "plate2"]


def test_genes_by_a_column_of_var(tmp_path):
    plates = [make_plate(number, cells=20, genes=30) for number in (1, 2)]
    plates[1].var_names = [f"other{g}" for g in range(30)]
    paths = write_plates(tmp_path, plates)
    succeed("concat", *paths, "-o", tmp_path / "out.zarr", "--gene-key", "symbol")
    found = read(tmp_path / "out.zarr")
    assert list(found.var_names) == [f"SYM{g}" for g in range(30)]
    np.testing.assert_array_equal(dense(found.X), np.vstack([dense(plate.X) for plate in plates]))


def test_an_output_that_exists(tmp_path):
    paths = write_plates(tmp_path / "in", [make_plate(1, cells=20, genes=30)])
    out = tmp_path / "out.zarr"
    succeed("concat", *paths, "-o", out)
    outcome = cellmill("concat", *paths, "-o", out)
    assert outcome.status != 0
    assert "--overwrite" in outcome.stderr
    succeed("concat", *paths, "-o", out, "--overwrite")
    assert [path.name for path in tmp_path.iterdir() if path.name != "in"] == ["out.zarr"]


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--join", "left"], 2, ["left", "inner or outer"]),
        (["--keys", "a"], 2, ["--keys", "1 names given", "expected 2"]),
        (["--keys", "a", "a"], 1, ["two plates are named a", "--keys"]),
        (["--zarr-format", "4"], 2, ["zarr-format"]),
        (["--gene-key", "symbl"], 1, ["symbl", "symbol"]),
    ],
)
@pytest.mark.parametrize("ranks", [0, 2])
def test_wrong_options(tmp_path, options, status, words, ranks):
    paths = write_plates(tmp_path / "in", [make_plate(number, cells=20, genes=30) for number in (1, 2)])
    out = tmp_path / "out.zarr"
    fails(cellmill("concat", *paths, "-o", out, *options, ranks=ranks), out, status, *words)


def test_an_output_of_unknown_kind(tmp_path):
    paths = write_plates(tmp_path / "in", [make_plate(1, cells=20, genes=30)])
    out = tmp_path / "out.loom"
    fails(cellmill("concat", *paths, "-o", out), out, 2, "out.loom", ".zarr or .h5ad")


def repeat_a_gene(paths):
    plate = read(paths[1])
    plate.var_names = ["GENE0001", *plate.var_names[1:]]
    write(plate, paths[1])


def rename_genes(paths):
    plate = read(paths[1])
    plate.var_names = [f"other{g}" for g in range(plate.n_vars)]
    write(plate, paths[1])


def cut_short(paths):
    paths[1].write_bytes(paths[1].read_bytes()[:-3000])


def spoil_a_chunk(paths):
    with h5py.File(paths[1], "r") as file:
        chunk = file["X/data"].id.get_chunk_info(0)
    content = bytearray(paths[1].read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    content[chunk.byte_offset + chunk.size // 2 + 1] ^= 0xFF
    paths[1].write_bytes(bytes(content))


def shorten_a_layer(paths):
    with h5py.File(paths[1], "a") as file:
        file["layers"].create_dataset("counts", data=np.zeros((7, 400), dtype=np.float32))
        file["layers/counts"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (repeat_a_gene, ["plate2.h5ad", "GENE0001"]),
        (rename_genes, ["no gene is in all plates", "plate1", "plate2", "--gene-key"]),
        (cut_short, ["plate2.h5ad"]),
        (spoil_a_chunk, ["plate2.h5ad", "X/data", "chunk"]),
        (shorten_a_layer, ["plate2.h5ad", "layers/counts", "7 rows found", "expected 300"]),
    ],
)
@pytest.mark.parametrize("ranks", [0, 2])
def test_a_bad_plate_is_named_and_nothing_is_left(tmp_path, spoil, words, ranks):
    plates = [make_plate(number) for number in (1, 2)]
    if spoil is shorten_a_layer:
        plates[0].layers["counts"] = plates[0].X.copy()
    paths = write_plates(tmp_path / "in", plates, compression="gzip")
    spoil(paths)
    out = tmp_path / "out.zarr"
    fails(cellmill("concat", *paths, "-o", out, ranks=ranks), out, 1, *words)
