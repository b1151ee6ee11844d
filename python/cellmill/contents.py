"""What the batches of a loader hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from . import _core
from .batch import BatchLayout
from .dataset import Dataset, resolve_genes
from .log import log
from .orders import Log1p, NormalizeTotal, parse_transform
from .selections import split_selection
from .tokenizers import parse_output, token_parts


class Contents:
    """What a loader's options ask for: the options of reading it, its meaning, its place in batches.

    Attributes
    ----------
    read
        The options of C++; threads and memory are the loader's to say.
    tokenizer
        How cells become tokens, if they do.
    """

    def __init__(
        self,
        data: Dataset,
        seed: int,
        output: Any,
        torch: bool,
        *,
        obs: Sequence[str] | Mapping[str, Sequence[str] | None] | str | None,
        layers: Sequence[str] | str | None,
        obsm: Sequence[str] | str | None,
        genes: Any,
        join: str | None,
        transform: Any,
        unknown_label: int,
    ) -> None:
        self._data, self._torch, self._unknown = data, torch, int(unknown_label)
        output = parse_output(output)
        self.tokenizer = None if isinstance(output, str) else output
        self._dense = output == "dense"
        self._levels: dict[str, list[str]] | None = None
        first = (self.tokenizer and self.tokenizer.layer) or "X"
        self._matrices = [first, *_names(layers)]
        self.read = read = _core.ReadOptions()
        read.matrices = [_matrix_path(name) for name in self._matrices]
        read.obs = _names(obs)
        fixed = obs.items() if isinstance(obs, Mapping) else ()
        read.obs_levels = {name: [str(level) for level in levels] for name, levels in fixed if levels is not None}
        read.obsm = _names(obsm)
        read.genes = resolve_genes(genes)
        self._join = join or ("outer" if self.tokenizer else "inner")
        read.set_join(self._join)
        read.seed = seed
        self._selection, transform = split_selection(transform)
        if self._selection is not None:
            read.set_selection(self._selection.kind, self._selection.count)
        steps = parse_transform(transform)
        target = next((step.target_sum for step in steps if isinstance(step, NormalizeTotal)), None)
        read.set_transform(target, any(isinstance(step, Log1p) for step in steps))
        if self._dense:
            read.set_dense()
        if self.tokenizer:
            read.tokens = self.tokenizer.to_core()

    @cached_property
    def fingerprint(self) -> int:
        """Of the data: others have another."""
        return self._data._core.fingerprint(self.read.matrices[0])

    @property
    def categories(self) -> dict[str, list[str]]:
        """Levels of the columns of obs that have codes."""
        fixed = self.read.obs_levels
        return {name: fixed.get(name, levels) for name, levels in self._data_levels().items()}

    def _data_levels(self) -> dict[str, list[str]]:
        if self._levels is None:
            columns = [self._data._core.obs(name) for name in self.read.obs]
            self._levels = {column.name: column.levels for column in columns if column.kind == "codes"}
        return self._levels

    @property
    def var_names(self) -> list[str]:
        """Names of a batch's genes."""
        return self.read.genes or self._data._core.gene_names(self.read.matrices[0], self._join)

    @property
    def special_tokens(self) -> dict[str, int]:
        """Ids of the special tokens."""
        return {name: number for name, number, _ in self._special_tokens(len(self.var_names))}

    @property
    def n_tokens(self) -> int:
        """More than any id; 0 if there are no tokens."""
        if self.tokenizer is None:
            return 0
        words = self.tokenizer.words()
        ids = range(len(self.var_names)) if words is None else words.ids
        return max([*ids, *self.special_tokens.values()]) + 1

    def _special_tokens(self, n_genes: int) -> list[tuple[str, int, bool]]:
        return [] if self.read.tokens is None else _core.special_tokens(self.read.tokens, n_genes)

    def layout(self, core: Any) -> BatchLayout:
        """Places in the batches of a loader that has just started; tells what a user may not expect of them."""
        columns = [core.obs(number) for number in range(len(self.read.obs))]
        for column in columns:
            if column.name in self.read.obs_levels:
                self._warn_of_levels(column.name, set(column.levels))
        found = self._special_tokens(len(core.genes()))
        appended = ", ".join(f"{name} {number}" for name, number, is_new in found if is_new)
        if appended:
            log.info("special tokens after the last of the vocabulary: %s", appended)
        return BatchLayout(
            {name: number for number, name in enumerate(self._matrices) if number > 0 or not self.tokenizer},
            {name: number for number, name in enumerate(self.read.obsm)},
            {column.name: number for number, column in enumerate(columns)},
            self._dense,
            self._torch,
            frozenset(column.name for column in columns if column.kind == "codes"),
            self._unknown,
            tokens=token_parts(self.tokenizer) if self.tokenizer else (),
            selects=self._selection is not None,
        )

    def _warn_of_levels(self, name: str, levels: set[str]) -> None:
        others = [level for level in self._data_levels()[name] if level not in levels]
        if others:
            log.warning(
                "obs['%s']: %d of the data's levels, e.g. '%s', are not among those given; their cells get code %d",
                *(name, len(others), others[0], self._unknown),
            )


def _names(given: Sequence[str] | Mapping[str, Any] | str | None) -> list[str]:
    return [given] if isinstance(given, str) else list(given or [])


def _matrix_path(name: str) -> str:
    if name in ("X", "raw.X", "raw/X"):
        return name.replace(".", "/")
    return name if name.startswith("layers/") else f"layers/{name}"
