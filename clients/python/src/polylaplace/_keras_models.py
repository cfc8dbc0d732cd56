"""Keras models, without importing Keras: they are saved as it saves them, and read from that file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ._exceptions import StateError


def is_keras_model(model: Any) -> bool:
    """Whether an object is a model of Keras. With torch's backend it is a torch module as well."""
    return hasattr(model, "get_config") and any(
        cls.__name__ == "Model" and cls.__module__.split(".")[0] in ("keras", "tf_keras") for cls in type(model).__mro__
    )


def keras_file(model: Any) -> bytes:
    """The bytes of the model's `.keras` file.

    Raises:
        StateError: NOT_FITTED for a model that has no weights yet.
    """
    if not model.built:
        raise StateError(
            "The Keras model has no weights yet: give it an Input, build it, or train it first.", "NOT_FITTED"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()
