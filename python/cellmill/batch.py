"""What a loader hands out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from .errors import InputError


class CsrMatrix(NamedTuple):
    """Compressed sparse rows: rows × genes.

    ``indptr`` (rows + 1) and ``indices`` are int32, ``data`` is float32; columns rise within a row.
    """

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    shape: tuple[int, int]

    def to_scipy(self) -> Any:
        """The same as scipy.sparse.csr_matrix, without a copy."""
        from scipy.sparse import csr_matrix

        matrix = csr_matrix(self.shape, dtype=self.data.dtype)
        matrix.indptr, matrix.indices, matrix.data = self.indptr, self.indices, self.data
        matrix.has_canonical_format = True
        return matrix

    def to_torch(self) -> Any:
        """The same as a torch CSR tensor, without a copy."""
        import torch

        parts = (torch.from_numpy(part) for part in (self.indptr, self.indices, self.data))
        return _csr_tensor(torch, *parts, size=self.shape)

    def to_dense(self) -> np.ndarray:
        """Rows × genes, float32."""
        dense = np.zeros(self.shape, self.data.dtype)
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))
        dense[rows, self.indices] = self.data
        return dense


_ABOUT_ROWS = ("rows", "valid")  #: entries of every batch


class BatchLayout(NamedTuple):
    """What the batches of a loader hold, by name and place."""

    matrices: dict[str, int]
    obsm: dict[str, int]
    obs: dict[str, int]
    dense: bool = False
    torch: bool = False
    coded: frozenset[str] = frozenset()  #: columns of obs that are codes
    unknown: int = -1  #: the code of what is missing
    paired: bool = False  #: with a control for each cell
    tokens: tuple[str, ...] = ()  #: instead of the first matrix
    selects: bool = False  #: genes, batch by batch


_NO_LAYOUT = BatchLayout({}, {}, {})


class Batch(Mapping[str, Any]):
    """Cells and what was asked of them: a mapping, whose entries are attributes too.

    Attributes
    ----------
    rows
        Rows of the data, int64; −1 where a batch was filled up (``tail="pad"``).
    valid
        Which rows are there, bool.
    control
        With order `Paired`: a batch of a control for each cell, in the same order.
    genes
        With a selection of genes: the places of the batch's genes in ``loader.var_names``, int64, rising.
    input_ids, attention_mask, values, masked_values
        Of tokens: cells × the longest one's, int64, bool, float32, float32.

    Entries are made when they are first asked for, over the batch's own memory, which is used again
    once the batch and all of its arrays are gone. ``Batch(entries)`` is one of entries that are there
    already: torch's DataLoader makes such ones, and so attributes come through it.
    """

    __slots__ = ("_core", "_layout", "_made")

    def __init__(self, core: Any, layout: BatchLayout | None = None, made: dict[str, Any] | None = None) -> None:
        if layout is None:
            core, layout, made = None, _NO_LAYOUT, dict(core)
        self._core, self._layout = core, layout
        self._made = {} if made is None else made

    def __len__(self) -> int:
        return len(self["rows"] if self._core is None else self._core)

    def __iter__(self) -> Iterator[str]:
        if self._core is None:
            yield from self._made
            return
        layout = self._layout
        yield from layout.tokens
        yield from layout.matrices
        yield from layout.obsm
        yield from layout.obs
        if layout.selects:
            yield "genes"
        yield from _ABOUT_ROWS
        if layout.paired:
            yield "control"

    def __contains__(self, key: object) -> bool:
        return key in tuple(self)

    def __getitem__(self, key: str) -> Any:
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self._make(key)
        return made

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python's own, which are asked for before there are entries
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"a batch has no '{name}'; it has {', '.join(self)}") from None

    def _make(self, key: str) -> Any:
        core, layout = self._core, self._layout
        number = layout.matrices.get(key)
        if number is not None:
            if layout.dense:
                return self._out(core.dense(number))
            matrix = CsrMatrix(*core.csr(number), shape=(len(core), core.n_cols(number)))
            return matrix.to_torch() if layout.torch else matrix
        if key == "genes" and layout.selects:
            return self._out(core.genes())
        if key in layout.tokens:
            return self._out(core.tokens(key))
        number = layout.obsm.get(key)
        if number is not None:
            return self._out(core.obsm(number))
        number = layout.obs.get(key)
        if number is not None:
            values = core.obs(number)
            if layout.unknown != -1 and key in layout.coded:
                values[values < 0] = layout.unknown
            return self._out(values)
        if key in _ABOUT_ROWS:
            rows = core.rows()
            return self._out(rows if key == "rows" else rows >= 0)
        raise KeyError(key)

    def _out(self, array: np.ndarray) -> Any:
        if not self._layout.torch:
            return array
        import torch

        return torch.from_numpy(array)

    def to(self, device: Any, non_blocking: bool = False) -> Batch:
        """The same of torch tensors on a device."""
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self, device: Any = None) -> Batch:
        """The same of torch tensors in pinned memory."""
        try:
            return self._mapped(_pinned)
        except RuntimeError as error:
            if sys.modules["torch"].cuda.is_available():
                raise
            raise InputError("pin_memory: torch finds no GPU that memory could be pinned for") from error

    def _mapped(self, change: Any) -> Batch:
        import torch

        found = dict(self)
        for key, value in found.items():
            if isinstance(value, Batch):
                found[key] = value._mapped(change)
                continue
            if isinstance(value, CsrMatrix):
                value = value.to_torch()
            found[key] = change(value if isinstance(value, torch.Tensor) else torch.from_numpy(value))
        return Batch(found)

    def __reduce__(self) -> Any:
        return Batch, (dict(self),)

    def __repr__(self) -> str:
        return f"Batch of {len(self)} cells: {', '.join(self)}"


def _csr_tensor(torch: Any, *parts: Any, size: tuple[int, ...]) -> Any:
    """Without a check of every element, which takes longer than making the batch."""
    if torch.__version__ < "2":
        return torch._sparse_csr_tensor_unsafe(*parts, size=size)
    return torch.sparse_csr_tensor(*parts, size=size, check_invariants=False)


def _pinned(tensor: Any) -> Any:
    torch = sys.modules["torch"]
    if tensor.layout != torch.sparse_csr:
        return tensor.pin_memory()
    parts = (tensor.crow_indices(), tensor.col_indices(), tensor.values())
    return _csr_tensor(torch, *(part.pin_memory() for part in parts), size=tensor.shape)
