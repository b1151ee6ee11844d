"""Runs that are killed at random times and gone on with."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

from program import PROGRAM, mpirun

KINDS = ("one rank", "all ranks", "SIGTERM to the ranks", "SIGUSR1 to the ranks", "SIGTERM to the launcher")


def children(pid: int) -> list[int]:
    """Of a process: those that run the program."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, rest = stat.read_text().split("(", 1)[1].rsplit(")", 1)
            if name == PROGRAM.name[:15] and int(rest.split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def send(pids: list[int], kind: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, kind)


def killed_run(arguments: list, ranks: int, kind: str, seconds: float, chance: random.Random) -> tuple[int, str]:
    """Starts a run under mpirun, kills it after so long, and returns how it ended: status and messages."""
    command = [*mpirun(ranks), str(PROGRAM), *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, errors = process.communicate(timeout=seconds)
            return process.returncode, errors  # it was quicker
        except subprocess.TimeoutExpired:
            pass
        asked = time.monotonic()
        pids = children(process.pid)
        if kind == "one rank":
            send([chance.choice(pids)] if pids else [process.pid], signal.SIGKILL)
        elif kind == "all ranks":
            send([process.pid, *pids], signal.SIGKILL)
        elif kind == "SIGTERM to the launcher":
            send([process.pid], signal.SIGTERM)
        else:
            send(pids, signal.SIGTERM if kind.startswith("SIGTERM") else signal.SIGUSR1)
        _, errors = process.communicate(timeout=60)
        assert time.monotonic() - asked < 30, errors
        return process.returncode, errors
