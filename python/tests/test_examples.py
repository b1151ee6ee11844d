"""The examples of training that have no test of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

import cellmill as cm
from launches import EXAMPLES, Launches, losses_of, run
from peers import peer

peer("torch")


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples") / "plates"
    cm.simulate(folder, plates=2, cells=2000, genes=600, nnz=80, cell_lines=4)
    return folder


@pytest.mark.parametrize(("drug", "line"), [("drug_03", "CVCL_0001"), ("drug_13", "CVCL_0003")])
def test_the_effect_of_a_drug_is_told_in_a_line_where_it_was_not_seen(plates: Path, drug: str, line: str) -> None:
    printed = run("train_perturbation.py", plates / "*.h5ad", "--hold-out", drug, line)
    losses = losses_of(printed)
    assert len(losses) == 10
    assert losses[-1] < 0.6 * losses[0]
    assert f"{drug} in {line}, never seen: of 23 drugs its prediction is number 1 by nearness" in printed


def test_the_classifier_learns_and_is_the_same_on_both_processes(plates: Path, tmp_path: Path) -> None:
    words = [plates, "--batch-size", 128, "--epochs", 3]
    launches = Launches(tmp_path / "launches", "train_classifier.py", *words)
    printed = launches.launch()
    losses = losses_of(printed)
    assert len(losses) == 3
    assert losses[2] < 0.5 * losses[0]
    assert "2 processes, one model" in printed
    assert len(launches.batches(0)) == len(launches.batches(1)) == 3 * (4000 // 128 // 2)


def config_for(plates: Path, folder: Path, **changes: str) -> Path:
    """The example's configuration for these plates, some of its lines changed."""
    text = (EXAMPLES / "config" / "cell_lines.yaml").read_text()
    for old, new in {"plates/*.h5ad\n\nsplit": f"{plates}/*.h5ad\n\nsplit", **changes}.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "config.yaml").write_text(text)
    return folder / "config.yaml"


@pytest.mark.parametrize(
    "order", ["shuffle", "{stratified: cell_line}", "{weighted: tscp_count}", "{balanced: {by: cell_line, block: 16}}"]
)
def test_a_configuration_chooses_the_order(plates: Path, tmp_path: Path, order: str) -> None:
    peer("yaml")
    chosen = config_for(plates, tmp_path, **{"{balanced: {by: cell_line, block: 16, window: 4096}}": order})
    losses = losses_of(run("config/train.py", chosen))
    assert len(losses) == 3
    assert losses[2] < 0.5 * losses[0]
