"""Batches of cells with a control each."""

from __future__ import annotations

from typing import Any

import numpy as np

from .batch import Batch, BatchLayout


class _Half:
    """The first or second half of a batch of C++'s, over its memory, as a batch of its own."""

    def __init__(self, core: Any, second: bool) -> None:
        half = len(core) // 2
        self._core, self._rows = core, slice(half, 2 * half) if second else slice(half)

    def __len__(self) -> int:
        return self._rows.stop - (self._rows.start or 0)

    def rows(self) -> np.ndarray:
        return self._core.rows()[self._rows]

    def n_cols(self, matrix: int) -> int:
        return self._core.n_cols(matrix)

    def csr(self, matrix: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        indptr, indices, values = self._core.csr(matrix)
        indptr = indptr[self._rows.start : self._rows.stop + 1]
        begin, end = indptr[0], indptr[-1]
        return indptr - begin if begin > 0 else indptr, indices[begin:end], values[begin:end]

    def dense(self, matrix: int) -> np.ndarray:
        return self._core.dense(matrix)[self._rows]

    def obsm(self, number: int) -> np.ndarray:
        return self._core.obsm(number)[self._rows]

    def tokens(self, part: str) -> np.ndarray:
        return self._core.tokens(part)[self._rows]

    def genes(self) -> np.ndarray:
        return self._core.genes()

    def obs(self, number: int) -> np.ndarray:
        return self._core.obs(number)[self._rows]


def batch_of_pairs(core: Any, layout: BatchLayout) -> Batch:
    """The cells of a batch of C++'s, which has their controls in its second half."""
    control = Batch(_Half(core, second=True), layout)
    return Batch(_Half(core, second=False), layout._replace(paired=True), {"control": control})
