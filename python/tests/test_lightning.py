"""Lightning: a real Trainer on two processes, stopped anywhere and gone on; and what a DataModule refuses."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cellmill as cm
from peers import peer

torch = peer("torch")
packages = {"lightning": peer("lightning"), "pytorch_lightning": peer("pytorch_lightning")}

SHAPE = {"order": cm.Shuffle(block=8, window=128), "output": "dense"}
SPLIT = {"split": {"train": 0.75, "val": 0.25}, "by": "cell_line"}

#: Trains two epochs with validation, then again from checkpoints of the first time; with a loader alone too.
TRAIN = """
import json, sys
import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
import cellmill as cm

folder, plates = sys.argv[1], sys.argv[2:]
SHAPE = {"order": cm.Shuffle(block=8, window=128), "output": "dense"}
SPLIT = {"split": {"train": 0.75, "val": 0.25}, "by": "cell_line"}

class Model(L.LightningModule):
    def __init__(self, notes):
        super().__init__()
        self.layer, self.notes = torch.nn.Linear(900, 2), notes

    def note(self, stage, batch):
        with open(f"{self.notes}.rank{self.global_rank}.jsonl", "a") as notes:
            print(json.dumps([stage, self.current_epoch, batch.rows.tolist()]), file=notes)

    def training_step(self, batch):
        self.note("train", batch)
        return self.layer(batch["X"]).square().mean()

    def validation_step(self, batch):
        self.note("val", batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1e-3)

def module():
    return cm.lightning.DataModule(plates, 64, **SPLIT, **SHAPE)

def loader():
    train, _ = cm.open(plates).split(*SPLIT.values())
    return cm.Loader(plates, 64, **SHAPE, rows=train, to="torch")

def fit(name, data, checkpoint=None):
    torch.manual_seed(0)
    saved = [ModelCheckpoint(f"{folder}/{name}", filename="{step}", every_n_train_steps=5, save_top_k=-1),
             ModelCheckpoint(f"{folder}/{name}", filename="end{epoch}", save_top_k=-1)]
    trainer = L.Trainer(
        accelerator="cpu", devices=2, strategy="ddp", max_epochs=2, callbacks=saved, num_sanity_val_steps=1,
        logger=False, enable_progress_bar=False, enable_model_summary=False,
    )
    model = Model(f"{folder}/{name}")
    how = {"datamodule": data} if isinstance(data, L.LightningDataModule) else {"train_dataloaders": data}
    trainer.fit(model, **how, ckpt_path=checkpoint)
    torch.save(model.layer.state_dict(), f"{folder}/{name}.pt")
    return trainer

