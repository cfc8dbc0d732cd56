"""Requests to a server and their answers: waiting, progress, cancellation, handles that are to be freed.

A Ctrl-C may come between any two steps of a call, so nothing that must happen is left to the thread that calls: what
is known about a request is changed by the thread that reads the answers, and what a call leaves half done is harmless.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from ._exceptions import CancelledError, LaplaceError, error_from_wire
from ._handles import Handle, Watch
from ._progress import Progress
from ._transport import Transport
from ._wire import Chunk, encode_frame, from_wire

#: How long in seconds a cancelled request may take to be answered before the server is ended.
_CANCEL_GRACE = 5.0
#: How long a server that answers may take to answer a cancelled request that it may never have got.
_UNSENT_GRACE = 0.5
#: A second Ctrl-C this many seconds after the first ends a server that has not even cancelled by then.
_IMPATIENCE = 0.3
#: Seconds of one wait for an answer.
_POLL = 0.2
#: Handles that one note frees; the protocol limits the length of lists.
_FREED_AT_ONCE = 1000
#: Methods that the server answers at once, however much is under way.
_IMMEDIATE = frozenset(("hello", "ping", "stats", "free", "shutdown"))
#: Handles that the server has lost, as far as they are remembered.
_LOST_KEPT = 10_000


class Call:
    """A request on its way. The reading thread sets `answer`, once; everything else is about waiting for it."""

    __slots__ = ("answer", "bell", "frame", "id", "news", "progress", "sent", "transport")

    def __init__(self, id: int, transport: Transport, frame: list[Chunk]) -> None:
        self.id = id
        self.transport = transport
        self.frame = frame
        self.sent = False
        self.answer: dict[str, Any] | LaplaceError | None = None
        self.progress: Callable[[Progress], None] | None = None
        self.news: deque[Progress] = deque()
        #: Rung when there is something to look at. A ring may be missed: nobody relies on it alone.
        self.bell: queue.SimpleQueue[None] = queue.SimpleQueue()

    def settle(self, answer: dict[str, Any] | LaplaceError) -> None:
        """Gives the answer."""
        self.answer = answer
        self.bell.put(None)

    def wait(self, seconds: float) -> None:
        """Waits until something happens, or for this long. In slices: Windows delivers a Ctrl-C only between waits."""
        with contextlib.suppress(queue.Empty):
            self.bell.get(timeout=max(0.0, min(_POLL, seconds)))

    def result(self) -> dict[str, Any] | None:
        """The answer, None while there is none.

        Raises:
            LaplaceError: in place of an answer that will not come.
        """
        if isinstance(self.answer, LaplaceError):
            raise self.answer
        return self.answer


class Requests:
    """The requests under way at one server, and the handles that no object holds any more."""

    #: Counts the servers. What comes from, or is meant for, the server of another generation must be dropped.
    _generation: int
    #: Requests that the server carries out at once; more wait here for their turn.
    _most_under_way: int

    def _reset_requests(self) -> None:
        """No requests, and a lock of this process: that of a parent may be held by a thread that is not here."""
        self._lock = threading.RLock()
        self._most_under_way = 1
        self._ids = itertools.count(1)
        #: Requests that have not been answered, and those among them that the server counts.
        self._calls: dict[int, Call] = {}
        self._counted: set[int] = set()
        #: Requests that wait for their turn, first come, first served.
        self._queue: deque[Call] = deque()
        #: Handles that somebody holds, and those that are to be freed.
        self._watches: dict[tuple[int, str], Watch] = {}
        self._garbage: deque[Watch] = deque()
        self._lost: dict[str, str] = {}

    def _request(
        self,
        transport: Transport,
        method: str,
        params: Mapping[str, Any],
        timeout: float | None,
        progress: Callable[[Progress], None] | None,
    ) -> dict[str, Any]:
        """Sends a request and returns the `ok` of its answer."""
        more: dict[str, Any] = {}
        if timeout is not None:
            more["deadline"] = max(1, round(timeout * 1000))
        if progress is not None:
            more["progress"] = True
        end = None if timeout is None else time.monotonic() + timeout + 1.0
        call = self._new_call(transport, method, params, more)
        call.progress = progress
        try:
            self._submit(call, method not in _IMMEDIATE)
            answer = self._answer(call, end)
        except TimeoutError:
            self._abandon(call)
            raise CancelledError(f"The work did not end within {timeout} s.", "DEADLINE") from None
        except BaseException:
            # A Ctrl-C, an error of the progress function; or of the answer, when there is nothing to do.
            self._abandon(call)
            raise
        if "err" in answer:
            raise error_from_wire(answer["err"])
        result: dict[str, Any] = from_wire(answer.get("ok", {}))
        return result

    def _new_call(self, transport: Transport, method: str, params: Mapping[str, Any], more: Mapping[str, Any]) -> Call:
        number = next(self._ids) % (2**32 - 2) + 1
        message = {"t": "req", "id": number, "method": method, "params": params, **more}
        return Call(number, transport, encode_frame(message))

    def _submit(self, call: Call, counted: bool) -> None:
        """Sends a request, or lets it wait for its turn."""
        with self._lock:
            if counted and (self._queue or len(self._counted) >= self._most_under_way):
                self._queue.append(call)
            else:
                self._dispatch(call, counted)
        if call.transport.ended:
            # Perhaps before the request was noted down: nobody else will answer it.
            self._forget(call)
            call.settle(call.transport.explain_end())

    def _dispatch(self, call: Call, counted: bool) -> None:
        if counted:
            self._counted.add(call.id)
        self._calls[call.id] = call
        garbage = [self._garbage[i] for i in range(min(len(self._garbage), _FREED_AT_ONCE))]
        call.transport.send([*self._farewell(garbage), *call.frame])
        call.sent = True
        call.frame = []
        # Only now: a Ctrl-C before the note has gone would leave them on the server. Freeing twice does no harm.
        with contextlib.suppress(IndexError):
            for watch in garbage:
                self._watches.pop((watch.generation, watch.name), None)
                self._garbage.popleft()

    def _forget(self, call: Call) -> None:
        """Takes a request off the books; the next one has its turn."""
        with self._lock:
            self._calls.pop(call.id, None)
            self._counted.discard(call.id)
            with contextlib.suppress(ValueError):
                self._queue.remove(call)
            self._admit()

    def _admit(self) -> None:
        """Sends what may be sent now. Whoever calls it holds the lock."""
        while self._queue and len(self._counted) < self._most_under_way:
            self._dispatch(self._queue.popleft(), True)

    def _answer(self, call: Call, end: float | None) -> dict[str, Any]:
        """The answer to a request, progress being told meanwhile.

        Raises:
            TimeoutError: when the time is over.
        """
        while True:
            while call.news and call.progress is not None:
                call.progress(call.news.popleft())
            if (answer := call.result()) is not None:
                return answer
            left = _POLL if end is None else end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            call.wait(left)

    def _abandon(self, call: Call) -> None:
        """Cancels a request that nobody waits for any more, unless it has been answered.

        A server that does not even answer a ping is ended; that ends it at a second Ctrl-C, too.
        """
        if call.answer is not None:
            return
        if call.id not in self._calls:
            # It waits for its turn, or was never sent.
            self._forget(call)
            return
        call.progress = None
        transport = call.transport
        transport.send(encode_frame({"t": "note", "method": "cancel", "params": {"id": call.id}}))
        begin = time.monotonic()
        try:
            alive = self._await_cancelled(call, begin)
        except LaplaceError:
            return
        except KeyboardInterrupt:
            if time.monotonic() - begin > _IMPATIENCE:
                self._drop(transport)
            raise
        if not alive:
            self._drop(transport)
        self._forget(call)

    def _await_cancelled(self, call: Call, begin: float) -> bool:
        """Waits for the answer to a cancelled request.

        Returns:
            Whether the server lives. It answers every request that it has got, but a Ctrl-C may have come before this
            one was sent: then the answer to a ping must do.
        """
        ping = self._new_call(call.transport, "ping", {}, {})
        ping.bell = call.bell
        self._submit(ping, False)
        while call.result() is None:
            waited = time.monotonic() - begin
            if ping.result() is not None and not call.sent and waited > _UNSENT_GRACE:
                return True
            if waited > _CANCEL_GRACE:
                return False
            call.wait(_POLL)
        return True

    def _farewell(self, garbage: list[Watch]) -> list[Chunk]:
        """A note that frees handles whose objects are gone, to be sent with the next request."""
        handles = [watch.name for watch in garbage if watch.generation == self._generation]
        return encode_frame({"t": "note", "method": "free", "params": {"handles": handles}}) if handles else []

    def _watched(self, name: str, generation: int) -> Handle:
        """A handle whose object is freed once nobody holds it."""
        handle = Handle(name, generation)
        watch = Watch(handle, self._garbage.append)
        watch.generation, watch.name = generation, name
        self._watches[generation, name] = watch
        return handle

    def _unwatched(self, handle: Handle) -> str:
        """The name alone, whose object is freed by hand."""
        name = str.__str__(handle)
        self._watches.pop((handle.generation, name), None)
        return name

    def lost(self, handle: Handle) -> str | None:
        """Why the server has lost what a handle names; None when it has not. None also when the server has ended."""
        return self._lost.get(handle) if handle.generation == self._generation else None

    def _drop(self, transport: Transport) -> None:
        """Ends a server that does not answer."""
        raise NotImplementedError

    # --- called from the reading thread ---

    def _receive(self, generation: int, message: dict[str, Any]) -> None:
        """Gives a message to the request that waits for it."""
        if generation != self._generation:
            return
        if message.get("t") == "res":
            ok = message.get("ok")
            if isinstance(ok, dict) and isinstance(ok.get("handle"), str):
                ok["handle"] = self._watched(ok["handle"], generation)
            self._take_answer(message)
        elif message.get("method") == "progress":
            self._take_progress(message.get("params", {}))
        elif message.get("method") == "lost":
            self._take_loss(message.get("params", {}))

    def _take_answer(self, message: dict[str, Any]) -> None:
        with self._lock:
            call = self._calls.pop(message.get("id", 0), None)
            if call is not None:
                self._counted.discard(call.id)
            self._admit()
        if call is not None:
            call.settle(message)

    def _take_progress(self, params: dict[str, Any]) -> None:
        call = self._calls.get(params.get("id", 0))
        if call is not None and call.progress is not None:
            count = (int(params.get("done", 0)), int(params.get("total", 0)))
            left = params.get("left")
            text = (str(params.get("stage")), str(params.get("message", "")))
            call.news.append(Progress(text[0], *count, text[1], left=None if left is None else float(left)))
            call.bell.put(None)

    def _take_loss(self, params: dict[str, Any]) -> None:
        for handle in params.get("handles", []):
            self._lost[str(handle)] = str(params.get("reason", "the server has lost it"))
        for handle in list(itertools.islice(self._lost, max(0, len(self._lost) - _LOST_KEPT))):
            del self._lost[handle]

    def _fail_all(self, error: LaplaceError) -> None:
        """The server has ended: nothing will be answered any more."""
        with self._lock:
            calls = [*self._calls.values(), *self._queue]
            self._calls, self._counted, self._queue, self._lost = {}, set(), deque(), {}
        for call in calls:
            call.settle(error)
