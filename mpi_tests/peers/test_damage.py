"""Damage of every format that libhdf5 has no part in, and claims that no memory could hold.

Whatever is read, and by whichever command: one message that names the file, within seconds and the memory that
`--memory` allows.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

import anndata as ad
import h5py
import numcodecs
import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp
import zarr

from plates import make_plate, write
from program import PROGRAM, Outcome

# Places that are damaged, of each kind; 200 and 50 for the long form.
FLIPS = int(os.environ.get("CELLMILL_FLIPS", "8"))
CUTS = int(os.environ.get("CELLMILL_CUTS", "4"))

MEMORY = 200 << 20
SECONDS = 60  # ten are meant, on a machine of one's own


# Starts the program from a small process and prints the most memory that it held: started from here, it would count
# this process's own.
WATCH = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(f"{status} {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}")
"""


def bounded(*arguments: object) -> Outcome:
    """What the program did, in this time and memory (its children's included)."""
    command = [str(PROGRAM), *map(str, arguments), "--memory", str(MEMORY), "--threads", "2"]
    with tempfile.NamedTemporaryFile("r") as report:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", WATCH, report.name, *command],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
        status, kilobytes = map(int, report.read().split())
    assert kilobytes * 1024 <= MEMORY, (kilobytes, command)
    return Outcome(status, done.stdout, done.stderr)


def names(message: str, path: Path) -> bool:
    """Whether a message names the file, or the one of a folder's."""
    files = [path, *path.iterdir()] if path.is_dir() else [path]
    return any(file.name in message for file in files)


def refused(path: Path, *words: str, by: tuple[str, ...] = ("convert", "run")) -> None:
    """By the commands that read matrices and by validate, with one message each."""
    out = path.parent / "out.zarr"
    arguments = {"convert": ["-o", out], "run": ["-o", out, "--n-comps", 5]}
    for name in by:
        command = [name, path, *arguments[name]]
        outcome = bounded(*command)
        assert outcome.status == 1, (command, outcome)
        assert len(outcome.errors) == 1, (command, outcome.stderr)
        assert names(outcome.errors[0], path), (command, outcome.errors)
        for word in words:
            assert word in outcome.errors[0], (command, outcome.errors)
        assert not out.exists()
    found = faults(path)
    assert found
    for word in words:
        assert any(word in fault for fault in found), (word, found)


def faults(path: Path) -> list[str]:
    outcome = bounded("validate", path)
    assert outcome.status in (0, 1), outcome
    return outcome.stdout.splitlines() if outcome.status == 1 else []


def survives(path: Path) -> None:
    """Reads it or says what is wrong."""
    for fault in faults(path):
        assert names(fault, path), fault
    out = path.parent / "out.zarr"
    for command in (
        ["info", path],
        ["info", path, "--rows", "0:3"],
        ["convert", path, "-o", out],
        ["concat", path, path, "--keys", "a,b", "-o", out],
        ["shard", path, "-o", out],
    ):
        outcome = bounded(*command)
        assert outcome.status in (0, 1), (command, outcome)
        assert len(outcome.errors) <= 1, (command, outcome.stderr)
        for error in outcome.errors:
            assert names(error, path), (command, error)
        shutil.rmtree(out, ignore_errors=True)


def small_plate() -> ad.AnnData:
    return make_plate(1, cells=120, genes=60)


# Files of each format
# ----------------------------------------------------------------------------------------------------------------------


def zip_store(folder: Path) -> Path:
    store = write(small_plate(), folder / "plate.zarr", zarr_format=2)
    path = folder / "plate.zarr.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(store.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(store))
    return path


def tenx_h5(folder: Path) -> Path:
    adata = small_plate()
    matrix = sp.csr_matrix(adata.X)
    path = folder / "plate.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["barcodes"] = np.array(adata.obs_names, dtype="S")
        group["shape"] = np.array([adata.n_vars, adata.n_obs], dtype="i4")
        for name, values in (
            ("data", matrix.data.astype("i4")),
            ("indices", matrix.indices),
            ("indptr", matrix.indptr),
        ):
            group.create_dataset(name, data=values, chunks=True, compression="gzip")
        features = group.create_group("features")
        features["id"] = np.array(adata.var_names, dtype="S")
        features["name"] = np.array(adata.var["symbol"], dtype="S")
        features["feature_type"] = np.array(["Gene Expression"] * adata.n_vars, dtype="S")
        features["genome"] = np.array(["GRCh38"] * adata.n_vars, dtype="S")
    return path


