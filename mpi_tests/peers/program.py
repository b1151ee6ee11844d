"""Starts the program under test."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("CELLMILL", REPOSITORY / "build" / "cellmill"))
SHARED_DATA = REPOSITORY.parent / "shared" / "data"
IN_CI = os.environ.get("CI") == "true"


@dataclass
class Outcome:
    status: int
    stdout: str
    stderr: str

    @property
    def errors(self) -> list[str]:
        """The error messages: exactly one is what a failed command may say."""
        return [line for line in self.stderr.splitlines() if line.startswith("cellmill: error: ")]

    @property
    def json(self) -> dict:
        return json.loads(self.stdout)


def mpirun(ranks: int) -> list[str]:
    root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    return ["mpirun", *root, "--oversubscribe", "--bind-to", "none", "-n", str(ranks)]


def cellmill(
    *arguments: object,
    ranks: int = 0,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    seconds: float = 60,
) -> Outcome:
    """Runs the program, under mpirun if `ranks` is above 0, and waits at most `seconds`."""
    command = [*(mpirun(ranks) if ranks else []), str(PROGRAM), *map(str, arguments)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=os.environ | (env or {}),
        cwd=cwd,
        timeout=seconds,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def succeed(*arguments: object, **options) -> Outcome:
    outcome = cellmill(*arguments, **options)
    assert outcome.status == 0, outcome.stderr
    return outcome


def fails(outcome: Outcome, out: Path, status: int, *words: str) -> str:
    """Asserts the way it failed, with one message and no output; returns the message."""
    assert outcome.status == status, (outcome.status, outcome.stdout, outcome.stderr)
    assert len(outcome.errors) == 1, outcome.stderr
    message = outcome.stderr[outcome.stderr.index("cellmill: error: ") :]
    for word in words:
        assert word in message, message
    assert not out.exists()
    assert not list(out.parent.glob(".*partial*")), "a partial output was left"
    return message
