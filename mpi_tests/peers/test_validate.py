"""Damaged files are reported, by name and element, and never crash, hang or fill the memory."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest
import scipy.sparse as sp
import zarr

from plates import make_plate, write
from program import Outcome, cellmill, succeed

# Places that are damaged, of each kind; 200 and 50 for the long form.
FLIPS = int(os.environ.get("CELLMILL_FLIPS", "12"))
CUTS = int(os.environ.get("CELLMILL_CUTS", "6"))


def validate(path: Path) -> Outcome:
    return cellmill("validate", path, "--memory", "2G", "--threads", "2", seconds=60)


def faults(path: Path) -> list[str]:
    outcome = validate(path)
    assert outcome.status in (0, 1), outcome.stderr
    found = outcome.stdout.splitlines()
    return [] if outcome.status == 0 else found


def small_plate() -> ad.AnnData:
    adata = make_plate(1, cells=120, genes=60)
    adata.layers["dense"] = adata.X.toarray()
    adata.obsm["X_pca"] = np.ones((120, 3), dtype=np.float32)
    adata.obsp["near"] = sp.eye(120, format="csr")
    adata.raw = adata.copy()
    return adata


@pytest.mark.parametrize("name", ["plate.h5ad", "plate.zarr"])
def test_sound_files_have_no_fault(tmp_path, name):
    assert faults(write(small_plate(), tmp_path / name)) == []


def set_h5(path: Path, element: str, change) -> None:
    with h5py.File(path, "r+") as file:
        values = file[element][...]
        change(values)
        file[element][...] = values


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
        ("obsp/near/indices", lambda v: v.__setitem__(0, 120), ["obsp/near/indices"]),
        ("raw/X/indptr", lambda v: v.__setitem__(0, 1), ["raw/X/indptr: row 0: offset 1"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path, element, change, words):
    path = write(small_plate(), tmp_path / "plate.h5ad")
    set_h5(path, element, change)
    found = faults(path)
    assert found
    for word in ["plate.h5ad", *words]:
        assert any(word in fault for fault in found), found


def test_shapes_that_do_not_fit(tmp_path):
    path = write(small_plate(), tmp_path / "plate.h5ad")
    with h5py.File(path, "r+") as file:
        del file["obsm/X_pca"]
        file["obsm"]["X_pca"] = np.ones((7, 3))
        file["X"].attrs["shape"] = np.array([120, 61])
        del file["obs/score"]
        file["obs"]["score"] = np.ones(5)
    text = "\n".join(faults(path))
    assert "obsm/X_pca: 7 rows found, expected 120, the length of obs" in text
    assert "X: 61 columns found, expected 60, the length of var" in text
    assert "obs/score" in text


def test_a_corrupt_chunk_is_named_with_its_bytes(tmp_path):
    path = write(small_plate(), tmp_path / "plate.h5ad", compression="gzip")
    with h5py.File(path) as file:
        place = file["X/data"].id.get_chunk_info(0)
    raw = bytearray(path.read_bytes())
    raw[place.byte_offset + place.size // 2] ^= 0xFF
    path.write_bytes(raw)
    (found, *_) = faults(path)
    for word in ("plate.h5ad: X/data, chunk 0 (bytes", f"{place.byte_offset:,}"):
        assert word in found, found


def test_strings_in_several_dimensions_are_read(tmp_path):
    adata = small_plate()
    adata.uns["texts"] = np.array([["a", "é"], ["", "b"]], dtype=object)
    path = write(adata, tmp_path / "plate.zarr")
    assert faults(path) == []
    (chunk,) = [file for file in (path / "uns/texts").rglob("*") if file.is_file() and file.name != "zarr.json"]
    chunk.write_bytes(chunk.read_bytes()[:-3])
    assert any("uns/texts" in fault for fault in faults(path))


def declared(path: Path, rows: int) -> None:
    """A small file that says it has so many rows."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        for name in ("obs", "var"):
            group = file.create_group(name)
            group.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
            group.attrs["column-order"] = np.array([], dtype=h5py.string_dtype())
            shape = (rows,) if name == "obs" else (3,)
            group.create_dataset("_index", shape=shape, dtype=h5py.string_dtype(), chunks=(min(shape[0], 1024),))
        x = file.create_group("X")
        x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        x.attrs["shape"] = np.array([rows, 3])
        x.create_dataset("indptr", shape=(rows + 1,), dtype="i8", chunks=(1024,))
        x.create_dataset("indices", shape=(rows,), dtype="i4", chunks=(1024,))
        x.create_dataset("data", shape=(rows,), dtype="f4", chunks=(1024,))