def mtx_folder(folder: Path, *, packed: bool) -> Path:
    adata = small_plate()
    path = folder / "plate"
    path.mkdir()
    scipy.io.mmwrite(path / "matrix.mtx", sp.coo_matrix(adata.X.T.astype(int)), field="integer")
    (path / "barcodes.tsv").write_text("".join(f"{name}\n" for name in adata.obs_names))
    (path / "features.tsv").write_text("".join(f"{name}\t{name}\tGene Expression\n" for name in adata.var_names))
    if packed:
        for file in list(path.iterdir()):
            file.with_name(file.name + ".gz").write_bytes(gzip.compress(file.read_bytes()))
            file.unlink()
    return path


def damaged(raw: bytes, rng: random.Random, turn: int) -> bytes:
    """A flipped bit, or cut short."""
    if turn < FLIPS:
        place = rng.randrange(len(raw))
        return raw[:place] + bytes([raw[place] ^ 1 << rng.randrange(8)]) + raw[place + 1 :]
    return raw[: rng.randrange(len(raw))]


def test_damage_in_a_zip_archive(tmp_path):
    path = zip_store(tmp_path)
    sound = path.read_bytes()
    assert faults(path) == []
    rng = random.Random(11)
    for turn in range(FLIPS + CUTS):
        path.write_bytes(damaged(sound, rng, turn))
        survives(path)


def test_damage_in_a_10x_file(tmp_path):
    path = tenx_h5(tmp_path)
    sound = path.read_bytes()
    assert faults(path) == []
    rng = random.Random(12)
    for turn in range(FLIPS + CUTS):
        path.write_bytes(damaged(sound, rng, turn))
        for fault in faults(path):
            assert path.name in fault, fault


@pytest.mark.parametrize("packed", [False, True])
def test_damage_in_a_10x_folder(tmp_path, packed):
    path = mtx_folder(tmp_path, packed=packed)
    assert faults(path) == []
    rng = random.Random(13)
    for turn in range(FLIPS + CUTS):
        victim = rng.choice(sorted(path.iterdir()))
        sound = victim.read_bytes()
        victim.write_bytes(damaged(sound, rng, turn))
        survives(path)
        victim.write_bytes(sound)


# Chunks that grow
# ----------------------------------------------------------------------------------------------------------------------

LARGE = 1 << 26  # elements of 4 bytes: more than the memory that there is


def set_chunk(path: Path, elements: int, chunk: bytes, codecs: list | dict) -> None:
    """X/data in one chunk, of so many elements, that holds these bytes."""
    array = path / "X" / "data"
    kept = {name: array / name for name in ("zarr.json", ".zarray", ".zattrs")}
    documents = {name: file.read_text() for name, file in kept.items() if file.exists()}
    shutil.rmtree(array)
    array.mkdir()
    for name, text in documents.items():
        (array / name).write_text(text)
    if isinstance(codecs, dict):
        document = json.loads(documents[".zarray"])
        document.update(chunks=[elements], compressor=codecs, dtype="<f4")
        (array / ".zarray").write_text(json.dumps(document))
        (array / "0").write_bytes(chunk)
        (path / ".zmetadata").unlink(missing_ok=True)
        return
    document = json.loads(documents["zarr.json"])
    document["codecs"] = codecs
    document["data_type"] = "float32"
    document["chunk_grid"]["configuration"]["chunk_shape"] = [elements]
    (array / "zarr.json").write_text(json.dumps(document))
    (array / "c").mkdir()
    (array / "c" / "0").write_bytes(chunk)
    root = json.loads((path / "zarr.json").read_text())
    root.pop("consolidated_metadata", None)
    (path / "zarr.json").write_text(json.dumps(root))


