"""Genes chosen batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cellmill as cm

SHAPE: dict[str, Any] = {"batch_size": 32, "order": cm.Shuffle(block=8, window=128), "tail": "keep"}


@pytest.mark.parametrize("codec", [None, "portable", "fast"])
@pytest.mark.parametrize("output", ["csr", "dense"])
def test_most_expressed_genes_of_each_batch(plates: list[str], tmp_path: Any, codec: str | None, output: str) -> None:
    source: Any = plates
    if codec:
        source = str(tmp_path / "store.zarr")
        cm.shard(plates, source, codec=codec)
    counts = cm.open(plates)[:]["X"].to_dense()
    expected = np.log1p(counts / counts.sum(1, keepdims=True) * 1e4)
    steps = [cm.NormalizeTotal(), cm.Log1p(), cm.MostExpressed(50)]
    seen = 0
    for batch in cm.Loader(source, **SHAPE, transform=steps, output=output):
        dense = batch["X"] if output == "dense" else batch["X"].to_dense()
        assert batch.genes.shape == (50,)
        assert dense.shape == (len(batch), 50)
        np.testing.assert_allclose(dense, expected[batch.rows][:, batch.genes], rtol=1e-5)
        sums = expected[batch.rows].sum(0)
        assert (np.diff(batch.genes) > 0).all()
        assert sums[batch.genes].min() >= np.sort(sums)[-50] * (1 - 1e-6)
        seen += len(batch)
    assert seen == 1400


def test_random_expressed_genes_depend_on_seed_epoch_and_batch(plates: list[str]) -> None:
    def chosen(**options: Any) -> list[list[int]]:
        return [batch.genes.tolist() for batch in cm.Loader(plates, **SHAPE, **options)]

    how = {"transform": {"random_expressed": {"count": 20}}}
    counts = cm.open(plates)[:]["X"].to_dense()
    for batch in cm.Loader(plates, **SHAPE, **how):
        assert (counts[batch.rows][:, batch.genes] > 0).any(0).all()
        assert (batch["X"].to_dense() == counts[batch.rows][:, batch.genes]).all()
    one = chosen(**how, threads=1)
    assert one == chosen(**how, threads=3)
    assert len({tuple(genes) for genes in one}) == len(one)
    assert one != chosen(**how, seed=1)


def test_mistakes_are_told(plates: list[str]) -> None:
    with pytest.raises(ValueError, match="comes last"):
        cm.Loader(plates, transform=[cm.MostExpressed(3), cm.Log1p()])
    with pytest.raises(ValueError, match="selection of 0 genes"):
        next(iter(cm.Loader(plates, **SHAPE, transform=cm.MostExpressed(0))))
    with pytest.raises(ValueError, match="does not go with tokens"):
        next(iter(cm.Loader(plates, **SHAPE, transform="most_expressed", output="rank_value")))
    with pytest.raises(ValueError, match="no option 'n'"):
        cm.Loader(plates, transform={"most_expressed": {"n": 3}})
