"""Frames and messages: docs/protocol.md sections 2 and 3.

Encoding is done here and not by the msgpack package, because a large array is then written to the pipe from where it
lies, without a copy, and because numbers follow the protocol's canonical form. Decoding is msgpack's.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgpack  # type: ignore[import-untyped]
import numpy as np

from ._examples import Examples
from ._exceptions import DataError, ProtocolError

#: A piece of a frame.
Chunk: TypeAlias = bytes | bytearray | memoryview

#: Bin from this size on is its own chunk.
_OWN_CHUNK = 16384
_HEADER = struct.Struct("<I")
_MAX_DEPTH = 16
_MAX_ITEMS = 10_000

#: numpy's kinds and sizes as dtypes of the wire.
_WIRE_DTYPES = {"<f8": "f64", "<f4": "f32", "<i4": "i32", "<i8": "i64", "|u1": "u8", "|b1": "bool"}
_NUMPY_DTYPES = {wire: np.dtype(code) for code, wire in _WIRE_DTYPES.items()}


def encode_frame(message: Mapping[str, Any]) -> list[Chunk]:
    """The chunks of a message's frame; large arrays in it are written from their own memory."""
    parts: list[Chunk] = []
    _encode(message, parts, 0)
    length = sum(map(len, parts))
    if length >= 2**32:
        raise DataError(f"A message of {length} bytes cannot be sent; give the data in batches.", "BAD_ARRAY")
    return joined([_HEADER.pack(length), *parts], _OWN_CHUNK)


def joined(parts: Iterable[Chunk], limit: int) -> list[Chunk]:
    """Neighbours that are smaller than the limit as one chunk; larger ones stay where they lie."""
    chunks: list[Chunk] = []
    small: list[Chunk] = []
    for part in parts:
        if len(part) < limit:
            small.append(part)
            continue
        if small:
            chunks.append(b"".join(small))
            small = []
        chunks.append(part)
    if small:
        chunks.append(b"".join(small))
    return chunks


def _encode(value: Any, parts: list[Chunk], depth: int) -> None:
    kind = type(value)
    if kind is str:
        parts.append(_text(value))
    elif kind is dict:
        _encode_map(value, parts, depth)
    elif kind is np.ndarray:
        _encode_array(value, parts)
    else:
        _encode_other(value, parts, depth)


def _encode_other(value: Any, parts: list[Chunk], depth: int) -> None:
    if value is None:
        parts.append(b"\xc0")
    elif value is True or value is False:
        parts.append(b"\xc3" if value else b"\xc2")
    elif isinstance(value, (int, float)):
        parts.append(_number(value))
    elif isinstance(value, (bytes, bytearray, memoryview)):
        _encode_bytes(memoryview(value).cast("B") if len(value) else b"", parts)
    elif isinstance(value, (list, tuple)):
        _encode_list(value, parts, depth)
    elif isinstance(value, str):
        parts.append(_text(str(value)))
    elif isinstance(value, Mapping):
        _encode_map(value, parts, depth)
    elif isinstance(value, np.ndarray):
        _encode_array(value, parts)
    elif isinstance(value, Examples):
        _encode_examples(value, parts, depth)
    elif isinstance(value, np.generic):
        _encode(value.item(), parts, depth)
    elif isinstance(value, Sequence):
        _encode_list(value, parts, depth)
    else:
        raise DataError(f"A value of type {type(value).__name__} cannot be sent.", "BAD_ARRAY")


def _encode_bytes(data: Chunk, parts: list[Chunk]) -> None:
    parts += (_length(len(data), None, 0xC4, 0xC5), data)


def _encode_array(array: np.ndarray[Any, Any], parts: list[Chunk]) -> None:
    wire = array_to_wire(array)
    parts.append(_array_head(wire["dtype"], array.shape, wire["order"]))
    _encode_bytes(wire["data"], parts)


def _encode_examples(value: Examples, parts: list[Chunk], depth: int) -> None:
    """One array, or a list of arrays with the names of their inputs and columns."""
    if value.only is not None and value.arrays[0].columns is None:
        _encode_array(value.only, parts)
        return
    named = [
        {**array_to_wire(part.values)}
        | ({} if part.name is None else {"name": part.name})
        | ({} if part.columns is None else {"columns": list(part.columns)})
        for part in value.arrays
    ]
    _encode_list(named, parts, depth)


@functools.lru_cache(maxsize=256)
def _array_head(dtype: str, shape: tuple[int, ...], order: str) -> bytes:
    """The map of an array up to its data."""
    parts: list[Chunk] = [_length(4, (0x80, 16), None, 0xDE)]
    for item in ("dtype", dtype, "shape", shape, "order", order, "data"):
        _encode(item, parts, 1)
    return b"".join(parts)


def _encode_map(value: Mapping[Any, Any], parts: list[Chunk], depth: int) -> None:
    _check_container(len(value), depth)
    parts.append(_length(len(value), (0x80, 16), None, 0xDE))
    for key, item in value.items():
        if not isinstance(key, str):
            raise DataError(f"The key {key!r} must be a string.", "BAD_ARRAY")
        parts.append(_text(key))
        _encode(item, parts, depth + 1)