CODECS = {
    "gzip": numcodecs.GZip(1),
    "zlib": numcodecs.Zlib(1),
    "zstd": numcodecs.Zstd(1),
    "blosc": numcodecs.Blosc("lz4", 5, numcodecs.Blosc.SHUFFLE),
    "blosc-zlib": numcodecs.Blosc("zlib", 1, numcodecs.Blosc.NOSHUFFLE),
}


@pytest.mark.parametrize("honest", [True, False])
@pytest.mark.parametrize("codec", CODECS)
def test_a_zarr_chunk_that_grows_a_thousandfold(tmp_path, codec, honest):
    """Declared so, or declared as small as the others."""
    path = write(small_plate(), tmp_path / "plate.zarr", zarr_format=2)
    bytes_of = CODECS[codec]
    nnz = small_plate().X.nnz
    set_chunk(path, LARGE if honest else nnz, bytes_of.encode(np.zeros(LARGE, dtype="f4")), bytes_of.get_config())
    refused(path, "X/data")


def test_an_h5ad_chunk_that_grows_a_thousandfold(tmp_path):
    path = write(small_plate(), tmp_path / "plate.h5ad")
    packer = zlib.compressobj(1)
    zeros = bytes(1 << 20)
    packed = b"".join([packer.compress(zeros) for _ in range(4 * LARGE >> 20)]) + packer.flush()
    for elements in (LARGE, 1000):
        with h5py.File(path, "r+") as file:
            (size,) = file["X/data"].shape
            attributes = dict(file["X/data"].attrs)
            del file["X/data"]
            data = file["X"].create_dataset(
                "data", (size,), "f4", maxshape=(None,), chunks=(elements,), compression="gzip"
            )
            data.attrs.update(attributes)
            data.id.write_direct_chunk((0,), packed)
        refused(path, "X/data")


def test_packed_rows_that_claim_more_than_they_hold(tmp_path):
    path = write(small_plate(), tmp_path / "plate.zarr")
    nnz = small_plate().X.nnz
    packed_rows = [{"name": "cellmill.packed_rows", "configuration": {}}]
    for elements in (nnz, LARGE):
        # Counts, float32, one row of one bit an element, and one byte of all these bits.
        fragment = struct.pack("<H3IB", 1 << 3, 0, 0, 0, 0)
        head = b"CMPR" + bytes([1, 2, 4, 4]) + struct.pack("<4I", LARGE, 1, LARGE, len(fragment))
        set_chunk(path, elements, head + fragment, packed_rows)
        refused(path, "X/data")


# Numbers that can't be
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    ("element", "change", "words"),
    [
        ("X/indices", lambda v: v.__setitem__(7, 99999), ["X/indices", "column 99999 found at 7", "0 to 59"]),
        ("X/indices", lambda v: v.__setitem__(7, -1), ["X/indices", "column -1 found"]),
        ("X/indices", lambda v: v.__setitem__(1, v[0]), ["X/indices: row 0", "expected each once"]),
        ("X/indices", lambda v: v.__setitem__(slice(0, 2), v[1::-1]), ["X/indices: row 0", "in rising order"]),
        ("X/indptr", lambda v: v.__setitem__(5, 0), ["X/indptr: row 5: offset 0 found"]),
        ("X/indptr", lambda v: v.__setitem__(-1, 3), ["X/indptr: row 120: offset 3 found"]),
        ("obs/cell_line/codes", lambda v: v.__setitem__(3, 100), ["obs/cell_line/codes: row 3: code 100 found"]),
    ],
)
def test_what_is_wrong_in_a_zarr_store_is_named(tmp_path, zarr_format, element, change, words):
    path = write(small_plate(), tmp_path / "plate.zarr", zarr_format=zarr_format)
    array = zarr.open_group(path, mode="r+", use_consolidated=False)[element]
    values = array[...]
    change(values)
    array[...] = values
    found = faults(path)
    for word in ["plate.zarr", *words]:
        assert any(word in fault for fault in found), found
    survives(path)


