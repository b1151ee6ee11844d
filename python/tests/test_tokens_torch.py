"""Tokens as torch tensors."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import cellmill as cm
from peers import peer

torch = peer("torch")
from torch.utils.data import DataLoader  # noqa: E402

SHAPE: dict[str, Any] = {"batch_size": 32, "order": cm.Shuffle(block=8, window=128), "to": "torch"}


@pytest.fixture(scope="module")
def vocab(plates: list[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(cm.open(plates).var_names)}


def test_tokens_are_tensors_of_the_types_that_models_take(plates: list[str], vocab: dict[str, int]) -> None:
    batch = next(iter(cm.Loader(plates, **SHAPE, output=cm.ScGPT(vocab))))
    assert batch.input_ids.dtype == torch.int64
    assert batch.attention_mask.dtype == torch.bool
    assert batch["values"].dtype == batch.masked_values.dtype == torch.float32
    assert batch.input_ids.shape == batch.attention_mask.shape == batch["values"].shape
    assert batch.to("cpu").input_ids.equal(batch.input_ids)
    assert list(batch) == ["input_ids", "attention_mask", "values", "masked_values", "rows", "valid"]
    medians = dict.fromkeys(vocab, 1.0)
    batch = next(iter(cm.Loader(plates, **SHAPE, output=cm.Geneformer(vocab, medians=medians))))
    assert list(batch) == ["input_ids", "attention_mask", "rows", "valid"]


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_draw_the_same(plates: list[str], vocab: dict[str, int], workers: int) -> None:
    def made(loader: Any) -> dict[tuple[int, ...], list[list[float]]]:
        return {tuple(batch["rows"].tolist()): batch["masked_values"].tolist() for batch in loader}

    how = {**SHAPE, "output": cm.ScGPT(vocab), "lanes": 2}
    start = "spawn" if workers else None
    fed = DataLoader(cm.Loader(plates, **how), batch_size=None, num_workers=workers, multiprocessing_context=start)
    assert made(fed) == made(cm.Loader(plates, **how))


def test_a_loader_of_tokens_can_be_sent_to_another_process(plates: list[str], vocab: dict[str, int]) -> None:
    loader = cm.Loader(plates, **SHAPE, output=cm.ScGPT(vocab))
    other = pickle.loads(pickle.dumps(loader))
    assert next(iter(other)).input_ids.equal(next(iter(loader)).input_ids)


def test_genes_of_a_batch_are_a_tensor(plates: list[str]) -> None:
    batch = next(iter(cm.Loader(plates, **SHAPE, transform=cm.MostExpressed(7), output="dense")))
    assert batch.genes.dtype == torch.int64
    assert batch["X"].shape == (32, 7)


def test_an_embedding_has_a_row_for_every_token(plates: list[str], vocab: dict[str, int]) -> None:
    medians = dict.fromkeys(vocab, 1.0)
    # As Geneformer's own dictionary: the largest id is a gene's.
    own = {"<pad>": 0, "<mask>": 1, "<cls>": 2, "<eos>": 3, **{name: number + 4 for name, number in vocab.items()}}
    made = [
        (cm.RankValue(), 1),  # <pad>
        (cm.ScGPT(vocab), 3),
        (cm.Geneformer(vocab, medians=medians), 2),
        (cm.Geneformer(vocab, medians=medians, version=2), 4),
        (cm.Geneformer(own, medians=medians, version=2), 4),
    ]
    for tokenizer, n_special in made:
        loader = cm.Loader(plates, **SHAPE, output=tokenizer)
        assert loader.n_tokens == len(vocab) + n_special
        ids = next(iter(loader)).input_ids
        assert torch.nn.Embedding(loader.n_tokens, 2)(ids).shape == (*ids.shape, 2)
    assert cm.Loader(plates, **SHAPE).n_tokens == 0
