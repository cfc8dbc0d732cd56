"""A module's structure by torch's newer exporter (`dynamo=True`), which knows operators that the older one lacks.

It needs the package onnxscript, and some seconds; so the older one is asked first.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Collection, Iterator, Sequence
from typing import Any


def newer_structure(
    torch: Any, module: Any, given: Sequence[Any], names: Sequence[str], output: str, tensors: Collection[str]
) -> bytes:
    """The module as an ONNX file in which every tensor of it is an input, for any number of rows.

    Args:
        tensors: the names of the parameters and buffers.

    Raises:
        Exception: of torch's, of many kinds, where it fails.
    """
    rows = tuple({0: torch.export.Dim.DYNAMIC} for _ in given)
    # A wrapper takes its tensors as one sequence.
    shapes = (rows,) if hasattr(module, "inner") else rows
    with _quiet():
        program = torch.onnx.export(
            module,
            tuple(given),
            None,
            dynamo=True,
            # Nothing is folded, merged or renamed.
            optimize=False,
            dynamic_shapes=shapes,
            input_names=list(names),
            output_names=[output],
            verbose=False,
        )
    graph = program.model.graph
    first = _first_names(module)
    for name in [name for name in graph.initializers if first.get(name, name) in tensors]:
        value = graph.initializers.pop(name)
        there = next((each for each in graph.inputs if each.name == first.get(name, name)), None)
        if there is None:
            value.name = first.get(name, name)
            graph.inputs.append(value)
        else:
            value.replace_all_uses_with(there)
    return bytes(program.model_proto.SerializeToString())


def _first_names(module: Any) -> dict[str, str]:
    """The first name of every tied parameter, by all of its names."""
    first: dict[int, str] = {}
    named = getattr(module, "inner", module).named_parameters(remove_duplicate=False)
    return {name: first.setdefault(id(value), name) for name, value in named}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