def _encode_list(value: Sequence[Any], parts: list[Chunk], depth: int) -> None:
    _check_container(len(value), depth)
    parts.append(_length(len(value), (0x90, 16), None, 0xDC))
    for item in value:
        _encode(item, parts, depth + 1)


def _check_container(count: int, depth: int) -> None:
    if depth >= _MAX_DEPTH or count > _MAX_ITEMS:
        raise DataError(
            f"A message may nest {_MAX_DEPTH} deep and hold {_MAX_ITEMS} items a list; send numbers as arrays.",
            "BAD_ARRAY",
        )


@functools.lru_cache(maxsize=1024)
def _word(value: str) -> bytes:
    data = value.encode()
    return _length(len(data), (0xA0, 32), 0xD9, 0xDA) + data


def _text(value: str) -> bytes:
    """Keys and options are the same words again and again; what may be long is not kept."""
    return _word(value) if len(value) < 64 else _word.__wrapped__(value)


def _length(length: int, short: tuple[int, int] | None, code8: int | None, code16: int) -> bytes:
    if short is not None and length < short[1]:
        return bytes((short[0] | length,))
    if code8 is not None and length < 0x100:
        return bytes((code8, length))
    if length < 0x10000:
        return struct.pack(">BH", code16, length)
    return struct.pack(">BI", code16 + 1, length)


def _number(value: float) -> bytes:
    whole = isinstance(value, int) or value.is_integer()
    if not whole or not -(2**31) <= value < 2**32:
        return struct.pack(">Bd", 0xCB, value)
    number = int(value)
    if -32 <= number < 128:
        return bytes((number & 0xFF,))
    if number >= 0:
        width, code = (1, 0xCC) if number < 0x100 else (2, 0xCD) if number < 0x10000 else (4, 0xCE)
        return bytes((code,)) + number.to_bytes(width, "big")
    width, code = (1, 0xD0) if number >= -0x80 else (2, 0xD1) if number >= -0x8000 else (4, 0xD2)
    return bytes((code,)) + number.to_bytes(width, "big", signed=True)


def array_to_wire(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """An array as `{dtype, shape, order, data}`; column-major arrays go as they are, strided ones are copied."""
    dtype = _WIRE_DTYPES.get(array.dtype.str)
    if dtype is None:
        raise DataError(f"An array of dtype {array.dtype} cannot be sent.", "BAD_ARRAY")
    order = "F" if array.ndim > 1 and array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    rows = array.T if order == "F" else np.ascontiguousarray(array)
    data = rows.data.cast("B") if array.size > 0 else b""
    return {"dtype": dtype, "shape": list(array.shape), "order": order, "data": data}


def decode_message(body: Chunk) -> dict[str, Any]:
    """The message of a frame's body, arrays as numpy arrays of their own."""
    length = len(body)
    try:
        message = msgpack.unpackb(
            body,
            raw=False,
            strict_map_key=True,
            ext_hook=_refuse_ext,
            object_pairs_hook=_map,
            max_bin_len=length,
            max_str_len=length,
            max_array_len=_MAX_ITEMS,
            max_map_len=_MAX_ITEMS,
            max_ext_len=0,
        )
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"The server sent a message that is not valid: {error}.", "PROTOCOL") from error
    if not isinstance(message, dict):
        raise ProtocolError("The server sent a message that is not a map.", "PROTOCOL")
    return message


def _refuse_ext(code: int, _data: bytes) -> Any:
    raise ValueError(f"extension type {code}")


def _map(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key that occurs twice")
    if "__proto__" in result or not all(type(key) is str for key in result):
        raise ValueError("a key that is not allowed")
    return result


def is_wire_array(value: Any) -> bool:
    """Whether a decoded value is an array."""
    return isinstance(value, dict) and "dtype" in value and "shape" in value and isinstance(value.get("data"), bytes)


def array_from_wire(value: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """A writable array from its map."""
    dtype = _NUMPY_DTYPES.get(value["dtype"])
    if dtype is None:
        raise ProtocolError(f"The server sent an array of the unknown dtype {value['dtype']!r}.", "PROTOCOL")
    shape = tuple(int(extent) for extent in value["shape"])
    data = np.frombuffer(value["data"], dtype=dtype)
    if min(shape, default=0) < 0 or data.size != math.prod(shape):
        raise ProtocolError(f"The server sent {data.size} items for an array of shape {shape}.", "PROTOCOL")
    if value.get("order") == "F":
        return np.ascontiguousarray(data.reshape(shape[::-1]).transpose()).copy()
    return data.reshape(shape).copy()


def from_wire(value: Any) -> Any:
    """A decoded value with its arrays as numpy arrays."""
    if isinstance(value, dict):
        return array_from_wire(value) if is_wire_array(value) else {key: from_wire(item) for key, item in value.items()}
    return [from_wire(item) for item in value] if isinstance(value, list) else value
