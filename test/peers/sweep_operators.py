"""Random attributes and shapes for every operator, run in ONNX Runtime: what we compute must be the same, or refused.

`python test/peers/sweep_operators.py [CASES] [SEED] [OPERATORS]`, with onnxruntime installed beside what other tests
need: it is no part of CI, and prints what differs.
"""

from __future__ import annotations

import base64
import collections
import json
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
onnxruntime.set_default_logger_severity(4)
R = np.random.default_rng(int(sys.argv[2]) if len(sys.argv) > 2 else 0)


def real(*shape: int, dtype: str = "float32") -> np.ndarray:
    return (R.normal(size=shape) * 1.3).astype(dtype)


def ints(low: int, high: int, *shape: int, dtype: str = "int64") -> np.ndarray:
    return np.asarray(R.integers(low, high, shape), dtype)


def choose(*options):
    return options[R.integers(len(options))]


def shape(least: int = 0, most: int = 4, zero: bool = True) -> list[int]:
    extents = [int(R.integers(1, 5)) for _ in range(R.integers(least, most + 1))]
    if zero and extents and R.random() < 0.06:
        extents[R.integers(len(extents))] = 0
    return extents


def axis_of(rank: int) -> int:
    return int(R.integers(-rank, rank))


def broadcastable(extents: list[int]) -> list[int]:
    kept = extents[R.integers(0, len(extents) + 1) :]
    return [1 if R.random() < 0.3 else extent for extent in kept]


def pair() -> tuple[list[int], list[int]]:
    s = shape()
    a, b = (s, broadcastable(s)) if R.random() < 0.6 else (broadcastable(s), s)
    return (a, b) if R.random() < 0.5 else (b, a)


# Each gives (inputs, attributes, names of inputs that are constants, number of outputs, operator set)
def unary(op: str):
    def make():
        s = shape()
        x = real(*s)
        if op in ("Log", "Sqrt"):
            x = np.abs(x) + 0.1
        if op in ("Acos", "Asin", "Atanh"):
            x = np.tanh(x) * 0.99
        if op == "Acosh":
            x = np.abs(x) + 1.01
        if op == "Round" and R.random() < 0.5:
            x = np.round(x * 2) / 2
        attributes = {}
        if op in ("Elu", "LeakyRelu", "ThresholdedRelu", "Celu", "Swish") and R.random() < 0.7:
            attributes["alpha"] = float(R.uniform(0.1, 2))
        if op == "HardSigmoid" and R.random() < 0.7:
            attributes |= {"alpha": 0.4, "beta": 0.3}
        if op == "Selu" and R.random() < 0.5:
            attributes |= {"alpha": 1.2, "gamma": 0.7}
        if op == "Gelu":
            attributes["approximate"] = choose("none", "tanh")
        if op == "Shrink":
            attributes |= {"lambd": 0.5, "bias": float(choose(0, 0.3))}
        if op in ("Abs", "Neg", "Sign") and R.random() < 0.3:
            return [ints(-5, 6, *s)], {}, (), 1, 20
        return [x.astype("float32")], attributes, (), 1, 22 if op == "Swish" else 20

    return make


def binary(op: str):
    def make():
        a, b = pair()
        kind = choose("f", "f", "i")
        if op in ("And", "Or", "Xor"):
            return [ints(0, 2, *a).astype(bool), ints(0, 2, *b).astype(bool)], {}, (), 1, 17
        if op == "Pow":
            if kind == "i":
                return [ints(0, 4, *a), choose(ints(0, 4, *b), real(*b))], {}, (), 1, 17
            return [np.abs(real(*a)) + 0.2, choose(real(*b), ints(-2, 4, *b))], {}, (), 1, 17
        if op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
            return [ints(-9, 9, *a), ints(-9, 9, *b)], {}, (), 1, 18
        if op == "PRelu":
            s = shape(1)
            return [real(*s), real(*broadcastable(s))], {}, (), 1, 17
        if kind == "i":
            x, y = ints(-7, 8, *a), ints(1, 6, *b) * choose(1, -1)
            return [x, y], ({"fmod": int(choose(0, 1))} if op == "Mod" else {}), (), 1, 17
        return [real(*a), real(*b)], ({"fmod": 1} if op == "Mod" else {}), (), 1, 17

    return make


def variadic(op: str):
    def make():
        s = shape()
        return [real(*broadcastable(s)) for _ in range(R.integers(1, 4))], {}, (), 1, 17

    return make


