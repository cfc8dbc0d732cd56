"""F and H of PROTOCOL.md: every golden frame, arrays, refusals."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import FIXTURES
from polylaplace import DataError, ProtocolError
from polylaplace._wire import array_from_wire, array_to_wire, decode_message, encode_frame, from_wire


def from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return (
            base64.b64decode(value["$bin"])
            if "$bin" in value
            else {key: from_json(item) for key, item in value.items()}
        )
    return [from_json(item) for item in value] if isinstance(value, list) else value


def names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.bin"))


@pytest.mark.parametrize("name", names(FIXTURES))
def test_h3_golden_frames(name: str) -> None:
    frame = (FIXTURES / f"{name}.bin").read_bytes()
    message = from_json(json.loads((FIXTURES / f"{name}.json").read_text())["message"])
    assert int.from_bytes(frame[:4], "little") == len(frame) - 4
    decoded = decode_message(frame[4:])
    assert decoded == message
    assert b"".join(encode_frame(decoded)) == frame


# msgpack decodes 32-bit floats and has no limit of depth below its own; it is the server that must not be sent them.
OURS_TO_ACCEPT = {"single-float", "too-deep", "large-unsigned", "large-negative"}


@pytest.mark.parametrize("name", sorted(set(names(FIXTURES / "refused")) - OURS_TO_ACCEPT))
def test_f4_refused_frames(name: str) -> None:
    with pytest.raises(ProtocolError):
        decode_message((FIXTURES / "refused" / f"{name}.bin").read_bytes()[4:])


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "i8", "u1", "?"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 3, 4)])
@pytest.mark.parametrize("layout", ["C", "F", "strided", "reversed", "read-only", "big-endian"])
def test_f2_arrays_come_back(dtype: str, shape: tuple[int, ...], layout: str) -> None:
    values = (
        (np.arange(np.prod(shape, dtype=int)) % 2 if dtype == "?" else np.arange(np.prod(shape, dtype=int)))
        .reshape(shape)
        .astype(dtype)
    )
    array = {
        "C": lambda: values,
        "F": lambda: np.asfortranarray(values),
        "strided": lambda: np.repeat(values, 2, axis=0)[::2] if values.ndim else values,
        "reversed": lambda: values[::-1].copy()[::-1] if values.ndim else values,
        "read-only": lambda: np.broadcast_to(values, shape),
        "big-endian": lambda: values.astype(values.dtype.newbyteorder(">")).astype(dtype),
    }[layout]()
    wire = from_wire(decode_message(b"".join(encode_frame({"a": array}))[4:]))
    assert wire["a"].dtype == np.dtype(dtype)
    np.testing.assert_array_equal(wire["a"], values)
    assert wire["a"].flags.writeable
    assert wire["a"].flags.c_contiguous


def test_f2_column_major_is_sent_as_it_is() -> None:
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    wire = array_to_wire(array)
    assert wire["order"] == "F"
    assert np.shares_memory(np.frombuffer(wire["data"]), array)
    np.testing.assert_array_equal(array_from_wire({**wire, "data": bytes(wire["data"])}), array)


def test_f6_large_arrays_are_not_copied() -> None:
    array = np.zeros(1_000_000)
    chunks = encode_frame({"x": array})
    assert any(isinstance(chunk, memoryview) and np.shares_memory(np.frombuffer(chunk), array) for chunk in chunks)


def test_f6_more_than_100_mb_are_decoded() -> None:
    frame = b"".join(encode_frame({"x": np.zeros(14_000_000)}))
    assert from_wire(decode_message(memoryview(frame)[4:]))["x"].shape == (14_000_000,)


def test_f5_numbers() -> None:
    for value, body in (
        (1.0, "01"),
        (-1, "ff"),
        (2**32, "cb41f0000000000000"),
        (0.5, "cb3fe0000000000000"),
        (np.int64(7), "07"),
        (np.float32(0.5), "cb3fe0000000000000"),
    ):
        assert b"".join(encode_frame({"a": value}))[4 + 3 :].hex() == body
    assert decode_message(bytes.fromhex("81a161" + "01"))["a"] == 1


@pytest.mark.parametrize("value", [object(), {1: 2}, 1j, np.zeros(2, dtype=complex), np.array(["a"])])
def test_what_cannot_be_sent_is_a_typed_error(value: object) -> None:
    with pytest.raises(DataError):
        encode_frame({"a": value})


def test_wrong_arrays_of_a_server_are_typed_errors() -> None:
    for wrong in (
        {"dtype": "f64", "shape": [2], "data": b"12345678"},
        {"dtype": "f16", "shape": [4], "data": b"12345678"},
        {"dtype": "f64", "shape": [-1], "data": b"12345678"},
    ):
        with pytest.raises(ProtocolError):
            array_from_wire(wrong)
