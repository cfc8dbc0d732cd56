"""Names of the wire (camelCase) as Python's (snake_case)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")


def snake_case(word: str) -> str:
    """A camelCase word in snake_case."""
    return _CAPITAL.sub(r"_\1", word).lower()


def snake_cased(value: Any) -> Any:
    """A value with the keys of all its maps in snake_case."""
    if isinstance(value, Mapping):
        return {snake_case(str(key)): snake_cased(item) for key, item in value.items()}
    return [snake_cased(item) for item in value] if isinstance(value, (list, tuple)) else value
