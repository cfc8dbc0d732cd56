"""Keras models, without importing Keras: they are saved as it saves them, and read from that file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ._data import Array, to_array
from ._examples import Examples
from ._exceptions import GraphError, StateError

#: Rows that outputs are compared on.
_ROWS = 3
_HALF = ("float16", "bfloat16")


def is_keras_model(model: Any) -> bool:
    """Whether an object is a model of Keras. With torch's backend it is a torch module as well."""
    return hasattr(model, "get_config") and any(
        cls.__name__ == "Model" and cls.__module__.split(".")[0] in ("keras", "tf_keras") for cls in type(model).__mro__
    )


def keras_file(model: Any) -> bytes:
    """The bytes of the model's `.keras` file.

    Raises:
        StateError: NOT_FITTED for a model that has no weights yet.
        GraphError: for a model whose code says what it computes.
    """
    if not model.built:
        raise StateError(
            "The Keras model has no weights yet: give it an Input, build it, or train it first.", "NOT_FITTED"
        )
    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        raise GraphError(
            f"The {type(model).__name__} computes by Python code (call), which its file does not hold. Export it to "
            'ONNX, model.export("model.onnx", format="onnx"), and give that file; or build it of layers, '
            "keras.Model(inputs, outputs).",
            "UNSUPPORTED_FORMAT",
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        with _saying_what_learns(model):
            _of_layers(model).save(path)
        return path.read_bytes()


@contextmanager
def _saying_what_learns(model: Any) -> Iterator[None]:
    """Layers save more beside their arrays than Keras has a place for: which are frozen, and adapters (LoRA).

    Keras adds the product of an adapter to the weight that it saves, and keeps `trainable` for whole layers only.
    """
    layers = [layer for layer in _all_layers(model) if _learns_in_part(layer)]
    for layer in layers:
        layer.save_own_variables = partial(_save_what_learns, layer, layer.save_own_variables)
    try:
        yield
    finally:
        for layer in layers:
            del layer.save_own_variables


def _all_layers(model: Any) -> list[Any]:
    """The layers of Keras 3, those inside others too; none of Keras 2, which has neither of the two."""
    keras3 = any(cls.__name__ == "KerasSaveable" for cls in type(model).__mro__)
    return list(model._flatten_layers()) if keras3 else []


def _learns_in_part(layer: Any) -> bool:
    return any(not variable.trainable for variable in layer._trainable_variables)


def _save_what_learns(layer: Any, save: Callable[[Any], None], store: Any) -> None:
    """Saves a layer's own arrays and, beside them, the numbers of the frozen ones and its adapter."""
    save(store)
    adapter = [getattr(layer, f"lora_{role}_{factor}", None) for role in ("kernel", "embeddings") for factor in "ab"]
    factors = [factor for factor in adapter if factor is not None]
    if factors:
        store["lora_a"], store["lora_b"] = factors
        store["lora_scale"] = np.array([layer.lora_alpha / layer.lora_rank])
    own = [variable for variable in layer._trainable_variables if all(variable is not factor for factor in factors)]
    store["frozen"] = np.array([place for place, variable in enumerate(own) if not variable.trainable])


def _of_layers(model: Any) -> Any:
    """A model of a user's own class (with another train_step, say) as the functional one that it calls."""
    kinds = [cls for cls in type(model).__mro__ if cls.__name__ in ("Functional", "Sequential", "Model")]
    own = type(model).__module__.split(".")[0] not in ("keras", "tf_keras")
    called = next((cls for cls in type(model).__mro__ if "call" in vars(cls)), None)
    if not own or called is None or called not in kinds:
        return model
    return kinds[-1](model.inputs, model.outputs)


def keras_outputs(model: Any, examples: Examples | None) -> dict[str, Any]:
    """Some rows and what the model itself computes for them, with which the network that is read is compared.

    Nothing for models in half precision, and for rows that the model does not take as they are.
    """
    if examples is None or any(getattr(layer, "compute_dtype", None) in _HALF for layer in model.layers):
        return {}
    rows = _rows(model, examples)
    try:
        result = model(_as_called(model, rows), training=False)
        outputs = [_numbers(each) for each in (result if isinstance(result, (list, tuple)) else [result])]
    except Exception:  # What it does not take is told by the reader, in words about its inputs.
        return {}
    return {"expected": {"inputs": rows, "outputs": {str(place): each for place, each in enumerate(outputs)}}}


def _rows(model: Any, examples: Examples) -> dict[str, Array]:
    """The first rows of each input, by the names that the model has for them."""
    names = [tensor.name for tensor in model.inputs]
    given = {part.name: part.values for part in examples.arrays}
    by_name = all(name in given for name in names)
    arrays = [given[name] for name in names] if by_name else [part.values for part in examples.arrays]
    return {
        name: _in_shape(np.resize(array[:_ROWS], (_ROWS, *array.shape[1:])), tensor.shape[1:])
        for name, array, tensor in zip(names, arrays, model.inputs, strict=False)
    }


def _in_shape(rows: Array, shape: tuple[int | None, ...]) -> Array:
    """Rows in the shape of the input, where only axes of one are missing or too many."""
    known = [extent for extent in shape if extent is not None]
    if rows.ndim == len(shape) + 1 or len(known) < len(shape):
        return rows
    same = [extent for extent in rows.shape[1:] if extent != 1] == [extent for extent in known if extent != 1]
    return rows.reshape(_ROWS, *known) if same else rows


def _as_called(model: Any, rows: Mapping[str, Array]) -> Any:
    """Rows as the model is called: one array, a list, or a mapping by its own keys."""
    keys = getattr(model, "_inputs_struct", None)
    if isinstance(keys, Mapping):
        return {key: rows[tensor.name] for key, tensor in keys.items()}
    arrays = list(rows.values())
    return arrays[0] if len(arrays) == 1 else arrays


def _numbers(value: Any) -> Array:
    """A tensor of any backend as an array."""
    host = value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
    return np.array(to_array(host, "outputs"))