def reduction(op: str):
    def make():
        s = shape(0, 4)
        x = np.abs(real(*s)) + 0.1 if "Log" in op else real(*s)
        rank = len(s)
        attributes = {"keepdims": int(choose(0, 1))}
        opset = int(choose(11, 13, 18, 20))
        axes = sorted({axis_of(rank) % rank for _ in range(R.integers(1, rank + 1))}) if rank else []
        axes = [a - rank if R.random() < 0.4 else a for a in axes]
        inputs = [x.astype("float32")]
        if R.random() < 0.75 and rank:
            if opset >= (13 if op == "ReduceSum" else 18):
                inputs.append(np.array(axes, "int64"))
            else:
                attributes["axes"] = axes
        elif opset >= 18 or op == "ReduceSum" and opset >= 13:
            attributes["noop_with_empty_axes"] = int(choose(0, 1))
            if R.random() < 0.5:
                inputs.append(np.zeros(0, "int64"))
        return inputs, attributes, (1,), 1, opset

    return make


def arg(op: str):
    def make():
        s = shape(1, 4, False)
        return (
            [np.round(real(*s))],
            {"axis": axis_of(len(s)), "keepdims": int(choose(0, 1)), "select_last_index": int(choose(0, 1))},
            (),
            1,
            13,
        )

    return make


def softmax(op: str):
    def make():
        s = shape(1, 4)
        opset = int(choose(9, 11, 13))
        attributes = (
            {"axis": axis_of(len(s)) if opset >= 11 else int(R.integers(0, len(s)))} if R.random() < 0.8 else {}
        )
        return [real(*s)], attributes, (), 1, opset

    return make


def matmul():
    m, k, n = (int(R.integers(1, 5)) for _ in range(3))
    lead = shape(0, 2, False)
    a, b = [*broadcastable(lead), m, k], [*lead, k, n]
    if R.random() < 0.2:
        a = [k]
    elif R.random() < 0.2:
        b = [k]
    return [real(*a), real(*b)], {}, choose((), (1,), (0,)), 1, 13


def gemm():
    m, k, n = (int(R.integers(0 if R.random() < 0.1 else 1, 5)) for _ in range(3))
    ta, tb = int(choose(0, 1)), int(choose(0, 1))
    inputs = [real(*((k, m) if ta else (m, k))), real(*((n, k) if tb else (k, n)))]
    if R.random() < 0.7:
        inputs.append(real(*choose((n,), (m, n), (1, n), (m, 1), (1,), ())))
    return inputs, {"transA": ta, "transB": tb, "alpha": choose(1.0, 0.5), "beta": choose(1.0, 2.0)}, (1,), 1, 13


def window(rank: int, convolution: bool) -> tuple[list[int], dict]:
    kernel = [int(R.integers(1, 4)) for _ in range(rank)]
    attributes = {"strides": [int(R.integers(1, 4)) for _ in range(rank)]}
    if R.random() < 0.5:
        attributes["dilations"] = [int(R.integers(1, 3)) for _ in range(rank)]
    mode = R.random()
    if mode < 0.2:
        attributes["auto_pad"] = choose("SAME_UPPER", "SAME_LOWER", "VALID")
        if attributes["auto_pad"] != "VALID":
            attributes.pop("dilations", None)
    elif mode < 0.8:
        attributes["pads"] = [int(R.integers(0, k)) for k in kernel * 2]
    return kernel, attributes


def conv():
    rank, group = int(R.integers(1, 4)), int(choose(1, 1, 2))
    kernel, attributes = window(rank, True)
    x = real(2, 2 * group, *(int(R.integers(5, 8)) for _ in range(rank)))
    inputs = [x, real(3 * group, 2, *kernel)] + ([real(3 * group)] if R.random() < 0.5 else [])
    return inputs, attributes | {"group": group, "kernel_shape": kernel}, (1, 2), 1, 13


def conv_transpose():
    rank, group = int(R.integers(1, 3)), int(choose(1, 2))
    kernel, attributes = window(rank, True)
    if R.random() < 0.4 and "auto_pad" not in attributes:
        attributes["output_padding"] = [int(R.integers(0, s)) for s in attributes["strides"]]
    elif R.random() < 0.3 and "dilations" not in attributes:
        attributes.pop("pads", None), attributes.pop("auto_pad", None)
        attributes["output_shape"] = [10 + int(R.integers(0, 3)) for _ in range(rank)]
        attributes["strides"] = [2] * rank
        if R.random() < 0.5:
            attributes["auto_pad"] = choose("SAME_UPPER", "SAME_LOWER")
    x = real(2, 2 * group, *(int(R.integers(4, 6)) for _ in range(rank)))
    inputs = [x, real(2 * group, 3, *kernel)] + ([real(3 * group)] if R.random() < 0.5 else [])
    return inputs, attributes | {"group": group, "kernel_shape": kernel}, (1, 2), 1, 11


