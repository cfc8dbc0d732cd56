"""Requests to a server and their answers: waiting, progress, cancellation, handles that are to be freed."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from ._exceptions import CancelledError, LaplaceError, error_from_wire
from ._progress import Progress
from ._transport import Transport
from ._wire import Chunk, encode_frame, from_wire

#: How long in seconds a cancelled request may take to be answered before the server is ended.
_CANCEL_GRACE = 5.0
#: Seconds of one wait for an answer.
_POLL = 0.2
#: Handles that one note frees; the protocol limits the length of lists.
_FREED_AT_ONCE = 1000


class Pending:
    """A request that waits for its answer."""

    __slots__ = ("answer", "progress")

    def __init__(self, progress: Callable[[Progress], None] | None) -> None:
        self.answer: queue.SimpleQueue[dict[str, Any] | Progress | LaplaceError] = queue.SimpleQueue()
        self.progress = progress


class Requests:
    """The requests under way at one server, and the handles that no object holds any more."""

    #: Counts the servers. What comes from, or is meant for, the server of another generation must be dropped.
    _generation: int

    def _reset_requests(self) -> None:
        """No requests, and a lock of this process: that of a parent may be held by a thread that is not here."""
        self._lock = threading.RLock()
        self._pending: dict[int, Pending] = {}
        self._next_id = 1
        self._garbage: deque[tuple[int, str]] = deque()

    def _request(
        self,
        transport: Transport,
        method: str,
        params: Mapping[str, Any],
        timeout: float | None,
        progress: Callable[[Progress], None] | None,
        deadline_at_server: bool = True,
    ) -> dict[str, Any]:
        """Sends a request and returns the `ok` of its answer."""
        pending = Pending(progress)
        with self._lock:
            request_id = self._next_id
            self._next_id = self._next_id % (2**32 - 2) + 1
            self._pending[request_id] = pending
        message: dict[str, Any] = {"t": "req", "id": request_id, "method": method, "params": params}
        if timeout is not None and deadline_at_server:
            message["deadline"] = max(1, round(timeout * 1000))
        if progress is not None:
            message["progress"] = True
        try:
            frame = encode_frame(message)
        except LaplaceError:
            self._pending.pop(request_id, None)
            raise
        transport.send([*self._farewells(), *frame])
        if transport.ended:
            # Perhaps before the request was noted down: nobody else will answer it.
            self._pending.pop(request_id, None)
            pending.answer.put(transport.explain_end())
        answer = self._wait(transport, request_id, pending, timeout)
        if "err" in answer:
            raise error_from_wire(answer["err"])
        result: dict[str, Any] = from_wire(answer.get("ok", {}))
        return result

    def _wait(self, transport: Transport, request_id: int, pending: Pending, timeout: float | None) -> dict[str, Any]:
        """The answer; the work is cancelled on Ctrl-C and one second after the time is over."""
        end = None if timeout is None else time.monotonic() + timeout + 1.0
        try:
            return self._answer(pending, end)
        except KeyboardInterrupt:
            self._cancel_and_wait(transport, request_id, pending)
            raise
        except TimeoutError:
            self._cancel_and_wait(transport, request_id, pending)
            raise CancelledError(f"The work did not end within {timeout} s.", "DEADLINE") from None

    def _answer(self, pending: Pending, end: float | None) -> dict[str, Any]:
        """The next message that ends the request, progress being told meanwhile."""
        while True:
            try:
                # In slices, because Windows delivers a Ctrl-C only between waits.
                item = pending.answer.get(
                    timeout=_POLL if end is None else max(0.0, min(_POLL, end - time.monotonic()))
                )
            except queue.Empty:
                if end is not None and time.monotonic() >= end:
                    raise TimeoutError from None
                continue
            if isinstance(item, LaplaceError):
                raise item
            if isinstance(item, Progress):
                if pending.progress is not None:
                    pending.progress(item)
                continue
            return item

    def _cancel_and_wait(self, transport: Transport, request_id: int, pending: Pending) -> None:
        """Cancels, waits for the answer, and ends a server that does not give one. A second Ctrl-C ends it at once."""
        transport.send(encode_frame({"t": "note", "method": "cancel", "params": {"id": request_id}}))
        pending.progress = None
        try:
            answer = self._answer(pending, time.monotonic() + _CANCEL_GRACE)
            self._free_made(answer)
        except LaplaceError:
            pass
        except (TimeoutError, KeyboardInterrupt):
            transport.kill()

    def _free_made(self, answer: dict[str, Any]) -> None:
        """A result that came before the cancellation: nobody will use its handle."""
        handle = answer.get("ok", {}).get("handle")
        if isinstance(handle, str):
            self._garbage.append((self._generation, handle))

    def _farewells(self) -> list[Chunk]:
        """A note that frees handles whose objects are gone, to be sent with the next request."""
        handles: list[str] = []
        while self._garbage and len(handles) < _FREED_AT_ONCE:
            with contextlib.suppress(IndexError):
                generation, handle = self._garbage.popleft()
                if generation == self._generation:
                    handles.append(handle)
        return encode_frame({"t": "note", "method": "free", "params": {"handles": handles}}) if handles else []

    def free_later(self, generation: int, handle: str) -> None:
        """Marks a handle as garbage; safe to call from finalizers."""
        self._garbage.append((generation, handle))

    def _receive(self, generation: int, message: dict[str, Any]) -> None:
        """Gives a message to the request that waits for it. Called from the reading thread."""
        if generation != self._generation:
            return
        if message.get("t") == "res":
            pending = self._pending.pop(message.get("id", 0), None)
            if pending is not None:
                pending.answer.put(message)
        elif message.get("method") == "progress":
            params = message.get("params", {})
            waiting = self._pending.get(params.get("id", 0))
            if waiting is not None:
                waiting.answer.put(
                    Progress(
                        str(params.get("stage")),
                        int(params.get("done", 0)),
                        int(params.get("total", 0)),
                        str(params.get("message", "")),
                    )
                )
