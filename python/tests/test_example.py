"""The example of training: two processes, stopped or killed in the middle of an epoch, and on from there."""

from __future__ import annotations

from pathlib import Path

import pytest

from launches import Launches, losses_of
from peers import peer

torch = peer("torch")


def launches_in(folder: Path, data: str) -> Launches:
    """Each trains three epochs in all."""
    options = ["--checkpoint", folder / "model.pt", "--epochs", 3, "--genes", 300]
    return Launches(folder, "train_autoencoder.py", data, *options)


def model_of(launches: Launches) -> dict[str, torch.Tensor]:
    return torch.load(launches.folder / "model.pt")["model"]


def assert_same_model(found: Launches, expected: Launches) -> None:
    models = model_of(found), model_of(expected)
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[1])


@pytest.fixture(scope="module")
def undisturbed(pbmc3k: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Launches, list[float]]:
    launches = launches_in(tmp_path_factory.mktemp("example") / "undisturbed", pbmc3k)
    return launches, losses_of(launches.launch())


def test_processes_have_the_same_steps_and_the_loss_falls(undisturbed: tuple[Launches, list[float]]) -> None:
    launches, losses = undisturbed
    assert len(losses) == 3
    assert losses[2] < 0.8 * losses[0]
    first, second = launches.batches(0), launches.batches(1)
    assert [epoch for epoch, _ in first] == [epoch for epoch, _ in second] == sorted([0, 1, 2] * (2700 // 128 // 2))
    for epoch in range(3):
        rows = [row for at, rows in first + second if at == epoch for row in rows]
        assert len(rows) == len(set(rows))


def test_a_second_launch_goes_on_in_the_middle_of_an_epoch(
    undisturbed: tuple[Launches, list[float]], pbmc3k: str, tmp_path: Path
) -> None:
    whole, losses = undisturbed
    parts = launches_in(tmp_path / "parts", pbmc3k)
    assert len(losses_of(parts.launch("--stop-after", 14))) == 1
    assert len(parts.batches(0)) == 14
    assert losses_of(parts.launch())[-1] == losses[-1]
    for rank in range(2):
        assert parts.batches(rank) == whole.batches(rank)
    assert_same_model(parts, whole)


def test_a_killed_process_ends_the_job_and_the_next_launch_goes_on_where_it_had_saved(
    undisturbed: tuple[Launches, list[float]], pbmc3k: str, tmp_path: Path
) -> None:
    whole = undisturbed[0]
    parts = launches_in(tmp_path / "parts", pbmc3k)
    ended = parts.ended("--save-every", 4, killed=(1, 14))
    assert ended.returncode != 0
    assert "Signal 9 (SIGKILL)" in ended.stderr
    given = [len(parts.batches(rank)) for rank in range(2)]
    assert given[1] == 14
    assert given[0] in (14, 15)  # it was in the step of which it never heard

    parts.launch()
    saved = 12  # steps: in the middle of the second epoch
    for rank in range(2):
        assert parts.batches(rank)[given[rank] :] == whole.batches(rank)[saved:]
    assert_same_model(parts, whole)


def test_another_number_of_processes_goes_on_with_the_same_batches(
    undisturbed: tuple[Launches, list[float]], pbmc3k: str, tmp_path: Path
) -> None:
    whole = undisturbed[0]
    parts = launches_in(tmp_path / "parts", pbmc3k)
    parts.launch("--stop-after", 14)
    before = len(parts.batches(0))
    parts.launch(processes=1)
    pairs = zip(whole.batches(0)[14:], whole.batches(1)[14:], strict=True)
    assert parts.batches(0)[before:] == [batch for pair in pairs for batch in pair]