def pool(op: str):
    def make():
        rank = int(R.integers(1, 4))
        kernel, attributes = window(rank, False)
        opset = int(choose(12, 19, 22)) if op != "LpPool" else int(choose(11, 18))
        if op == "AveragePool" and opset < 19 or op == "LpPool" and opset < 18:
            attributes.pop("dilations", None)
        if op == "AveragePool":
            attributes["count_include_pad"] = int(choose(0, 1))
        if op == "LpPool":
            attributes["p"] = int(choose(1, 2, 3))
        if "auto_pad" not in attributes and op != "LpPool" and R.random() < 0.5:
            attributes["ceil_mode"] = 1
        x = real(2, 2, *(int(R.integers(5, 8)) for _ in range(rank)))
        return [x], attributes | {"kernel_shape": kernel}, (), 1, opset

    return make


def global_pool():
    return [real(2, 3, *(int(R.integers(1, 5)) for _ in range(R.integers(1, 4))))], {}, (), 1, 13


def gather():
    s = shape(1, 3, False)
    axis = axis_of(len(s))
    n = s[axis]
    return [real(*s), ints(-n, n, *shape(0, 2))], {"axis": axis}, choose((), (1,)), 1, 13


def gather_elements():
    s = shape(1, 3, False)
    axis = axis_of(len(s))
    index = [int(R.integers(1, e + 1)) for e in s]
    return [real(*s), ints(-s[axis], s[axis], *index)], {"axis": axis}, choose((), (1,)), 1, 13


def gather_nd():
    s = shape(2, 4, False)
    batch = int(R.integers(0, min(2, len(s))))
    k = int(R.integers(1, len(s) - batch + 1))
    lead = s[:batch] + shape(0 if batch else 1, 2, False)
    index = np.stack([ints(-s[batch + i], s[batch + i], *lead) for i in range(k)], -1)
    return [real(*s), index], {"batch_dims": batch}, (1,), 1, 13


def scatter_elements():
    s = shape(1, 3, False)
    axis = axis_of(len(s))
    index = [int(R.integers(1, e + 1)) for e in s]
    index[axis] = int(R.integers(1, s[axis] + 1))
    reduction = choose("none", "add", "mul", "max", "min")
    at = np.argsort(R.random((s[axis],)))[: index[axis]]
    if reduction == "none":
        indices = np.broadcast_to(at.reshape([-1 if i == axis % len(s) else 1 for i in range(len(s))]), index).astype(
            "int64"
        )
    else:
        indices = ints(-s[axis], s[axis], *index)
    return [real(*s), np.ascontiguousarray(indices), real(*index)], {"axis": axis, "reduction": reduction}, (1,), 1, 18


def scatter_nd():
    s = shape(1, 3, False)
    k = int(R.integers(1, len(s) + 1))
    places = int(np.prod(s[:k]))
    n = int(R.integers(1, places + 1))
    reduction = choose("none", "add", "mul", "max", "min")
    flat = R.permutation(places)[:n] if reduction == "none" else R.integers(0, places, n)
    index = np.stack(np.unravel_index(flat, s[:k]), -1).astype("int64")
    return [real(*s), index, real(n, *s[k:])], {"reduction": reduction}, (1,), 1, 18


def slices():
    s = shape(1, 4)
    n = int(R.integers(1, len(s) + 1))
    axes = [int(a) - (len(s) if R.random() < 0.4 else 0) for a in R.permutation(len(s))[:n]]
    steps = [int(choose(1, 1, 2, -1, -2)) for _ in axes]
    big = choose(20, 10**9, 2**31 - 1, 2**63 - 1)
    starts = [int(choose(0, 1, -1, -2, 3, 9, big if st < 0 else -9)) for st in steps]
    ends = [int(choose(0, 1, 2, -1, 9, big if st > 0 else -big)) for st in steps]
    inputs = [real(*s)] + [np.array(v, "int64") for v in (starts, ends, axes, steps)]
    return inputs, {}, (1, 2, 3, 4), 1, 13