@pytest.mark.parametrize(
    ("element", "place", "value", "words"),
    [
        ("indices", 7, 99999, ["matrix/indices", "99999 found"]),
        ("indices", 7, -1, ["matrix/indices", "-1 found"]),
        ("indptr", 5, 0, ["matrix/indptr", "offset 0 found"]),
        ("shape", 1, 121, ["plate.h5", "121"]),
    ],
)
def test_what_is_wrong_in_a_10x_file_is_named(tmp_path, element, place, value, words):
    path = tenx_h5(tmp_path)
    with h5py.File(path, "r+") as file:
        file["matrix"][element][place] = value
    refused(path, *words, by=("run",))


@pytest.mark.parametrize("entry", ["61 1 1", "0 1 1", "1 121 1", "1 0 1", "1 1", "a b c"])
def test_what_is_wrong_in_a_10x_folder_is_named(tmp_path, entry):
    path = mtx_folder(tmp_path, packed=False)
    lines = (path / "matrix.mtx").read_text().splitlines()
    lines[-1] = entry
    (path / "matrix.mtx").write_text("\n".join(lines) + "\n")
    refused(path, "plate/matrix.mtx", f"{len(lines):,}")


def test_shapes_of_a_zarr_store_that_do_not_fit(tmp_path):
    path = write(small_plate(), tmp_path / "plate.zarr")
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    group["X"].attrs["shape"] = [120, 61]
    del group["obs/score"]
    group["obs"].create_array("score", data=np.ones(5))
    zarr.consolidate_metadata(path)
    text = "\n".join(faults(path))
    assert "X: 61 columns found, expected 60, the length of var" in text
    assert "obs/score" in text
    survives(path)


# A trillion cells in a kilobyte
# ----------------------------------------------------------------------------------------------------------------------

TRILLION = 10**12


def trillion_zarr(path: Path, zarr_format: int, chunk: int) -> Path:
    root = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    root.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    for name, rows in (("obs", TRILLION), ("var", 3)):
        frame = root.create_group(name)
        frame.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
        frame.attrs["column-order"] = ["n"]
        index = frame.create_array("_index", shape=(rows,), chunks=(min(rows, chunk),), dtype=str)
        index.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
        column = frame.create_array("n", shape=(rows,), chunks=(min(rows, chunk),), dtype="f8")
        column.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    x = root.create_group("X")
    x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [TRILLION, 3]})
    for name, size, dtype in (("indptr", TRILLION + 1, "i8"), ("indices", 5, "i4"), ("data", 5, "f4")):
        x.create_array(name, shape=(size,), chunks=(min(size, chunk),), dtype=dtype)
    return path


def trillion_h5ad(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        for name, rows in (("obs", TRILLION), ("var", 3)):
            group = file.create_group(name)
            group.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
            group.attrs["column-order"] = np.array([], dtype=h5py.string_dtype())
            group.create_dataset("_index", (rows,), h5py.string_dtype(), chunks=(min(rows, 100_000),))
        x = file.create_group("X")
        x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        x.attrs["shape"] = np.array([TRILLION, 3])
        for name, size, dtype in (("indptr", TRILLION + 1, "i8"), ("indices", 5, "i4"), ("data", 5, "f4")):
            x.create_dataset(name, (size,), dtype, chunks=(min(size, 100_000),))
    return path


def trillion_tenx(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group.create_dataset("barcodes", (TRILLION,), "S16", chunks=(100_000,))
        group["shape"] = np.array([3, TRILLION])
        for name, size, dtype in (("data", 5, "i4"), ("indices", 5, "i8"), ("indptr", TRILLION + 1, "i8")):
            group.create_dataset(name, (size,), dtype, chunks=(min(size, 100_000),))
        features = group.create_group("features")
        for name in ("id", "name", "feature_type", "genome"):
            features[name] = np.array(["a", "b", "c"], dtype="S")
    return path


def trillion_mtx(path: Path) -> Path:
    path.mkdir()
    (path / "matrix.mtx").write_text(f"%%MatrixMarket matrix coordinate integer general\n3 {TRILLION} 1\n1 1 1\n")
    (path / "barcodes.tsv").write_text("A\n")
    (path / "features.tsv").write_text("".join(f"{name}\t{name}\tGene Expression\n" for name in "abc"))
    return path


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("plate.zarr", lambda path: trillion_zarr(path, 2, 1000)),
        ("plate.zarr", lambda path: trillion_zarr(path, 3, 1000)),
        ("plate.zarr", lambda path: trillion_zarr(path, 3, 5_000_000)),
        ("plate.h5ad", trillion_h5ad),
        ("plate.h5", trillion_tenx),
        ("plate", trillion_mtx),
    ],
    ids=["zarr2", "zarr3", "zarr3-large-chunks", "h5ad", "10x", "mtx"],
)
def test_a_trillion_cells_in_a_kilobyte(tmp_path, name, make):
    path = make(tmp_path / name)
    refused(path)
    survives(path)


