"""What torch's ONNX exporter lacks, or writes otherwise than torch computes and differentiates it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from ._torch_matrices import MATRIX_SYMBOLS

#: The operator set from which on the operators below are written so: one in which torch writes none of them anew.
_SINCE = 12


@contextmanager
def more_symbols(torch: Any) -> Iterator[None]:
    """Operators that the exporter lacks, or writes without sums (index_add) or without what stops derivatives."""
    added = []
    try:
        for name, symbolic in _SYMBOLS.items():
            with suppress(Exception):
                torch.onnx.register_custom_op_symbolic(name, symbolic, _SINCE)
                added.append(name)
        yield
    finally:
        for name in added:
            torch.onnx.unregister_custom_op_symbolic(name, _SINCE)


@contextmanager
def with_detached(torch: Any) -> Iterator[None]:
    """What is computed under torch.no_grad is detached in the trace, too, and what is read as `.data`, of which a trace
    would keep the numbers."""

    class Detaching(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
        ) -> Any:
            result = func(*args, **(kwargs or {}))
            real = isinstance(result, torch.Tensor) and result.is_floating_point()
            return result.detach() if real and not torch.is_grad_enabled() else result

    enter, leave = torch.no_grad.__enter__, torch.no_grad.__exit__
    modes = []

    # Not for all of the module's code: what torch says of a line of it would be said of a line in here.
    def entered(context: Any) -> None:
        enter(context)
        modes.append(Detaching())
        modes[-1].__enter__()

    def left(context: Any, *error: Any) -> None:
        modes.pop().__exit__(*error)
        leave(context, *error)

    stored = torch.Tensor.data
    with torch.enable_grad():
        torch.no_grad.__enter__, torch.no_grad.__exit__ = entered, left
        torch.Tensor.data = property(lambda tensor: tensor.detach(), stored.__set__)
        try:
            yield
        finally:
            torch.no_grad.__enter__, torch.no_grad.__exit__ = enter, leave
            del torch.Tensor.data


@contextmanager
def with_plain_attention(torch: Any) -> Iterator[None]:
    """Attention by products and a softmax where the exporter cannot write it: fewer heads of keys than of queries, and
    masks in double precision."""
    functions = torch.nn.functional
    original = functions.scaled_dot_product_attention

    def attention(
        query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
        scale: float | None = None, enable_gqa: bool = False,
    ) -> Any:  # fmt: skip
        double = attn_mask is not None and attn_mask.dtype == torch.float64
        if not (enable_gqa or double):
            return original(query, key, value, attn_mask, dropout_p, is_causal, scale=scale)
        if enable_gqa:
            heads = int(query.size(-3))
            key, value = (_for_each_query(each, heads) for each in (key, value))
        scores = query @ key.transpose(-2, -1) * (int(query.size(-1)) ** -0.5 if scale is None else scale)
        if is_causal:
            attn_mask = torch.ones(int(scores.size(-2)), int(scores.size(-1)), dtype=torch.bool).tril()
        if attn_mask is None or attn_mask.dtype != torch.bool:
            return (scores if attn_mask is None else scores + attn_mask).softmax(-1) @ value
        # Queries that see no key at all attend to nothing.
        least = torch.finfo(scores.dtype).min
        return scores.masked_fill(~attn_mask, least).softmax(-1).masked_fill(~attn_mask, 0) @ value

    functions.scaled_dot_product_attention = attention
    try:
        yield
    finally:
        functions.scaled_dot_product_attention = original


@contextmanager
def with_plain_bags(torch: Any) -> Iterator[None]:
    """Bags of as many rows of a table for every example by a table's rows and their sum, where the exporter writes a
    loop."""
    functions = torch.nn.functional
    original = functions.embedding_bag

    def bag(
        input: Any, weight: Any, offsets: Any = None, max_norm: Any = None, norm_type: float = 2.0,
        scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, per_sample_weights: Any = None,
        include_last_offset: bool = False, padding_idx: int | None = None,
    ) -> Any:  # fmt: skip
        if input.dim() != 2 or offsets is not None or max_norm is not None or scale_grad_by_freq:
            rest = (scale_grad_by_freq, mode, sparse, per_sample_weights, include_last_offset, padding_idx)
            return original(input, weight, offsets, max_norm, norm_type, *rest)
        rows = functions.embedding(input, weight)
        if per_sample_weights is not None:
            rows = rows * per_sample_weights.unsqueeze(-1)
        if padding_idx is None:
            return {"sum": rows.sum, "mean": rows.mean, "max": rows.amax}[mode](1)
        kept = (input != padding_idx % weight.size(0)).unsqueeze(-1)
        if mode == "max":
            empty = ~kept.any(1)
            return rows.masked_fill(~kept, torch.finfo(rows.dtype).min).amax(1).masked_fill(empty, 0)
        total = rows.masked_fill(~kept, 0).sum(1)
        return total if mode == "sum" else total / kept.to(rows).sum(1).clamp(min=1)

    functions.embedding_bag = bag
    try:
        yield
    finally:
        functions.embedding_bag = original


@contextmanager
def with_plain_projections(torch: Any) -> Iterator[None]:
    """LSTMs with projections (proj_size), which ONNX has not, step by step."""
    functions = torch.nn.modules.rnn._VF
    original = functions.lstm

    def lstm(input: Any, states: Any, weights: Any, *rest: Any) -> Any:
        if isinstance(states, (tuple, list)) and states[0].size(-1) != states[1].size(-1):
            return _projected_lstm(torch, input, states, list(weights), *rest)
        return original(input, states, weights, *rest)

    functions.lstm = lstm
    try:
        yield
    finally:
        del functions.lstm


def _projected_lstm(
    torch: Any, input: Any, states: Any, weights: list[Any], biases: bool, layers: int, dropout: float, training: bool,
    bidirectional: bool, batch_first: bool,
) -> Any:  # fmt: skip
    """Sak, Senior and Beaufays (2014): the output is a projection W_hr of the state. The gates are i, f, g, o."""
    linear = torch.nn.functional.linear
    x = input.transpose(0, 1) if batch_first else input
    directions, count, last_h, last_c = 1 + bidirectional, 5 if biases else 3, [], []
    for layer in range(layers):
        outputs = []
        for way in range(directions):
            place = layer * directions + way
            w_ih, w_hh, *between, w_hr = weights[place * count : (place + 1) * count]
            b_ih, b_hh = between or (None, None)
            h, c = states[0][place], states[1][place]
            given, steps = linear(x, w_ih, b_ih), []
            times = range(int(x.size(0)))
            for time in reversed(times) if way else times:
                i, f, g, o = (given[time] + linear(h, w_hh, b_hh)).chunk(4, -1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = linear(torch.sigmoid(o) * torch.tanh(c), w_hr)
                steps.append(h)
            outputs.append(torch.stack(steps[::-1] if way else steps))
            last_h.append(h)
            last_c.append(c)
        x = torch.cat(outputs, -1)
    return x.transpose(0, 1) if batch_first else x, torch.stack(last_h), torch.stack(last_c)


@contextmanager
def with_limited_tables(torch: Any) -> Iterator[None]:
    """Rows of a table with a largest norm (max_norm) as they are when they are looked up: a lookup shortens the rows it
    takes for good, before anything is differentiated. The exporter leaves that out."""
    functions = torch.nn.functional
    original = functions.embedding

    def embedding(
        input: Any, weight: Any, padding_idx: Any = None, max_norm: Any = None, norm_type: float = 2.0, *rest: Any,
        **more: Any,
    ) -> Any:  # fmt: skip
        rows = original(input, weight, padding_idx, None, norm_type, *rest, **more)
        if max_norm is None:
            return rows
        with torch.no_grad():
            norms = rows.abs().pow(norm_type).sum(-1, keepdim=True).pow(1 / norm_type)
            share = torch.where(norms > max_norm, max_norm / (norms + 1e-7), torch.ones_like(norms))
        # The derivative is that of the row as it is stored afterwards.
        return rows + (rows * share - rows).detach()

    functions.embedding = embedding
    try:
        yield
    finally:
        functions.embedding = original


def _for_each_query(x: Any, heads: int) -> Any:
    """Each head of keys or values as often as it serves a head of queries, N x H x S x D."""
    times = heads // int(x.size(1))
    return x.unsqueeze(2).expand(-1, -1, times, -1, -1).flatten(1, 2)


def _stopped(graph: Any, x: Any) -> Any:
    return graph.op("polylaplace::StopGradient", x).setType(x.type())


def _constant(graph: Any, value: Any) -> Any:
    return graph.op("Constant", value_t=sys.modules["torch"].as_tensor(value))


def _known(value: Any, kind: str) -> Any:
    """The value of a constant. Not toIValue: by now constants may be nodes of ONNX, of which it says None."""
    return sys.modules["torch"].onnx.symbolic_helper._maybe_get_const(value, kind)


def _vdot(graph: Any, a: Any, b: Any) -> Any:
    return graph.op("ReduceSum", graph.op("Mul", a, b), keepdims_i=0)


def _bilinear(graph: Any, a: Any, b: Any, weight: Any, bias: Any) -> Any:
    product = graph.op("Einsum", a, weight, b, equation_s="...i,oij,...j->...o")
    return product if bias.node().mustBeNone() else graph.op("Add", product, bias)


def _index_add(graph: Any, data: Any, dim: Any, index: Any, added: Any, alpha: Any) -> Any:
    rank, factor = data.type().dim(), _known(alpha, "f")
    axis = _known(dim, "i") % rank
    axes = _constant(graph, [k for k in range(rank) if k != axis])
    each = graph.op("Expand", graph.op("Unsqueeze", index, axes), graph.op("Shape", added))
    scaled = added if factor == 1 else graph.op("Mul", added, graph.op("CastLike", alpha, added))
    return graph.op("ScatterElements", data, each, scaled, axis_i=axis, reduction_s="add")


def _embedding(graph: Any, weight: Any, ids: Any, padding: Any, _by_frequency: Any, _sparse: Any) -> Any:
    rows = graph.op("Gather", weight, ids)
    row = _known(padding, "i")
    if row < 0:
        return rows
    # The row of padding does not learn.
    padded = graph.op("Unsqueeze", graph.op("Equal", ids, _constant(graph, row)), _constant(graph, [-1]))
    return graph.op("Where", padded, graph.op("polylaplace::StopGradient", rows), rows)


def _rms_norm(graph: Any, x: Any, shape: Any, weight: Any, eps: Any) -> Any:
    torch = sys.modules["torch"]
    dtype = x.type().dtype()
    least = torch.finfo(dtype).eps if eps.node().mustBeNone() else _known(eps, "f")
    axes = _constant(graph, [-k for k in range(len(_known(shape, "is")), 0, -1)])
    square = graph.op("ReduceMean", graph.op("Mul", x, x), axes, keepdims_i=1)
    root = graph.op("Sqrt", graph.op("Add", square, _constant(graph, torch.tensor(least, dtype=dtype))))
    normed = graph.op("Div", x, root)
    return normed if weight.node().mustBeNone() else graph.op("Mul", normed, weight)


def _unfold(graph: Any, x: Any, dim: Any, size: Any, step: Any) -> Any:
    """Windows of an axis, N x ... x count x ... x size. The exporter's own takes a negative axis for another one."""
    torch = sys.modules["torch"]
    rank = x.type().dim()
    axis, length, by = _known(dim, "i") % rank, _known(size, "i"), _known(step, "i")
    extent = x.type().sizes()[axis]
    if extent is None:
        raise ValueError("unfold of an axis whose length is not known")
    starts = torch.arange(0, extent - length + 1, by)
    windows = graph.op("Gather", x, _constant(graph, starts.unsqueeze(1) + torch.arange(length)), axis_i=axis)
    others = [k for k in range(rank + 1) if k != axis + 1]
    return graph.op("Transpose", windows, perm_i=[*others, axis + 1])


_SYMBOLS: Mapping[str, Callable[..., Any]] = {
    "aten::vdot": _vdot,
    "aten::bilinear": _bilinear,
    "aten::index_add": _index_add,
    "aten::detach": _stopped,
    "aten::rms_norm": _rms_norm,
    "aten::embedding": _embedding,
    "aten::unfold": _unfold,
    **MATRIX_SYMBOLS,
}
