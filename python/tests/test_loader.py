"""Loaders: every row once, in an order that depends on nothing but its options."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

import cellmill as cm


def rows_of(batches: Iterable[cm.Batch]) -> list[list[int]]:
    return [batch.rows.tolist() for batch in batches]


SHAPE = {"batch_size": 32, "order": cm.Shuffle(block=8, window=128)}


def test_an_epoch_has_every_row_once_and_epochs_differ(plates: list[str]) -> None:
    loader = cm.Loader(plates, **SHAPE, tail="keep")
    first, second = rows_of(loader), rows_of(loader)
    assert sorted(sum(first, [])) == list(range(1400))
    assert sorted(sum(second, [])) == list(range(1400))
    assert first != second
    assert len(loader) == len(first) == 44


def test_ranks_share_an_epoch_equally(plates: list[str]) -> None:
    for size in (2, 3, 4):
        loaders = [cm.Loader(plates, **SHAPE, rank=rank, world_size=size, lanes=4) for rank in range(size)]
        found = [rows_of(loader) for loader in loaders]
        assert {len(batches) for batches in found} == {len(loaders[0])}
        rows = sum(sum(found, []), [])
        assert len(rows) == len(set(rows))


def test_batches_do_not_depend_on_threads(plates: list[str]) -> None:
    one = cm.Loader(plates, **SHAPE, threads=1)
    two = cm.Loader(plates, **SHAPE, threads=2)
    for a, b in zip(one, two, strict=True):
        assert (a.rows == b.rows).all()
        assert (a["X"].data == b["X"].data).all()


def test_break_and_iterate_begins_the_epoch_again(plates: list[str]) -> None:
    loader = cm.Loader(plates, **SHAPE)
    first = next(iter(loader)).rows.tolist()
    assert next(iter(loader)).rows.tolist() == first


def test_held_out_rows_never_appear(plates: list[str]) -> None:
    data = cm.open(plates)
    train, val = data.split({"train": 0.8, "val": 0.2}, by="cell_line")
    loader = cm.Loader(data, **SHAPE, rows=train, tail="keep")
    assert sorted(sum(rows_of(loader), [])) == train.tolist()
    mask = np.zeros(1400, dtype=bool)
    mask[val] = True
    assert sorted(sum(rows_of(cm.Loader(data, **SHAPE, rows=mask, tail="keep")), [])) == val.tolist()


def test_filter_chooses_rows_by_obs(plates: list[str]) -> None:
    data = cm.open(plates)
    condition = 'pass_filter == "full"'
    loader = cm.Loader(data, **SHAPE, filter=condition, tail="keep")
    assert sorted(sum(rows_of(loader), [])) == data.select(condition).tolist()


def test_padding_is_marked(plates: list[str]) -> None:
    *_, last = cm.Loader(plates, **SHAPE, tail="pad", obs=["cell_line"])
    assert len(last) == 32
    assert last.valid.sum() == 1400 % 32
    assert (last["cell_line"][~last.valid] == -1).all()
    assert (last["X"].to_dense()[~last.valid] == 0).all()


def test_rows_match_the_store(plates: list[str]) -> None:
    data = cm.open(plates)
    everything = data[:]["X"].to_dense()
    lines = data.obs("cell_line")["cell_line"].codes
    for batch in cm.Loader(data, **SHAPE, obs=["cell_line"]):
        assert (batch["X"].to_dense() == everything[batch.rows]).all()
        assert (batch.cell_line == lines[batch.rows]).all()


def test_chosen_genes_dense_and_transformed(plates: list[str]) -> None:
    data = cm.open(plates)
    genes = [data.var_names[place] for place in (500, 3, 77)]
    counts = data[:]["X"].to_dense()
    expected = np.log1p(counts / counts.sum(1, keepdims=True) * 1e4)[:, [500, 3, 77]]
    loader = cm.Loader(
        data, **SHAPE, genes=genes, output="dense", transform=[cm.NormalizeTotal(1e4), cm.Log1p()], tail="keep"
    )
    assert loader.var_names == genes
    for batch in loader:
        np.testing.assert_allclose(batch["X"], expected[batch.rows], rtol=1e-6)


def test_plain_values_configure_a_loader(plates: list[str]) -> None:
    named = cm.Loader(plates, batch_size=32, order={"shuffle": {"block": 8, "window": 128}})
    assert rows_of(named) == rows_of(cm.Loader(plates, **SHAPE))
    assert rows_of(cm.Loader(plates, order="sequential", batch_size=1000))[0] == list(range(1000))
    with pytest.raises(ValueError, match="no option 'blok'"):
        cm.Loader(plates, order={"shuffle": {"blok": 8}})
    with pytest.raises(ValueError, match="expected one of"):
        cm.Loader(plates, order="random")


def test_mistakes_are_told(plates: list[str]) -> None:
    with pytest.raises(ValueError, match=r"none of the 2 is in the data.*symbols"):
        next(iter(cm.Loader(plates, **SHAPE, genes=["ENSG00000141510", "ENSG00000012048"])))
    with pytest.raises(ValueError, match="batch_size 4,096 is more than the 1,400 rows"):
        len(cm.Loader(plates))
    with pytest.raises(ValueError, match="fewer than the 50 readers"):
        next(iter(cm.Loader(plates, **SHAPE, rank=0, world_size=50, lanes=1)))
    with pytest.raises(ValueError, match="smaller last batch"):
        next(iter(cm.Loader(plates, **SHAPE, tail="keep", rank=0, world_size=2, lanes=2)))
    with pytest.raises(KeyError, match="no column 'plat'"):
        next(iter(cm.Loader(plates, **SHAPE, obs=["plat"])))


def test_ranks_are_found_as_launchers_name_them(plates: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SLURM_", "OMPI_")) or name in ("RANK", "WORLD_SIZE"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SLURM_NTASKS", "8")  # sbatch sets it where only one process runs
    steps = len(cm.Loader(plates, **SHAPE))
    monkeypatch.setenv("SLURM_PROCID", "3")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    assert len(cm.Loader(plates, **SHAPE)) == steps // 4
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert len(cm.Loader(plates, **SHAPE)) == steps // 2
    assert len(cm.Loader(plates, **SHAPE, rank=0, world_size=3)) in (steps // 3, steps // 3 - 1)


def test_a_batch_lives_as_long_as_its_arrays(plates: list[str]) -> None:
    loader = cm.Loader(plates, **SHAPE)
    kept = [(batch["X"].data, batch["X"].data.copy()) for batch in loader]
    del loader
    assert all((array == copy).all() for array, copy in kept)


def test_a_loader_can_be_sent_to_another_process(plates: list[str]) -> None:
    loader = cm.Loader(plates, **SHAPE)
    assert rows_of(pickle.loads(pickle.dumps(loader))) == rows_of(loader)


def test_a_fork_after_the_engine_started_is_refused(plates: list[str]) -> None:
    loader = cm.Loader(plates, **SHAPE)
    next(iter(loader))
    child = os.fork()
    if child == 0:
        try:
            next(iter(loader))
        except cm.ForkError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_levels_given_by_hand_fix_the_codes(plates: list[str], caplog: pytest.LogCaptureFixture) -> None:
    data = cm.open(plates)
    column = data.obs("cell_line")["cell_line"]
    levels = ["unseen", *reversed(column.levels[1:])]
    loader = cm.Loader(data, **SHAPE, obs={"cell_line": levels, "drug": None}, unknown_label=99)
    assert loader.categories["cell_line"] == levels
    assert loader.categories["drug"] == data.obs("drug")["drug"].levels
    values = column.values
    with caplog.at_level("WARNING", logger="cellmill"):
        for batch in loader:
            expected = [levels.index(name) if name in levels else 99 for name in values[batch.rows]]
            assert batch.cell_line.tolist() == expected
    assert f"1 of the data's levels, e.g. '{column.levels[0]}'" in caplog.text
    with pytest.raises(ValueError, match="none of its levels"):
        next(iter(cm.Loader(data, **SHAPE, obs={"cell_line": ["typo"]})))


def test_quality_is_measured_against_exact_shuffling(plates: list[str]) -> None:
    exact = cm.Loader(plates, batch_size=32, order=cm.Shuffle(block=1, window=1400), obs=["cell_line"])
    found = exact.quality()
    assert (found.batches, found.rows, found.label) == (43, 43 * 32, "cell_line")
    assert abs(found.within - 1) < 0.1
    assert found.entropy.measured == pytest.approx(found.entropy.random, rel=0.05)
    assert 0 < found.variation.random < 1 < found.distinct.measured <= 8
    sequential = cm.Loader(plates, batch_size=32, order=cm.Sequential()).quality(label="sample", batches=10)
    assert (sequential.batches, sequential.label) == (10, "sample")
    assert sequential.within < 0.1
    assert cm.Loader(plates, **SHAPE).quality().label is None
    with pytest.raises(KeyError, match="no column 'lin'"):
        exact.quality(label="lin")


def test_data_sets_are_joined_to_one(plates: list[str]) -> None:
    first = cm.open(plates[0])
    both = cm.open([first, plates[1]])
    assert both.paths == cm.open(plates).paths
    with pytest.raises(ValueError, match="another gene_key or gene_map"):
        cm.open([cm.open(plates[0], gene_map={"a": "b"}), plates[1]])


def test_genes_come_from_a_file(plates: list[str], tmp_path: Path) -> None:
    names = cm.open(plates).var_names[10:13]
    (tmp_path / "genes.tsv").write_text("".join(f"{name}\tmore\n" for name in names))
    loader = cm.Loader(plates, **SHAPE, genes=tmp_path / "genes.tsv")
    assert loader.var_names == names
    assert next(iter(loader))["X"].shape == (32, 3)
    (tmp_path / "ids.txt").write_text("ENSG00000141510\nENSG00000012048\n")
    with pytest.raises(ValueError, match=r"none of the 2 is in the data.*symbols.*ids"):
        next(iter(cm.Loader(plates, **SHAPE, genes=str(tmp_path / "ids.txt"))))
    with pytest.raises(FileNotFoundError, match="there is no file"):
        cm.Loader(plates, **SHAPE, genes=tmp_path / "none.txt")


def test_rows_by_hand_from_a_forked_process_are_refused(plates: list[str]) -> None:
    data = cm.open(plates)
    assert len(data[[1, 2]]) == 2
    child = os.fork()
    if child == 0:
        try:
            data[[1, 2]]
        except cm.ForkError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
