"""An output of ``cellmill run``, or any AnnData with some of its slots, read piece by piece."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, MissingError, NotFoundError

#: Rows of one column that are read together, unless a chunk has more.
_COLUMN_ROWS = 1 << 22
#: Bytes of a matrix that are read together, unless a chunk has more.
_MATRIX_BYTES = 32 << 20


@dataclass
class Column:
    """Values of one column of obs in some rows.

    `codes`: int64, −1 where missing, of the `levels`; or `numbers`: float64, NaN where missing.
    """

    name: str
    levels: list[str] | None
    codes: np.ndarray | None
    numbers: np.ndarray | None


def row_blocks(array: Any, n_rows: int, at_least: int) -> Iterator[slice]:
    """Slices of rows, `at_least` so many each, that don't cut a chunk of the array."""
    chunk = (getattr(array, "shards", None) or array.chunks or (1,))[0]
    rows = max(1, -(-at_least // chunk)) * chunk
    for begin in range(0, n_rows, rows):
        yield slice(begin, min(begin + rows, n_rows))


class RunOutput:
    """The slots that a report shows. What is not there is empty, or None."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._root = _open(self.path)
        self.n_obs, self.obs_columns = self._obs_shape()
        self.uns_cellmill: Mapping[str, Any] = self._small("uns/cellmill") or {}
        self.pca: Mapping[str, Any] = self._small("uns/pca") or {}
        self.flavor = str((self._small("uns/hvg") or {}).get("flavor", "seurat"))

    def _small(self, name: str) -> Any:
        """An element that is small, whole."""
        import anndata.io

        if name not in self._root:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return anndata.io.read_elem(self._root[name])

    def _obs_shape(self) -> tuple[int, list[str]]:
        if "obs" not in self._root or "_index" not in self._root["obs"].attrs:
            raise InputError(f"{self.path}: obs is not there, so this is no AnnData")
        obs = self._root["obs"]
        index = _values(obs[str(obs.attrs["_index"])])
        return int(index.shape[0]), [str(name) for name in obs.attrs.get("column-order", [])]

    @property
    def n_vars(self) -> int:
        if "var" not in self._root:
            return 0
        var = self._root["var"]
        return int(_values(var[str(var.attrs["_index"])]).shape[0])

    def var_names(self) -> np.ndarray:
        var = self._root["var"]
        return np.asarray(self._small(f"var/{var.attrs['_index']}"), dtype=object)

    def components(self) -> Any | None:
        """obsm/X_pca, cells × components, not yet read."""
        return self._root.get("obsm/X_pca")

    def component_blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """X_pca in blocks of rows: the first row of each, and float32 rows × components."""
        array = self.components()
        assert array is not None
        rows = max(1, _MATRIX_BYTES // max(1, array.shape[1] * array.dtype.itemsize))
        for block in row_blocks(array, array.shape[0], rows):
            yield block.start, np.asarray(array[block], dtype=np.float32)

    def hvg_tables(self) -> Any | None:
        """uns/hvg_per_plate, whose tables are genes × plates, not yet read."""
        return self._root.get("uns/hvg_per_plate")

    def hvg_names(self, axis: str) -> np.ndarray:
        """``genes`` or ``plates`` of uns/hvg_per_plate."""
        return np.asarray(self._small(f"uns/hvg_per_plate/{axis}"), dtype=object)

    def shown_columns(self, wanted: Sequence[str] | None, most: int) -> list[str]:
        """The columns asked for; else the label of the plates and the others that a colour can show."""
        if wanted is None:
            label = str(self.uns_cellmill.get("options", {}).get("label", "plate"))
            names = sorted(self.obs_columns, key=lambda name: name != label)
            return [name for name in names if self._kind(name) is not None][:most]
        for name in wanted:
            if name not in self.obs_columns:
                near = difflib.get_close_matches(name, self.obs_columns, 3)
                hint = f"; did you mean {' or '.join(near)}?" if near else ""
                raise MissingError(f"{self.path}: there is no column {name} in obs{hint}")
            if self._kind(name) is None:
                raise InputError(
                    f"{self.path}: obs column {name} is text; expected categories, booleans or numbers"
                )
        return list(wanted)

    def _kind(self, name: str) -> str | None:
        element = self._root["obs"][name]
        encoding = str(element.attrs.get("encoding-type", "array"))
        if encoding in ("categorical", "nullable-integer", "nullable-boolean"):
            return encoding
        return "array" if encoding == "array" and element.dtype.kind in "biuf" else None

    def column(self, name: str, rows: np.ndarray) -> Column:
        """Of these rows, which rise."""
        element, kind = self._root["obs"][name], self._kind(name)
        if kind == "categorical":
            levels = [str(level) for level in self._small(f"obs/{name}/categories")]
            return Column(name, levels, _picked(element["codes"], rows).astype(np.int64), None)
        values = _picked(element if kind == "array" else element["values"], rows)
        missing = np.zeros(len(rows), bool) if kind == "array" else _picked(element["mask"], rows).astype(bool)
        if values.dtype.kind == "b":
            return Column(name, ["False", "True"], np.where(missing, -1, values.astype(np.int64)), None)
        return Column(name, None, None, np.where(missing, np.nan, values.astype(np.float64)))


def _open(path: Path) -> Any:
    if not path.exists():
        raise NotFoundError(f"{path}: there is no such file")
    try:
        if path.is_dir() or path.suffix == ".zip":
            import zarr

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return zarr.open_group(path, mode="r")
        import h5py

        return h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path}: neither a Zarr store nor an HDF5 file: {error}") from None


def _values(element: Any) -> Any:
    """The array of a column, which may be a group of values and mask, or of codes and categories."""
    if hasattr(element, "shape"):
        return element
    return element["values"] if "values" in element else element["codes"]


def _picked(array: Any, rows: np.ndarray) -> np.ndarray:
    parts = []
    for block in row_blocks(array, array.shape[0], _COLUMN_ROWS):
        first, last = np.searchsorted(rows, (block.start, block.stop))
        if last > first:
            parts.append(np.asarray(array[block])[rows[first:last] - block.start])
    return np.concatenate(parts) if parts else np.zeros(0, array.dtype)
