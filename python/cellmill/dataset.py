"""Many AnnData on disk as one table of cells."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from . import _core
from .batch import Batch, BatchLayout
from .errors import InputError, NotFoundError
from .processes import check_fork, engine_started, this_worker
from .world import local_size

Rows = Any  #: an index, a slice, indices, a boolean mask, a path of a .npy file, or a set of a split


def open(  # as in zarr.open, h5py and the rest
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str] | Dataset],
    *,
    gene_key: str | None = None,
    gene_map: Mapping[str, str] | None = None,
) -> Dataset:
    """Opens AnnData for training and random access; nothing is loaded.

    Parameters
    ----------
    paths
        h5ad files, AnnData in Zarr, stores that ``cellmill shard`` made, annbatch collections, 10x
        files; folders of them, globs, ``@list.txt``; one or many, mixed, also with what `open` gave
        before. Genes are joined by name.
    gene_key
        Column of var that names genes; otherwise its index.
    gene_map
        New names of genes, applied before they are joined.
    """
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    names: list[str] = []
    how = gene_key, dict(gene_map or {})
    for path in paths:
        if isinstance(path, Dataset):
            if path._arguments[1:] != how:
                raise InputError(f"{path!r} was opened with another gene_key or gene_map; expected the same for all")
            names += path.paths
        else:
            names.append(os.fspath(path))
    return Dataset(names, *how)


class ObsColumn:
    """One column of obs over all cells.

    Attributes
    ----------
    codes
        Of text and categories: int64, −1 where missing. Otherwise an error.
    levels
        What the codes mean.
    values
        Numbers as float64 or int64; text and categories as an object array.
    """

    def __init__(self, core: Any) -> None:
        self._core = core
        self.name: str = core.name
        self.levels: list[str] = core.levels

    def __len__(self) -> int:
        return len(self._core)

    @property
    def codes(self) -> np.ndarray:
        if self._core.kind != "codes":
            raise InputError(f"obs['{self.name}'] holds numbers, which have no codes")
        return self._core.values()

    @property
    def values(self) -> np.ndarray:
        values = self._core.values()
        if self._core.kind != "codes":
            return values
        return np.array([*self.levels, None], dtype=object)[values]

    def to_pandas(self) -> Any:
        """A pandas Series: categories, or numbers."""
        import pandas as pd

        if self._core.kind != "codes":
            return pd.Series(self._core.values(), name=self.name)
        kind = pd.Categorical.from_codes(self.codes, self.levels, ordered=self._core.ordered)
        return pd.Series(kind, name=self.name)


class ObsTable(Mapping[str, ObsColumn]):
    """Columns of obs over all cells, by name."""

    def __init__(self, columns: dict[str, ObsColumn]) -> None:
        self._columns = columns

    def __getitem__(self, name: str) -> ObsColumn:
        return self._columns[name]

    def __iter__(self) -> Any:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def to_pandas(self) -> Any:
        """A pandas DataFrame with a row for each cell."""
        import pandas as pd

        return pd.DataFrame({name: column.to_pandas() for name, column in self.items()})


class Dataset:
    """The cells of one or many AnnData as one: rows are numbered over all of them.

    Map-style: ``data[[5, 99]]`` and ``data.__getitems__([5, 99])`` give any rows, in the order asked,
    as one `Batch`, so any torch sampler works.
    """

    def __init__(self, paths: Sequence[str], gene_key: str | None, gene_map: dict[str, str]) -> None:
        self._arguments = (list(paths), gene_key, gene_map)
        self._core = _core.Dataset.open(*self._arguments)
        self._gatherer: Any = None
        self._started_in: int | None = None
        self._names: list[str] | None = None

    def __reduce__(self) -> Any:
        return Dataset, self._arguments

    def __len__(self) -> int:
        return self._core.n_obs

    @property
    def n_obs(self) -> int:
        return self._core.n_obs

    @property
    def n_vars(self) -> int:
        return len(self.var_names)

    @property
    def var_names(self) -> list[str]:
        """Names of the genes that all sources have, in the first one's order."""
        if self._names is None:
            self._names = self._core.gene_names("X", "inner")
        return self._names

    @property
    def paths(self) -> list[str]:
        return self._core.paths

    @property
    def obs_columns(self) -> list[str]:
        return self._core.obs_columns

    def obs(self, columns: str | Sequence[str]) -> ObsTable:
        """These columns over all cells; levels of categories are merged by name."""
        names = [columns] if isinstance(columns, str) else list(columns)
        return ObsTable({name: ObsColumn(self._core.obs(name)) for name in names})

    def select(self, condition: str) -> np.ndarray:
        """Rows for which a condition on obs holds, int64, rising; e.g. ``'pass_filter == "full"'``."""
        return self._core.select(condition)

    def split(
        self, fractions: Mapping[str, float], by: str | None = None, seed: int = 0, rows: Rows = None
    ) -> tuple[np.ndarray, ...]:
        """Disjoint sets of rows, in the order of `fractions`.

        Parameters
        ----------
        fractions
            Name of each set → its share; the shares add up to 1 at most.
        by
            Column of obs: cells of a group all go to the same set, and so do all cells without one.
        rows
            Only these.
        """
        chosen = resolve_rows(self, rows)
        if chosen is None:
            chosen = np.arange(len(self), dtype=np.int64)
        codes = None if by is None else _groups(self._core.obs(by))[chosen]
        shares = [(name, float(share)) for name, share in fractions.items()]
        return tuple(chosen[places] for places in _core.split(len(chosen), codes, shares, seed))

    def label_weights(self, column: str, rows: Rows = None) -> np.ndarray:
        """Inverse frequencies of labels, float64, a number for each row: for `Weighted` and `Curriculum`.

        Parameters
        ----------
        column
            Column of obs with text or categories. A row whose label n of the N labelled rows have gets
            N / n, one without a label 0.
        rows
            Those that training uses; the others get 0.
        """
        chosen = resolve_rows(self, rows)
        if chosen is None:
            chosen = np.arange(len(self), dtype=np.int64)
        if chosen.size and (chosen[0] < 0 or chosen[-1] >= len(self)):
            raise InputError(f"rows: {chosen[0]:,} to {chosen[-1]:,} found, expected 0 to {len(self) - 1:,}")
        return _core.label_weights(self._core.obs(column), chosen)

    def __getitem__(self, rows: Rows) -> Batch:
        if isinstance(rows, (int, np.integer)):
            rows = [rows]
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        array = np.asarray(rows)
        if array.dtype == bool:
            array = _of_mask(array, len(self))
        array = np.ascontiguousarray(array, dtype=np.int64)
        array = np.where(array < 0, array + len(self), array)
        return Batch(self._rows_of().rows(array), BatchLayout({"X": 0}, {}, {}))

    def __getitems__(self, rows: Rows) -> Batch:
        return self[rows]

    def _rows_of(self) -> Any:
        check_fork(self._started_in)
        if self._gatherer is None:
            _, workers = this_worker() or (0, 1)
            options = _core.ReadOptions()
            options.threads = max(_core.default_threads(local_size()) // workers, 1)
            self._gatherer = _core.RowGatherer(self._core, options)
            self._started_in = engine_started()
        return self._gatherer

    def to_anndata(self, rows: Rows = None, obs: Sequence[str] | None = None) -> Any:
        """These rows in memory, as anndata.AnnData: X of the shared genes, and obs."""
        import anndata
        import pandas as pd

        chosen = resolve_rows(self, rows)
        if chosen is None:
            chosen = np.arange(len(self), dtype=np.int64)
        batch = self[chosen]
        columns = self.obs(self.obs_columns if obs is None else obs)
        frame = columns.to_pandas().iloc[chosen] if len(columns) else pd.DataFrame(index=range(len(chosen)))
        frame.index = pd.Index(self._core.obs_names(np.ascontiguousarray(chosen)), dtype=object)
        var = pd.DataFrame(index=pd.Index(self.var_names, dtype=object))
        # A copy: the batch's memory is used again.
        return anndata.AnnData(X=batch["X"].to_scipy().copy(), obs=frame, var=var)

    def __repr__(self) -> str:
        names = [os.path.basename(path.rstrip("/")) for path in self.paths]
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        return f"Dataset of {len(self):,} cells × {self.n_vars:,} genes: {shown}"


def _groups(column: Any) -> np.ndarray:
    """A code for each row; numbers are numbered."""
    if column.kind == "codes":
        return column.values()
    return np.unique(column.values(), return_inverse=True)[1].astype(np.int64)


def _of_mask(mask: np.ndarray, n_rows: int) -> np.ndarray:
    if mask.shape != (n_rows,):
        raise InputError(f"rows: a mask of {mask.shape} found, expected one value for each of {n_rows} rows")
    return np.flatnonzero(mask)


def resolve_rows(data: Dataset, rows: Rows, condition: str | None = None) -> np.ndarray | None:
    """Rising rows from what a user may give, all of it; none for all rows."""
    chosen = None
    if rows is not None:
        if isinstance(rows, (str, os.PathLike)):
            rows = np.load(rows, mmap_mode="r", allow_pickle=False)
        array = np.asarray(rows)
        if array.dtype == bool:
            array = _of_mask(array, len(data))
        elif array.size and not np.issubdtype(array.dtype, np.integer):
            raise InputError(f"rows: {array.dtype} found, expected integers or a boolean mask")
        chosen = np.unique(array.astype(np.int64))
    if condition is not None:
        selected = data.select(condition)
        chosen = selected if chosen is None else np.intersect1d(chosen, selected, assume_unique=True)
    return None if chosen is None else np.ascontiguousarray(chosen)


def resolve_genes(genes: Any) -> list[str] | None:
    """Names from a list, or from a file with one a line."""
    if genes is None:
        return None
    if isinstance(genes, (str, os.PathLike)):
        if not os.path.exists(genes):
            raise NotFoundError(f"genes: there is no file {genes}; expected names, or a file with one a line")
        return _core.read_gene_list(os.fspath(genes))
    return [str(gene) for gene in genes]
