"""The codec of `cellmill shard --codec fast`, for zarr-python: found by its entry point, read only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from zarr.abc.codec import ArrayBytesCodec

from . import _core


@dataclass(frozen=True)
class PackedRowsCodec(ArrayBytesCodec):
    """Rows packed one by one (docs/formats.md, "Packed rows")."""

    is_fixed_size = False

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PackedRowsCodec:
        return cls()

    def to_dict(self) -> dict[str, Any]:
        return {"name": "cellmill.packed_rows", "configuration": {}}

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        raise NotImplementedError

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        dtype = chunk_spec.dtype
        dtype = dtype.to_native_dtype() if hasattr(dtype, "to_native_dtype") else np.dtype(dtype)
        raw = np.frombuffer(chunk_bytes.to_bytes(), dtype=np.uint8)
        elements = _core.unpack_chunk(raw, dtype.name, int(np.prod(chunk_spec.shape)))
        array = elements.view(dtype).reshape(chunk_spec.shape)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(array)

    async def _encode_single(self, chunk_array: Any, chunk_spec: Any) -> Any:
        raise NotImplementedError(
            "cellmill.packed_rows: values alone don't show where rows end, so Python can't write them; "
            "write such stores with `cellmill shard --codec fast`"
        )
