"""Hugging Face accelerate: two processes, each with its own batches; what it saves, it goes on from."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import cellmill as cm
from peers import peer

peer("torch")
peer("accelerate")

#: Two epochs, saved in the middle of the second; what comes after that once more; and a mistake.
TRAIN = """
import json, sys
import torch
from accelerate import Accelerator
import cellmill as cm

folder, plates = sys.argv[1], sys.argv[2:]

def train(name, resumed=False):
    accelerator = Accelerator(cpu=True)
    torch.manual_seed(0)
    model = torch.nn.Linear(900, 2)
    loader = cm.Loader(plates, 64, order=cm.Shuffle(block=8, window=128), output="dense", to="torch",
                       device=accelerator.device)
    given = loader
    model, optimizer, loader = accelerator.prepare(model, torch.optim.SGD(model.parameters(), 1e-3), loader)
    assert loader is given
    accelerator.register_for_checkpointing(loader)
    if resumed:
        accelerator.load_state(f"{folder}/saved")
    found, steps = [], 0
    while loader.epoch < 2:
        epoch = loader.epoch
        for batch in loader:
            optimizer.zero_grad()
            accelerator.backward(model(batch["X"]).square().mean())
            optimizer.step()
            steps += 1
            found.append([epoch, batch.rows.tolist()])
            if not resumed and steps == len(loader) + 3:
                accelerator.save_state(f"{folder}/saved")
    with open(f"{folder}/{name}.rank{accelerator.process_index}.json", "w") as file:
        weight = accelerator.unwrap_model(model).weight.tolist()
        json.dump({"batches": found, "steps": len(loader), "weight": weight}, file)

train("whole")
train("resumed", resumed=True)

accelerator = Accelerator(cpu=True)
wrapped = accelerator.prepare(torch.utils.data.DataLoader(cm.Loader(plates, 64, to="torch"), batch_size=None))
try:
    next(iter(wrapped))
except cm.InputError as error:
    assert "give accelerator.prepare() the loader, not a DataLoader of it" in str(error), error
else:
    raise AssertionError("the other process's rows are lost")
accelerator.end_training()
"""


@pytest.fixture(scope="module")
def trained(plates: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict]]:
    """Of each run what each process noted."""
    folder = tmp_path_factory.mktemp("accelerate")
    (folder / "train.py").write_text(TRAIN)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*torchrun, str(folder / "train.py"), str(folder), *plates],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return {
        run: [json.loads((folder / f"{run}.rank{rank}.json").read_text()) for rank in range(2)]
        for run in ("whole", "resumed")
    }


def test_no_row_is_lost_or_doubled(trained: dict[str, list[dict]], plates: list[str]) -> None:
    alone = cm.Loader(plates, 64, order=cm.Shuffle(block=8, window=128), lanes=2)
    for epoch in range(2):
        ranks = [[rows for at, rows in rank["batches"] if at == epoch] for rank in trained["whole"]]
        assert [len(rank) for rank in ranks] == [rank["steps"] for rank in trained["whole"]] == [1400 // 64 // 2] * 2
        expected = [batch.rows.tolist() for batch in alone]
        assert [rows for step in zip(*ranks, strict=True) for rows in step] == expected[: 2 * (1400 // 64 // 2)]


def test_accelerate_saves_the_loader_and_goes_on_exactly(trained: dict[str, list[dict]]) -> None:
    for whole, resumed in zip(trained["whole"], trained["resumed"], strict=True):
        assert resumed["batches"] == whole["batches"][whole["steps"] + 3 :]
        assert resumed["weight"] == whole["weight"]
