"""Initialisers that onnx wrote are read bit for bit, in whichever field they lie."""

import conftest
import numpy
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

NUMPY = {
    name: numpy.dtype(name)
    for name in (
        "float64",
        "float32",
        "float16",
        "int64",
        "int32",
        "int16",
        "int8",
        "uint64",
        "uint32",
        "uint16",
        "uint8",
        "bool",
    )
}


def random_arrays(random):
    arrays = {}
    for name in conftest.names(random, 6):
        dtype, dims = random.choice(tuple(NUMPY)), conftest.shape(random)
        arrays[name] = numpy.frombuffer(conftest.random_bits(random, dtype, dims), dtype=NUMPY[dtype]).reshape(dims)
    return arrays


def finite(array):
    """Fields of numbers go through Python's floats, which keep the bits of numbers but not those of NaNs."""
    return numpy.where(numpy.isfinite(array), array, 0).astype(array.dtype) if array.dtype.kind == "f" else array


def save(path, tensors):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)


@pytest.mark.parametrize("seed", range(40))
def test_files(read, tmp_path, seed):
    arrays = random_arrays(numpy.random.default_rng(seed))
    if seed % 2:
        arrays = {name: finite(array) for name, array in arrays.items()}
        tensors = [
            helper.make_tensor(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape, array.flatten().tolist()
            )
            for name, array in arrays.items()
        ]
    else:
        tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    save(tmp_path / "model.onnx", tensors)
    found = read("onnx", tmp_path / "model.onnx")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name] == (str(array.dtype), array.shape, array.tobytes()), name
