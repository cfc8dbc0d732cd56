"""The last layer of files as converters write them: its variances are those of torch.func, for the same parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from polylaplace import Laplace
from torch import Tensor
from torch.func import jacrev

PRIOR, ROWS = 0.7, 6
RNG = np.random.default_rng(3)
Parameters = dict[str, Tensor]


def draw(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.normal(size=shape)


@dataclass(frozen=True)
class Head:
    """Nodes from `h` (N x 4, or N x 4 x 2 x 2) to `y`, their tensors, the same in torch, and the head's parameters."""

    nodes: list[tuple[str, list[str], list[str], dict[str, Any]]]
    tensors: dict[str, np.ndarray[Any, Any]]
    torch: Callable[[Parameters, Tensor], Tensor]
    head: tuple[str, ...]
    image: bool = False
    outputs: int = 3
    options: dict[str, Any] | None = None
    opset: int = 17


def integers(*values: int) -> np.ndarray[Any, Any]:
    return np.array(values, dtype=np.int64)


CASES: dict[str, Head] = {
    "CNTK: Times of a weight channels x height x width x out, and a row as bias": Head(
        [
            ("Reshape", ["h", "flat"], ["h_flat"], {}),
            ("Reshape", ["Parameter193", "flat_w"], ["w_flat"], {}),
            ("MatMul", ["h_flat", "w_flat"], ["Times212"], {}),
            ("Add", ["Times212", "Parameter194"], ["y"], {}),
        ],
        {
            "Parameter193": draw(4, 2, 2, 3), "flat": integers(-1, 16), "flat_w": integers(16, 3),
            "Parameter194": draw(1, 3),
        },
        lambda p, h: h.flatten(1) @ p["Parameter193"].reshape(16, 3) + p["Parameter194"],
        ("Parameter193", "Parameter194"),
        image=True,
    ),
    "tf2onnx: channels last, mean, MatMul, Add": Head(
        [
            ("Transpose", ["h"], ["nhwc"], {"perm": [0, 2, 3, 1]}),
            ("ReduceMean", ["nhwc"], ["pooled"], {"axes": [1, 2], "keepdims": 0}),
            ("MatMul", ["pooled", "dense/MatMul/ReadVariableOp:0"], ["product"], {}),
            ("Add", ["product", "dense/BiasAdd/ReadVariableOp:0"], ["y"], {}),
        ],
        {"dense/MatMul/ReadVariableOp:0": draw(4, 3), "dense/BiasAdd/ReadVariableOp:0": draw(3)},
        lambda p, h: h.mean((2, 3)) @ p["dense/MatMul/ReadVariableOp:0"] + p["dense/BiasAdd/ReadVariableOp:0"],
        ("dense/MatMul/ReadVariableOp:0", "dense/BiasAdd/ReadVariableOp:0"),
        image=True,
    ),
    "a column as bias, outputs x examples": Head(
        [
            ("Transpose", ["h"], ["ht"], {"perm": [1, 0]}),
            ("MatMul", ["w", "ht"], ["product"], {}),
            ("Add", ["product", "b"], ["z"], {}),
            ("Transpose", ["z"], ["y"], {"perm": [1, 0]}),
        ],
        {"w": draw(3, 4), "b": draw(3, 1)},
        lambda p, h: (p["w"] @ h.T + p["b"]).T,
        ("w", "b"),
    ),
    "a transposed weight, a reshaped bias": Head(
        [
            ("Transpose", ["w"], ["wt"], {"perm": [1, 0]}),
            ("Squeeze", ["b", "zero"], ["b_row"], {}),
            ("MatMul", ["h", "wt"], ["product"], {}),
            ("Add", ["b_row", "product"], ["y"], {}),
        ],
        {"w": draw(3, 4), "b": draw(1, 3), "zero": integers(0)},
        lambda p, h: h @ p["w"].T + p["b"],
        ("w", "b"),
    ),
    "logits over a temperature": Head(
        [
            ("Gemm", ["h", "w", "b"], ["logits"], {"transB": 1}),
            ("Div", ["logits", "t"], ["y"], {}),
        ],
        {"w": draw(3, 4), "b": draw(3), "t": np.array(2.5)},
        lambda p, h: (h @ p["w"].T + p["b"]) / 2.5,
        ("w", "b"),
    ),
    "alpha and beta of Gemm": Head(
        [("Gemm", ["h", "w", "b"], ["y"], {"alpha": 0.5, "beta": 3.0})],
        {"w": draw(4, 3), "b": draw(3)},
        lambda p, h: 0.5 * h @ p["w"] + 3 * p["b"],
        ("w", "b"),
    ),
    "a bias that is subtracted": Head(
        [("MatMul", ["h", "w"], ["product"], {}), ("Sub", ["product", "b"], ["y"], {})],
        {"w": draw(4, 3), "b": draw(3)},
        lambda p, h: h @ p["w"] - p["b"],
        ("w", "b"),
    ),
    "a scaled weight": Head(
        [
            ("Mul", ["w", "scale"], ["scaled"], {}),
            ("Gemm", ["h", "scaled", "b"], ["y"], {"transB": 1}),
        ],
        {"w": draw(3, 4), "b": draw(3), "scale": np.array(0.3)},
        lambda p, h: h @ (0.3 * p["w"]).T + p["b"],
        ("w", "b"),
    ),
    "weight norm": Head(
        [
            ("ReduceL2", ["v"], ["norm"], {"axes": [1], "keepdims": 1}),
            ("Div", ["g", "norm"], ["ratio"], {}),
            ("Mul", ["v", "ratio"], ["w"], {}),
            ("Gemm", ["h", "w", "b"], ["y"], {"transB": 1}),
        ],
        {"v": draw(3, 4), "g": draw(3, 1), "b": draw(3)},
        lambda p, h: h @ (p["v"] * p["g"] / p["v"].norm(dim=1, keepdim=True)).T + p["b"],
        ("v", "g", "b"),
    ),
    "pool, 1 x 1 convolution, flatten": Head(
        [
            ("GlobalAveragePool", ["h"], ["pooled"], {}),
            ("Conv", ["pooled", "w", "b"], ["z"], {}),
            ("Flatten", ["z"], ["y"], {}),
        ],
        {"w": draw(3, 4, 1, 1), "b": draw(3)},
        lambda p, h: h.mean((2, 3)) @ p["w"].flatten(1).T + p["b"],
        ("w", "b"),
        image=True,
    ),
    "pool, 1 x 1 convolution, not flattened (DenseNet of Caffe2)": Head(
        [("GlobalAveragePool", ["h"], ["pooled"], {}), ("Conv", ["pooled", "w", "b"], ["y"], {})],
        {"w": draw(3, 4, 1, 1), "b": draw(3)},
        lambda p, h: h.mean((2, 3)) @ p["w"].flatten(1).T + p["b"],
        ("w", "b"),
        image=True,
    ),
    "a convolution as large as the image": Head(
        [("Conv", ["h", "w", "b"], ["z"], {}), ("Squeeze", ["z", "axes"], ["y"], {})],
        {"w": draw(3, 4, 2, 2), "b": draw(3), "axes": integers(2, 3)},
        lambda p, h: h.flatten(1) @ p["w"].flatten(1).T + p["b"],
        ("w", "b"),
        image=True,
    ),
    "convolution, ReLU, pool (SqueezeNet)": Head(
        [
            ("Conv", ["h", "w", "b"], ["z"], {}),
            ("Relu", ["z"], ["r"], {}),
            ("GlobalAveragePool", ["r"], ["pooled"], {}),
            ("Flatten", ["pooled"], ["y"], {}),
        ],
        {"w": draw(3, 4, 1, 1), "b": draw(3)},
        lambda p, h: torch.relu(torch.einsum("nchw,oc->nohw", h, p["w"][..., 0, 0]) + p["b"][:, None, None]).mean((2, 3)),
        ("w", "b"),
        image=True,
    ),
    "1 x 1 convolution, pool": Head(
        [("Conv", ["h", "w", "b"], ["z"], {}), ("ReduceMean", ["z"], ["y"], {"axes": [2, 3], "keepdims": 0})],
        {"w": draw(3, 4, 1, 1), "b": draw(3)},
        lambda p, h: h.mean((2, 3)) @ p["w"].flatten(1).T + p["b"],
        ("w", "b"),
        image=True,
    ),
    "the first position is gathered after the head": Head(
        [
            ("Reshape", ["h", "rows"], ["tokens"], {}),
            ("MatMul", ["tokens", "w"], ["product"], {}),
            ("Add", ["b", "product"], ["z"], {}),
            ("Gather", ["z", "first"], ["y"], {"axis": 1}),
        ],
        {"w": draw(4, 3), "b": draw(3), "rows": integers(-1, 4, 4), "first": np.array(0, dtype=np.int64)},
        lambda p, h: h.reshape(-1, 4, 4)[:, 0] @ p["w"] + p["b"],
        ("w", "b"),
        image=True,
    ),
    "the last position is cut out before the head": Head(
        [
            ("Reshape", ["h", "rows"], ["tokens"], {}),
            ("Slice", ["tokens", "start", "end", "axis"], ["last"], {}),
            ("Squeeze", ["last", "axis"], ["phi"], {}),
            ("Gemm", ["phi", "w", "b"], ["y"], {}),
        ],
        {
            "w": draw(4, 3), "b": draw(3), "rows": integers(-1, 4, 4), "start": integers(-1), "axis": integers(1),
            "end": integers(9223372036854775807),
        },
        lambda p, h: h.reshape(-1, 4, 4)[:, -1] @ p["w"] + p["b"],
        ("w", "b"),
        image=True,
    ),
    "two heads side by side": Head(
        [
            ("Gemm", ["h", "w1", "b1"], ["z1"], {}),
            ("Gemm", ["h", "w2", "b2"], ["z2"], {}),
            ("Concat", ["z1", "z2"], ["y"], {"axis": 1}),
        ],
        {"w1": draw(4, 1), "b1": draw(1), "w2": draw(4, 2), "b2": draw(2)},
        lambda p, h: torch.cat([h @ p["w1"] + p["b1"], h @ p["w2"] + p["b2"]], 1),
        ("w1", "b1", "w2", "b2"),
    ),
    "one of two heads side by side, by its name": Head(
        [
            ("Gemm", ["h", "w1", "b1"], ["z1"], {}),
            ("Gemm", ["h", "w2", "b2"], ["z2"], {}),
            ("Concat", ["z1", "z2"], ["y"], {"axis": 1}),
        ],
        {"w1": draw(4, 1), "b1": draw(1), "w2": draw(4, 2), "b2": draw(2)},
        lambda p, h: torch.cat([h @ p["w1"] + p["b1"], h @ p["w2"] + p["b2"]], 1),
        ("w1", "b1"),
        options={"last_layer_name": "w1"},
    ),
    "logits that are put in another order": Head(
        [("Gemm", ["h", "w", "b"], ["z"], {}), ("Gather", ["z", "order"], ["y"], {"axis": 1})],
        {"w": draw(4, 3), "b": draw(3), "order": integers(2, 0, 1)},
        lambda p, h: (h @ p["w"] + p["b"])[:, [2, 0, 1]],
        ("w", "b"),
    ),
    "logits and 0": Head(
        [("Gemm", ["h", "w", "b"], ["z"], {}), ("Pad", ["z", "pads"], ["y"], {})],
        {"w": draw(4, 2), "b": draw(2), "pads": integers(0, 0, 0, 1)},
        lambda p, h: torch.nn.functional.pad(h @ p["w"] + p["b"], (0, 1)),
        ("w", "b"),
    ),
    "soft-capped logits": Head(
        [
            ("Gemm", ["h", "w", "b"], ["z"], {}),
            ("Div", ["z", "cap"], ["small"], {}),
            ("Tanh", ["small"], ["t"], {}),
            ("Mul", ["t", "cap"], ["y"], {}),
        ],
        {"w": draw(4, 3), "b": draw(3), "cap": np.array(5.0)},
        lambda p, h: 5 * torch.tanh((h @ p["w"] + p["b"]) / 5),
        ("w", "b"),
    ),
    "a residual into the logits": Head(
        [
            ("Gemm", ["h", "w1", "b1"], ["z"], {}),
            ("Relu", ["z"], ["r"], {}),
            ("Gemm", ["r", "w2", "b2"], ["z2"], {}),
            ("Add", ["z", "z2"], ["y"], {}),
        ],
        {"w1": draw(4, 3), "b1": draw(3), "w2": draw(3, 3), "b2": draw(3)},
        lambda p, h: (h @ p["w1"] + p["b1"]) + torch.relu(h @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"],
        ("w2", "b2"),
    ),
    "a tied weight": Head(
        [
            ("MatMul", ["h", "w"], ["code"], {}),
            ("Tanh", ["code"], ["t"], {}),
            ("Transpose", ["w"], ["wt"], {"perm": [1, 0]}),
            ("MatMul", ["t", "wt"], ["y"], {}),
        ],
        {"w": draw(4, 2)},
        lambda p, h: torch.tanh(h @ p["w"]) @ p["w"].T,
        ("w",),
        outputs=4,
    ),
    "a scale and a shift of every output": Head(
        [
            ("Gemm", ["h", "w", "b"], ["z"], {}),
            ("Mul", ["z", "scale"], ["scaled"], {}),
            ("Add", ["scaled", "shift"], ["y"], {}),
        ],
        {"w": draw(4, 3), "b": draw(3), "scale": draw(3), "shift": draw(3)},
        lambda p, h: (h @ p["w"] + p["b"]) * p["scale"] + p["shift"],
        ("w", "b"),
    ),
}  # fmt: skip


def _model(case: Head) -> bytes:
    """The head behind a layer of its own: h = tanh(x W + c), reshaped for those that take images."""
    tensors = {"before.w": draw(5, 16 if case.image else 4) / 2, **case.tensors}
    before = [
        helper.make_node("MatMul", ["x", "before.w"], ["product_before"]),
        helper.make_node("Tanh", ["product_before"], ["bent"]),
    ]
    if case.image:
        tensors["image"] = integers(-1, 4, 2, 2)
        before.append(helper.make_node("Reshape", ["bent", "image"], ["h"]))
    else:
        before.append(helper.make_node("Identity", ["bent"], ["h"]))
    nodes = [helper.make_node(op, given, results, **attributes) for op, given, results, attributes in case.nodes]
    graph = helper.make_graph(
        before + nodes, "network",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["N", 5])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()],
    )  # fmt: skip
    return onnx.ModelProto.SerializeToString(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", case.opset)], ir_version=8)
    )


