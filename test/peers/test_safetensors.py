"""Files that safetensors wrote are read bit for bit."""

import conftest
import numpy
import pytest
import torch
from safetensors.torch import load, save_file
from test_pytorch import DTYPES, bits


def random_state(random):
    state = {}
    for name in conftest.names(random, 6):
        dtype, dims = random.choice(tuple(DTYPES)), conftest.shape(random)
        raw = bytearray(conftest.random_bits(random, dtype, dims))
        state[name] = (
            torch.frombuffer(raw, dtype=DTYPES[dtype]) if raw else torch.empty(0, dtype=DTYPES[dtype])
        ).reshape(dims)
    return state


@pytest.mark.parametrize("seed", range(40))
def test_files(read, tmp_path, seed):
    state = random_state(numpy.random.default_rng(seed))
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"} if seed % 2 else None)
    found = read("safetensors", tmp_path / "model.safetensors")
    assert set(found) == set(state)
    for name, tensor in state.items():
        assert found[name] == bits(tensor), name


@pytest.mark.parametrize("seed", range(conftest.MUTATIONS))
def test_mutated_files_are_refused_or_equal(read, refused, tmp_path, seed):
    random = numpy.random.default_rng(1000 + seed)
    path = tmp_path / "model.safetensors"
    save_file(
        {"a": torch.arange(6, dtype=torch.float32).view(2, 3), "b": torch.arange(3), "c": torch.ones(2, 2)},
        path,
        metadata={"x": "y"},
    )
    content = bytearray(path.read_bytes())
    for _ in range(int(random.integers(1, 4))):
        content[random.integers(0, len(content))] = random.integers(0, 256)
    path.write_bytes(bytes(content))
    try:
        found = read("safetensors", path)
    except refused:
        return
    assert {name: bits(tensor) for name, tensor in load(bytes(content)).items()} == found