def transpose():
    s = shape(0, 5)
    return [real(*s)], {"perm": [int(a) for a in R.permutation(len(s))]} if R.random() < 0.8 else {}, (), 1, 13


def reshape():
    s = shape(1, 4)
    total = int(np.prod(s))
    target = [s[0], -1] if total else [0, 3]
    if R.random() < 0.4:
        target = [-1] if total else [0]
    if R.random() < 0.2 and total:
        target = [0, -1]
    return [real(*s), np.array(target, "int64")], {}, (1,), 1, 13


def squeeze():
    s = shape(1, 3) + [1]
    s.insert(int(R.integers(0, len(s))), 1)
    ones = [i for i, e in enumerate(s) if e == 1]
    axes = [a - (len(s) if R.random() < 0.5 else 0) for a in ones if R.random() < 0.7]
    if not axes:
        return [real(*s)], {}, (), 1, 13
    return [real(*s), np.array(axes, "int64")], {}, (1,), 1, 13


def unsqueeze():
    s = shape(0, 3)
    n = int(R.integers(1, 3))
    axes = [int(a) - (len(s) + n if R.random() < 0.5 else 0) for a in R.permutation(len(s) + n)[:n]]
    return [real(*s), np.array(axes, "int64")], {}, (1,), 1, 13


def flatten():
    s = shape(0, 4)
    return [real(*s)], {"axis": int(R.integers(-len(s), len(s) + 1))}, (), 1, 13


def expand():
    s = shape(0, 3)
    target = [*shape(0, 1), *(e if R.random() < 0.5 else (1 if e != 1 else 3) for e in s)]
    return [real(*s), np.array(target, "int64")], {}, (1,), 1, 13


def tile():
    s = shape(1, 3)
    return [real(*s), ints(0 if R.random() < 0.1 else 1, 4, len(s))], {}, (1,), 1, 13


def concat():
    s = shape(1, 3)
    axis = axis_of(len(s))
    parts = []
    for _ in range(R.integers(1, 4)):
        own = list(s)
        own[axis] = int(R.integers(0, 4))
        parts.append(real(*own))
    return parts, {"axis": axis}, (), 1, 13


