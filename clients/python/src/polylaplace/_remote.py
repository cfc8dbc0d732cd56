"""Objects that live on the server, and how to make them again on another one."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

from ._client import Client
from ._exceptions import StateError

#: Makes the object on a server and returns its handle.
Maker = Callable[[Client], str]


class Remote:
    """A handle with the way to get it back: after a crash, a fork or a restart the server is another one."""

    def __init__(self, client: Client, handle: str, generation: int, remake: Maker | None) -> None:
        self._client = client
        self._remake = remake
        self._lock = threading.Lock()
        self._hold(handle, generation)

    def _hold(self, handle: str, generation: int) -> None:
        self._handle = handle
        self._generation = generation
        self._finalizer = weakref.finalize(self, self._client.free_later, generation, handle)
        self._finalizer.atexit = False

    @property
    def alive(self) -> bool:
        """Whether the server that holds the object is still the present one."""
        return self._generation == self._client.generation

    def set_remake(self, remake: Maker) -> None:
        """Gives the way to make the object again."""
        self._remake = remake

    def handle(self) -> str:
        """The handle on the present server.

        Raises:
            StateError: when the server has ended and the object cannot be made again.
        """
        if self.alive:
            return self._handle
        with self._lock:
            if not self.alive:
                if self._remake is None:
                    raise StateError(
                        "The server that held this posterior has ended, and there is no copy of it here. Fit again "
                        "(or save posteriors that must survive).",
                        "NOT_FITTED",
                    )
                self._finalizer.detach()
                handle = self._remake(self._client)
                self._hold(handle, self._client.generation)
        return self._handle

    def after_fork(self) -> None:
        """Another thread may have held the lock when the process was forked."""
        self._lock = threading.Lock()


def create(
    client: Client, method: str, params: dict[str, Any], remake: Maker | None = None, **options: Any
) -> tuple[Remote, dict[str, Any]]:
    """Calls a method that makes an object. Returns it with the rest of the answer."""
    answer = client.call(method, params, **options)
    return Remote(client, str(answer.pop("handle")), client.generation, remake), answer
