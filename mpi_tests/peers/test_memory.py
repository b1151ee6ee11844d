"""`--memory` bounds what a process holds, whatever the command, on data several times larger."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from program import PROGRAM, succeed

MIB = 1 << 20
NONZERO = 8  # bytes, as the program decodes them


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two plates of 37 million stored values together, 300 MB decoded, and a store of them."""
    folder = tmp_path_factory.mktemp("memory")
    options = ["--plates", 2, "--cells", 9000, "--genes", 12000, "--nnz", 2050, "--cell-lines", 12]
    succeed("simulate", folder / "plates", *options, seconds=300)
    succeed("shard", folder / "plates", "-o", folder / "store.zarr", "--codec", "fast")
    return folder


# A process inherits the highest resident set of the one that started it, so that a small one does that.
MEASURE = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


def peak(*words: object, cwd: Path, status: int = 0) -> tuple[int, str]:
    """Runs the program; the most that it held, in bytes, and what it said on standard error."""
    command = [sys.executable, "-I", "-S", "-c", MEASURE, PROGRAM, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120, check=False)
    assert done.returncode == status, done.stderr
    return int(done.stdout) * 1024, done.stderr


WINDOW = ["--block", 64, "--window", 1024, "--batch-size", 64, "--seconds", 0.1, "--warmup", 0.01]
COMMANDS = {
    "info": ["info", "plates"],
    "info of a store": ["info", "store.zarr"],
    "validate": ["validate", "plates"],
    "validate a store": ["validate", "store.zarr"],
    "convert": ["convert", "plates/plate1.h5ad", "-o", "out.zarr"],
    "convert to shards": ["convert", "plates/plate1.h5ad", "-o", "out.zarr", "--codec", "none"],
    "convert to format 2": ["convert", "plates/plate1.h5ad", "-o", "out.zarr", "--zarr-format", 2],
    "convert to h5ad": ["convert", "store.zarr", "-o", "out.h5ad"],
    "concat": ["concat", "plates", "-o", "out.zarr"],
    "concat to h5ad": ["concat", "plates", "-o", "out.h5ad"],
    "shard": ["shard", "plates", "-o", "out.zarr"],
    "shard, shuffled": ["shard", "plates", "-o", "out.zarr", "--shuffle", "--codec", "fast"],
    "run": ["run", "plates", "-o", "out.zarr"],
    "run, X too": ["run", "plates", "-o", "out.h5ad", "--write-x", "lognorm"],
    "run, no scratch": ["run", "plates", "-o", "out.zarr", "--scratch", "none", "--flavor", "cell_ranger"],
    "run with a checkpoint": ["run", "plates", "-o", "out.zarr", "--checkpoint", "ckpt", "--checkpoint-every", 0.2],
    "run --dry-run": ["run", "plates", "-o", "out.zarr", "--dry-run"],
    "simulate": ["simulate", "made", "--plates", 1, "--cells", 2000, "--nnz", 2000],
    "bench limits": ["bench", "limits"],
    "bench read": ["bench", "read", "plates/plate1.h5ad", "--seconds", 0.01, "--python", "none"],
    "bench pipeline": ["bench", "pipeline", "plates"],
    "bench loader": ["bench", "loader", "plates", *WINDOW],
    "bench loader of a store": ["bench", "loader", "store.zarr", *WINDOW],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_holds_more(folder, name):
    budget = 160 * MIB if name.startswith("bench") else 120 * MIB
    shutil.rmtree(folder / "out.zarr", ignore_errors=True)
    (folder / "out.h5ad").unlink(missing_ok=True)
    held, errors = peak(*COMMANDS[name], "--memory", budget, "--threads", 2, cwd=folder)
    assert held <= 1.1 * budget, (held / MIB, errors)


@pytest.mark.parametrize("ranks", [2])
def test_each_rank_for_itself(folder, tmp_path, ranks):
    command = ["run", folder / "plates", "-o", tmp_path / "out.zarr", "--memory", 120 * MIB, "--threads", 1, "--json"]
    told = succeed(*command, ranks=ranks).json
    assert len(told["peak_memory_bytes"]) == ranks
    assert max(told["peak_memory_bytes"]) <= 1.1 * 120 * MIB


@pytest.mark.parametrize("command", ["run", "shard", "concat", "convert", "bench limits", "bench read", "bench loader"])
def test_too_little_is_an_error_that_says_what_would_do(folder, command):
    inputs = {"convert": ["plates/plate1.h5ad"], "bench limits": []}.get(command, ["plates"])
    words = [*command.split(), *inputs, *([] if command.startswith("bench") else ["-o", "little.zarr"])]
    held, errors = peak(*words, "--memory", 40 * MIB, cwd=folder, status=1)
    assert held <= 60 * MIB
    assert "--memory 42 MB" in errors
    assert "at least" in errors
    assert not (folder / "little.zarr").exists()


def test_a_shard_too_large_for_the_memory_is_named(folder):
    words = ["convert", "plates/plate1.h5ad", "-o", "large.zarr", "--shard-size", "64M", "--memory", "120M"]
    held, errors = peak(*words, cwd=folder, status=1)
    assert held <= 1.1 * 120 * MIB
    assert "plate1.h5ad: X/data: writing it in pieces of 67 MB" in errors
    assert "--shard-size" in errors
    assert not (folder / "large.zarr").exists()
