"""Where training is: saved, and gone on from, with the same data and options only."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

import cellmill as cm

SHAPE = {"batch_size": 32, "order": cm.Shuffle(block=8, window=128)}


def rows_of(batches: Iterable[cm.Batch]) -> list[list[int]]:
    return [batch.rows.tolist() for batch in batches]


def test_training_resumes_in_the_middle_also_with_other_ranks(plates: list[str]) -> None:
    whole = rows_of(cm.Loader(plates, **SHAPE, lanes=2))
    pair = [cm.Loader(plates, **SHAPE, rank=rank, world_size=2) for rank in range(2)]
    for loader in pair:
        batches = iter(loader)
        for _ in range(5):
            next(batches)
        batches.close()
    states = [loader.state_dict() for loader in pair]
    assert states[0] == states[1]
    assert states[0]["batches"] == 10
    alone = cm.Loader(plates, **SHAPE)
    alone.load_state_dict(states[0])
    alone.set_epoch(0)  # the current one: keeps the position
    assert rows_of(alone) == whole[10:]
    four = [cm.Loader(plates, **SHAPE, rank=rank, world_size=4) for rank in range(4)]
    for loader in four:
        loader.load_state_dict(states[0])
    found = [rows_of(loader) for loader in four]
    assert [batch for step in zip(*found, strict=True) for batch in step] == whole[10:][: 4 * len(found[0])]


def test_a_state_goes_through_json(plates: list[str]) -> None:
    loader = cm.Loader(plates, **SHAPE, seed=2**64 - 1)
    batches = iter(loader)
    next(batches)
    rest = rows_of(batches)
    loader.set_epoch(0)
    next(iter(loader))
    state = json.loads(json.dumps(loader.state_dict()))
    other = cm.Loader(plates, **SHAPE, seed=2**64 - 1)
    other.load_state_dict(state)
    assert rows_of(other) == rest
    assert other.epoch == 1


def test_a_state_at_an_epochs_end_goes_on_with_the_next(plates: list[str]) -> None:
    loader = cm.Loader(plates, **SHAPE)
    rows_of(loader)
    second = cm.Loader(plates, **SHAPE)
    second.load_state_dict(loader.state_dict())
    assert second.epoch == 1
    assert rows_of(second) == rows_of(loader)


def test_a_state_of_other_options_is_refused(plates: list[str]) -> None:
    loader = cm.Loader(plates, **SHAPE)
    state = loader.state_dict()
    with pytest.raises(ValueError, match=r"saved with window=128, this loader has 64"):
        cm.Loader(plates, batch_size=32, order=cm.Shuffle(8, 64)).load_state_dict(state)
    with pytest.raises(ValueError, match=r"saved with batch_size=32, this loader has 16"):
        cm.Loader(plates, batch_size=16, order=cm.Shuffle(8, 128)).load_state_dict(state)
    with pytest.raises(ValueError, match=r"saved with seed=0, this loader has 1"):
        cm.Loader(plates, **SHAPE, seed=1).load_state_dict(state)
    with pytest.raises(ValueError, match="it has no 'options'"):
        loader.load_state_dict({name: value for name, value in state.items() if name != "options"})
    with pytest.raises(ValueError, match="its options were changed"):
        loader.load_state_dict({**state, "options": {**state["options"], "window": "64"}})


def test_a_refused_state_leaves_the_loader_as_it_was(plates: list[str]) -> None:
    loader = cm.Loader(plates, **SHAPE)
    expected = rows_of(cm.Loader(plates, **SHAPE))
    with pytest.raises(ValueError, match="saved with batch_size=16"):
        loader.load_state_dict(cm.Loader(plates, batch_size=16, order=cm.Shuffle(8, 128), lanes=2).state_dict())
    assert rows_of(loader) == expected


@pytest.fixture
def stores(plates: list[str], tmp_path: Path) -> list[Path]:
    """The plates' cells, and others just as many, in two stores."""
    cm.simulate(tmp_path / "others", plates=2, cells=700, genes=900, nnz=60, cell_lines=8, seed=11)
    cm.shard(plates, tmp_path / "store.zarr")
    cm.shard(tmp_path / "others", tmp_path / "other.zarr")
    return [tmp_path / "store.zarr", tmp_path / "other.zarr"]


def test_a_store_that_was_rewritten_is_noticed(stores: list[Path], plates: list[str]) -> None:
    store, other = stores
    state = cm.Loader(store, **SHAPE).state_dict()
    cm.Loader(store, **SHAPE).load_state_dict(state)
    shutil.rmtree(store)
    shutil.copytree(other, store)
    with pytest.raises(ValueError, match="the data changed since the state was saved"):
        cm.Loader(store, **SHAPE).load_state_dict(state)


def test_a_store_that_was_moved_is_the_same(stores: list[Path], tmp_path: Path) -> None:
    state = cm.Loader(stores[0], **SHAPE).state_dict()
    shutil.copytree(stores[0], tmp_path / "elsewhere" / "renamed.zarr")
    cm.Loader(tmp_path / "elsewhere" / "renamed.zarr", **SHAPE).load_state_dict(state)


def test_more_or_fewer_cells_are_noticed(plates: list[str]) -> None:
    state = cm.Loader(plates, **SHAPE).state_dict()
    with pytest.raises(ValueError, match=r"saved with rows=1400 .*, this loader has 700"):
        cm.Loader(plates[0], **SHAPE).load_state_dict(state)
    with pytest.raises(ValueError, match=r"saved with rows=1400 .*, this loader has 10 "):
        cm.Loader(plates, **SHAPE | {"batch_size": 4}, rows=range(10)).load_state_dict(state)


@pytest.mark.parametrize("codec", ["portable", "fast"])
def test_a_truncated_store_is_told_with_its_file(plates: list[str], tmp_path: Path, codec: str) -> None:
    cm.shard(plates, tmp_path / "store.zarr", codec=codec)
    shards = [path for path in (tmp_path / "store.zarr/X/data/c").rglob("*") if path.is_file()]
    shards[0].write_bytes(shards[0].read_bytes()[:-1000])
    with pytest.raises(cm.Error, match=r"store\.zarr: X/data"):
        rows_of(cm.Loader(tmp_path / "store.zarr", **SHAPE))


def test_a_truncated_plate_is_told_with_its_file(plates: list[str], tmp_path: Path) -> None:
    whole = Path(plates[0]).read_bytes()
    (tmp_path / "cut.h5ad").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(cm.Error, match=r"cut\.h5ad"):
        rows_of(cm.Loader(tmp_path / "cut.h5ad", **SHAPE))
