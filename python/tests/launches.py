"""Launches of an example of training, one after the other, as torchrun launches it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

#: The example as it is; the loader also notes which rows each process was given, and one may be killed instead.
NOTED = """
import json, os, runpy, signal, sys
import torch.utils.data
import cellmill as cm

class Noted(cm.Loader):
    given = 0

    def __iter__(self):
        for batch in super().__iter__():
            if [os.environ["RANK"], str(self.given)] == os.environ["KILLED"].split():
                os.kill(os.getpid(), signal.SIGKILL)
            self.given += 1
            with open(f"{folder}/rank{os.environ['RANK']}.jsonl", "a") as notes:
                print(json.dumps([self.epoch, batch.rows.tolist()]), file=notes)
            yield batch

folder = sys.argv[1]
cm.Loader = Noted
sys.argv[:3] = [sys.argv[2]]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def losses_of(printed: str) -> list[float]:
    return [float(loss) for loss in re.findall(r"loss ([\d.]+)", printed)]


def run(script: str, *arguments: object) -> str:
    """Runs an example in one process. Returns what it printed."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Launches:
    """Of one script with these arguments, in a folder of its own.

    Attributes
    ----------
    arguments
        Of every launch.
    """

    def __init__(self, folder: Path, script: str, *arguments: object) -> None:
        self.folder, self.script, self.arguments = folder, EXAMPLES / script, arguments
        folder.mkdir()
        (folder / "noted.py").write_text(NOTED)

    def launch(self, *options: object, processes: int = 2) -> str:
        """Returns what was printed."""
        done = self.ended(*options, processes=processes)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ended(
        self, *options: object, processes: int = 2, killed: tuple[int, int] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """How a launch ended, in which perhaps the process of a rank was killed when it had so many batches."""
        words = [self.folder / "noted.py", self.folder, self.script, *self.arguments, *options]
        # torch 1.13 fails on Python 3.11 unless it is told what to do with the processes' output.
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--redirects=1", "--tee=1"]
        torchrun += [f"--nproc_per_node={processes}", f"--log_dir={self.folder / 'log'}"]
        return subprocess.run(
            [*torchrun, *map(str, words)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "KILLED": " ".join(map(str, killed or ()))},
        )

    def batches(self, rank: int) -> list[tuple[int, tuple[int, ...]]]:
        """Epoch and rows of each batch that a process was given, in all launches."""
        notes = (self.folder / f"rank{rank}.jsonl").read_text().splitlines()
        return [(epoch, tuple(rows)) for epoch, rows in map(json.loads, notes)]
