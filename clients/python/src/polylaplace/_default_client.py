"""The client that everything shares unless it is given another."""

from __future__ import annotations

import os
import threading

from ._client import Client

_default: Client | None = None
_default_lock = threading.Lock()


def default_client() -> Client:
    """The client that everything shares; it starts its server at the first call."""
    global _default
    with _default_lock:
        if _default is None or _default._closed:
            _default = Client()
        return _default


def _after_fork_in_child() -> None:
    """Another thread may have held the lock when the process was forked."""
    global _default_lock
    _default_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