@pytest.mark.parametrize("likelihood", ["classification", "regression"])
@pytest.mark.parametrize("name", CASES)
def test_last_layer(name: str, likelihood: str) -> None:
    case = CASES[name]
    blob = _model(case)
    stored = {each.name: numpy_helper.to_array(each) for each in onnx.load_from_string(blob).graph.initializer}
    parameters = {key: torch.tensor(stored[key]) for key in stored if stored[key].dtype == np.float64}
    x = draw(ROWS, 5)
    h = torch.tanh(torch.as_tensor(x) @ parameters["before.w"])

    def outputs(chosen: Parameters) -> Tensor:
        return case.torch({**parameters, **chosen}, h.reshape(-1, 4, 2, 2) if case.image else h)

    head = {key: parameters[key] for key in case.head}
    f = outputs(head)
    jacobian = torch.cat([part.reshape(*f.shape, -1) for part in jacrev(outputs)(head).values()], -1)
    p = f.softmax(-1)
    classes = likelihood == "classification"
    hessians = (
        torch.diag_embed(p) - p[..., None] * p[:, None]
        if classes
        else torch.eye(f.shape[1]).double().expand(ROWS, -1, -1)
    )
    precision = (
        torch.einsum("ncp,ncd,ndq->pq", jacobian, hessians, jacobian) + PRIOR * torch.eye(jacobian.shape[-1]).double()
    )
    wanted = torch.einsum("ncp,pq,ndq->ncd", jacobian, torch.linalg.inv(precision), jacobian)
    y = np.arange(ROWS) % f.shape[1] if classes else f.numpy() + 1
    options = {"prior_precision": PRIOR, **(case.options or {})}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        la = Laplace(blob, likelihood, "last_layer", "full", **options).fit(x, y)
    assert {each["name"] for each in la.summary["parameters"]} == set(case.head)
    prediction = la.predict(x, covariance=True)
    np.testing.assert_allclose(np.asarray(prediction.mean).reshape(f.shape), f, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(np.asarray(prediction.covariance).reshape(wanted.shape), wanted, rtol=1e-6, atol=1e-9)
    for structure in ("kron", "diag"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            last = Laplace(blob, likelihood, "last_layer", structure, **options).fit(x, y)
            same = Laplace(blob, likelihood, "all", structure, prior_precision=PRIOR, parameters=list(case.head)).fit(
                x, y
            )
        # The inputs of positions that do not answer are among those of "all", and not among those of a last layer.
        if structure == "diag" or "gathered after" not in name:
            np.testing.assert_allclose(last.predict(x).variance, same.predict(x).variance, rtol=1e-8, atol=1e-12)
