"""Hydra: loaders, orders, tokenizers and data modules by ``_target_``, and OmegaConf's containers as options."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import cellmill as cm
from peers import peer

hydra = peer("hydra")
from omegaconf import OmegaConf  # noqa: E402


def levels(data: cm.Dataset) -> list[str]:
    return data.obs("cell_line")["cell_line"].levels[:3]


def control(data: cm.Dataset) -> str:
    drug = data.obs("drug")["drug"]
    return drug.levels[int(np.bincount(drug.codes).argmax())]


def vocabulary(data: cm.Dataset) -> dict[str, int]:
    return {name: number for number, name in enumerate(data.var_names)}


Options = Callable[[cm.Dataset], Mapping[str, Any]]

#: Options as a file of configuration has them, and as a script does.
WAYS: dict[str, tuple[Options, Options]] = {
    "by name": (
        lambda _: {
            "order": {"shuffle": {"block": 8, "window": 128}},
            "transform": [{"normalize_total": {"target_sum": 1e3}}, "log1p", {"most_expressed": 50}],
            "output": "dense",
            "obs": ["cell_line", "drug"],
        },
        lambda _: {
            "order": cm.Shuffle(8, 128),
            "transform": [cm.NormalizeTotal(1e3), cm.Log1p(), cm.MostExpressed(50)],
            "output": "dense",
            "obs": ["cell_line", "drug"],
        },
    ),
    "by target": (
        lambda _: {
            "order": {"_target_": "cellmill.Shuffle", "block": 8, "window": 128},
            "transform": [
                {"_target_": "cellmill.NormalizeTotal", "target_sum": 1e3},
                {"_target_": "cellmill.Log1p"},
                {"_target_": "cellmill.MostExpressed", "count": 50},
            ],
        },
        lambda _: {
            "order": cm.Shuffle(8, 128),
            "transform": [cm.NormalizeTotal(1e3), cm.Log1p(), cm.MostExpressed(50)],
        },
    ),
    "lists": (
        lambda data: {
            "order": {"balanced": {"by": "cell_line", "levels": levels(data), "block": 8}},
            "obs": {"cell_line": levels(data), "drug": None},
            "genes": data.var_names[5:50],
            "rows": list(range(1000)),
        },
        lambda data: {
            "order": cm.Balanced("cell_line", levels(data), block=8),
            "obs": {"cell_line": levels(data), "drug": None},
            "genes": data.var_names[5:50],
            "rows": range(1000),
        },
    ),
    "pairs": (
        lambda data: {"order": {"paired": {"condition": "drug", "control": control(data), "match": ["cell_line"]}}},
        lambda data: {"order": cm.Paired("drug", control(data), match=["cell_line"])},
    ),
    "pairs by target": (
        lambda data: {"order": {"_target_": "cellmill.Paired", "condition": "drug", "control": control(data)}},
        lambda data: {"order": cm.Paired("drug", control(data))},
    ),
    "tokens": (
        lambda data: {"output": {"scgpt": {"vocab": vocabulary(data), "max_length": 30}}, "order": "sequential"},
        lambda data: {"output": cm.ScGPT(vocabulary(data), max_length=30), "order": cm.Sequential()},
    ),
    "tokens by target": (
        lambda data: {"output": {"_target_": "cellmill.RankValue", "vocab": vocabulary(data), "max_length": 30}},
        lambda data: {"output": cm.RankValue(30, vocabulary(data))},
    ),
}


def config_of(target: str, plates: list[str], options: Mapping[str, Any]) -> Any:
    """As Hydra reads it from a file: with what other parts of it say filled in."""
    whole = {"plates": plates, "made": {"_target_": target, "data": "${plates}", "batch_size": 32, **options}}
    return OmegaConf.create(OmegaConf.to_yaml(OmegaConf.create(whole))).made


def assert_same(found: cm.Loader, expected: cm.Loader) -> None:
    for batch, other in zip(found, expected, strict=True):
        assert batch.rows.tolist() == other.rows.tolist()
        assert set(batch) == set(other)
        for name in set(batch) - {"control", "X"}:
            assert batch[name].tolist() == other[name].tolist()
        if "X" in batch:
            both = [X if hasattr(X := each["X"], "sum") else X.data for each in (batch, other)]
            assert both[0].tolist() == both[1].tolist()
        if "control" in batch:
            assert batch.control.rows.tolist() == other.control.rows.tolist()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("convert", ["none", "all"])
def test_a_loader_by_target_is_the_one_of_a_script(plates: list[str], way: str, convert: str) -> None:
    in_file, in_script = (options(cm.open(plates)) for options in WAYS[way])
    config = config_of("cellmill.Loader", plates, {**in_file, "_convert_": convert})
    assert_same(hydra.utils.instantiate(config), cm.Loader(plates, 32, **in_script))


@pytest.mark.parametrize("way", ["lists", "tokens"])
def test_a_loader_of_a_file_goes_to_another_process(plates: list[str], way: str) -> None:
    loader = hydra.utils.instantiate(config_of("cellmill.Loader", plates, WAYS[way][0](cm.open(plates))))
    assert_same(pickle.loads(pickle.dumps(loader)), loader)


def test_parts_of_a_configuration_are_options_as_they_are(plates: list[str]) -> None:
    config = OmegaConf.create(
        {"plates": plates, "order": {"shuffle": {"block": 8}}, "obs": ["cell_line"], "rows": [3, 5]}
    )
    loader = cm.Loader(config.plates, 1, order=config.order, obs=config.obs, rows=config.rows)
    assert loader.order == cm.Shuffle(block=8)
    assert sorted(row for batch in loader for row in batch.rows.tolist()) == [3, 5]


def test_a_fault_in_a_file_is_told_as_in_a_script(plates: list[str]) -> None:
    config = config_of("cellmill.Loader", plates, {"order": {"shuffle": {"blok": 8}}})
    with pytest.raises(Exception, match="order shuffle: there is no option 'blok'; it has block, window"):
        hydra.utils.instantiate(config)


def test_a_data_module_by_target(plates: list[str]) -> None:
    peer("lightning")
    order = {"_target_": "cellmill.Shuffle", "block": 8}
    options = {"split": {"train": 0.8, "val": 0.2}, "val": {"batch_size": 8}, "train": {"order": order}}
    module = hydra.utils.instantiate(config_of("cellmill.lightning.DataModule", plates, options))
    assert (module.loader("train").batch_size, module.loader("val").batch_size) == (32, 8)
    assert module.loader("train").order == cm.Shuffle(block=8)
