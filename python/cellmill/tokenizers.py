"""How cells become tokens: plain values that say so, for a loader's ``output=``.

Each can also be given as a dict, so that configuration files work:
``{"geneformer": {"dictionary": "dictionary.tsv"}}``. The definitions are in docs/training.md.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from . import _core
from .errors import InputError, NotFoundError

#: A file (``.json``: name → id; otherwise a table of names, ``token`` and ``median``), or name → id.
Tokens = str | os.PathLike[str] | Mapping[str, int]


@dataclass(frozen=True)
class Geneformer:
    """Genes by count / total · 10,000 / median falling, of raw counts.

    Parameters
    ----------
    dictionary
        Tokens of genes, as a file with their medians, or name → id.
    version
        1: genes only. 2: ``<cls>`` first and ``<eos>`` last.
    max_length
        Tokens of a cell at most, special ones too: 2,048, or 4,096 in version 2.
    percentile
        Only genes whose rank among a cell's distinct values is so high, of 100.
    medians
        Name → non-zero median, where the dictionary has none.
    layer
        Where the counts are, if not in X: ``"counts"``, ``"raw.X"``.
    """

    dictionary: Tokens
    version: int = 1
    max_length: int | None = None
    percentile: float | None = None
    medians: Mapping[str, float] | None = None
    layer: str | None = None

    def words(self) -> Any:
        return _vocabulary(self.dictionary, "dictionary", self.medians)

    def to_core(self) -> Any:
        return _core.GeneformerOptions(self.words(), self.version, self.max_length, self.percentile)


@dataclass(frozen=True)
class ScGPT:
    """``<cls>``, and a cell's genes with their values, binned; a random part of long cells.

    Batches have ``values``, and with masking ``masked_values``.

    Parameters
    ----------
    vocab
        Tokens of genes: a file, or name → id.
    binning
        Bins of a cell's values, zero's too; None leaves them as they are.
    max_length
        Tokens of a cell at most, ``<cls>`` too.
    masking
        Chance of each value to be masked; 0 for none.
    mask_value, pad_value
        What stands for masked values, and after a cell's last.
    layer
        Where the values are, if not in X.
    """

    vocab: Tokens
    binning: int | None = 51
    max_length: int = 2048
    masking: float = 0.15
    mask_value: float = -1.0
    pad_value: float = 0.0
    layer: str | None = None

    def words(self) -> Any:
        return _vocabulary(self.vocab, "vocab")

    def to_core(self) -> Any:
        values = self.masking, self.mask_value, self.pad_value
        return _core.ScGptOptions(self.words(), self.binning, self.max_length, *values)


@dataclass(frozen=True)
class RankValue:
    """Genes by value falling, with their ``values``.

    Parameters
    ----------
    max_length
        Tokens of a cell at most.
    vocab
        Tokens of genes: a file, or name → id; otherwise a gene's place in ``loader.var_names``.
    layer
        Where the values are, if not in X.
    """

    max_length: int = 2048
    vocab: Tokens | None = None
    layer: str | None = None

    def words(self) -> Any:
        return None if self.vocab is None else _vocabulary(self.vocab, "vocab")

    def to_core(self) -> Any:
        return _core.RankValueOptions(self.words(), self.max_length)


Tokenizer = Geneformer | ScGPT | RankValue
_TOKENIZERS: dict[str, type] = {"geneformer": Geneformer, "scgpt": ScGPT, "rank_value": RankValue}


def parse_output(value: Any) -> str | Tokenizer:
    """``"csr"``, ``"dense"`` or a tokenizer, from what a user may write."""
    if value in ("csr", "dense") or isinstance(value, Tokenizer):
        return value
    name, options = value, {}
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, options),) = value.items()
    kind = _TOKENIZERS.get(str(name).lower())
    if kind is None or (kind is not RankValue and not options):
        names = ", ".join(_TOKENIZERS)
        raise InputError(f"output: {value!r} found, expected 'csr', 'dense', or one of {names} as {{name: options}}")
    known = [field.name for field in fields(kind)]
    for option in options or {}:
        if option not in known:
            raise InputError(f"output {name}: there is no option '{option}'; it has {', '.join(known)}")
    return kind(**(options or {}))


def token_parts(tokenizer: Tokenizer) -> tuple[str, ...]:
    """What a batch has of a cell's tokens."""
    parts = ["input_ids", "attention_mask"]
    if not isinstance(tokenizer, Geneformer):
        parts.append("values")
    if isinstance(tokenizer, ScGPT) and tokenizer.masking > 0:
        parts.append("masked_values")
    return tuple(parts)


def _vocabulary(tokens: Tokens, what: str, medians: Mapping[str, float] | None = None) -> Any:
    if isinstance(tokens, Mapping):
        names = list(tokens)
        words = _core.Vocabulary(names, [tokens[name] for name in names], _medians_of(names, medians))
    elif isinstance(tokens, (str, os.PathLike)):
        if not os.path.exists(tokens):
            raise NotFoundError(f"{what}: there is no file {tokens}; expected one, or names and ids")
        words = _core.read_vocabulary(os.fspath(tokens))
        if medians is not None:
            words = _core.Vocabulary(words.names, words.ids, _medians_of(words.names, medians))
    else:
        raise InputError(f"{what}: {type(tokens).__name__} found, expected a file, or a mapping of names and ids")
    return words


def _medians_of(names: list[str], medians: Mapping[str, float] | None) -> list[float]:
    return [] if medians is None else [float(medians.get(name, "nan")) for name in names]
