"""The example of masked tokens: 10x's counts, Geneformer's dictionary, two processes."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from conftest import shared
from launches import EXAMPLES, Launches, losses_of
from peers import peer

torch = peer("torch")

STEPS = 1107 // 32 // 2  #: of an epoch, on each of two processes


def launches(folder: Path) -> Launches:
    counts = shared("tenx/3.0.0/filtered_feature_bc_matrix.h5")
    words = ["--gene-key", "gene_ids", "--dictionary", shared("tokenizers/geneformer_v1.tsv"), "--epochs", 3]
    return Launches(folder, "train_masked_tokens.py", counts, *words, "--checkpoint", folder / "model.pt")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Launches, list[float]]:
    whole = launches(tmp_path_factory.mktemp("tokens") / "undisturbed")
    return whole, losses_of(whole.launch())


def test_processes_have_the_same_steps_and_the_loss_falls(undisturbed: tuple[Launches, list[float]]) -> None:
    whole, losses = undisturbed
    assert len(losses) == 3
    assert losses[0] > losses[1] > losses[2]
    assert losses[2] < 7  # of 10.1, which is that of guessing among 25,428 tokens
    for rank in range(2):
        assert [epoch for epoch, _ in whole.batches(rank)] == [0] * STEPS + [1] * STEPS + [2] * STEPS


def test_a_second_launch_goes_on_at_the_batch(undisturbed: tuple[Launches, list[float]], tmp_path: Path) -> None:
    whole, losses = undisturbed
    parts = launches(tmp_path / "parts")
    assert len(losses_of(parts.launch("--stop-at", STEPS + 5))) == 1
    assert [len(parts.batches(rank)) for rank in range(2)] == [STEPS + 5, STEPS + 5]
    assert losses_of(parts.launch())[-1] == losses[-1]
    for rank in range(2):
        assert parts.batches(rank) == whole.batches(rank)
    found, expected = (torch.load(of.folder / "model.pt")["model"] for of in (parts, whole))
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_only_genes_are_hidden() -> None:
    hide = runpy.run_path(str(EXAMPLES / "train_masked_tokens.py"))["hide"]
    special = {"<pad>": 0, "<mask>": 1, "<cls>": 90, "<eos>": 91}
    tokens = torch.tensor([[90, 5, 6, 7, 91], [90, 8, 91, 0, 0]])
    changed, hidden = hide(tokens, special, share=1)
    assert changed.tolist() == [[90, 1, 1, 1, 91], [90, 1, 91, 0, 0]]
    assert tokens[hidden].tolist() == [5, 6, 7, 8]
