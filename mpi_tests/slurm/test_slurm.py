"""Every script of scripts/slurm by sbatch, and what becomes of jobs whose ranks and nodes die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import anndata as ad
import pytest

from conftest import SMALL
from program import IN_CI, PROGRAM, REPOSITORY, succeed
from test_same_bits import slots

SCRIPTS = REPOSITORY / "scripts" / "slurm"
PYTHON_WITH_TORCH = REPOSITORY / ".venv-python-torch" / "bin" / "python"
# What this cluster has; a user edits the lines in the scripts, or gives options like these.
HERE = ["--mem-per-cpu=400M", "--cpus-per-task=1", "--ntasks-per-node=1"]
SRUN = ["srun", "--mpi=pmix", "--ntasks-per-node=1", "--cpus-per-task=1"]


def sbatch(cluster, log: Path, script: str, *words: object, options: tuple = (), wait: bool = True, **environment):
    """Submits a script and, unless told otherwise, waits for its end; the outcome's stdout is the job's id."""
    settings = ",".join(f"{name}={value}" for name, value in ({"CELLMILL": PROGRAM} | environment).items())
    command = ["sbatch", "--parsable", f"--export=ALL,{settings}", f"--output={log}", *HERE, *options]
    waiting = ["--wait"] if wait else []
    return cluster.run(*command, *waiting, SCRIPTS / script, *words, check=False, seconds=180)


def finished(outcome, log: Path) -> str:
    written = log.read_text() if log.exists() else ""
    assert outcome.returncode == 0, (outcome.stdout, outcome.stderr, written)
    return written


@pytest.mark.parametrize("nodes", [2, 3])
def test_main_job_on_nodes(cluster, plates, of_one_rank, tmp_path, nodes):
    out, log = tmp_path / "out.zarr", tmp_path / "log"
    told = finished(sbatch(cluster, log, "run.sbatch", plates, out, *SMALL, options=(f"--nodes={nodes}",)), log)
    assert told.count("peak memory:") == 1
    assert f"rank {nodes - 1} " in told
    assert f"rank {nodes} " not in told
    assert slots(out) == of_one_rank[plates]


def test_shard(cluster, plates, tmp_path):
    store, log = tmp_path / "train.zarr", tmp_path / "log"
    finished(sbatch(cluster, log, "shard.sbatch", plates, store, "--shuffle"), log)
    assert ad.read_zarr(store).n_obs == 24000


def test_array_over_plates(cluster, plates, tmp_path):
    listed = sorted(plates.iterdir())
    (tmp_path / "plates.txt").write_text("".join(f"{plate}\n" for plate in listed))
    log = tmp_path / "log"
    options = (f"--array=1-{len(listed)}%2",)
    words = [tmp_path / "plates.txt", tmp_path / "out"]
    finished(sbatch(cluster, tmp_path / "log", "array.sbatch", *words, options=options), log)
    written = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in written] == [f"{plate.stem}.zarr" for plate in listed]
    assert all(ad.read_zarr(path).n_obs == 8000 for path in written)


def test_ddp_training_on_two_nodes(cluster, plates, tmp_path):
    if not PYTHON_WITH_TORCH.exists():
        message = ".venv-python-torch is made by scripts/test python"
        pytest.fail(message) if IN_CI else pytest.skip(message)
    log = tmp_path / "log"
    options = ("--nodes=2", "--gpus-per-node=0")
    words = ["train.sbatch", plates, "--batch-size", 256, "--epochs", 2]
    told = finished(sbatch(cluster, log, *words, options=options, PYTHON=PYTHON_WITH_TORCH), log)
    assert "2 processes, one model" in told
    assert "epoch 1: loss" in told


def state_of(cluster, job: str) -> str:
    shown = cluster.run("scontrol", "--oneliner", "show", "job", job).stdout
    return dict(word.split("=", 1) for word in shown.split() if "=" in word)["JobState"]


def wait_for(what: str, ready, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def test_chain_requeues_itself_until_it_is_done(cluster, many, of_one_rank, tmp_path):
    """The signal that Slurm sends before the time limit, sent by hand; then a node dies."""
    out, log = tmp_path / "out.zarr", tmp_path / "log"
    checkpoint = Path(f"{out}.checkpoint")
    words = [many, out, *SMALL, "--checkpoint-every", 0.2, "--scratch", "none"]
    options = ("--nodes=2", "--nodelist=node1,node2")
    job = sbatch(cluster, log, "chain.sbatch", *words, options=options, wait=False).stdout.strip()
    wait_for("a first checkpoint", lambda: (checkpoint / "counts.1.0").exists())
    cluster.run("scancel", "--signal=USR1", job)
    wait_for("a second attempt", lambda: list(checkpoint.glob("*.2.0")) or out.exists(), 90)
    written = log.read_text()
    assert written.count("stopped on request") == 1, written
    assert "goes on from" in written
    cluster.crash("node2")
    try:
        wait_for("that the node is missed", lambda: state_of(cluster, job) != "RUNNING", 60)
    finally:
        cluster.boot("node2")
    wait_for("the job's end", lambda: state_of(cluster, job) in ("COMPLETED", "FAILED", "NODE_FAIL"), 120)
    assert state_of(cluster, job) == "COMPLETED", log.read_text()
    assert slots(out) == of_one_rank[many]
    assert list(checkpoint.iterdir()) == []


@pytest.mark.parametrize("victim", ["node1", "node3"])
def test_a_killed_rank_ends_the_job_without_srun_seeing_to_it(cluster, many, tmp_path, victim):
    """By default srun lets the others go on; node1's is rank 0."""
    out = tmp_path / "out.zarr"
    command = [*SRUN, "-N", 3, PROGRAM, "run", many, "-o", out, *SMALL, "--log-level", "debug", "--scratch", "none"]
    with cluster.start(*command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert any("pass 1 (counts) begins" in line for line in process.stderr)
        [rank] = cluster.processes(victim, PROGRAM.name)
        killed = time.monotonic()
        os.kill(rank, signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
        assert time.monotonic() - killed < 30
    assert process.returncode != 0
    assert f"rank {int(victim[-1]) - 1} has said nothing" in errors
    for node in cluster.nodes:
        wait_for("that no rank is left", lambda node=node: not cluster.processes(node, PROGRAM.name), 10)
    assert not out.exists()


def test_a_cut_link_is_waited_for(cluster, many, of_one_rank, tmp_path):
    out = tmp_path / "out.zarr"
    command = [*SRUN, "-N", 3, PROGRAM, "run", many, "-o", out, *SMALL, "--log-level", "debug", "--scratch", "none"]
    with cluster.start(*command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert any("pass 1 (counts) begins" in line for line in process.stderr)
        cluster.link("node3", "down")
        try:
            time.sleep(3)
        finally:
            cluster.link("node3", "up")
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert slots(out) == of_one_rank[many]


def test_tasks_that_mpi_does_not_join_are_refused(cluster, plates, tmp_path):
    command = [
        "srun",
        "--mpi=none",
        "-N",
        2,
        "--ntasks-per-node=1",
        PROGRAM,
        "run",
        plates,
        "-o",
        tmp_path / "out.zarr",
    ]
    outcome = cluster.run(*command, check=False)
    assert outcome.returncode != 0
    assert "--mpi=pmix" in outcome.stderr
    assert not (tmp_path / "out.zarr").exists()


def test_many_nodes_share_one_machine_only_in_name(cluster):
    """What the other tests rest on: nodes have names, networks and processes of their own."""
    assert sorted(cluster.run("srun", "-N", 3, "hostname").stdout.split()) == cluster.nodes
    networks = set(cluster.run("srun", "-N", 3, "readlink", "/proc/self/ns/net").stdout.split())
    assert len(networks) == 3
    succeed("--version")


def test_slow_links_change_nothing(cluster, plates, of_one_rank, tmp_path):
    out = tmp_path / "out.zarr"
    cluster.shape("100mbit")
    try:
        told = cluster.run(*SRUN, "-N", 3, PROGRAM, "run", plates, "-o", out, *SMALL).stdout
    finally:
        cluster.shape("100gbit")
    assert told.count("\nbetween ranks: at most ") == 1
    assert slots(out) == of_one_rank[plates]


def test_time_lost_to_a_cut_link_is_told(cluster, plates, of_one_rank, tmp_path):
    """The links are slow, so that one is cut in the middle of the exchange: for three seconds nothing comes through."""
    out = tmp_path / "out.zarr"
    command = [*SRUN, "-N", 3, PROGRAM, "run", plates, "-o", out, *SMALL, "--log-level", "debug", "--json"]
    cluster.shape("5mbit")
    try:
        with cluster.start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert any(line == "cellmill: exchange of gene sums begins\n" for line in process.stderr)
            cluster.link("node3", "down")
            try:
                time.sleep(3)
            finally:
                cluster.link("node3", "up")
            told, errors = process.communicate(timeout=120)
    finally:
        cluster.shape("100gbit")
    assert process.returncode == 0, errors
    told = json.loads(told)
    of_ranks = {one["rank"]: one for one in told["exchanges"] if one["what"] == "gene sums"}
    assert sorted(of_ranks) == [0, 1, 2]
    # 3,000 genes of three plates: four limbs of each of two sums, a count and a maximum.
    assert all(one["bytes"] == 3000 * 3 * 10 * 8 + 3 * 8 for one in of_ranks.values())
    assert of_ranks[0]["waiting"] + of_ranks[0]["moving"] >= 3
    assert all(one["waiting"] + one["moving"] >= 2.5 for one in of_ranks.values())
    passes = [one for one in told["timeline"] if one["pass"] == "pass 1 (counts)"]
    assert len(passes) == 3
    assert all(one["communicating"] >= 2.5 for one in passes)
    assert all(one["seconds"] >= one["communicating"] for one in passes)
    assert "rank 0 of 3 waited" in errors
    assert "for others in the exchange of gene sums (720 kB)" in errors
    written = ad.read_zarr(out).uns["cellmill"]
    assert list(written["exchanges"]["what"]) == [one["what"] for one in told["exchanges"]]
    assert list(written["timeline"]["communicating"]) == [one["communicating"] for one in told["timeline"]]
    assert slots(out) == of_one_rank[plates]
