"""The same bits at any number of ranks and threads, with and without scratch."""

from __future__ import annotations

import hashlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from program import succeed


def slots(path: Path) -> dict[str, str]:
    """A digest of every array's values, but for uns/cellmill's."""
    found = {}

    def add(name: str, values: np.ndarray) -> None:
        if name.startswith("uns/cellmill"):
            return
        values = np.asarray(values)
        raw = "\0".join(map(str, values.ravel())).encode() if values.dtype.kind in "OT" else values.tobytes()
        found[name] = f"{values.dtype} {values.shape} {hashlib.sha256(raw).hexdigest()}"

    if path.suffix == ".zarr":
        for name, member in zarr.open_group(path, mode="r").members(max_depth=None):
            if isinstance(member, zarr.Array):
                add(name, member[...])
    else:
        with h5py.File(path) as file:
            file.visititems(
                lambda name, item: (
                    add(name, item[()]) if isinstance(item, h5py.Dataset) and item.shape is not None else None
                )
            )
    return found


@pytest.mark.parametrize(
    ("name", "flavor"), [("out.zarr", "seurat"), ("out.zarr", "cell_ranger"), ("out.h5ad", "seurat")]
)
def test_ranks_and_threads(simulated, tmp_path, name, flavor):
    reference = None
    settings = [(0, 1), (1, 2), (2, 1), (3, 2), (4, 1), (0, 4)]
    for ranks, threads in settings:
        out = tmp_path / f"{ranks}_{threads}_{name}"
        succeed(
            "run", *simulated, "-o", out, "--filter", 'pass_filter == "full"', "--flavor", flavor, "--n-top-genes", 300,
            "--n-comps", 20, "--write-x", "lognorm", "--threads", threads, ranks=ranks,
        )  # fmt: skip
        found = slots(out)
        assert any(slot.endswith("X_pca") for slot in found)
        if reference is None:
            reference = found
        assert found == reference, (ranks, threads)


@pytest.mark.parametrize("scratch", ["auto", "none", "folder"])
def test_memory_and_scratch(simulated, tmp_path, scratch):
    arguments = ["run", *simulated, "--n-top-genes", 300, "--n-comps", 20, "--threads", 2]
    succeed(*arguments, "-o", tmp_path / "plenty.zarr")
    if scratch == "folder":
        (tmp_path / "scratch").mkdir()
        scratch = tmp_path / "scratch"
    succeed(*arguments, "-o", tmp_path / "little.zarr", "--memory", "250M", "--scratch", scratch)
    assert slots(tmp_path / "plenty.zarr") == slots(tmp_path / "little.zarr")
    if isinstance(scratch, Path):
        assert list(scratch.iterdir()) == []
