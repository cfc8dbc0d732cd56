"""The server process and its pipes.

Three threads: one writes what a pipe may not take at once (a Ctrl-C in the main thread can then never cut a frame in
two), one reads, one drains stderr into a ring buffer that errors quote.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import IO, Any

from ._exceptions import LaplaceError, ProtocolError, ServerCrashedError
from ._pipes import enlarge, fill, unread
from ._runtime import ALLOCATOR, PATIENCE, compile_cache, examine, shown
from ._wire import Chunk, decode_message, joined

#: What of the environment the server needs.
_ENVIRONMENT = (
    "PATH",
    "HOME",
    "TMPDIR",
    "TMP",
    "TEMP",
    "LANG",
    "LC_ALL",
    "SYSTEMROOT",
    "USERPROFILE",
    "APPDATA",
    "NODE_PATH",
)
_STDERR_KEPT = 16384
#: Chunks are joined for one write up to this size.
_JOINED = 65536
_PATIENCE = 2.0
#: How long a program that prints what it should not may go on with it.
_SETTLE = 0.3
#: The longest first answer: what the server says of itself takes 2 KB.
_LONGEST_GREETING = 65536
#: A frame's buffer is made once this much of it has come: a mere claim takes no memory.
_CLAIM_PROOF = 2**20

OnMessage = Callable[[dict[str, Any]], None]
OnEnd = Callable[[LaplaceError], None]


class Transport:
    """A running server. `on_message` and `on_end` are called from the reading thread, `on_end` once."""

    def __init__(
        self,
        command: Sequence[str],
        max_frame: int,
        on_message: OnMessage,
        on_end: OnEnd,
        *,
        node: str | None = None,
        greeting_until: float | None = None,
    ) -> None:
        """Starts the server.

        Args:
            node: the Node.js that is asked for its version when the server does not start.
            greeting_until: the time (of time.monotonic) at which the answer to hello must have come, which the first
                frame must look like; None: it may be any.
        """
        self.command = list(command)
        self._node = node
        self._greeting_until = greeting_until
        #: Whether a first frame has come.
        self._greeted = greeting_until is None
        #: What came in place of a first frame.
        self._printed = b""
        self._max_frame = max_frame
        self._on_message = on_message
        self._on_end = on_end
        self._stderr: deque[bytes] = deque()
        self._outgoing: queue.SimpleQueue[list[Chunk] | None] = queue.SimpleQueue()
        self._unsent = 0
        # Reentrant: a signal handler may send, too.
        self._send_lock = threading.RLock()
        self._closing = False
        #: Whether the server ends because it was told to, or killed by this client.
        self.asked_to_end = False
        #: Whether the server will not answer any more.
        self.ended = False
        self._stderr_lock = threading.Lock()
        self.process = self._start()
        self._threads = [
            threading.Thread(target=work, name=f"polylaplace-{name}", daemon=True)
            # The reading thread last: it reports the end, with what the one for stderr has read.
            for name, work in (("stderr", self._drain), ("write", self._write), ("read", self._read))
        ]
        for thread in self._threads:
            thread.start()

    def _start(self) -> subprocess.Popen[bytes]:
        extra: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            extra = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
        keep = {
            key: value
            for key, value in os.environ.items()
            if key.upper() in _ENVIRONMENT or key.startswith("POLYLAPLACE_")
        }
        keep |= ALLOCATOR
        if "NODE_DISABLE_COMPILE_CACHE" not in os.environ:
            keep["NODE_COMPILE_CACHE"] = compile_cache()
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, stderr=pipe, env=keep, bufsize=0, **extra)
        except OSError as error:
            raise ServerCrashedError(
                f"The server could not be started ({error}): {' '.join(self.command)}", "PROTOCOL"
            ) from error
        self._room = enlarge(process.stdin) // 2
        enlarge(process.stdout)
        return process

    def send(self, chunks: list[Chunk]) -> None:
        """Writes frames, or queues them when that might block or be interrupted."""
        with self._send_lock:
            if self._unsent == 0 and self._send_at_once(chunks):
                return
            self._unsent += 1
            self._outgoing.put(chunks)

    def _send_at_once(self, chunks: list[Chunk]) -> bool:
        """Writes what an empty pipe is sure to take whole: a write that need not wait is not cut by a signal either."""
        if self._room == 0 or sum(map(len, chunks)) > self._room:
            return False
        pipe = self.process.stdin
        assert pipe is not None
        with contextlib.suppress(OSError, ValueError):
            if unread(pipe) == 0:
                os.writev(pipe.fileno(), joined(chunks, _JOINED))
                return True
        return False

    def _write(self) -> None:
        pipe = self.process.stdin
        assert pipe is not None
        with contextlib.suppress(OSError, ValueError):
            while (chunks := self._outgoing.get()) is not None:
                for chunk in joined(chunks, _JOINED):
                    view = memoryview(chunk)
                    while len(view) > 0:
                        view = view[pipe.write(view) or 0 :]
                with self._send_lock:
                    self._unsent -= 1
        with self._send_lock, contextlib.suppress(OSError):
            pipe.close()

    def _read(self) -> None:
        pipe = self.process.stdout
        assert pipe is not None
        failure: LaplaceError | None = None
        try:
            ahead = bytearray() if self._greeted else self._read_greeting(pipe)
            header = bytearray(4)
            while fill(pipe, header, ahead):
                (length,) = struct.unpack("<I", header)
                if not 0 < length <= self._max_frame:
                    raise ProtocolError(
                        f"The server sent a frame of {length} bytes.", "PROTOCOL", {"limit": self._max_frame}
                    )
                body = _read_body(pipe, length, ahead)
                if body is None:
                    break
                self._on_message(decode_message(body))
                self._greeted = True
        except LaplaceError as error:
            failure = error
        except (OSError, ValueError):
            pass
        reason = failure or self.explain_end()
        self.ended = True
        self._on_end(reason)

    def _read_greeting(self, pipe: IO[bytes]) -> bytearray:
        """The first bytes of the stream, once they look like the first frame: before any memory is set aside for it.

        Raises:
            ServerCrashedError: when they do not, with what they are.
        """
        came = bytearray()
        while len(came) < 5 and (data := pipe.read(_LONGEST_GREETING)):
            came += data
            self._printed = bytes(came)
        length = int.from_bytes(came[:4], "little")
        # A map of three entries: t, id and ok (or err).
        if not came or (len(came) >= 5 and came[4] == 0x83 and 0 < length <= _LONGEST_GREETING):
            return came
        # What follows at once belongs to it; the stream ends with the program.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_SETTLE)
        self.kill()
        while len(self._printed) < _STDERR_KEPT and (data := pipe.read(4096)):
            self._printed += data
        raise ServerCrashedError(
            "What was started does not speak as the server does: it prints on its stdout, which is for messages alone. "
            f"Let it print to stderr, or set POLYLAPLACE_NODE to Node.js itself.{self.account()}",
            "PROTOCOL",
            {"stdout": self._printed.decode(errors="replace"), "stderr": self.stderr_tail().strip()},
        )

    def examined(self) -> str | None:
        """What is wrong with the Node.js of a server that does not start, as far as there is time to find out."""
        if self._greeted or self._node is None or self._greeting_until is None:
            return None
        return examine(self._node, max(0.1, min(PATIENCE, self._greeting_until - time.monotonic()))).problem

    def account(self, problem: str | None = None) -> str:
        """What is known about a server that did not start: the command, what it printed, what is wrong with node."""
        words = self.stderr_tail().strip()
        return (
            f"\nCommand: {' '.join(self.command)}"
            + ("" if self._greeted else f"\nOn stdout:{shown(self._printed)}")
            + (f"\nIts last words:\n{words}" if words else "")
            + (f"\n{problem}" if problem else "")
        )

    def explain_end(self) -> LaplaceError:
        """The error for requests that will not be answered any more."""
        if self._closing:
            return ServerCrashedError("The connection has been closed.", "PROTOCOL")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_PATIENCE)
        code = self.process.returncode
        how = (
            "did not end"
            if code is None
            else f"was ended by {_signal_name(-code)}"
            if code < 0
            else f"ended with exit code {code}"
        )
        hints = []
        if code in (134, 137, -6, -9):
            hints.append("It may have run out of memory.")
        if not self._greeted:
            hints.append("It never answered.")
        message = " ".join([f"The server {how}.", *hints]) + self.account(self.examined())
        data = {"exit_code": code, "stderr": self.stderr_tail().strip()}
        if not self._greeted:
            data["stdout"] = self._printed.decode(errors="replace")
        return ServerCrashedError(message, "PROTOCOL", data)

    def _drain(self) -> None:
        pipe = self.process.stderr
        assert pipe is not None
        with contextlib.suppress(OSError, ValueError):
            while data := pipe.read(4096):
                with self._stderr_lock:
                    self._stderr.append(data)
                    while sum(map(len, self._stderr)) > _STDERR_KEPT:
                        self._stderr.popleft()

    def stderr_tail(self) -> str:
        """The last of what the server wrote to stderr."""
        if self.process.poll() is not None:
            self._threads[0].join(0.5)
        with self._stderr_lock:
            return b"".join(self._stderr).decode(errors="replace")

    def close(self, farewell: list[Chunk] | None) -> None:
        """Ends the server: shutdown, end of stdin, 2 s, SIGTERM, 2 s, SIGKILL to its group."""
        self._closing = self.asked_to_end = True
        if farewell is not None:
            self.send(farewell)
        self._outgoing.put(None)
        for give_up in (self._terminate, self.kill):
            try:
                self.process.wait(_PATIENCE)
                break
            except subprocess.TimeoutExpired:
                give_up()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(1.0)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def _terminate(self) -> None:
        self.process.terminate()

    def kill(self) -> None:
        """Ends the server's whole group at once."""
        self.asked_to_end = True
        if sys.platform == "win32":
            self.process.kill()
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_PATIENCE)

    def forget(self) -> None:
        """In a forked child: lets go of the parent's server without touching it."""
        self._closing = True
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        # Not our child: nobody here may wait for it.
        self.process.returncode = 0


def _read_body(pipe: IO[bytes], length: int, ahead: bytearray) -> bytearray | None:
    """The body of a frame, None when the stream ends before."""
    if length <= _CLAIM_PROOF:
        body = bytearray(length)
        return body if fill(pipe, body, ahead) else None
    first = bytearray(_CLAIM_PROOF)
    if not fill(pipe, first, ahead):
        return None
    body = bytearray(length)
    return body if fill(pipe, body, first) else None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
