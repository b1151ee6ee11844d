"""The codec of fast stores in zarr-python: found by its entry point, without an import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import cellmill as cm
from peers import peer

zarr = peer("zarr")
anndata = peer("anndata")


@pytest.fixture(scope="module")
def stores(plates: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stores")
    found = {codec: folder / f"{codec}.zarr" for codec in ("portable", "fast")}
    for codec, path in found.items():
        cm.shard(plates, path, codec=codec)
    return found


def test_anndata_reads_both_stores_alike(stores: dict[str, Path], plates: list[str]) -> None:
    portable, fast = (anndata.read_zarr(stores[codec]) for codec in ("portable", "fast"))
    assert (portable.X != fast.X).nnz == 0
    assert fast.obs.equals(portable.obs)
    assert list(fast.var_names) == list(cm.open(plates).var_names)
    assert (fast.X[:700] != anndata.read_h5ad(plates[0]).X).nnz == 0


def test_a_fast_store_opens_without_importing_cellmill(stores: dict[str, Path]) -> None:
    code = "import sys, zarr; print(zarr.open_group(sys.argv[1], mode='r')['X/data'][:50].sum())"
    found = subprocess.run(
        [sys.executable, "-c", code, stores["fast"]], capture_output=True, text=True, check=False, timeout=120
    )
    assert found.returncode == 0, found.stderr
    assert float(found.stdout) > 0


def test_writing_with_the_codec_says_who_can(stores: dict[str, Path]) -> None:
    data = zarr.open_group(stores["fast"], mode="r+")["X/data"]
    with pytest.raises(NotImplementedError, match="cellmill shard --codec fast"):
        data[:10] = 1


def test_damaged_chunks_are_told(stores: dict[str, Path]) -> None:
    import numpy as np

    with pytest.raises(cm.Error):
        cm._core.unpack_chunk(np.zeros(16, dtype=np.uint8), "uint16", 100)


def test_a_loader_reads_both_stores_alike(stores: dict[str, Path]) -> None:
    shape = {"batch_size": 64, "order": cm.Shuffle(block=8, window=256), "obs": ["cell_line"]}
    for a, b in zip(*(cm.Loader(stores[codec], **shape) for codec in ("portable", "fast")), strict=True):
        assert (a.rows == b.rows).all()
        assert (a["X"].to_dense() == b["X"].to_dense()).all()
        assert (a.cell_line == b.cell_line).all()
