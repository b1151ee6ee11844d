"""Workers of torch's DataLoader: forked or spawned, they share what one process gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import cellmill as cm
from peers import peer

peer("torch")

SHAPE = {"batch_size": 32, "order": cm.Shuffle(block=8, window=128)}

WORKERS = """
import sys
import torch.utils.data
import cellmill as cm
if __name__ == "__main__":
    loader = cm.Loader(sys.argv[2:], batch_size=32, order=cm.Shuffle(block=8, window=128), lanes=2)
    if sys.argv[1] == "spawn":  # which may come at any time
        next(iter(loader))
    batches = torch.utils.data.DataLoader(
        loader, batch_size=None, num_workers=2, multiprocessing_context=sys.argv[1]
    )
    print(*(row for batch in batches for row in batch.rows.tolist()))
"""


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_share_what_one_process_gives(plates: list[str], tmp_path: Path, start: str) -> None:
    script = tmp_path / "workers.py"
    script.write_text(WORKERS)
    command = [sys.executable, str(script), start, *plates]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=120).stdout
    alone = cm.Loader(plates, **SHAPE, lanes=2)
    assert [int(word) for word in found.split()] == [row for batch in alone for row in batch.rows.tolist()]


LATE = """
import sys
import torch.utils.data
import cellmill as cm
loader = cm.Loader(sys.argv[1:], batch_size=32)
next(iter(loader))
try:
    next(iter(torch.utils.data.DataLoader(loader, batch_size=None, num_workers=2, multiprocessing_context="fork")))
except cm.ForkError as error:
    sys.exit(7 if "multiprocessing_context='spawn'" in str(error) else 1)
"""


def test_workers_that_were_forked_too_late_say_so(plates: list[str]) -> None:
    assert subprocess.run([sys.executable, "-c", LATE, *plates], timeout=120, check=False).returncode == 7


EPOCHS = """
import sys
import torch.utils.data
import cellmill as cm
if __name__ == "__main__":
    start, persistent = sys.argv[1], sys.argv[2] == "True"
    loader = cm.Loader(sys.argv[3:], batch_size=32, order=cm.Shuffle(block=8, window=128), lanes=2)
    workers = torch.utils.data.DataLoader(
        loader, batch_size=None, num_workers=2, multiprocessing_context=start, persistent_workers=persistent
    )
    found = []
    while loader.epoch < 3:
        epoch = loader.epoch
        found += [(epoch, batch["rows"].tolist()) for batch in workers]
    batches = iter(workers)
    next(batches)
    try:
        loader.state_dict()
    except cm.InputError as error:
        assert "StatefulDataLoader" in str(error), error
    else:
        raise AssertionError("the parent has no state to give")
    assert loader.epoch == 3
    loader.set_epoch(1)
    found += [(1, batch["rows"].tolist()) for batch in workers]
    del batches, workers
    alone = cm.Loader(sys.argv[3:], batch_size=32, order=cm.Shuffle(block=8, window=128), lanes=2)
    expected = []
    for epoch in (0, 1, 2, 1):
        alone.set_epoch(epoch)
        expected += [(epoch, batch.rows.tolist()) for batch in alone]
    assert found == expected
    assert loader.epoch == 2
    if start == "spawn":  # a fork of this process could not go on
        loader.set_epoch(1)
        assert [(1, batch.rows.tolist()) for batch in loader] == expected[-len(loader):]
        assert loader.state_dict()["epoch"] == 2
"""


@pytest.mark.parametrize(("start", "persistent"), [("fork", False), ("fork", True), ("spawn", False)])
def test_epochs_advance_in_workers_too(plates: list[str], tmp_path: Path, start: str, persistent: bool) -> None:
    script = tmp_path / "epochs.py"
    script.write_text(EPOCHS)
    command = [sys.executable, str(script), start, str(persistent), *plates]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr


RESUMED = """
import sys
import torch.utils.data
import cellmill as cm
shape = {"batch_size": 32, "order": cm.Shuffle(block=8, window=128), "lanes": 2}
loader = cm.Loader(sys.argv[1:], **shape)
alone = cm.Loader(sys.argv[1:], **shape)
state = {**alone.state_dict(), "epoch": 1, "batches": 10}
loader.load_state_dict(state)
workers = torch.utils.data.DataLoader(loader, batch_size=None, num_workers=2)
found = [batch["rows"].tolist() for _ in range(2) for batch in workers]
alone.set_epoch(1)
expected = [batch.rows.tolist() for _ in range(2) for batch in alone]
assert found == expected[10:]
"""


def test_workers_go_on_from_a_state(plates: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RESUMED, *plates], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
