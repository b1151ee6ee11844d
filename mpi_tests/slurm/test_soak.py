"""Jobs that are killed at random times and submitted again, on other numbers of nodes, end with the same bits."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from conftest import SMALL
from kills import send
from program import PROGRAM
from test_same_bits import slots
from test_slurm import sbatch, state_of, wait_for

# At a job's time limit Slurm does what scancel does: SIGTERM to the tasks, and SIGKILL a while later.
KINDS = ("node crash", "scancel", "one rank", "SIGTERM", "all ranks")
ROUNDS = int(os.environ.get("CELLMILL_SOAK_ROUNDS", "3"))
SEED = int(os.environ.get("CELLMILL_SOAK_SEED", "1"))
OFTEN = ["--checkpoint-every", 0.2]
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "NODE_FAIL")


@pytest.fixture(scope="session")
def seconds(cluster, many, of_one_rank, tmp_path_factory) -> float:
    """How long the ranks of an undisturbed job run."""
    folder = tmp_path_factory.mktemp("undisturbed")
    words = ["run.sbatch", many, folder / "out.zarr", *SMALL]
    job = sbatch(cluster, folder / "log", *words, options=("--nodes=2",), wait=False).stdout.strip()
    begin = begun(cluster, job)
    wait_for("the job's end", lambda: state_of(cluster, job) in ENDED, 120)
    assert slots(folder / "out.zarr") == of_one_rank[many]
    return time.monotonic() - begin


def ranks_of(cluster) -> dict[str, list[int]]:
    """The ranks of each node that has some."""
    found = {node: cluster.processes(node, PROGRAM.name) for node in cluster.nodes}
    return {node: pids for node, pids in found.items() if pids}


def begun(cluster, job: str) -> float:
    """Waits for a job's ranks; now."""
    wait_for("the job's ranks", lambda: ranks_of(cluster) or state_of(cluster, job) in ENDED, 90)
    return time.monotonic()


def strike(cluster, job: str, kind: str, chance: random.Random) -> None:
    ranks = ranks_of(cluster)
    if kind == "node crash":
        node = chance.choice(sorted(ranks) or cluster.nodes)
        cluster.crash(node)
        try:
            wait_for("that the node is missed", lambda: state_of(cluster, job) != "RUNNING", 60)
        finally:
            cluster.boot(node)
        if chance.random() < 0.5:  # not queued again, but submitted for another number of nodes
            cluster.run("scancel", job)
    elif kind == "scancel":
        cluster.run("scancel", job, check=False)  # the job may just have ended
    elif kind == "SIGTERM":
        cluster.run("scancel", "--signal=TERM", job, check=False)
    elif ranks:
        pids = sorted(pid for pids in ranks.values() for pid in pids)
        send(pids if kind == "all ranks" else [chance.choice(pids)], signal.SIGKILL)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_killed_at_random_and_submitted_again(cluster, many, of_one_rank, seconds, tmp_path, number):
    chance = random.Random(SEED * 1000 + number)
    kind = KINDS[number % len(KINDS)]
    out, log, checkpoint = tmp_path / "out.zarr", tmp_path / "log", Path(f"{tmp_path}/out.zarr.checkpoint")
    small = [many, out, *SMALL, *OFTEN, "--scratch", chance.choice(["auto", "none"])]
    # After a node's death Slurm queues the job again by itself; after all else the user does.
    script = ["chain.sbatch"] if kind == "node crash" else ["run.sbatch"]
    resume = [] if kind == "node crash" else ["--checkpoint", checkpoint, "--resume"]
    story = [f"{kind}, {script[0]}"]

    def submit() -> str:
        nodes = chance.randint(1, len(cluster.nodes))
        story.append(f"on {nodes} nodes")
        words = [*script, *small, *resume]
        return sbatch(
            cluster, log, *words, options=(f"--nodes={nodes}", "--open-mode=append"), wait=False
        ).stdout.strip()

    job = submit()
    begin = begun(cluster, job)
    moment = begin + chance.uniform(0, 0.9) * seconds
    wait_for("the moment to strike", lambda: time.monotonic() > moment)
    struck = time.monotonic()
    strike(cluster, job, kind, chance)
    wait_for("the job's end", lambda: state_of(cluster, job) in ENDED, 180)
    if kind != "node crash":
        wait_for("that no rank is left", lambda: not ranks_of(cluster), 10)
        assert time.monotonic() - struck < 40, story
    story.append(f"ended as {state_of(cluster, job)} after {struck - begin:.1f} of {seconds:.1f} s")
    if state_of(cluster, job) != "COMPLETED":
        job = submit()
        wait_for("the second job's end", lambda: state_of(cluster, job) in ENDED, 180)
    written = log.read_text()
    assert state_of(cluster, job) == "COMPLETED", (story, written)
    assert slots(out) == of_one_rank[many], (story, written)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "out.zarr", "out.zarr.checkpoint"], story
    assert list(checkpoint.iterdir()) == [], story
    print("; ".join(story))
