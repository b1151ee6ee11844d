"""Disjoint sets of rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .errors import InputError


def split_rows(
    rows: np.ndarray, groups: np.ndarray | None, fractions: Mapping[str, float], seed: int
) -> tuple[np.ndarray, ...]:
    """Cuts rows into sets, in the order of `fractions`; whole groups if there are any.

    Groups go, in random order of equals and the largest first, to the set that lacks most of its
    share: so the sets come as near to their shares as groups allow.
    """
    shares = np.array(list(fractions.values()), dtype=float)
    if not len(shares) or (shares < 0).any() or shares.sum() <= 0 or shares.sum() > 1 + 1e-9:
        raise InputError(f"fractions: {dict(fractions)} found, expected shares from 0 to 1 that add up to 1 at most")
    rest = max(1 - shares.sum(), 0.0)
    if rest > 1e-9:
        shares = np.append(shares, rest)  # what no set wants
    random = np.random.default_rng(seed)
    if groups is None:
        order = random.permutation(len(rows))
        ends = np.floor(np.cumsum(shares) * len(rows) + 0.5).astype(int)
        sets = np.split(rows[order], np.minimum(ends, len(rows))[:-1])
    else:
        _, group_of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        set_of_group = np.empty(len(sizes), dtype=int)
        lacking = shares * len(rows)
        for group in np.lexsort((random.permutation(len(sizes)), -sizes)):
            set_of_group[group] = chosen = int(np.argmax(lacking))
            lacking[chosen] -= sizes[group]
        sets = [rows[set_of_group[group_of_row] == number] for number in range(len(shares))]
    return tuple(np.sort(chosen) for chosen in sets[: len(fractions)])
