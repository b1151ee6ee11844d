"""Runs that are stopped, killed and gone on with end with the same bits."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import h5py
import pytest

from kills import KINDS, children, killed_run, send
from program import PROGRAM, cellmill, fails, mpirun, succeed
from test_same_bits import slots

ROUNDS = int(os.environ.get("CELLMILL_SOAK_ROUNDS", "5"))
SEED = int(os.environ.get("CELLMILL_SOAK_SEED", "1"))
OFTEN = ["--checkpoint-every", 0.2]


@pytest.fixture(scope="session")
def many(simulated, tmp_path_factory) -> Path:
    """A folder of 60 plates, 300,000 cells: some seconds of work."""
    folder = tmp_path_factory.mktemp("many")
    for copy in range(60):
        (folder / f"plate{copy}.h5ad").hardlink_to(simulated[copy % 3])
    return folder


def options(plates: Path, out: Path, *more: object) -> list:
    small = ["--n-top-genes", 300, "--n-comps", 20, "--threads", 1, "--write-x", "lognorm"]
    return ["run", plates, "-o", out, *small, *more]


def changed(command: list, option: str, value: object) -> list:
    """The command with another value of an option that it has."""
    at = command.index(option) + 1
    return [*command[:at], value, *command[at + 1 :]]


VARIANTS = [("out.zarr", "seurat", "auto"), ("out.h5ad", "seurat", "none"), ("out.zarr", "cell_ranger", "none")]


@pytest.fixture(scope="session")
def undisturbed(many, tmp_path_factory) -> dict[tuple, tuple[dict, float]]:
    """Of each variant the digests of its slots, and how long it takes."""
    found = {}
    for variant in VARIANTS:
        name, flavor, scratch = variant
        out = tmp_path_factory.mktemp("undisturbed") / name
        start = time.monotonic()
        succeed(*options(many, out, "--flavor", flavor, "--scratch", scratch), ranks=2, seconds=300)
        found[variant] = slots(out), time.monotonic() - start
    return found


@pytest.mark.parametrize("number", range(ROUNDS))
def test_killed_at_random_and_resumed(many, undisturbed, tmp_path, number):
    """Once or twice killed, each time gone on with on another number of ranks."""
    chance = random.Random(SEED * 1000 + number)
    name, flavor, scratch = variant = VARIANTS[number % len(VARIANTS)]
    reference, seconds = undisturbed[variant]
    out = tmp_path / name
    resume = ["--checkpoint", tmp_path / "checkpoint", "--resume", *OFTEN]
    command = options(many, out, "--flavor", flavor, "--scratch", scratch, *resume)
    story = []
    for life in range(chance.randint(1, 2)):
        kind = KINDS[(number + life) % len(KINDS)]
        ranks = chance.randint(1, 4)
        status, errors = killed_run(command, ranks, kind, chance.uniform(0.1, 0.9) * seconds, chance)
        story.append(f"{ranks} ranks, {kind}: status {status}\n{errors}")
        if status == 0:
            break
        if out.exists():  # killed between the output's end and its own
            assert slots(out) == reference, story
            break
        if kind in ("SIGTERM to the ranks", "SIGUSR1 to the ranks") and "stopped on request" in errors:
            assert status == 75, story
    succeed(*command, ranks=chance.randint(1, 4), seconds=300)
    assert slots(out) == reference, story
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", name], story
    assert list((tmp_path / "checkpoint").iterdir()) == [], story


@pytest.mark.parametrize(
    ("step", "kind", "ranks"),
    [
        ("pass 1 (counts)", signal.SIGINT, 0),
        ("pass 1 (counts)", signal.SIGTERM, 3),
        ("pass 2 (Gram matrix)", signal.SIGUSR1, 2),
        ("pass 3 (projection)", signal.SIGTERM, 0),
        ("pass 3 (projection)", signal.SIGINT, 3),
    ],
)
def test_stopped_with_a_checkpoint(many, undisturbed, tmp_path, ranks, kind, step):
    """The segments under way are finished, and nothing that was finished is done again."""
    out = tmp_path / "out.zarr"
    command = options(many, out, "--checkpoint", tmp_path / "checkpoint", "--checkpoint-every", 3600)
    launched = [*(mpirun(ranks) if ranks else []), str(PROGRAM), *map(str, command)]
    with subprocess.Popen(
        [*launched, "--log-level", "debug"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert any(f"{step} begins" in line for line in process.stderr)
        asked = time.monotonic()
        send(children(process.pid) if ranks else [process.pid], kind)
        _, errors = process.communicate(timeout=120)
        assert time.monotonic() - asked < 10
    assert process.returncode == 75, errors
    assert errors.count("stopped on request") == 1, errors
    assert errors.count("--resume") == 1, errors
    assert not out.exists()
    told = succeed(*command, "--resume", "--json", ranks=2, seconds=300).json
    assert slots(out) == undisturbed[VARIANTS[0]][0]
    counted = sum(one["cells"] for one in told["timeline"] if one["pass"] == "pass 1 (counts)")
    assert counted == told["cells"] - told["resumed_cells"]
    if step != "pass 1 (counts)":
        assert counted == 0


@pytest.fixture
def stopped(simulated, tmp_path) -> tuple[list, Path, Path]:
    """A run that was killed in its third pass: its command, its output's place, its checkpoint."""
    folder = tmp_path / "plates"
    folder.mkdir()
    for number, plate in enumerate(simulated):
        (folder / f"plate{number}.h5ad").write_bytes(plate.read_bytes())
    out = tmp_path / "out.zarr"
    checkpoint = tmp_path / "checkpoint"
    command = options(folder, out, "--checkpoint", checkpoint, "--log-level", "debug")
    with subprocess.Popen([str(PROGRAM), *map(str, command)], stderr=subprocess.PIPE, text=True) as process:
        assert any("pass 3 (projection) begins" in line for line in process.stderr)
        process.kill()
    assert (checkpoint / "gram.json").exists()
    return command, out, checkpoint