def split():
    s = shape(1, 3, False)
    axis = axis_of(len(s))
    opset = int(choose(11, 13, 18))
    if opset == 18 and R.random() < 0.5:
        s[axis] = int(R.integers(3, 8))
        n = int(R.integers(1, 4))
        if -(-s[axis] // n) * (n - 1) >= s[axis]:
            n = 1
        return [real(*s)], {"axis": axis, "num_outputs": n}, (), n, 18
    parts = [int(R.integers(0, 4)) for _ in range(R.integers(1, 4))]
    s[axis] = sum(parts)
    if opset == 11:
        return [real(*s)], {"axis": axis, "split": parts}, (), len(parts), 11
    return [real(*s), np.array(parts, "int64")], {"axis": axis}, (1,), len(parts), opset


def pad():
    s = [int(R.integers(2, 5)) for _ in range(R.integers(1, 4))]
    mode = choose("constant", "reflect", "edge", "wrap")
    least = -1 if mode == "constant" else 0
    axes = [int(a) - (len(s) if R.random() < 0.4 else 0) for a in R.permutation(len(s))[: R.integers(1, len(s) + 1)]]
    given = R.random() < 0.5
    pads = ints(least, 2, 2 * (len(axes) if given else len(s)))
    inputs = [real(*s), pads, np.array(choose(0.0, 1.5), "float32")] + ([np.array(axes, "int64")] if given else [])
    return inputs, {"mode": mode}, (1, 2, 3), 1, 19


def cumsum():
    s = shape(1, 3)
    return (
        [real(*s), np.array(axis_of(len(s)), "int64")],
        {"exclusive": int(choose(0, 1)), "reverse": int(choose(0, 1))},
        (1,),
        1,
        14,
    )


def layer_norm():
    s = shape(1, 4, False)
    axis = axis_of(len(s))
    tail = s[axis:]
    inputs = [real(*s), real(*tail)] + ([real(*tail)] if R.random() < 0.6 else [])
    return inputs, {"axis": axis, "epsilon": 1e-3}, (1, 2), 1, 17


def rms_norm():
    s = shape(1, 4, False)
    axis = axis_of(len(s))
    return [real(*s), real(*s[axis:])], {"axis": axis, "epsilon": 1e-3}, (1,), 1, 23


def instance_norm():
    c = int(R.integers(1, 4))
    return [real(2, c, *shape(1, 3, False)), real(c), real(c)], {"epsilon": 1e-3}, (1, 2), 1, 13


def batch_norm():
    c = int(R.integers(1, 4))
    return (
        [real(2, c, *shape(0, 3, False)), real(c), real(c), real(c), np.abs(real(c)) + 0.1],
        {"epsilon": 1e-3},
        (1, 2, 3, 4),
        1,
        15,
    )


def group_norm():
    g = int(R.integers(1, 3))
    c = g * int(R.integers(1, 3))
    return [real(2, c, *shape(1, 2, False)), real(c), real(c)], {"num_groups": g, "epsilon": 1e-3}, (1, 2), 1, 21


def lrn():
    return (
        [real(2, 5, *shape(1, 2, False))],
        {"size": int(choose(1, 2, 3, 4, 5)), "alpha": 0.3, "beta": 0.6, "bias": 1.2},
        (),
        1,
        13,
    )


def lp_norm():
    s = shape(1, 3, False)
    return [real(*s)], {"axis": axis_of(len(s)), "p": int(choose(1, 2))}, (), 1, 13


def where():
    s = shape()
    return [ints(0, 2, *broadcastable(s)).astype(bool), real(*broadcastable(s)), real(*s)], {}, (), 1, 16


def clip():
    inputs = [real(*shape())]
    low, high = R.random() < 0.7, R.random() < 0.7
    inputs.append(np.array(-0.5, "float32") if low else None)
    if high:
        inputs.append(np.array(choose(0.7, -0.7), "float32"))
    return inputs, {}, (1, 2), 1, 13


def topk():
    s = shape(1, 3, False)
    axis = axis_of(len(s))
    return (
        [real(*s), np.array([R.integers(1, s[axis] + 1)], "int64")],
        {"axis": axis, "largest": int(choose(0, 1)), "sorted": 1},
        (1,),
        2,
        11,
    )


def onehot():
    rank = int(R.integers(0, 3))
    return (
        [ints(-4, 4, *shape(rank, rank, False)), np.array(choose(3, 4), "int64"), real(2)],
        {"axis": int(R.integers(-rank - 1, rank + 1))},
        (1, 2),
        1,
        11,
    )


def trilu():
    inputs = [real(*shape(2, 4))]
    if R.random() < 0.8:
        inputs.append(np.array(int(R.integers(-3, 4)), "int64"))
    return inputs, {"upper": int(choose(0, 1))}, (1,), 1, 14


def depth(op: str):
    def make():
        b = 2
        if op == "DepthToSpace":
            return [real(2, 3 * b * b, 2, 3)], {"blocksize": b, "mode": choose("DCR", "CRD")}, (), 1, 13
        return [real(2, 3, 4, 6)], {"blocksize": b}, (), 1, 13

    return make


def einsum():
    dims = dict(zip("ijkb", (2, 3, 4, 2)))
    equation = choose(
        "ij,jk->ik",
        "bij,bjk->bik",
        "ij->ji",
        "ij->i",
        "ij,ij->",
        "ii->i",
        "...ij,jk->...ik",
        "i,j->ij",
        "bij,bkj->bik",
        "ijk->kji",
        "ij,jk",
        "b...j,j->b...",
        "ii",
        "ijb,jk,kb->ib",
        "...->...",
        "i...->...",
    )
    left = equation.split("->")[0]
    inputs = []
    for term in left.split(","):
        ell = [2, 3] if "..." in term else []
        before, _, after = term.partition("...")
        inputs.append(real(*[dims[c] for c in before], *ell, *[dims[c] for c in after]))
    return inputs, {"equation": equation}, (), 1, 12


def resize():
    rank = int(R.integers(1, 3))
    x = real(1, 2, *(int(R.integers(2, 6)) for _ in range(rank)))
    mode = choose("nearest", "linear", "cubic") if rank == 2 else choose("nearest", "linear")
    attributes = {
        "mode": mode,
        "coordinate_transformation_mode": choose(
            "half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"
        ),
    }
    if mode == "nearest":
        attributes["nearest_mode"] = choose("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    if mode == "cubic":
        attributes |= {"cubic_coeff_a": -0.6, "exclude_outside": int(choose(0, 1))}
    if mode == "linear" and R.random() < 0.3:
        attributes["antialias"] = 1
    if R.random() < 0.5:
        return (
            [x, None, np.array([1, 1, *(float(choose(0.6, 1.5, 2.0, 2.6)) for _ in range(rank))], "float32")],
            attributes,
            (2,),
            1,
            19,
        )
    return (
        [x, None, None, np.array([1, 2, *(int(R.integers(1, 9)) for _ in range(rank))], "int64")],
        attributes,
        (3,),
        1,
        19,
    )


def recurrent(op: str):
    def make():
        gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[op]
        direction = choose("forward", "reverse", "bidirectional")
        d = 2 if direction == "bidirectional" else 1
        t, n, i, h = 3, 2, 3, 2
        attributes = {"direction": direction, "hidden_size": h}
        inputs = [
            real(t, n, i),
            real(d, gates * h, i),
            real(d, gates * h, h),
            real(d, 2 * gates * h) if R.random() < 0.7 else None,
        ]
        inputs.append(np.array([3, 2], "int32") if R.random() < 0.4 else None)
        inputs.append(real(d, n, h) if R.random() < 0.5 else None)
        if op == "LSTM":
            inputs.append(real(d, n, h) if R.random() < 0.5 else None)
            if R.random() < 0.3:
                inputs.append(real(d, 3 * h))
        if op == "GRU":
            attributes["linear_before_reset"] = int(choose(0, 1))
        if R.random() < 0.3:
            attributes["clip"] = 0.5
        if R.random() < 0.3:
            per = {"RNN": ["Relu"], "GRU": ["HardSigmoid", "Softsign"], "LSTM": ["Sigmoid", "Relu", "Tanh"]}[op]
            attributes["activations"] = per * d
        if op == "LSTM" and R.random() < 0.2:
            attributes["input_forget"] = 1
        while inputs[-1] is None:
            inputs.pop()
        return inputs, attributes, tuple(range(1, len(inputs))), 3 if op == "LSTM" else 2, 14

    return make


def attention():
    b, s, t, h, kh, dk, dv = 2, int(R.integers(1, 4)), int(R.integers(1, 5)), int(choose(2, 4)), 2, 4, int(choose(4, 3))
    flat = R.random() < 0.5
    q, k, v = real(b, h, s, dk), real(b, kh, t, dk), real(b, kh, t, dv)

    def join(a: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(a.transpose(0, 2, 1, 3)).reshape(b, a.shape[2], -1)

    attributes = {"is_causal": int(choose(0, 1))}
    if R.random() < 0.3:
        attributes["softcap"] = 1.5
    if R.random() < 0.3:
        attributes["scale"] = 0.3
    if flat:
        q, k, v = join(q), join(k), join(v)
        attributes |= {"q_num_heads": h, "kv_num_heads": kh}
    inputs = [q, k, v]
    past = R.random() < 0.3
    total = t + (2 if past else 0)
    if R.random() < 0.5:
        inputs.append(
            choose(real(s, total), real(b, 1, s, total), real(1, h, s, total), ints(0, 2, s, total).astype(bool))
        )
    elif past:
        inputs.append(None)
    if past:
        inputs += [real(b, kh, 2, dk), real(b, kh, 2, dv)]
    outputs = 3 if past else 1
    if R.random() < 0.4:
        attributes["qk_matmul_output_mode"] = int(R.integers(0, 4))
        outputs = 4 if past else 1
    return inputs, attributes, (), outputs, choose(23, 24)


def rotary():
    b, h, s, d = 2, 2, 3, 8
    part = int(choose(0, 4))
    half = (part or d) // 2
    attributes = {"interleaved": int(choose(0, 1)), "rotary_embedding_dim": part}
    x = real(b, h, s, d)
    if R.random() < 0.5:
        x = np.ascontiguousarray(x.transpose(0, 2, 1, 3)).reshape(b, s, h * d)
        attributes["num_heads"] = h
    if R.random() < 0.5:
        return [x, real(5, half), real(5, half), ints(0, 5, b, s)], attributes, (1, 2), 1, 23
    return [x, real(b, s, half), real(b, s, half)], attributes, (1, 2), 1, 23


def mvn():
    s = shape(4, 4, False)
    return [real(*s)], choose({}, {"axes": [0, 2, 3]}, {"axes": [2, 3]}, {"axes": [-1]}), (), 1, 13


def grid_sample():
    x, grid = real(2, 2, 4, 5), np.clip(real(2, 3, 3, 2), -1.4, 1.4)
    return (
        [x, grid],
        {
            "mode": choose("linear", "nearest", "cubic"),
            "padding_mode": choose("zeros", "border", "reflection"),
            "align_corners": int(choose(0, 1)),
        },
        (),
        1,
        20,
    )


def dft():
    s = [2, int(R.integers(2, 7)), int(R.integers(2, 5)), int(choose(1, 2))]
    one = int(s[-1] == 1 and R.random() < 0.5)
    inverse = 0 if one else int(choose(0, 1))
    length = np.array(int(R.integers(2, 8)), "int64") if R.random() < 0.4 else None
    return [real(*s), length, np.array(choose(1, 2, -2), "int64")], {"inverse": inverse, "onesided": one}, (1, 2), 1, 20


def reverse_sequence():
    x = real(4, 3, 2)
    if R.random() < 0.5:
        return [x, ints(1, 5, 3)], {"time_axis": 0, "batch_axis": 1}, (1,), 1, 10
    return [x, ints(1, 4, 4)], {"time_axis": 1, "batch_axis": 0}, (1,), 1, 10


def loss():
    c = 4
    rest = shape(0, 2, False)
    inputs = [real(3, c, *rest), ints(0, c, 3, *rest)] + ([np.abs(real(c))] if R.random() < 0.5 else [])
    attributes = {"reduction": choose("none", "mean", "sum")}
    if R.random() < 0.4:
        attributes["ignore_index"] = 1
    return inputs, attributes, (1, 2), 1, 13


def center_crop_pad():
    s = shape(1, 3, False)
    axes = [int(a) - (len(s) if R.random() < 0.4 else 0) for a in R.permutation(len(s))[: R.integers(1, len(s) + 1)]]
    return [real(*s), ints(1, 7, len(axes))], {"axes": axes}, (1,), 1, 18


def cast():
    to = choose(
        TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL, TensorProto.UINT8, TensorProto.DOUBLE
    )
    x = np.abs(real(*shape()) * 3) if to == TensorProto.UINT8 else real(*shape()) * 3
    return [x.astype("float32")], {"to": int(to)}, (), 1, 13


def range_():
    a = [int(R.integers(-3, 3)), int(R.integers(-3, 9)), int(choose(1, 2, -1))]
    kind = choose("int64", "float32")
    return [np.array(v, kind) for v in a], {}, (0, 1, 2), 1, 11


def col2im():
    return [real(2, 3 * 4, 4)], {"strides": [2, 2]}, (), 1, 18


CASES = {
    **{
        op: unary(op)
        for op in [
            "Abs",
            "Acos",
            "Acosh",
            "Asin",
            "Asinh",
            "Atan",
            "Atanh",
            "Ceil",
            "Celu",
            "Cos",
            "Cosh",
            "Elu",
            "Erf",
            "Exp",
            "Floor",
            "Gelu",
            "HardSigmoid",
            "HardSwish",
            "LeakyRelu",
            "Log",
            "Mish",
            "Neg",
            "Reciprocal",
            "Relu",
            "Round",
            "Selu",
            "Shrink",
            "Sigmoid",
            "Sign",
            "Sin",
            "Sinh",
            "Softplus",
            "Softsign",
            "Sqrt",
            "Tan",
            "Tanh",
            "ThresholdedRelu",
            "Identity",
        ]
    },
    **{
        op: binary(op)
        for op in [
            "Add",
            "Sub",
            "Mul",
            "Div",
            "Pow",
            "Mod",
            "PRelu",
            "Greater",
            "GreaterOrEqual",
            "Less",
            "LessOrEqual",
            "Equal",
            "And",
            "Or",
            "Xor",
            "BitwiseAnd",
            "BitwiseOr",
            "BitwiseXor",
        ]
    },
    **{op: variadic(op) for op in ["Max", "Min", "Sum", "Mean"]},
    **{
        op: reduction(op)
        for op in [
            "ReduceSum",
            "ReduceMean",
            "ReduceMax",
            "ReduceMin",
            "ReduceProd",
            "ReduceL1",
            "ReduceL2",
            "ReduceLogSum",
            "ReduceLogSumExp",
            "ReduceSumSquare",
        ]
    },
    **{op: arg(op) for op in ["ArgMax", "ArgMin"]},
    **{op: softmax(op) for op in ["Softmax", "LogSoftmax", "Hardmax"]},
    "MatMul": matmul,
    "Gemm": gemm,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    **{op: pool(op) for op in ["MaxPool", "AveragePool", "LpPool"]},
    **{op: global_pool for op in ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"]},
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "Slice": slices,
    "Transpose": transpose,
    "Reshape": reshape,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Flatten": flatten,
    "Expand": expand,
    "Tile": tile,
    "Concat": concat,
    "Split": split,
    "Pad": pad,
    "CumSum": cumsum,
    "LayerNormalization": layer_norm,
    "RMSNormalization": rms_norm,
    "InstanceNormalization": instance_norm,
    "BatchNormalization": batch_norm,
    "GroupNormalization": group_norm,
    "LRN": lrn,
    "LpNormalization": lp_norm,
    "Where": where,
    "Clip": clip,
    "TopK": topk,
    "OneHot": onehot,
    "Trilu": trilu,
    "DepthToSpace": depth("DepthToSpace"),
    "SpaceToDepth": depth("SpaceToDepth"),
    "Einsum": einsum,
    "Resize": resize,
    "RNN": recurrent("RNN"),
    "GRU": recurrent("GRU"),
    "LSTM": recurrent("LSTM"),
    "Attention": attention,
    "RotaryEmbedding": rotary,
    "MeanVarianceNormalization": mvn,
    "GridSample": grid_sample,
    "DFT": dft,
    "ReverseSequence": reverse_sequence,
    "SoftmaxCrossEntropyLoss": loss,
    "CenterCropPad": center_crop_pad,
    "Cast": cast,
    "Range": range_,
}


def encoded(array: np.ndarray) -> str:
    return base64.b64encode(
        numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape)).SerializeToString()
    ).decode()


def case(op: str, number: int) -> dict[str, object] | None:
    inputs, attributes, constants, outputs, opset = CASES[op]()
    attributes = {key: value for key, value in attributes.items() if value != []}
    names = ["" if each is None else f"i{i}" for i, each in enumerate(inputs)]
    given = [(name, np.asarray(each)) for name, each in zip(names, inputs) if name]
    last = [f"o{i}" for i in range(outputs)]
    if op == "Attention" and "qk_matmul_output_mode" in attributes and outputs == 1:
        last = ["o0", "", "", "o3"]
    node = helper.make_node(op, names, last, **attributes)
    fixed = [numpy_helper.from_array(v, n) for n, v in given if int(n[1:]) in constants]
    fed = [(n, v) for n, v in given if int(n[1:]) not in constants] or given[:1]
    values = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in fed]
    fixed = [each for each in fixed if each.name not in dict(fed)]
    results = [onnx.ValueInfoProto(name=name) for name in last if name]
    graph = helper.make_graph([node], "g", values, results, fixed)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", int(opset))], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        found = session.run(None, dict(fed))
    except Exception as error:
        return {"failed": f"{op}: {str(error).strip().splitlines()[0][:160]}"}
    described = f"{op} {opset} {attributes} " + " ".join(
        "-"
        if each is None
        else f"{np.asarray(each).dtype}{list(np.asarray(each).shape)}"
        + (f"={np.asarray(each).tolist()}" if i in constants and np.asarray(each).size < 9 else "")
        for i, each in enumerate(inputs)
    )
    return {
        "name": f"{op} {number}",
        "operators": [op],
        "model": base64.b64encode(model.SerializeToString()).decode(),
        "inputs": [encoded(v) for _, v in fed],
        "outputs": [encoded(np.asarray(v)) for v in found],
        "what": described,
    }


def main() -> None:
    each = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    only = sys.argv[3:] or list(CASES)
    cases = [made for op in only for number in range(each) if (made := case(op, number)) is not None]
    failed = collections.Counter(made["failed"] for made in cases if "failed" in made)
    tried = [made for made in cases if "failed" not in made]
    lines = "\n".join(json.dumps(made) for made in tried)
    run = subprocess.run(
        ["node", str(ROOT / "test" / "peers" / "run-operators.mjs")],
        input=lines,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    results = [json.loads(line) for line in run.stdout.splitlines()]
    for made, result in zip(tried, results):
        if result["outcome"] == "wrong" or "FAULT" in str(result["outcomes"]) or "INTERNAL" in str(result["outcomes"]):
            print("WRONG", made["what"], "|", [o[:200] for o in result["outcomes"]])
        elif result["outcome"] == "refused":
            print("refused", made["what"], "|", result["outcomes"][-1][:260])
    print(
        collections.Counter(result["outcome"] for result in results),
        f"{sum(failed.values())} cases are none for ONNX Runtime",
    )
    if len(sys.argv) > 3:
        print(dict(failed))


if __name__ == "__main__":
    main()