def test_two_billion_genes_that_are_not_there_are_not_listed(tmp_path):
    path = tmp_path / "plate.h5ad"
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        for name, rows in (("obs", 3), ("var", 2**31 - 1)):
            group = file.create_group(name)
            group.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
            group.attrs["column-order"] = np.array([], dtype=h5py.string_dtype())
            group.create_dataset("_index", (rows,), "i8", chunks=(min(rows, 1_000_000),))
    outcome = bounded("info", path, "--rows", "0:2")
    assert outcome.status == 1, outcome
    for word in ("plate.h5ad", "var", "2,147,483,647", "10,000,000"):
        assert word in outcome.stderr, outcome


# What leads out of the store
# ----------------------------------------------------------------------------------------------------------------------


def test_names_that_lead_out_of_a_store_are_refused(tmp_path):
    outside = write(small_plate(), tmp_path / "other.zarr")
    path = write(small_plate(), tmp_path / "plate.zarr")
    for name in ("../../other.zarr/obs/_index", str(outside / "obs" / "_index")):
        document = json.loads((path / "obs" / "zarr.json").read_text())
        document["attributes"]["_index"] = name
        (path / "obs" / "zarr.json").write_text(json.dumps(document))
        root = json.loads((path / "zarr.json").read_text())
        root.pop("consolidated_metadata", None)
        (path / "zarr.json").write_text(json.dumps(root))
        refused(path, name, by=("run",))  # a copy of the attribute does no harm


@pytest.mark.parametrize("name", ["../obs", "a/../../b", "/obs"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_consolidated_keys_that_lead_out_are_refused(tmp_path, zarr_format, name):
    path = write(small_plate(), tmp_path / "plate.zarr", zarr_format=zarr_format)
    file = path / (".zmetadata" if zarr_format == 2 else "zarr.json")
    document = json.loads(file.read_text())
    entries = document["metadata"] if zarr_format == 2 else document["consolidated_metadata"]["metadata"]
    entries[name + "/.zgroup" if zarr_format == 2 else name] = next(iter(entries.values()))
    # No element has a document of its own: only then consolidated metadata is believed.
    for other in path.rglob("*"):
        if other != file and other.name in (".zarray", ".zgroup", ".zattrs", "zarr.json") and other.parent != path:
            other.unlink()
    file.write_text(json.dumps(document))
    refused(path, name)


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil"])
def test_zip_members_that_lead_out_are_refused(tmp_path, name):
    path = zip_store(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "evil")
    refused(path, "evil")


# What leads back to a group above
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attribute", ["_index", "column-order"])
@pytest.mark.parametrize(
    ("name", "encoding"), [("", None), (".", None), ("./", None), ("back", None), ("back", "dataframe")]
)
def test_columns_that_are_the_frame_itself(tmp_path, name, attribute, encoding):  # found by fuzz_h5ad
    path = write(small_plate(), tmp_path / "plate.h5ad")
    with h5py.File(path, "r+") as file:
        frame = file["obs"]
        frame["back"] = frame
        frame.attrs[attribute] = name if attribute == "_index" else np.array([name], dtype=h5py.string_dtype())
        if encoding is None:
            del frame.attrs["encoding-type"]
            del frame.attrs["encoding-version"]
    survives(path)


def test_a_group_that_holds_itself(tmp_path):
    path = write(small_plate(), tmp_path / "plate.h5ad")
    with h5py.File(path, "r+") as file:
        file.require_group("uns")["back"] = file["uns"]
    refused(path, "64 groups deep", by=("convert",))
