"""Packages that only some need."""

from __future__ import annotations

import importlib
from typing import Any

from .._exceptions import ResourceError


def needed(module: str, extra: str) -> Any:
    """A module of an optional package.

    Raises:
        ResourceError: MISSING_DEPENDENCY, with the line that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ResourceError(
            f"{module.partition('.')[0]} is needed for this, and cannot be imported ({error}): "
            f"`pip install polylaplace[{extra}]`.",
            "MISSING_DEPENDENCY",
        ) from error