@pytest.mark.parametrize("rows", [10**12, 2**62])
def test_rows_that_cannot_be_there(tmp_path, rows):
    path = tmp_path / "plate.h5ad"
    declared(path, rows)
    found = faults(path)
    assert any("chunks declared" in fault or "plate.h5ad" in fault for fault in found), found


def places(rng: random.Random, size: int, count: int) -> list[int]:
    return [rng.randrange(size) for _ in range(count)]


@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
def test_flipped_bytes_of_an_h5ad(tmp_path, compression):
    sound = write(small_plate(), tmp_path / "sound.h5ad", compression=compression).read_bytes()
    path = tmp_path / "plate.h5ad"
    rng = random.Random(5)
    for place in places(rng, len(sound), FLIPS):
        damaged = bytearray(sound)
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        for fault in faults(path):
            assert "plate.h5ad" in fault, (place, fault)


def test_an_h5ad_cut_short(tmp_path):
    sound = write(small_plate(), tmp_path / "sound.h5ad", compression="gzip").read_bytes()
    path = tmp_path / "plate.h5ad"
    for place in places(random.Random(6), len(sound), CUTS):
        path.write_bytes(sound[:place])
        found = faults(path)
        assert found, place
        assert "plate.h5ad" in found[0]


def zarr_stores(folder: Path) -> list[Path]:
    adata = small_plate()
    stores = []
    for number, (zarr_format, shards) in enumerate([(2, None), (3, None), (3, 4000)]):
        path = folder / f"store{number}.zarr"
        write(adata, path, zarr_format=zarr_format)
        if shards:
            group = zarr.open_group(path, mode="r+", use_consolidated=False)
            ad.io.write_elem(group, "X", adata.X, dataset_kwargs={"chunks": (500,), "shards": (shards,)})
            zarr.consolidate_metadata(path)
        stores.append(path)
    return stores


@pytest.mark.parametrize("number", [0, 1, 2])
def test_damage_in_a_zarr_store(tmp_path, number):
    sound = zarr_stores(tmp_path)[number]
    path = tmp_path / "plate.zarr"
    files = sorted(file.relative_to(sound) for file in sound.rglob("*") if file.is_file())
    rng = random.Random(number)
    for turn in range(FLIPS + CUTS):
        shutil.copytree(sound, path)
        victim = path / rng.choice(files)
        raw = bytearray(victim.read_bytes())
        if turn < FLIPS and raw:
            raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        else:
            raw = raw[: rng.randrange(len(raw) + 1)]
        victim.write_bytes(raw)
        for fault in faults(path):
            assert "plate.zarr" in fault, (victim, fault)
        # Reading itself, in this process's way, doesn't crash either.
        assert cellmill("info", path, seconds=20).status in (0, 1)
        shutil.rmtree(path)


def test_a_folder_of_plates_and_json(tmp_path):
    write(small_plate(), tmp_path / "a.h5ad")
    path = write(small_plate(), tmp_path / "b.h5ad")
    set_h5(path, "X/indices", lambda v: v.__setitem__(0, 1000))
    outcome = cellmill("validate", tmp_path, "--json")
    assert outcome.status == 1
    first, second = outcome.json["files"]
    assert first["faults"] == []
    assert any("X/indices" in fault for fault in second["faults"])
    succeed("validate", tmp_path / "a.h5ad")
