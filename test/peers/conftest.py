"""Starts our readers in Node and compares what they read with what the libraries hold."""

import base64
import json
import os
import pathlib
import subprocess

import numpy
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Mutated files in each test; more by hand: POLYLAPLACE_MUTATIONS=20000.
MUTATIONS = int(os.environ.get("POLYLAPLACE_MUTATIONS", "300"))

WIDTHS = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2, "int8": 1,
    "uint64": 8, "uint32": 4, "uint16": 2, "uint8": 1, "bool": 1,
}  # fmt: skip


class Refused(Exception):
    """An error of ours: its code and message."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code


class Reader:
    """A Node process that reads one file after the other."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["node", str(ROOT / "test" / "peers" / "read-tensors.mjs")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip

    def __call__(self, reader, path, **options):
        """Tensors by name: (dtype, shape, bytes); in the order in which they were read."""
        self.process.stdin.write(json.dumps({"reader": reader, "path": str(path), "options": options}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            assert answer["error"]["code"] not in ("none", "INTERNAL"), answer["error"]
            raise Refused(**answer["error"])
        return {
            tensor["name"]: (tensor["dtype"], tuple(tensor["shape"]), base64.b64decode(tensor["bytes"]))
            for tensor in answer["tensors"]
        }

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=300)


@pytest.fixture
def double():
    """torch computes in float64, from a seed."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(3)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(scope="session")
def read():
    reader = Reader()
    yield reader
    reader.close()


@pytest.fixture
def refused():
    return Refused


def names(random, count):
    """Names of parameters, some of them odd."""
    odd = ["é", "constructor", "toString", "0", "a b", "weight/1", "layer-2", "日本"]
    found = {f"{random.choice(['encoder', 'net', 'fc'])}.{i}.{random.choice(['weight', 'bias'])}" for i in range(count)}
    found.update(random.choice(odd, size=2).tolist())
    return sorted(found, key=lambda _: random.random())


def shape(random):
    """Ranks from 0 to 5, extents from 0."""
    rank = int(random.integers(0, 6))
    return tuple(int(extent) for extent in random.integers(0 if random.random() < 0.1 else 1, 6, size=rank))


def random_bits(random, dtype, dims):
    """Bytes of an array of any bits, NaNs with payloads too; booleans are 0 and 1."""
    count = int(numpy.prod(dims, dtype=numpy.int64)) if dims else 1
    if dtype == "bool":
        return random.integers(0, 2, size=count, dtype=numpy.uint8).tobytes()
    return random.bytes(count * WIDTHS[dtype])
