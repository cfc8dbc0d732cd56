"""Functions of matrices by products alone, where torch's exporter has none: those of orthogonal parametrizations.

What is exported is differentiated as it stands, and its outputs and derivatives are compared with the module's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

#: exp(A) = exp(A / 2^k)^(2^k), and exp(A / 2^k) by so many terms: to the last digits for |A| of some hundred.
_HALVINGS, _TERMS = 8, 14
#: Newton's iteration for an inverse converges quadratically from here on, also where the condition is 10^4.
_NEWTON_STEPS = 40


def _constant(graph: Any, value: Any, like: Any) -> Any:
    torch = sys.modules["torch"]
    return graph.op("Constant", value_t=torch.as_tensor(value, dtype=like.type().dtype()))


def _identity(graph: Any, like: Any, extent: int) -> Any:
    return _constant(graph, sys.modules["torch"].eye(extent), like)


def _transposed(graph: Any, a: Any) -> Any:
    axes = list(range(a.type().dim()))
    return graph.op("Transpose", a, perm_i=[*axes[:-2], axes[-1], axes[-2]])


def _product(graph: Any, a: Any, b: Any) -> Any:
    return graph.op("MatMul", a, b)


def _matrix_exp(graph: Any, a: Any) -> Any:
    """Scaling and squaring, and Taylor's polynomial by Horner's scheme."""
    identity = _identity(graph, a, a.type().sizes()[-1])
    scaled = graph.op("Mul", a, _constant(graph, 2.0**-_HALVINGS, a))
    result = identity
    for k in range(_TERMS, 0, -1):
        term = graph.op("Mul", _product(graph, scaled, result), _constant(graph, 1 / k, a))
        result = graph.op("Add", identity, term)
    for _ in range(_HALVINGS):
        result = _product(graph, result, result)
    return result


def _householder_product(graph: Any, a: Any, tau: Any) -> Any:
    """The first columns of H_1 H_2 ... with H_i = I - tau_i v_i v_i'; v_i is 0 above its i-th entry, which is 1."""
    rows, columns = a.type().sizes()[-2:]
    below = _constant(graph, sys.modules["torch"].ones(rows, columns).tril(-1), a)
    start = _constant(graph, sys.modules["torch"].eye(rows, columns), a)
    vectors = graph.op("Add", graph.op("Mul", a, below), start)
    result = start
    for i in range(columns - 1, -1, -1):
        at = graph.op("Constant", value_t=sys.modules["torch"].tensor([i]))
        vector = graph.op("Gather", vectors, at, axis_i=-1)
        along = _product(graph, _transposed(graph, _as(vector, a)), result)
        moved = graph.op("Mul", _product(graph, vector, along), graph.op("Gather", tau, at, axis_i=-1))
        result = graph.op("Sub", result, moved)
    return result


def _as(value: Any, like: Any) -> Any:
    """A new value with the number of axes of another one, which a transpose asks for."""
    return value.setType(like.type())


def _solve(graph: Any, a: Any, b: Any, left: Any) -> Any:
    """A^-1 B by Newton's iteration X <- X (2 I - A X), from A' / (|A|_1 |A|_inf) (Ben-Israel and Cohen 1966)."""
    known = sys.modules["torch"].onnx.symbolic_helper._maybe_get_const
    if not known(left, "b"):
        raise ValueError("torch.linalg.solve with left=False is not written in products")
    size = graph.op("Abs", a)
    norms = [
        graph.op("ReduceMax", graph.op("ReduceSum", size, _axis(graph, axis)), _axis(graph, other))
        for axis, other in ((-1, -2), (-2, -1))
    ]
    inverse = graph.op("Div", _transposed(graph, a), graph.op("Mul", *norms))
    twice = graph.op("Mul", _identity(graph, a, a.type().sizes()[-1]), _constant(graph, 2.0, a))
    for _ in range(_NEWTON_STEPS):
        inverse = _product(graph, inverse, graph.op("Sub", twice, _product(graph, a, inverse)))
    return _product(graph, inverse, b)


def _axis(graph: Any, axis: int) -> Any:
    return graph.op("Constant", value_t=sys.modules["torch"].tensor([axis]))


MATRIX_SYMBOLS: Mapping[str, Callable[..., Any]] = {
    "aten::mH": _transposed,
    "aten::mT": _transposed,
    "aten::linalg_matrix_exp": _matrix_exp,
    "aten::matrix_exp": _matrix_exp,
    "aten::linalg_householder_product": _householder_product,
    "aten::linalg_solve": _solve,
}
