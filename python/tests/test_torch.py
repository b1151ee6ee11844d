"""Batches for torch: its tensors, its DataLoader, its processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cellmill as cm
from peers import peer

torch = peer("torch")
from torch.utils.data import DataLoader, IterableDataset  # noqa: E402

SHAPE = {"batch_size": 32, "order": cm.Shuffle(block=8, window=128)}


def test_a_batch_is_one_csr_tensor_and_int64_codes(plates: list[str]) -> None:
    loader = cm.Loader(plates, **SHAPE, obs=["cell_line"], to="torch")
    plain = cm.Loader(plates, **SHAPE, obs=["cell_line"])
    for batch, expected in zip(loader, plain, strict=True):
        matrix = batch["X"]
        assert matrix.layout == torch.sparse_csr
        assert matrix.crow_indices().dtype == matrix.col_indices().dtype
        assert (matrix.to_dense().numpy() == expected["X"].to_dense()).all()
        assert batch["cell_line"].dtype == torch.int64
        assert batch.rows.tolist() == expected.rows.tolist()
        assert bool(batch.valid.all())


def test_tensors_share_the_batchs_memory(plates: list[str]) -> None:
    batch = next(iter(cm.Loader(plates, **SHAPE, output="dense", to="torch")))
    assert batch["X"].data_ptr() == batch._core.dense(0).ctypes.data
    sparse = next(iter(cm.Loader(plates, **SHAPE, to="torch")))
    assert sparse["X"].values().data_ptr() == sparse._core.csr(0)[2].ctypes.data


def test_batches_go_to_a_device_whole(plates: list[str]) -> None:
    batch = next(iter(cm.Loader(plates, **SHAPE, obs=["cell_line"])))
    moved = batch.to("cpu", non_blocking=True)
    assert set(moved) == {"X", "cell_line", "rows", "valid"}
    assert len(moved) == len(batch)
    assert moved.rows.tolist() == batch.rows.tolist()
    assert (moved["X"].to_dense().numpy() == batch["X"].to_dense()).all()


def test_controls_are_tensors_and_move_with_their_batch(plates: list[str]) -> None:
    data = cm.open(plates)
    drug = data.obs("drug")["drug"]
    order = cm.Paired("drug", drug.levels[int(np.bincount(drug.codes).argmax())], block=8, window=128)
    batch = next(iter(cm.Loader(data, 32, order=order, obs=["drug"], to="torch", unknown_label=-9)))
    moved = batch.to("cpu")
    for pair in (batch, moved):
        for part in (pair, pair.control):
            assert part["X"].layout == torch.sparse_csr
            assert part["X"].shape[0] == len(part) == 32
            assert part.drug.dtype == torch.int64
        assert not set(pair.drug.tolist()) & set(pair.control.drug.tolist())
    assert (moved.control["X"].to_dense() == batch.control["X"].to_dense()).all()


def test_a_loader_is_an_iterable_dataset(plates: list[str]) -> None:
    assert isinstance(cm.Loader(plates, **SHAPE), IterableDataset)


def test_dataloader_gives_every_row_once(plates: list[str]) -> None:
    loader = cm.Loader(plates, **SHAPE, lanes=2)
    rows = np.concatenate([np.asarray(batch["rows"]) for batch in DataLoader(loader, batch_size=None)])
    assert len(rows) == len(set(rows.tolist())) == len(loader) * 32


WORKERS = """
import sys
import torch.utils.data
import cellmill as cm
if __name__ == "__main__":
    loader = cm.Loader(sys.argv[2:], batch_size=32, order=cm.Shuffle(block=8, window=128), lanes=2)
    batches = torch.utils.data.DataLoader(
        loader, batch_size=None, num_workers=2, multiprocessing_context=sys.argv[1]
    )
    print(*(row for batch in batches for row in batch["rows"].tolist()))
"""


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_share_what_one_process_gives(plates: list[str], tmp_path: Path, start: str) -> None:
    script = tmp_path / "workers.py"
    script.write_text(WORKERS)
    command = [sys.executable, str(script), start, *plates]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=120).stdout
    alone = cm.Loader(plates, **SHAPE, lanes=2)
    assert [int(word) for word in found.split()] == [row for batch in alone for row in batch.rows.tolist()]


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


def test_batches_come_where_they_are_wanted(plates: list[str]) -> None:
    loader = cm.Loader(plates, **SHAPE, obs=["cell_line"], to="torch", device="cpu", unknown_label=-7)
    batch = next(iter(loader))
    assert len(batch) == 32
    assert batch.cell_line.device == batch.X.device == torch.device("cpu")
    with pytest.raises(ValueError, match="expected to='torch'"):
        cm.Loader(plates, **SHAPE, device="cpu")


def test_a_fork_after_cuda_began_cant_move_batches(plates: list[str]) -> None:
    code = """
import os, sys, torch.cuda
import cellmill as cm
torch.cuda.is_initialized = lambda: True
loader = cm.Loader(sys.argv[1:], batch_size=32, to="torch", device="cuda")
if (child := os.fork()) == 0:
    try:
        next(iter(loader))
    except cm.ForkError as error:
        os._exit(7 if "CUDA" in str(error) else 1)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", code, *plates], check=False).returncode == 7


def test_torch_samplers_choose_rows_of_a_dataset(plates: list[str]) -> None:
    data = cm.open(plates)
    sampler = torch.utils.data.BatchSampler(torch.utils.data.SequentialSampler(range(len(data))), 100, drop_last=False)
    found = [data[rows].rows.tolist() for rows in sampler]
    assert sum(found, []) == list(range(1400))


RANK = """
import sys, torch.distributed as dist
import cellmill as cm
dist.init_process_group("gloo", init_method=sys.argv[1], rank=int(sys.argv[2]), world_size=2)
loader = cm.Loader(sys.argv[3:], batch_size=32, order=cm.Shuffle(block=8, window=128))
rows = [row for batch in loader for row in batch.rows.tolist()]
print(len(loader), *rows)
"""


def test_ranks_are_those_of_torch_distributed(plates: list[str], tmp_path: Path) -> None:
    meeting = f"file://{tmp_path}/meeting"
    ranks = [
        subprocess.Popen([sys.executable, "-c", RANK, meeting, str(rank), *plates], stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    found = [[int(word) for word in rank.communicate(timeout=120)[0].split()] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0]
    (steps, *first), (same, *second) = found
    assert steps == same == len(first) // 32 == len(second) // 32
    assert len(set(first) | set(second)) == len(first) + len(second)


def test_import_does_not_bring_torch() -> None:
    code = "import sys, cellmill; sys.exit('torch' in sys.modules or 'zarr' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


STATEFUL = """
import sys
from torchdata.stateful_dataloader import StatefulDataLoader
import cellmill as cm

def batches_of(workers):
    loader = cm.Loader(sys.argv[1:], batch_size=32, order=cm.Shuffle(block=8, window=128), lanes=2)
    return StatefulDataLoader(loader, batch_size=None, num_workers=workers)

for workers in (2, 0):
    whole = [batch["rows"].tolist() for batch in batches_of(workers)]
    stopped = batches_of(workers)
    batches = iter(stopped)
    assert [next(batches)["rows"].tolist() for _ in range(7)] == whole[:7]
    state = stopped.state_dict()
    del batches
    resumed = batches_of(workers)
    resumed.load_state_dict(state)
    assert [batch["rows"].tolist() for batch in resumed] == whole[7:]
"""


def test_torchdatas_loader_saves_and_resumes(plates: list[str]) -> None:
    peer("torchdata")
    done = subprocess.run(
        [sys.executable, "-c", STATEFUL, *plates], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
