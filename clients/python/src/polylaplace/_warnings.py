"""Warnings that name the user's line."""

from __future__ import annotations

import sys
import warnings


def warn_user(text: str, category: type[Warning]) -> None:
    """Warns at the first line up the stack that is not of this package."""
    package = __name__.partition(".")[0]
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)


def is_ignored(category: type[Warning]) -> bool:
    """Whether nobody is shown a warning of a category, whatever its text and wherever it comes from."""
    for action, message, kind, module, line in warnings.filters:
        if issubclass(category, kind):
            return action == "ignore" and message is None and module is None and line == 0
    return False
