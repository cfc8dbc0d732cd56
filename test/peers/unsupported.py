"""What is refused, or not counted in full, and the words that say so: the last part of docs/architectures.md.

Every case is a network of that kind, as small as it can be, given to the Python package.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from polylaplace import Laplace, LaplaceError
from torch import Tensor, nn

ROWS = 6
X = np.random.default_rng(0).normal(size=(ROWS, 4)).astype(np.float32)
Y = np.arange(ROWS) % 3


@dataclass(frozen=True)
class Case:
    """A kind of network, one of it, and words of what is said about it (a regular expression)."""

    what: str
    build: Callable[[], Any]
    says: str


def _file(nodes: list[Any], constants: dict[str, Any] | None = None, rows: Any = "n") -> ModelProto:
    """`x` by these nodes to `z`, and a linear layer of z."""
    weights = {"w": np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32), **(constants or {})}
    graph = helper.make_graph(
        [*nodes, helper.make_node("MatMul", ["z", "w"], ["y"])], "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, 3])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def _quantised() -> ModelProto:
    constants = {"s": np.float32(0.1), "o": np.uint8(128)}
    node = helper.make_node
    return _file(
        [node("QuantizeLinear", ["x", "s", "o"], ["q"]), node("DequantizeLinear", ["q", "s", "o"], ["z"])], constants
    )


def _open_length() -> ModelProto:
    """As many steps as an axis has numbers that the file leaves open."""
    model = _file(
        [
            helper.make_node("Shape", ["x"], ["steps"], start=1, end=2),
            helper.make_node("Squeeze", ["steps"], ["count"]),
            helper.make_node("Loop", ["count", "", "x"], ["z"], body=_step()),
        ]
    )
    del model.graph.input[0].type.tensor_type.shape.dim[1:]
    model.graph.input[0].type.tensor_type.shape.dim.add().dim_param = "length"
    return model


def _step() -> Any:
    value = helper.make_tensor_value_info
    names = [("i", TensorProto.INT64, []), ("more", TensorProto.BOOL, []), ("state", TensorProto.FLOAT, None)]
    inputs = [value(*each) for each in names]
    outputs = [value("on", TensorProto.BOOL, []), value("next", TensorProto.FLOAT, None)]
    nodes = [helper.make_node("Identity", ["more"], ["on"]), helper.make_node("Tanh", ["state"], ["next"])]
    return helper.make_graph(nodes, "step", inputs, outputs)


def _branch() -> ModelProto:
    def body(op: str) -> Any:
        output = helper.make_tensor_value_info(f"{op}_out", TensorProto.FLOAT, None)
        return helper.make_graph([helper.make_node(op, ["x"], [f"{op}_out"])], op, [], [output])

    return _file(
        [
            helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
            helper.make_node("Greater", ["sum", "zero"], ["condition"]),
            helper.make_node("If", ["condition"], ["z"], then_branch=body("Tanh"), else_branch=body("Relu")),
        ],
        {"zero": np.float32(0)},
        rows=1,
    )


def _places() -> ModelProto:
    """As many rows as there are values that are not zero."""
    return _file(
        [
            helper.make_node("NonZero", ["x"], ["places"]),
            helper.make_node("Gather", ["places", "first"], ["rows"]),
            helper.make_node("Gather", ["x", "rows"], ["z"]),
        ],
        {"first": np.int64(0)},
    )


def _random() -> ModelProto:
    return _file([helper.make_node("RandomNormalLike", ["x"], ["r"]), helper.make_node("Add", ["x", "r"], ["z"])])


def _text() -> ModelProto:
    return _file([helper.make_node("StringNormalizer", ["x"], ["z"])])


def _trees() -> ModelProto:
    tree: dict[str, Any] = {
        "nodes_treeids": [0], "nodes_nodeids": [0], "nodes_featureids": [0], "nodes_values": [0.0],
        "nodes_modes": ["LEAF"], "nodes_truenodeids": [0], "nodes_falsenodeids": [0], "target_treeids": [0],
        "target_nodeids": [0], "target_ids": [0], "target_weights": [1.0], "n_targets": 4,
    }  # fmt: skip
    return _file([helper.make_node("TreeEnsembleRegressor", ["x"], ["z"], domain="ai.onnx.ml", **tree)])


def _softmax_of_the_batch() -> ModelProto:
    return _file([helper.make_node("Softmax", ["x"], ["z"], axis=0)])


def _determinant() -> ModelProto:
    constants = {"v": np.eye(4, dtype=np.float32), "shape": np.array([-1, 2, 2]), "last": np.array([1])}
    node = helper.make_node
    return _file(
        [
            node("MatMul", ["x", "v"], ["h"]), node("Reshape", ["h", "shape"], ["m"]), node("Det", ["m"], ["d"]),
            node("Unsqueeze", ["d", "last"], ["e"]), node("Add", ["e", "x"], ["z"]),
        ],
        constants,
    )  # fmt: skip


class Module(nn.Module):
    """A hidden layer, and something in between."""

    def __init__(self, between: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.hidden, self.head, self.between = nn.Linear(4, 5), nn.Linear(5, 3), between

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.head(self.between(self.hidden(x)))
        return result


class Tied(nn.Module):
    """An embedding whose table is the last layer too."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(3, 4))

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.table.sum(0)).tanh() @ self.table.T


CASES = [
    Case("quantised activations", _quantised, "float"),
    Case("a branch (If, Loop, Scan) that hangs on the data", _branch, "data"),
    Case("If, Loop and Scan by a length that the file leaves open", _open_length, "dimensions"),
    Case("results whose number hangs on the data (NonZero, NonMaxSuppression, Unique)", _places, "output|data"),
    Case("random operators in a file", _random, "random|eval"),
    Case("text and images as bytes (StringNormalizer, TfIdfVectorizer, ImageDecoder)", _text, "before"),
    Case("decision trees, support vectors", _trees, "tree|neural"),
    Case("examples that change each other (a softmax over the batch)", _softmax_of_the_batch, "example"),
    Case("no derivative (Det, scattered products)", _determinant, "last_layer"),
    Case("torch modules that are random in evaluation", lambda: Module(lambda h: nn.functional.dropout(h, 0.5)), "training"),
    Case("torch modules that branch on values", lambda: Module(lambda h: h.tanh() if h.sum() > 0 else h.relu()), "where"),
    Case("Kronecker factors of a weight that is used in another way too", Tied, "'full', 'blockdiag' and 'diag'"),
]  # fmt: skip


def told(case: Case) -> str:
    """What a user is told: the code and words of the error, or the notes and warnings of the fit."""
    torch.manual_seed(0)
    network = case.build()
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        try:
            Laplace(network, "classification", "all", "kron").fit(X, Y)
        except LaplaceError as error:
            return f"{error.code}: {str(error).split(' Supported are ')[0]}"
    return " ".join(dict.fromkeys(str(each.message) for each in given)) or "nothing"


def table() -> str:
    """The rows of the page."""
    rows = "\n".join(f"| {case.what} | {' '.join(told(case).split()).replace('|', '/')} |" for case in CASES)
    return f"| what | what is said of it |\n|---|---|\n{rows}\n"


if __name__ == "__main__":
    print(table())
