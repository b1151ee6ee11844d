"""Orders by weight, by label and in pairs, as a training script has them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cellmill as cm

SMALL = {"block": 8, "window": 256}


def rows_of(batches: Iterable[cm.Batch]) -> list[list[int]]:
    return [batch.rows.tolist() for batch in batches]


def pairs_of(batches: Iterable[cm.Batch]) -> list[list[int]]:
    return [batch.rows.tolist() + batch.control.rows.tolist() for batch in batches]


def codes(data: cm.Dataset, column: str) -> np.ndarray:
    return data.obs(column)[column].codes


@pytest.fixture(scope="module")
def data(plates: list[str]) -> cm.Dataset:
    return cm.open(plates)


@pytest.fixture(scope="module")
def pairs(data: cm.Dataset) -> dict[str, Any]:
    """A control drug, and the rows for which there are controls of it."""
    drugs, lines = codes(data, "drug"), codes(data, "cell_line")
    control = int(np.bincount(drugs).argmax())
    rows = np.flatnonzero(np.isin(lines, lines[drugs == control]))
    order = cm.Paired("drug", data.obs("drug")["drug"].levels[control], match=["cell_line"], **SMALL)
    return {"order": order, "rows": rows}


def every_order(data: cm.Dataset, pairs: dict[str, Any]) -> list[dict[str, Any]]:
    weights = data.label_weights("cell_line")
    return [
        {"order": cm.Weighted(weights, **SMALL)},
        {"order": cm.Balanced("cell_line", **SMALL)},
        {"order": cm.Stratified("cell_line", **SMALL)},
        {"order": cm.Curriculum(weights, warmup_epochs=2, **SMALL)},
        pairs,
    ]


def test_label_weights_are_inverse_frequencies(data: cm.Dataset) -> None:
    lines = codes(data, "cell_line")
    weights = data.label_weights("cell_line")
    assert weights.dtype == np.float64
    np.testing.assert_allclose(weights, 1400 / np.bincount(lines)[lines])
    rows = np.arange(0, 1400, 3)
    some = data.label_weights("cell_line", rows)
    np.testing.assert_allclose(some[rows], len(rows) / np.bincount(lines[rows])[lines[rows]])
    assert np.delete(some, rows).sum() == 0
    with pytest.raises(KeyError, match="no column 'lin'"):
        data.label_weights("lin")
    with pytest.raises(ValueError, match="expected 0 to 1,399"):
        data.label_weights("cell_line", rows=[1400])


def test_weights_come_as_arrays_files_and_columns(data: cm.Dataset, tmp_path: Path) -> None:
    weights = np.where(np.arange(1400) % 5 == 0, 3.0, 0.0)
    np.save(tmp_path / "weights.npy", weights)
    mapped = np.load(tmp_path / "weights.npy", mmap_mode="r")
    shape = {"batch_size": 32, "seed": 3}
    expected = rows_of(cm.Loader(data, **shape, order=cm.Weighted(weights, **SMALL)))
    assert {row % 5 for batch in expected for row in batch} == {0}
    for same in (mapped, tmp_path / "weights.npy", weights.astype(np.float32), weights.astype(int), weights.tolist()):
        assert rows_of(cm.Loader(data, **shape, order=cm.Weighted(same, **SMALL))) == expected
    column = next(name for name in data.obs_columns if data._core.obs(name).kind != "codes")
    values = data.obs(column)[column].values
    by_name = cm.Loader(data, **shape, order=cm.Weighted(column, **SMALL))
    assert rows_of(by_name) == rows_of(cm.Loader(data, **shape, order=cm.Weighted(values, **SMALL)))


def test_balanced_batches_have_equally_many_of_each_label(data: cm.Dataset) -> None:
    lines = codes(data, "cell_line")
    for batch in cm.Loader(data, 32, order=cm.Balanced("cell_line", **SMALL)):
        assert np.bincount(lines[batch.rows], minlength=8).tolist() == [4] * 8
    levels = data.obs("cell_line")["cell_line"].levels
    for batch in cm.Loader(data, 32, order=cm.Balanced("cell_line", levels=levels[2:4], **SMALL)):
        assert np.bincount(lines[batch.rows], minlength=8).tolist() == [0, 0, 16, 16, 0, 0, 0, 0]


def test_stratified_batches_have_the_datas_proportions(data: cm.Dataset) -> None:
    lines = codes(data, "cell_line")
    shares = np.bincount(lines) / 1400
    loader = cm.Loader(data, 100, order=cm.Stratified("cell_line", **SMALL), tail="keep")
    batches = rows_of(loader)
    assert sorted(sum(batches, [])) == list(range(1400))
    for batch in batches:
        assert (np.abs(np.bincount(lines[batch], minlength=8) - 100 * shares) <= 1 + 8 * shares).all()


@pytest.mark.parametrize("output", ["csr", "dense"])
def test_controls_match_row_by_row(data: cm.Dataset, pairs: dict[str, Any], output: str) -> None:
    drugs, lines = codes(data, "drug"), codes(data, "cell_line")
    control = data.obs("drug")["drug"].levels.index(pairs["order"].control)
    everything = data[:]["X"].to_dense()
    loader = cm.Loader(data, 32, **pairs, obs=["cell_line", "drug"], output=output, tail="pad")
    seen = []
    for batch in loader:
        assert len(batch) == len(batch.control) == 32
        assert (batch.valid == batch.control.valid).all()
        assert "control" in batch
        assert set(batch) - set(batch.control) == {"control"}
        cells = batch.rows[batch.valid]
        assert (drugs[cells] != control).all()
        assert (batch.control.drug[batch.valid] == control).all()
        assert (batch.cell_line == batch.control.cell_line).all()
        assert (batch.cell_line[batch.valid] == lines[cells]).all()
        for part in (batch, batch.control):
            found = part["X"] if output == "dense" else part["X"].to_dense()
            assert (found[part.valid] == everything[part.rows[part.valid]]).all()
            assert (found[~part.valid] == 0).all()
        seen += cells.tolist()
    assert sorted(seen) == [row for row in pairs["rows"] if drugs[row] != control]


def test_every_order_is_the_same_on_any_number_of_threads(data: cm.Dataset, pairs: dict[str, Any]) -> None:
    for options in every_order(data, pairs):
        found = pairs_of if "rows" in options else rows_of
        one, three = (cm.Loader(data, 32, **options, threads=threads) for threads in (1, 3))
        first = found(one)
        assert first == found(three)
        assert found(one) != first  # the next epoch


def test_every_order_resumes_also_with_other_ranks(data: cm.Dataset, pairs: dict[str, Any]) -> None:
    for options in every_order(data, pairs):
        found = pairs_of if "rows" in options else rows_of
        shape = {"batch_size": 16, **options}
        whole = found(cm.Loader(data, **shape, lanes=2))
        pair = [cm.Loader(data, **shape, rank=rank, world_size=2) for rank in range(2)]
        steps = []
        for loader in pair:
            batches = iter(loader)
            steps.append(found(next(batches) for _ in range(5)))
            batches.close()
        assert [batch for step in zip(*steps, strict=True) for batch in step] == whole[:10]
        state = json.loads(json.dumps(pair[0].state_dict()))
        assert state == pair[1].state_dict()
        alone = cm.Loader(data, **shape)
        alone.load_state_dict(state)
        assert found(alone) == whole[10:]
        four = [cm.Loader(data, **shape, rank=rank, world_size=4) for rank in range(4)]
        for loader in four:
            loader.load_state_dict(state)
        rest = [found(loader) for loader in four]
        assert [batch for step in zip(*rest, strict=True) for batch in step] == whole[10:][: 4 * len(rest[0])]


def test_a_state_of_another_order_is_refused(data: cm.Dataset, pairs: dict[str, Any]) -> None:
    states = [cm.Loader(data, 32, **options).state_dict() for options in every_order(data, {"order": "shuffle"})]
    with pytest.raises(ValueError, match="saved with order=weighted, this loader has balanced"):
        cm.Loader(data, 32, order=cm.Balanced("cell_line", **SMALL)).load_state_dict(states[0])
    with pytest.raises(ValueError, match=r"saved with weights=.*, this loader has"):
        cm.Loader(data, 32, order=cm.Weighted(np.ones(1400), **SMALL)).load_state_dict(states[0])
    with pytest.raises(ValueError, match=r"saved with by=cell_line .*, this loader has drug"):
        cm.Loader(data, 32, order=cm.Balanced("drug", **SMALL)).load_state_dict(states[1])
    state = cm.Loader(data, 32, **pairs).state_dict()
    fewer = cm.Paired("drug", pairs["order"].control, **SMALL)
    with pytest.raises(ValueError, match=r"saved with match=cell_line .*, this loader has"):
        cm.Loader(data, 32, order=fewer, rows=pairs["rows"]).load_state_dict(state)


def test_plain_values_choose_an_order(data: cm.Dataset) -> None:
    expected = rows_of(cm.Loader(data, 32, order=cm.Balanced("cell_line")))
    assert rows_of(cm.Loader(data, 32, order={"balanced": "cell_line"})) == expected
    assert rows_of(cm.Loader(data, 32, order={"balanced": {"by": "cell_line"}})) == expected
    with pytest.raises(ValueError, match="order balanced: it needs 'by'"):
        cm.Loader(data, order="balanced")
    with pytest.raises(ValueError, match="order paired: it needs 'control'"):
        cm.Loader(data, order={"paired": {"condition": "drug"}})


def test_quality_measures_the_cells_of_pairs(data: cm.Dataset, pairs: dict[str, Any]) -> None:
    found = cm.Loader(data, 32, **pairs).quality("drug")
    assert found.rows == 32 * found.batches
    assert found.entropy.measured == pytest.approx(found.entropy.random, rel=0.2)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (cm.Weighted(np.ones(5)), "weights: 5 found, expected one for each of the 1,400 rows"),
        (cm.Weighted(np.zeros(1400)), "all of the 1,400 rows in use have 0"),
        (cm.Weighted(np.full(1400, np.nan)), "weights: nan found for row 0"),
        (cm.Weighted(-np.ones(1400)), "weights: -1 found for row 0"),
        (cm.Weighted(np.ones((2, 700))), r"float64 of shape \(2, 700\) found"),
        (cm.Weighted(["a"] * 1400), "expected a number for each row"),
        (cm.Weighted("cell_line"), "holds labels, expected numbers"),
        (cm.Curriculum(np.ones(1400), 0), "warmup_epochs: 0 found"),
        (cm.Balanced("cell_line", levels=["typo"]), "none of its levels"),
        (cm.Balanced("cell_line", block=0), "block: 0 rows found"),
        (cm.Paired("drug", "no such drug"), "obs\\['drug'\\] has no 'no such drug'; nearest"),
    ],
)
def test_mistakes_are_told(data: cm.Dataset, order: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        len(cm.Loader(data, 32, order=order))


def test_labels_and_conditions_without_cells_are_told(data: cm.Dataset, pairs: dict[str, Any]) -> None:
    lines = codes(data, "cell_line")
    with pytest.raises(ValueError, match=r"1 of the 8 labels of obs\['cell_line'\].*have no cell among the rows"):
        len(cm.Loader(data, 32, order=cm.Balanced("cell_line"), rows=lines != 3))
    with pytest.raises(FileNotFoundError, match="there is no file"):
        len(cm.Loader(data, 32, order=cm.Weighted("none.npy")))
    with pytest.raises(KeyError, match="no column 'lin'"):
        len(cm.Loader(data, 32, order=cm.Stratified("lin")))
    drugs = codes(data, "drug")
    control = data.obs("drug")["drug"].levels.index(pairs["order"].control)
    line = lines[drugs == control][0]
    rows = ~((lines == line) & (drugs == control))
    with pytest.raises(ValueError, match=f"there is no control \\(drug='{pairs['order'].control}'\\) for the"):
        len(cm.Loader(data, 32, order=pairs["order"], rows=rows))
