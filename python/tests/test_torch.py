"""Batches for torch: its tensors, its DataLoader, its processes."""

from __future__ import annotations

import pickle
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


@pytest.mark.parametrize("to", ["numpy", "torch"])
def test_batches_come_through_dataloader_as_they_are(plates: list[str], to: str) -> None:
    data = cm.open(plates)
    order = cm.Paired("drug", data.obs("drug")["drug"].levels[0], block=8, window=128)
    loader, alone = (cm.Loader(data, 32, order=order, obs=["drug"], output="dense", to=to) for _ in range(2))
    for batch, expected in zip(DataLoader(loader, batch_size=None), alone, strict=True):
        assert isinstance(batch, cm.Batch)
        assert list(batch) == list(expected)
        assert len(batch) == len(expected) == 32
        for part, other in ((batch, expected), (batch.control, expected.control)):
            assert part.drug.dtype == torch.int64
            assert part.rows.tolist() == other.rows.tolist()
            assert (np.asarray(part.X) == np.asarray(other.X)).all()


def test_a_batch_goes_to_another_process(plates: list[str]) -> None:
    loader = cm.Loader(plates, **SHAPE, obs=["cell_line"])
    batch = next(iter(loader))
    copied = pickle.loads(pickle.dumps(batch))
    assert (copied.X.to_dense() == batch.X.to_dense()).all()
    assert copied.cell_line.tolist() == batch.cell_line.tolist()
    with pytest.raises(AttributeError, match="a batch has no 'drug'; it has X, cell_line, rows, valid"):
        _ = copied.drug


def test_batches_come_where_they_are_wanted(plates: list[str]) -> None:
    loader = cm.Loader(plates, **SHAPE, obs=["cell_line"], to="torch", device="cpu", unknown_label=-7)
    batch = next(iter(loader))
    assert len(batch) == 32
    assert batch.cell_line.device == batch.X.device == torch.device("cpu")
    with pytest.raises(ValueError, match="expected to='torch'"):
        cm.Loader(plates, **SHAPE, device="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_pinning_without_a_gpu_is_told(plates: list[str]) -> None:
    loader = cm.Loader(plates, **SHAPE, to="torch", pin_memory=True)
    with pytest.raises(ValueError, match="pin_memory: torch finds no GPU"):
        next(iter(loader))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("pin", [False, True])
def test_batches_come_on_the_gpu(plates: list[str], pin: bool) -> None:
    moved = cm.Loader(plates, **SHAPE, obs=["cell_line"], to="torch", device="cuda", pin_memory=pin)
    for batch, expected in zip(moved, cm.Loader(plates, **SHAPE, to="torch"), strict=True):
        assert {batch[name].device.type for name in batch} == {"cuda"}
        assert batch.rows.tolist() == expected.rows.tolist()
        assert (batch["X"].to_dense().cpu() == expected["X"].to_dense()).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_pinned_batches_stay_on_the_host(plates: list[str]) -> None:
    batch = next(iter(cm.Loader(plates, **SHAPE, to="torch", pin_memory=True)))
    assert batch.rows.is_pinned()
    assert batch["X"].values().is_pinned()
    assert batch["X"].device.type == "cpu"


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
dist.destroy_process_group()
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


JOINED = """
import sys
import torch.distributed as dist, torch.multiprocessing, torch.utils.data
import cellmill as cm

def train(rank, meeting, loader):
    assert len(loader) == 43, "alone so far"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    assert len(loader) == 21
    workers = torch.utils.data.DataLoader(loader, batch_size=None, num_workers=1, multiprocessing_context="spawn")
    if rank == 1:  # begins when the other's epoch is over, which is not its own
        dist.barrier()
    rows = [row for batch in workers for row in batch["rows"].tolist()]
    if rank == 0:
        dist.barrier()
    found = [None, None]
    dist.all_gather_object(found, rows)
    assert len(set(found[0]) | set(found[1])) == len(found[0]) + len(found[1]) == 2 * 21 * 32
    dist.destroy_process_group()  # torch may abort at exit otherwise

if __name__ == "__main__":
    loader = cm.Loader(sys.argv[2:], batch_size=32, order=cm.Shuffle(block=8, window=128))
    torch.multiprocessing.spawn(train, (sys.argv[1], loader), nprocs=2)
    next(iter(loader))
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    dist.get_world_size = lambda group: 2  # as if another had joined
    try:
        iter(loader)
    except cm.InputError as error:
        assert "torch.distributed says rank 0 of 2, but this loader has begun as one of 1" in str(error), error
    else:
        raise AssertionError("it would read the other's rows")
    dist.destroy_process_group()
"""


def test_processes_may_join_after_a_loader_was_asked(plates: list[str], tmp_path: Path) -> None:
    script = tmp_path / "joined.py"
    script.write_text(JOINED)
    command = [sys.executable, str(script), f"file://{tmp_path}/meeting", *plates]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr


def test_import_does_not_bring_torch() -> None:
    code = "import sys, cellmill; sys.exit('torch' in sys.modules or 'zarr' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
