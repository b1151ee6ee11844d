"""Tokens: identical to what the definitions give, whatever the cells are read from."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cellmill as cm
import token_oracle as oracle
from conftest import shared

SHAPE: dict[str, Any] = {"batch_size": 32, "order": cm.Shuffle(block=8, window=128)}


def ids_of(batch: cm.Batch) -> list[list[int]]:
    """Ids of each cell without padding, which is checked."""
    lengths = batch.attention_mask.sum(1)
    assert (batch.attention_mask == (np.arange(batch.attention_mask.shape[1]) < lengths[:, None])).all()
    assert batch.input_ids.shape[1] == lengths.max(initial=0)
    return [row[:length].tolist() for row, length in zip(batch.input_ids, lengths, strict=True)]


@pytest.fixture(scope="module")
def stores(plates: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The same cells as plates and as stores of both codecs."""
    folder = tmp_path_factory.mktemp("stores")
    made: list[Any] = [plates]
    for codec in ("portable", "fast"):
        cm.shard(plates, str(folder / f"{codec}.zarr"), codec=codec)
        made.append(str(folder / f"{codec}.zarr"))
    return made


@pytest.fixture(scope="module")
def words(plates: list[str]) -> tuple[dict[str, int], dict[str, float]]:
    """Most genes have a token and a median, some of which are equal."""
    names = cm.open(plates).var_names
    rng = np.random.default_rng(0)
    tokens = {"<pad>": 0, "<mask>": 1} | {name: 2 + i for i, name in enumerate(names) if i % 7 != 3}
    medians = {name: float(rng.choice([1.0, 1.5, 2.0, 3.25, rng.uniform(0.5, 9)])) for name in list(tokens)[2:]}
    return tokens, medians


def all_counts(plates: list[str]) -> np.ndarray:
    return cm.open(plates)[:]["X"].to_dense()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("percentile", [None, 40])
def test_geneformer_is_what_the_definition_gives(
    plates: list[str], stores: list[Any], words: Any, version: int, percentile: float | None
) -> None:
    tokens, medians = words
    counts, genes = all_counts(plates), cm.open(plates).var_names
    last = max(tokens.values())
    first, end = ([], []) if version == 1 else ([last + 1], [last + 2])
    how = cm.Geneformer(tokens, version, max_length=40, percentile=percentile, medians=medians)
    for source in stores:
        loader = cm.Loader(source, **SHAPE, output=how, tail="keep")
        seen = 0
        for batch in loader:
            for row, found in zip(batch.rows, ids_of(batch), strict=True):
                room = 40 - len(first) - len(end)
                expected = oracle.geneformer(counts[row], genes, tokens, medians, max_genes=room, percentile=percentile)
                assert found == first + expected + end
                seen += 1
        assert seen == len(counts)
        assert "X" not in batch
        assert batch.input_ids.dtype == np.int64


def test_geneformer_matches_on_published_cells_and_its_own_dictionary() -> None:
    path = shared("tokenizers/geneformer_v1.tsv")
    with open(path, newline="") as file:
        table = list(csv.DictReader(file, delimiter="\t"))
    tokens = {row["gene_id"]: int(row["token"]) for row in table}
    medians = {row["gene_id"]: float(row["median"]) for row in table if row["median"]}
    data = cm.open(shared("tenx/3.0.0/filtered_feature_bc_matrix.h5"), gene_key="gene_ids")
    counts = data[:]["X"].to_dense()
    seen = 0
    for batch in cm.Loader(data, 64, order="sequential", output={"geneformer": {"dictionary": path}}):
        for row, found in zip(batch.rows, ids_of(batch), strict=True):
            assert found == oracle.geneformer(counts[row], data.var_names, tokens, medians)
            seen += len(found)
    assert seen > 1000


def checked_scgpt(loader: cm.Loader, values: np.ndarray, vocab: dict[str, int], epoch: int, **how: Any) -> int:
    """Compares an epoch's batches with the oracle. Returns how many values were seen."""
    genes, cls = loader.var_names, loader.special_tokens["<cls>"]
    loader.set_epoch(epoch)
    seen = 0
    for number, batch in enumerate(loader):
        for place, (row, found) in enumerate(zip(batch.rows, ids_of(batch), strict=True)):
            at = loader.seed, epoch, number, place
            ids, shown, masked = oracle.scgpt(values[row], genes, vocab, at, **how)
            assert found == [cls, *ids]
            length = len(found)
            np.testing.assert_allclose(batch["values"][place, :length], [0, *shown], rtol=1e-6)
            np.testing.assert_allclose(batch.masked_values[place, :length], [0, *masked], rtol=1e-6)
            assert (batch["values"][place, length:] == 0).all()
            seen += length
    return seen


