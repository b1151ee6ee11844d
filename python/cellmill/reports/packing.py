"""Arrays as the page's script reads them: numbers of few bytes, in base64, of the whole data compressed."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import numpy as np

_STEPS = 65534
_MISSING = 65535


def pack(values: np.ndarray) -> dict[str, Any]:
    """`values`: uint8, uint16 or uint32, of one dimension or two."""
    data = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    return {"type": values.dtype.name, "shape": values.shape, "data": base64.b64encode(data.tobytes()).decode()}


def to_steps(values: np.ndarray, least: float | None = None, most: float | None = None) -> dict[str, Any]:
    """Numbers as 65,535 even steps from the least to the most of them; the last code is a missing one."""
    values = np.asarray(values, np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        return {"low": 0.0, "step": 1.0} | pack(np.full(values.shape, _MISSING, np.uint16))
    least = float(values[finite].min()) if least is None else least
    most = float(values[finite].max()) if most is None else most
    step = (most - least) / _STEPS or 1.0
    codes = np.full(values.shape, _MISSING, np.uint16)
    codes[finite] = np.round((values[finite] - least) / step).clip(0, _STEPS).astype(np.uint16)
    return {"low": least, "step": step} | pack(codes)


def packed_levels(counts: np.ndarray) -> dict[str, Any]:
    """Counts of any size as 0 to 255: 0 is none, the others even steps of log(1 + count) to the greatest."""
    most = int(counts.max(initial=0))
    levels = np.ceil(np.log1p(counts) / np.log1p(max(most, 1)) * 255)
    return {"most": most, "levels": pack(levels.clip(0, 255).astype(np.uint8))}


def compressed(data: Any) -> str:
    """JSON, gzip, base64: the same bytes for the same data."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
