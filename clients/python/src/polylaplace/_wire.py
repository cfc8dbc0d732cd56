"""Frames and messages: docs/protocol.md sections 2 and 3.

Encoding is done here and not by the msgpack package, because a large array is then written to the pipe from where it
lies, without a copy, and because numbers follow the protocol's canonical form. Decoding is msgpack's.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgpack  # type: ignore[import-untyped]
import numpy as np

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
    """The chunks of a message's frame; arrays in it are written from their own memory."""
    chunks: list[Chunk] = [bytearray()]
    _encode(message, chunks, 0)
    length = sum(len(chunk) for chunk in chunks)
    if length >= 2**32:
        raise DataError(f"A message of {length} bytes cannot be sent; give the data in batches.", "BAD_ARRAY")
    return [_HEADER.pack(length), *chunks]


def _tail(chunks: list[Chunk]) -> bytearray:
    last = chunks[-1]
    if isinstance(last, bytearray):
        return last
    fresh = bytearray()
    chunks.append(fresh)
    return fresh


def _encode(value: Any, chunks: list[Chunk], depth: int) -> None:
    out = _tail(chunks)
    if value is None:
        out.append(0xC0)
    elif value is True or value is False:
        out.append(0xC3 if value else 0xC2)
    elif isinstance(value, str):
        data = value.encode()
        _encode_length(out, len(data), (0xA0, 32), 0xD9, 0xDA)
        out += data
    elif isinstance(value, (int, float)):
        _encode_number(out, value)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        view = memoryview(value).cast("B") if len(value) else memoryview(b"")
        _encode_length(out, len(view), None, 0xC4, 0xC5)
        if len(view) < _OWN_CHUNK:
            out += view
        else:
            chunks.append(view)
    elif isinstance(value, np.ndarray):
        _encode(array_to_wire(value), chunks, depth)
    elif isinstance(value, Mapping):
        _encode_map(value, chunks, depth)
    elif isinstance(value, Sequence):
        _check_container(len(value), depth)
        _encode_length(out, len(value), (0x90, 16), None, 0xDC)
        for item in value:
            _encode(item, chunks, depth + 1)
    elif isinstance(value, np.generic):
        _encode(value.item(), chunks, depth)
    else:
        raise DataError(f"A value of type {type(value).__name__} cannot be sent.", "BAD_ARRAY")


def _encode_map(value: Mapping[Any, Any], chunks: list[Chunk], depth: int) -> None:
    _check_container(len(value), depth)
    _encode_length(_tail(chunks), len(value), (0x80, 16), None, 0xDE)
    for key, item in value.items():
        if not isinstance(key, str):
            raise DataError(f"The key {key!r} must be a string.", "BAD_ARRAY")
        _encode(key, chunks, depth + 1)
        _encode(item, chunks, depth + 1)


def _check_container(count: int, depth: int) -> None:
    if depth >= _MAX_DEPTH or count > _MAX_ITEMS:
        raise DataError(
            f"A message may nest {_MAX_DEPTH} deep and hold {_MAX_ITEMS} items a list; send numbers as arrays.",
            "BAD_ARRAY",
        )


def _encode_length(out: bytearray, length: int, short: tuple[int, int] | None, code8: int | None, code16: int) -> None:
    if short is not None and length < short[1]:
        out.append(short[0] | length)
    elif code8 is not None and length < 0x100:
        out += bytes((code8, length))
    elif length < 0x10000:
        out.append(code16)
        out += length.to_bytes(2, "big")
    else:
        out.append(code16 + 1)
        out += length.to_bytes(4, "big")


def _encode_number(out: bytearray, value: float) -> None:
    whole = isinstance(value, int) or value.is_integer()
    if not whole or not -(2**31) <= value < 2**32:
        out.append(0xCB)
        out += struct.pack(">d", value)
        return
    number = int(value)
    if -32 <= number < 128:
        out.append(number & 0xFF)
    elif number >= 0:
        width, code = (1, 0xCC) if number < 0x100 else (2, 0xCD) if number < 0x10000 else (4, 0xCE)
        out.append(code)
        out += number.to_bytes(width, "big")
    else:
        width, code = (1, 0xD0) if number >= -0x80 else (2, 0xD1) if number >= -0x8000 else (4, 0xD2)
        out.append(code)
        out += number.to_bytes(width, "big", signed=True)


def array_to_wire(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """An array as `{dtype, shape, order, data}`; column-major arrays go as they are, strided ones are copied."""
    dtype = _WIRE_DTYPES.get(array.dtype.newbyteorder("<").str if array.dtype.byteorder == "=" else array.dtype.str)
    if dtype is None:
        raise DataError(f"An array of dtype {array.dtype} cannot be sent.", "BAD_ARRAY")
    order = "F" if array.ndim > 1 and array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    flat = (array.T if order == "F" else np.ascontiguousarray(array)).reshape(-1)
    return {
        "dtype": dtype,
        "shape": [int(extent) for extent in array.shape],
        "order": order,
        "data": flat.view(np.uint8).data,
    }


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
    if any(not isinstance(key, str) or key == "__proto__" for key in result):
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
    if any(extent < 0 for extent in shape) or data.size != int(np.prod(shape, dtype=object)):
        raise ProtocolError(f"The server sent {data.size} items for an array of shape {shape}.", "PROTOCOL")
    if value.get("order") == "F":
        return np.ascontiguousarray(data.reshape(shape[::-1]).transpose()).copy()
    return data.reshape(shape).copy()


def from_wire(value: Any) -> Any:
    """A decoded value with its arrays as numpy arrays."""
    if isinstance(value, dict):
        return array_from_wire(value) if is_wire_array(value) else {key: from_wire(item) for key, item in value.items()}
    return [from_wire(item) for item in value] if isinstance(value, list) else value
