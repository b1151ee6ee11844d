"""torchdata's StatefulDataLoader: saved in the middle of an epoch, gone on exactly, with workers and without."""

from __future__ import annotations

import subprocess
import sys

import pytest

from peers import peer

peer("torch")
peer("torchdata")

RESUMED = """
import json, sys
from torchdata.stateful_dataloader import StatefulDataLoader
import cellmill as cm

workers, plates = int(sys.argv[1]), sys.argv[2:]

def batches_of(rank):
    loader = cm.Loader(plates, batch_size=32, order=cm.Shuffle(block=8, window=128), rank=rank, world_size=2)
    return StatefulDataLoader(loader, batch_size=None, num_workers=workers)

def rows_of(batches):
    return [batch["rows"].tolist() for batch in batches]

for rank in range(2):
    undisturbed = batches_of(rank)
    epochs = [rows_of(undisturbed) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]

    stopped = batches_of(rank)
    assert rows_of(stopped) == epochs[0]
    batches = iter(stopped)
    assert [next(batches)["rows"].tolist() for _ in range(7)] == epochs[1][:7]
    state = json.loads(json.dumps(stopped.state_dict()))
    del batches

    resumed = batches_of(rank)
    resumed.load_state_dict(state)
    assert rows_of(resumed) == epochs[1][7:], "the rest of the epoch"
    assert rows_of(resumed) == epochs[2], "the next epoch"
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_training_goes_on_exactly(plates: list[str], workers: int) -> None:
    command = [sys.executable, "-c", RESUMED, str(workers), *plates]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