steps = fit("whole", module()).num_training_batches
middle = 5 * ((steps + steps // 2) // 5)
fit("middle", module(), f"{folder}/whole/step={middle}.ckpt")
fit("end", module(), f"{folder}/whole/endepoch=0.ckpt")
fit("loader", loader())
fit("loader_middle", loader(), f"{folder}/loader/step={middle}.ckpt")
print(json.dumps([steps, middle]))
"""


class Trained:
    """What the two processes of one launch noted, run by run."""

    def __init__(self, folder: Path, plates: list[str]) -> None:
        self.folder = folder
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
        self.steps, self.middle = json.loads(done.stdout.splitlines()[-1])

    def noted(self, run: str, stage: str, rank: int) -> list[tuple[int, list[int]]]:
        """Epoch and rows of each batch."""
        notes = (self.folder / f"{run}.rank{rank}.jsonl").read_text().splitlines()
        return [(epoch, rows) for at, epoch, rows in map(json.loads, notes) if at == stage]

    def model(self, run: str) -> dict[str, Any]:
        return torch.load(self.folder / f"{run}.pt")


@pytest.fixture(scope="module")
def trained(plates: list[str], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(tmp_path_factory.mktemp("lightning"), plates)


def test_ranks_have_equally_many_other_rows_and_epochs_differ(trained: Trained) -> None:
    ranks = [trained.noted("whole", "train", rank) for rank in range(2)]
    epochs = []
    for epoch in range(2):
        parts = [[rows for at, rows in rank if at == epoch] for rank in ranks]
        assert [len(part) for part in parts] == [trained.steps] * 2
        rows = sum(sum(parts, []), [])
        assert len(rows) == len(set(rows)) == trained.steps * 2 * 64
        epochs.append(rows)
    assert epochs[0] != epochs[1]


def test_validation_has_each_held_out_row_once_and_training_none(trained: Trained, plates: list[str]) -> None:
    train, val = cm.open(plates).split(*SPLIT.values())
    trainings = [rows for rank in range(2) for _, rows in trained.noted("whole", "train", rank)]
    assert set(sum(trainings, [])) <= set(train.tolist())
    sanity = 1
    validations = [trained.noted("whole", "val", rank)[sanity:] for rank in range(2)]
    assert len(validations[0]) == len(validations[1])
    for epoch in range(2):
        rows = sum((rows for rank in validations for at, rows in rank if at == epoch), [])
        assert sorted(row for row in rows if row >= 0) == val.tolist()


@pytest.mark.parametrize(("whole", "resumed"), [("whole", "middle"), ("loader", "loader_middle")])
def test_a_checkpoint_in_the_middle_of_an_epoch_goes_on_exactly(trained: Trained, whole: str, resumed: str) -> None:
    assert trained.steps < trained.middle < 2 * trained.steps
    for rank in range(2):
        assert trained.noted(resumed, "train", rank) == trained.noted(whole, "train", rank)[trained.middle :]
    assert (trained.model(resumed)["weight"] == trained.model(whole)["weight"]).all()


def test_a_checkpoint_at_an_epochs_end_goes_on_with_the_next(trained: Trained) -> None:
    for rank in range(2):
        assert trained.noted("end", "train", rank) == trained.noted("whole", "train", rank)[trained.steps :]
    assert (trained.model("end")["weight"] == trained.model("whole")["weight"]).all()


def test_a_loader_alone_is_what_the_trainer_takes(trained: Trained) -> None:
    for rank in range(2):
        assert trained.noted("loader", "train", rank) == trained.noted("whole", "train", rank)


WITHOUT = """
import sys
sys.modules["lightning"] = sys.modules["pytorch_lightning"] = None
import cellmill as cm
try:
    cm.lightning
except ImportError as error:
    sys.exit(7 if "needs the package lightning or pytorch_lightning" in str(error) else 1)
"""


def test_without_lightning_it_says_what_it_needs() -> None:
    assert subprocess.run([sys.executable, "-c", WITHOUT], check=False).returncode == 7


# In this process ------------------------------------------------------------------------------------------


def rows_of(loader: cm.Loader) -> list[int]:
    return [row for batch in loader for row in batch.rows.tolist()]


@pytest.mark.parametrize("package", packages)
def test_both_packages_trainers_take_it(plates: list[str], package: str) -> None:
    framework = packages[package]
    found: dict[str, list[int]] = {"val": [], "test": [], "predict": []}

    class Model(framework.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(900, 2)

        def training_step(self, batch: cm.Batch) -> Any:
            self.log("loss", loss := self.layer(batch["X"]).square().mean())
            return loss

        def validation_step(self, batch: cm.Batch) -> None:
            found["val"] += batch.rows.tolist()

        def test_step(self, batch: cm.Batch) -> None:
            found["test"] += batch.rows.tolist()

        def predict_step(self, batch: cm.Batch) -> None:
            found["predict"] += batch.rows.tolist()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 1e-3)

    data = cm.lightning.DataModule(plates, 32, split={"train": 0.6, "val": 0.2, "test": 0.2}, **SHAPE)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = framework.Trainer(
        accelerator="cpu", max_epochs=1, num_sanity_val_steps=0, enable_checkpointing=False, **quiet
    )
    model = Model()
    trainer.fit(model, datamodule=data)
    trainer.test(model, datamodule=data, verbose=False)
    trainer.predict(model, datamodule=data)
    _, val, test = data.data.split({"train": 0.6, "val": 0.2, "test": 0.2})
    assert found == {"val": val.tolist(), "test": test.tolist(), "predict": list(range(1400))}


def test_a_model_learns_its_sizes_from_the_module(plates: list[str]) -> None:
    data = cm.lightning.DataModule(plates, obs=["cell_line"])
    assert len(data.var_names) == 900
    assert data.categories == cm.Loader(plates, obs=["cell_line"]).categories


def test_options_of_a_set_are_its_own(plates: list[str]) -> None:
    data = cm.lightning.DataModule(
        plates, 64, split={"train": 0.5, "val": 0.5}, order="shuffle", train={"batch_size": 16}, val={"tail": "drop"}
    )
    train, val = data.loader("train"), data.loader("val")
    assert (train.batch_size, train.order, train.tail) == (16, cm.Shuffle(), "drop")
    assert (val.batch_size, val.order, val.tail) == (64, cm.Sequential(), "drop")
    assert data.loader("train") is train


def test_rows_and_filter_narrow_all_sets(plates: list[str]) -> None:
    data = cm.lightning.DataModule(
        plates, 16, rows=range(700), filter='pass_filter == "full"', split={"train": 0.5, "val": 0.5}, tail="keep"
    )
    expected = np.intersect1d(np.arange(700), data.data.select('pass_filter == "full"'))
    found = rows_of(data.loader("train")) + rows_of(data.loader("val"))
    assert sorted(found) == expected.tolist()
    assert rows_of(data.loader("predict")) == expected.tolist()


def test_files_of_a_set_mean_what_trainings_do(plates: list[str], tmp_path: Path) -> None:
    cm.simulate(tmp_path, plates=1, cells=50, genes=1000, nnz=60, cell_lines=5)
    data = cm.lightning.DataModule(plates, 32, obs=["cell_line"], output="dense", test={"data": tmp_path})
    test = data.loader("test")
    assert test.var_names == data.var_names
    assert test.categories == data.categories
    assert sum(len(batch) for batch in test) == 50


def test_training_cells_are_not_held_out_ones(plates: list[str]) -> None:
    module = cm.lightning.DataModule
    with pytest.raises(ValueError, match=r"val: it has no cells of its own; expected a share of split, or val=dict"):
        module(plates, val={"batch_size": 8}).loader("val")
    with pytest.raises(ValueError, match=r"test: it has no cells of its own"):
        module(plates).test_dataloader()
    with pytest.raises(ValueError, match=r"val: 10 of its cells are in training, too, e.g. row 5"):
        module(plates, train={"rows": range(15)}, val={"rows": range(5, 20)}).loader("train")
    with pytest.raises(ValueError, match=r"test: .*plate2\.h5ad is a file of training, too"):
        module(plates, test={"data": plates[1]}).loader("test")
    assert rows_of(module(plates, train={"rows": range(5)}, val={"rows": range(5, 9)}).loader("val")) == [5, 6, 7, 8]
    assert module(plates).val_dataloader() == []


def test_what_cant_be_meant_is_refused(plates: list[str]) -> None:
    module = cm.lightning.DataModule
    with pytest.raises(ValueError, match=r"split: 'valid' found, expected train, val, test, predict"):
        module(plates, split={"train": 0.9, "valid": 0.1})
    with pytest.raises(ValueError, match=r"split: it has no share for 'train'"):
        module(plates, split={"val": 0.1})
    with pytest.raises(ValueError, match=r"val: rows and a share of split found"):
        module(plates, split={"train": 0.9, "val": 0.1}, val={"rows": range(9)})
    with pytest.raises(ValueError, match=r"rank: found, but a Trainer says so"):
        module(plates, rank=0, world_size=2)


def test_a_module_goes_to_another_process(plates: list[str]) -> None:
    data = cm.lightning.DataModule(plates, 32, **SPLIT, **SHAPE)
    expected = rows_of(data.train_dataloader())
    data.loader("train").set_epoch(0)
    assert rows_of(pickle.loads(pickle.dumps(data)).train_dataloader()) == expected


def test_a_state_waits_for_training(plates: list[str]) -> None:
    data, other = (cm.lightning.DataModule(plates, 32, **SPLIT, **SHAPE) for _ in range(2))
    batches = iter(data.train_dataloader())
    for _ in range(5):
        next(batches)
    other.load_state_dict(data.state_dict())
    assert rows_of(other.train_dataloader()) == [row for batch in batches for row in batch.rows.tolist()]
