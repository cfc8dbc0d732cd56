"""Whether a torch module is a function of each row alone, as a network is: not random, and without branches that other
rows would take otherwise. An export keeps what one call did; what it cannot keep is refused here, with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ._data import Array, to_array
from ._exceptions import GraphError

#: Outputs for the same row within this of each other, relative to the largest, are the same in single precision.
_SAME = 1e-4
#: What torch.func says where code takes a number, or the truth, of a value that rows decide.
_DECIDED = ("data-dependent control flow", ".item()")


def check_rows_apart(torch: Any, module: Any, given: Sequence[Any], outputs: Array) -> None:
    """Checks that a call is repeated exactly, and that a row's outputs do not depend on the other rows.

    Args:
        given: some rows of each input.
        outputs: what the module gave for them.

    Raises:
        GraphError: BAD_GRAPH for a random module, BATCH_AXIS where rows change each other.
    """
    name = type(module).__name__
    if not _same(outputs, _numbers(torch, module, given)):
        raise GraphError(
            f"The {name} gives other outputs when it is called with the same rows again, in evaluation mode too: it is "
            "random (dropout as a function without training=self.training), or counts its calls. Make it a function of "
            "its rows.",
            "BAD_GRAPH",
        )
    copies = [rows[-1:].expand(rows.shape).contiguous() for rows in given]
    try:
        alone = _numbers(torch, module, copies)
    except Exception:  # Rows need not be possible alone (lengths that are sorted): what is compared is what there is.
        return
    # Examples may be another axis than the first, as in networks for CTC.
    axes = [axis for axis, size in enumerate(outputs.shape) if size == len(given[0])]
    apart = [_same(outputs.take(-1, axis), alone.take(-1, axis)) for axis in axes if alone.shape == outputs.shape]
    if apart and not any(apart):
        raise GraphError(
            f"The outputs of the {name} for a row depend on the other rows that it is given with{_why(module)}",
            "BATCH_AXIS",
        )


def _why(module: Any) -> str:
    """The parts that are known to mix rows, and what to do."""
    parts = [(path, part) for path, part in getattr(module, "inner", module).named_modules() if path]
    for path, part in parts:
        if getattr(part, "batch_first", None) is False:
            return (
                f". Its part {path!r} ({type(part).__name__}) has batch_first=False, so that it takes times first, and "
                "rows of data are examples first: make it with batch_first=True, or turn the rows in forward, "
                "x.transpose(0, 1), and what comes out of it back."
            )
    for path, part in parts:
        if hasattr(part, "running_mean") and part.running_mean is None and "BatchNorm" in type(part).__name__:
            return (
                f". Its part {path!r} ({type(part).__name__}) keeps no statistics of the training "
                "(track_running_stats=False) and takes those of the rows: train it with them kept."
            )
    return (
        " (statistics or a softmax over the batch, or a branch that all of them decide). Examples must be kept apart: "
        "take what is computed over rows from the training, as a buffer."
    )


def check_no_branches(torch: Any, module: Any, given: Sequence[Any]) -> None:
    """Checks that no value that depends on the rows becomes a Python number, or decides an if.

    Raises:
        GraphError: where one does.
    """

    def one(*rows: Any) -> Any:
        return module(*(row.unsqueeze(0) for row in rows))

    try:
        with torch.no_grad(), _as_if_traced(torch):
            torch.func.vmap(one, randomness="same")(*given)
    except Exception as error:  # Not all of torch can be mapped; what is looked for has words of its own.
        if not any(words in str(error) for words in _DECIDED):
            return
        raise GraphError(
            f"The code of the {type(module).__name__} makes a Python number of values that depend on the rows, or "
            "branches on them: an export keeps the branch that the first rows took, for all others too. Compute both "
            "and choose by torch.where.",
            "BAD_GRAPH",
        ) from error


@contextmanager
def _as_if_traced(torch: Any) -> Iterator[None]:
    """Code that asks whether it is being traced does here what it does in the export (masks of Hugging Face's)."""
    own = torch.jit.is_tracing
    torch.jit.is_tracing = lambda: True
    try:
        yield
    finally:
        torch.jit.is_tracing = own


def _numbers(torch: Any, module: Any, given: Sequence[Any]) -> Array:
    with torch.no_grad():
        return np.array(to_array(module(*given), "outputs"))


def _same(a: Array, b: Array) -> bool:
    if a.shape != b.shape:
        return False
    largest = float(np.abs(a[np.isfinite(a)]).max(initial=0.0))
    return bool(np.allclose(a, b, rtol=0, atol=_SAME * largest, equal_nan=True))