def test_scgpt_is_what_the_definition_gives(plates: list[str], stores: list[Any], words: Any) -> None:
    counts, vocab = all_counts(plates), {name: number for name, number in words[0].items() if name[0] != "<"}
    for source in stores:
        loader = cm.Loader(source, **SHAPE, seed=5, output=cm.ScGPT(vocab, binning=12, max_length=30), tail="keep")
        assert checked_scgpt(loader, counts, vocab, 0, n_bins=12, max_length=30)
        assert checked_scgpt(loader, counts, vocab, 1, n_bins=12, max_length=30)
    plain = cm.Loader(plates, **SHAPE, output=cm.ScGPT(vocab, binning=None), tail="keep")
    assert checked_scgpt(plain, counts, vocab, 0, n_bins=None)


def test_scgpt_matches_on_published_cells_after_normalising(pbmc3k: str) -> None:
    path = shared("tokenizers/scgpt_vocab.json")
    vocab = json.loads(Path(path).read_text())
    data = cm.open(pbmc3k)
    values = np.zeros((len(data), len(data.var_names)), np.float32)
    steps = {"transform": ["normalize_total", "log1p"], "order": "sequential"}
    for batch in cm.Loader(data, 512, **steps):
        values[batch.rows] = batch["X"].to_dense()
    loader = cm.Loader(data, 512, **steps, output=cm.ScGPT(path))
    assert loader.special_tokens == {"<pad>": 48292, "<cls>": 48293, "<eoc>": 48294}
    assert checked_scgpt(loader, values, vocab, 0) > 1_000_000


def test_rank_value_orders_genes_by_value(plates: list[str], stores: list[Any]) -> None:
    counts = all_counts(plates)
    for source in stores:
        loader = cm.Loader(source, **SHAPE, output={"rank_value": {"max_length": 25}}, tail="keep")
        assert loader.special_tokens == {"<pad>": 900}
        for batch in loader:
            for row, found, values in zip(batch.rows, ids_of(batch), batch["values"], strict=True):
                order = np.argsort(-counts[row], kind="stable")[: min(25, np.count_nonzero(counts[row]))]
                assert found == order.tolist()
                assert values[: len(found)].tolist() == counts[row][order].tolist()
        assert cm.Loader(source, **SHAPE, output="rank_value").tokenizer == cm.RankValue()


def test_totals_are_over_all_genes_also_when_few_are_kept(plates: list[str], stores: list[Any], words: Any) -> None:
    tokens, medians = words
    data = cm.open(plates)
    genes = [data.var_names[place] for place in (600, 4, 77, 300, 8)]
    counts = data[:]["X"].to_dense()
    places = [data.var_names.index(gene) for gene in genes]
    for source in stores:
        loader = cm.Loader(source, **SHAPE, genes=genes, output=cm.Geneformer(tokens, medians=medians), tail="keep")
        for batch in loader:
            for row, found in zip(batch.rows, ids_of(batch), strict=True):
                own = oracle.geneformer(counts[row][places], genes, tokens, medians)
                assert found == own  # a cell's total changes no order


def parts_of(loader: cm.Loader) -> Iterator[tuple[np.ndarray, ...]]:
    for batch in loader:
        yield tuple(np.array(batch[name]) for name in ("rows", "input_ids", "values", "masked_values"))


def test_draws_depend_on_seed_and_epoch_and_not_on_threads_or_place_of_start(plates: list[str], words: Any) -> None:
    how = cm.ScGPT(words[0], max_length=20)
    one = list(parts_of(cm.Loader(plates, **SHAPE, output=how, threads=1)))
    loader = cm.Loader(plates, **SHAPE, output=how, threads=3)
    three = list(parts_of(loader))
    for a, b in zip(one, three, strict=True):
        assert all((x == y).all() for x, y in zip(a, b, strict=True))
    resumed = cm.Loader(plates, **SHAPE, output=how)
    taken = iter(resumed)
    for _ in range(5):
        next(taken)
    again = cm.Loader(plates, **SHAPE, output=how)
    again.load_state_dict(resumed.state_dict())
    for a, b in zip(one[5:], parts_of(again), strict=True):
        assert all((x == y).all() for x, y in zip(a, b, strict=True))
    in_order = {"batch_size": 32, "order": "sequential", "output": how}
    first = next(parts_of(cm.Loader(plates, **in_order)))
    other = next(parts_of(cm.Loader(plates, **in_order, seed=1)))
    assert (first[0] == other[0]).all()
    assert (first[2] != other[2]).any()


def test_padded_rows_have_no_tokens(plates: list[str], words: Any) -> None:
    *_, last = cm.Loader(plates, **SHAPE, tail="pad", output=cm.ScGPT(words[0]))
    assert not last.attention_mask[~last.valid].any()
    assert last.attention_mask[last.valid, 0].all()
    assert (last.input_ids[~last.valid] == 0).all()


