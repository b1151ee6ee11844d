"""From an order as a user says it to the one that C++ makes."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from . import _core
from .dataset import Dataset
from .errors import InputError, NotFoundError
from .orders import Balanced, Curriculum, Order, Paired, Sequential, Stratified, Weighted


def core_order(data: Dataset, rows: np.ndarray | None, order: Order, **options: Any) -> Any:
    """The order of these rows; `options`: batch_size, seed, lanes, tail."""
    block = 1 if isinstance(order, Sequential) else order.block
    parts = _core.OrderParts(data._core.rows_of_sources, rows, block, **options)
    column = data._core.obs
    if isinstance(order, Sequential):
        return parts.sequential()
    if isinstance(order, Weighted):
        return parts.weighted(_weights(data, order.weights), 0, order.window)
    if isinstance(order, Curriculum):
        if order.warmup_epochs < 1:
            raise InputError(f"warmup_epochs: {order.warmup_epochs} found, expected at least 1")
        return parts.weighted(_weights(data, order.weights), order.warmup_epochs, order.window)
    if isinstance(order, Balanced):
        levels = None if order.levels is None else [str(level) for level in order.levels]
        return parts.balanced(column(order.by), levels, order.window)
    if isinstance(order, Stratified):
        return parts.stratified(column(order.by), order.window)
    if isinstance(order, Paired):
        names = [order.match] if isinstance(order.match, str) else list(order.match)
        match = [column(name) for name in names]
        return parts.paired(column(order.condition), str(order.control), match, order.window)
    return parts.shuffled(order.window)


def _weights(data: Dataset, weights: Any) -> Any:
    """A column of obs, or an array of float32 or float64 that is as long as the data."""
    if isinstance(weights, (str, os.PathLike)):
        if not os.fspath(weights).endswith(".npy"):
            return data._core.obs(os.fspath(weights))
        if not os.path.exists(weights):
            raise NotFoundError(f"weights: there is no file {os.fspath(weights)}")
        weights = np.load(weights, mmap_mode="r", allow_pickle=False)
    array = np.asarray(weights)
    if array.ndim != 1 or array.dtype.kind not in "fiub":
        raise InputError(f"weights: {array.dtype} of shape {array.shape} found, expected a number for each row")
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    return np.ascontiguousarray(array)
