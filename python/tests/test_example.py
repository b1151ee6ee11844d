"""The example of training: two processes, stopped in the middle of an epoch, and on from there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from peers import peer

torch = peer("torch")

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "train_autoencoder.py"

#: The example as it is; the loader also notes which rows each process was given.
NOTED = """
import json, os, runpy, sys
import torch.utils.data
import cellmill as cm

class Noted(cm.Loader):
    def __iter__(self):
        for batch in super().__iter__():
            with open(f"{folder}/rank{os.environ['RANK']}.jsonl", "a") as notes:
                print(json.dumps([self.epoch, batch.rows.tolist()]), file=notes)
            yield batch

folder = sys.argv[1]
cm.Loader = Noted
sys.argv[:3] = [sys.argv[2]]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Launches:
    """Launches of the example in one folder, one after the other."""

    def __init__(self, folder: Path, data: str) -> None:
        self.folder, self.data = folder, data
        folder.mkdir()
        (folder / "noted.py").write_text(NOTED)

    def launch(self, *options: str, processes: int = 2) -> list[float]:
        """Trains three epochs in all. Returns the loss of each epoch that this launch ended."""
        script = [str(self.folder / "noted.py"), str(self.folder), str(EXAMPLE)]
        example = [self.data, "--checkpoint", str(self.folder / "model.pt"), "--epochs", "3", "--genes", "300"]
        # torch 1.13 fails on Python 3.11 unless it is told what to do with the processes' output.
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--redirects=1", "--tee=1"]
        torchrun += [f"--nproc_per_node={processes}", f"--log_dir={self.folder / 'log'}"]
        done = subprocess.run(
            [*torchrun, *script, *example, *options],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
        return [float(loss) for loss in re.findall(r"loss ([\d.]+)", done.stdout)]

    def batches(self, rank: int) -> list[tuple[int, tuple[int, ...]]]:
        """Epoch and rows of each batch that a process was given."""
        notes = (self.folder / f"rank{rank}.jsonl").read_text().splitlines()
        return [(epoch, tuple(rows)) for epoch, rows in map(json.loads, notes)]

    def model(self) -> dict[str, torch.Tensor]:
        return torch.load(self.folder / "model.pt")["model"]


@pytest.fixture(scope="module")
def undisturbed(pbmc3k: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Launches, list[float]]:
    launches = Launches(tmp_path_factory.mktemp("example") / "undisturbed", pbmc3k)
    return launches, launches.launch()


def test_processes_have_the_same_steps_and_the_loss_falls(undisturbed: tuple[Launches, list[float]]) -> None:
    launches, losses = undisturbed
    assert len(losses) == 3
    assert losses[2] < 0.8 * losses[0]
    first, second = launches.batches(0), launches.batches(1)
    assert [epoch for epoch, _ in first] == [epoch for epoch, _ in second] == sorted([0, 1, 2] * (2700 // 128 // 2))
    for epoch in range(3):
        rows = [row for at, rows in first + second if at == epoch for row in rows]
        assert len(rows) == len(set(rows))


def test_a_second_launch_goes_on_in_the_middle_of_an_epoch(
    undisturbed: tuple[Launches, list[float]], tmp_path: Path
) -> None:
    whole, losses = undisturbed
    parts = Launches(tmp_path / "parts", whole.data)
    assert len(parts.launch("--stop-after", "14")) == 1
    assert len(parts.batches(0)) == 14
    assert parts.launch()[-1] == losses[-1]
    for rank in range(2):
        assert parts.batches(rank) == whole.batches(rank)
    found, expected = parts.model(), whole.model()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_another_number_of_processes_goes_on_with_the_same_batches(
    undisturbed: tuple[Launches, list[float]], tmp_path: Path
) -> None:
    whole = undisturbed[0]
    parts = Launches(tmp_path / "parts", whole.data)
    parts.launch("--stop-after", "14")
    before = len(parts.batches(0))
    parts.launch(processes=1)
    pairs = zip(whole.batches(0)[14:], whole.batches(1)[14:], strict=True)
    assert parts.batches(0)[before:] == [batch for pair in pairs for batch in pair]