def test_resume_is_refused_with_the_reason(stopped):
    command, out, checkpoint = stopped
    files = sorted(path.name for path in checkpoint.iterdir())

    def refused(*more: object, words: list[str], command: list = command) -> None:
        outcome = cellmill(*command, *more)
        assert outcome.status == 1
        assert len(outcome.errors) == 1
        for word in words:
            assert word in outcome.errors[0]
        assert not out.exists()

    refused(words=["an unfinished run is there", "--resume"])
    fewer = changed(command, "--n-top-genes", 299)
    refused("--resume", words=["n_top_genes", "found 300, now 299"], command=fewer)
    refused("--resume", "--filter", "gene_count > 1", words=["filter"])
    plate = Path(command[1]) / "plate1.h5ad"
    times = plate.stat()
    with h5py.File(plate, "a") as file:
        file["uns"].attrs["note"] = "changed"
    refused("--resume", words=["plate1.h5ad", "modified"])
    os.utime(plate, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert sorted(path.name for path in checkpoint.iterdir()) == files
    # Nothing of it is taken when it is begun anew.
    assert succeed(*command, "--overwrite", "--json").json["resumed_cells"] == 0


def test_resume_needs_a_checkpoint(simulated, tmp_path):
    out = tmp_path / "out.zarr"
    fails(cellmill("run", *simulated, "-o", out, "--resume"), out, 2, "--checkpoint DIR")


def test_a_finished_output_is_left_as_it_is(stopped):
    command, out, _ = stopped
    assert succeed(*command, "--resume", "--json").json["resumed_cells"] == 15000
    before = (out / "zarr.json").stat().st_mtime_ns
    again = succeed(*command, "--resume", ranks=2)
    assert "is there already" in again.stdout
    assert (out / "zarr.json").stat().st_mtime_ns == before
    other = cellmill(*changed(command, "--n-comps", 10), "--resume")
    assert other.status == 1
    assert "--overwrite" in other.errors[0]


def test_a_damaged_checkpoint_is_named(stopped):
    command, out, checkpoint = stopped
    damaged = checkpoint / "counts.1.0"
    content = bytearray(damaged.read_bytes())
    content[10] ^= 1
    damaged.write_bytes(content)
    outcome = cellmill(*command, "--resume")
    assert outcome.status == 1
    assert re.search(r"counts\.1\.0: the checkpoint is damaged", outcome.errors[0])
    assert not out.exists()


@pytest.mark.parametrize("left", ["another run's", "nothing", "in pieces"])
def test_without_its_partial_output_the_projection_is_done_again(stopped, tmp_path, left):
    command, out, _ = stopped
    reference = tmp_path / "reference.zarr"
    succeed(*[reference if part == out else part for part in command[: command.index("--checkpoint")]])
    partial = tmp_path / ".out.zarr.partial"
    assert partial.exists()
    if left == "another run's":
        other = changed(command, "--checkpoint", tmp_path / "other")
        with subprocess.Popen([str(PROGRAM), *map(str, other)], stderr=subprocess.PIPE, text=True) as process:
            assert any("pass 3 (projection) begins" in line for line in process.stderr)
            process.kill()
    elif left == "nothing":
        partial.rename(tmp_path / "away")
    else:
        (partial / "zarr.json").write_text("{")
    succeed(*command, "--resume")
    assert slots(out) == slots(reference)


def test_a_checkpoint_that_can_not_be_written(simulated, tmp_path):
    out = tmp_path / "out.zarr"
    (tmp_path / "file").write_text("text")
    fails(cellmill(*options(simulated[0], out, "--checkpoint", tmp_path / "file"), ranks=2), out, 1, "--checkpoint")