def test_mistakes_are_told(plates: list[str], words: Any, tmp_path: Path) -> None:
    tokens, medians = words

    def first(**options: Any) -> cm.Batch:
        return next(iter(cm.Loader(plates, **SHAPE, **options)))

    good = cm.Geneformer(tokens, medians=medians)
    with pytest.raises(ValueError, match="Geneformer takes raw counts; expected no transform"):
        first(output=good, transform="log1p")
    with pytest.raises(ValueError, match=r"none of the 2 is in the data.*symbols.*ids"):
        first(output=cm.Geneformer({"ENSG00000000003": 2, "ENSG00000000005": 3}, medians={"ENSG00000000003": 1}))
    with pytest.raises(ValueError, match="no gene of the data has a median"):
        first(output=cm.Geneformer(tokens))
    with pytest.raises(ValueError, match="version 3 found"):
        first(output=cm.Geneformer(tokens, version=3, medians=medians))
    with pytest.raises(FileNotFoundError, match="dictionary: there is no file"):
        cm.Loader(plates, output={"geneformer": {"dictionary": str(tmp_path / "none.tsv")}})
    with pytest.raises(ValueError, match="no option 'bins'"):
        cm.Loader(plates, output={"scgpt": {"bins": 3}})
    with pytest.raises(ValueError, match="expected 'csr', 'dense', or one of"):
        cm.Loader(plates, output="tokens")
    with pytest.raises(ValueError, match="dictionary: list found"):
        cm.Loader(plates, output=cm.Geneformer([1]))  # type: ignore[arg-type]


def test_counts_may_be_in_a_layer_where_x_is_transformed() -> None:
    data = cm.open(shared("pbmc68k_reduced/10x_pbmc68k_reduced.zarr.zip"))
    genes = data.var_names
    tokens = {gene: 10 + i for i, gene in enumerate(genes)}
    medians = {gene: 1 + i % 5 / 3 for i, gene in enumerate(genes)}
    with pytest.raises(ValueError, match=r"zarr.zip: X, row [\d,]+: value .* expected raw counts"):
        next(iter(cm.Loader(data, 32, output=cm.Geneformer(tokens, medians=medians))))
    plain = cm.Loader(data, 32, order="sequential", layers="counts")
    loader = cm.Loader(data, 32, order="sequential", output=cm.Geneformer(tokens, medians=medians, layer="counts"))
    for expected, batch in zip(plain, loader, strict=True):
        counts = expected["counts"].to_dense()
        for row, found in zip(counts, ids_of(batch), strict=True):
            assert found == oracle.geneformer(row, genes, tokens, medians)


@pytest.mark.parametrize("name", ["pbmc3k/pbmc3k_raw.h5ad", "simulated"])
def test_a_vocabulary_of_the_data_makes_tokens(plates: list[str], tmp_path: Path, name: str) -> None:
    source: Any = plates if name == "simulated" else shared(name)
    found = cm.vocab(source, tmp_path / "genes.tsv", medians=True)
    data = cm.open(source)
    counts, genes = data[:]["X"].to_dense().astype(np.float64), data.var_names
    assert found["genes"] == len(genes)
    assert found["cells"] == len(data)
    total = counts.sum(1)
    medians = {}
    for column, gene in enumerate(genes):
        cells = np.flatnonzero(counts[:, column])
        if len(cells):
            medians[gene] = np.median(counts[cells, column] / total[cells] * 10_000)
    tokens = {gene: number for number, gene in enumerate(genes)}
    for output in (cm.Geneformer(str(tmp_path / "genes.tsv")), cm.Geneformer(tokens, medians=medians)):
        batch = next(iter(cm.Loader(data, 64, order="sequential", output=output)))
        for row, ids in zip(batch.rows, ids_of(batch), strict=True):
            assert ids == oracle.geneformer(counts[row], genes, tokens, medians)


def test_a_vocabulary_of_few_genes_serves_every_tokenizer(plates: list[str], tmp_path: Path) -> None:
    path = tmp_path / "genes.tsv"
    assert cm.vocab(plates, path, n_genes=50)["genes"] == 50
    for output in (cm.ScGPT(path), cm.RankValue(vocab=path)):
        batch = next(iter(cm.Loader(plates, 64, output=output)))
        assert 0 < batch.attention_mask.sum(1).max() <= 51
        assert batch.input_ids.max() <= 53
    with pytest.raises(ValueError, match="no gene of the data has a median"):
        next(iter(cm.Loader(plates, 64, output=cm.Geneformer(path))))
    with pytest.raises(ValueError, match="exists already"):
        cm.vocab(plates, path)


def test_a_launch_of_several_makes_no_vocabulary(
    plates: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="one of 2"):
        cm.vocab(plates, tmp_path / "genes.tsv")
