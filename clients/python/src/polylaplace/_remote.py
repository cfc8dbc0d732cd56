"""Objects that live on the server, and how to make them again on another one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ._client import Client
from ._exceptions import StateError
from ._handles import Handle

#: Makes the object on a server and returns its handle.
Maker = Callable[[Client], Handle]


class Remote:
    """A handle with the way to get it back: after a crash, a fork or a restart the server is another one."""

    def __init__(self, client: Client, handle: Handle | None, remake: Maker | None) -> None:
        self._client = client
        self._handle = handle
        self._remake = remake
        self._lock = threading.Lock()

    @property
    def alive(self) -> bool:
        """Whether the server that holds the object is still the present one, and has not lost it."""
        return self._alive(self._handle)

    def _alive(self, handle: Handle | None) -> bool:
        return handle is not None and handle.generation == self._client.generation and self._client.lost(handle) is None

    def set_remake(self, remake: Maker) -> None:
        """Gives the way to make the object again."""
        self._remake = remake

    def handle(self) -> Handle:
        """The handle on the present server.

        Raises:
            StateError: when the server has ended, or has lost the object, and it cannot be made again.
        """
        handle = self._handle
        if handle is not None and self._alive(handle):
            return handle
        with self._lock:
            handle = self._handle
            if handle is None or not self._alive(handle):
                if self._remake is None:
                    raise self._gone(handle)
                handle = self._handle = self._remake(self._client)
        return handle

    def _gone(self, handle: Handle | None) -> StateError:
        name = "an object" if handle is None else f"'{handle}'"
        reason = None if handle is None else self._client.lost(handle)
        return StateError(
            f"{name} is gone: {reason or 'the server that held it has ended'}, and there is no copy of it here. Fit "
            "again (or save posteriors that must survive).",
            "NOT_FITTED",
            {"handle": name.strip("'"), "reason": reason or "the server has ended"},
        )

    def after_fork(self) -> None:
        """Another thread may have held the lock when the process was forked."""
        self._lock = threading.Lock()


def create(
    client: Client, method: str, params: dict[str, Any], remake: Maker | None = None, **options: Any
) -> tuple[Remote, dict[str, Any]]:
    """Calls a method that makes an object. Returns it with the rest of the answer."""
    answer = client.call(method, params, owned=True, **options)
    return Remote(client, answer.pop("handle"), remake), answer


def maker(method: str, params: dict[str, Any]) -> Maker:
    """The maker that calls a method."""

    def make(client: Client) -> Handle:
        handle: Handle = client.call(method, params, owned=True)["handle"]
        return handle

    return make
