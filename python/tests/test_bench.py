"""The benchmark of loaders: every loader that is installed on the same cells, the others named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import cellmill as cm
from peers import peer

peer("anndata")

BENCH = Path(__file__).resolve().parents[2] / "scripts" / "bench-loader"


def bench(folder: Path, *arguments: object) -> tuple[dict, str]:
    options = ["--rounds", "1", "--seconds", "0.05", "--warmup", "0.05", "--block", "16", "--window", "256"]
    done = subprocess.run(
        [sys.executable, BENCH, *map(str, arguments), *options, "--json", folder / "found.json"],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "found.json").read_text()), done.stdout


@pytest.fixture
def store(plates: list[str], tmp_path: Path) -> Path:
    cm.shard(plates, tmp_path / "store.zarr")
    return tmp_path / "store.zarr"


def test_loaders_are_measured_on_the_same_cells(plates: list[str], store: Path, tmp_path: Path) -> None:
    found, text = bench(tmp_path, *plates, "--store", store, "--batch-size", 32)
    runs = {run["loader"]: run for run in found["runs"]}
    assert {"cellmill: plate1.h5ad …", "cellmill: store.zarr", "program: store.zarr", "backed", "scipy"} <= set(runs)
    for run in runs.values():
        assert "error" not in run
        assert run["cells_per_second"] > 0
        assert run["first_batch_seconds"] > 0
        assert run["peak_memory_bytes"] > 10e6
    for name in ("annbatch", "scDataset"):
        assert name in runs or f"skipped: {name}: {name} is not installed" in text


def test_a_loader_that_fails_is_told_and_the_others_go_on(store: Path, tmp_path: Path) -> None:
    found, text = bench(tmp_path, store, "--batch-size", 32, 5000, "--loaders", "cellmill", "backed")
    small, large = found["runs"]
    assert small["cells_per_second"] > 0
    assert "batch_size 5,000 is more than the 1,400 rows" in large["error"]
    assert "skipped: backed: it is run on h5ad files" in text


def test_orders_and_outputs_are_measured_beside_the_plain_shuffle(store: Path, tmp_path: Path) -> None:
    orders, outputs = ["weighted", "balanced", "stratified", "paired"], ["dense", "geneformer", "scgpt", "rank_value"]
    loaders = ["--loaders", "cellmill", "program"]
    found, text = bench(tmp_path, store, "--batch-size", 32, *loaders, "--order", *orders, "--output", *outputs)
    runs = {run["loader"]: run for run in found["runs"]}
    stores = [f"{loader}: store.zarr" for loader in ("cellmill", "program")]
    assert list(runs) == [name + more for name in stores for more in ("", *(f", {each}" for each in orders + outputs))]
    for run in runs.values():
        assert run["cells_per_second"] > 0
    assert text.count("× plain") == 2 * len(orders + outputs)
