"""What tokens should be: written in numpy from the papers' definitions, a cell at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

U64 = np.uint64


def geneformer(
    counts: np.ndarray,
    genes: Sequence[str],
    tokens: Mapping[str, int],
    medians: Mapping[str, float],
    *,
    max_genes: int = 2048,
    percentile: float | None = None,
) -> list[int]:
    """Ids of one cell's genes, without special tokens."""
    columns = np.array([c for c in np.flatnonzero(counts) if genes[c] in medians], dtype=int)
    if not len(columns):
        return []
    by = np.array([medians[genes[c]] for c in columns])
    x = counts[columns].astype(np.float64) / counts.sum(dtype=np.float64) * 10_000 / by
    order = np.argsort(-x, kind="stable")
    if percentile is not None:
        rank = np.unique(x, return_inverse=True)[1] + 1
        order = order[rank[order] >= percentile * rank.max() / 100]
    return [tokens[genes[c]] for c in columns[order][:max_genes]]


def _mix(x: np.ndarray) -> np.ndarray:
    x = x ^ (x >> U64(30))
    x = x * U64(0xBF58476D1CE4E5B9)
    x = x ^ (x >> U64(27))
    x = x * U64(0x94D049BB133111EB)
    return x ^ (x >> U64(31))


def draws(seed: int, epoch: int, batch: int, row: int, columns: np.ndarray) -> np.ndarray:
    """64 random bits for each column of a cell: 20 choose the bin, 20 mask, 24 choose genes."""
    with np.errstate(over="ignore"):
        seeds = np.array([seed ^ 0x746F6B656E73], dtype=U64)
        stream = np.array([(epoch << 40) + batch], dtype=U64)
        key = _mix(seeds * U64(0x9E3779B97F4A7C15) + U64(0x632BE59BD9B4E019))
        key = key ^ _mix(stream + U64(0xD1B54A32D192ED03))
        counter = U64(row << 32) | columns.astype(U64)
        return _mix(_mix(counter + key) + U64(0x9E3779B97F4A7C15) * (counter ^ key))


def scgpt_bins(values: np.ndarray, n_bins: int, bits: np.ndarray) -> np.ndarray:
    """Bins of values that are not zero, with the upper 20 bits of each one's draw."""
    x = values.astype(np.float64)
    edges = np.quantile(x, np.linspace(0, 1, n_bins - 1))
    left = (edges[None, :] <= x[:, None]).sum(1)
    right = (edges[None, :] < x[:, None]).sum(1)
    step = ((bits >> U64(44)) * (left - right).astype(U64)) >> U64(20)
    return np.where(left == right, left, right + 1 + step.astype(int))


def scgpt(
    values: np.ndarray,
    genes: Sequence[str],
    vocab: Mapping[str, int],
    place: tuple[int, int, int, int],
    *,
    n_bins: int | None = 51,
    max_length: int = 2048,
    masking: float = 0.15,
) -> tuple[list[int], list[float], list[float]]:
    """Ids, values and masked values of one cell, <cls> left out. `place`: seed, epoch, batch, row in the batch."""
    columns = np.array([c for c in np.flatnonzero(values) if genes[c] in vocab], dtype=int)
    ids = [vocab[genes[c]] for c in columns]
    shown = values[columns].astype(np.float64)
    bits = draws(*place, columns)
    if n_bins is not None and len(columns):
        shown = scgpt_bins(values[columns], n_bins, bits).astype(np.float64)
    masked = np.where(((bits >> U64(24)) & U64(2**20 - 1)) < U64(round(masking * 2**20)), -1.0, shown)
    if len(columns) > max_length - 1:
        kept = np.sort(np.argsort(bits & U64(2**24 - 1), kind="stable")[: max_length - 1])
        return [ids[i] for i in kept], list(shown[kept]), list(masked[kept])
    return ids, list(shown), list(masked)
