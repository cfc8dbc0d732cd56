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
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from ._exceptions import LaplaceError, ProtocolError, ServerCrashedError
from ._pipes import enlarge, fill, unread
from ._runtime import explain_version
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

OnMessage = Callable[[dict[str, Any]], None]
OnEnd = Callable[[LaplaceError], None]


class Transport:
    """A running server. `on_message` and `on_end` are called from the reading thread, `on_end` once."""

    def __init__(self, command: Sequence[str], max_frame: int, on_message: OnMessage, on_end: OnEnd) -> None:
        self.command = list(command)
        self._max_frame = max_frame
        self._on_message = on_message
        self._on_end = on_end
        self._stderr: deque[bytes] = deque()
        self._outgoing: queue.SimpleQueue[list[Chunk] | None] = queue.SimpleQueue()
        self._unsent = 0
        # Reentrant: a signal handler may send, too.
        self._send_lock = threading.RLock()
        self._closing = False
        #: Whether the server will not answer any more.
        self.ended = False
        self._stderr_lock = threading.Lock()
        self.process = self._start()
        self._threads = [
            threading.Thread(target=work, name=f"polylaplace-{name}", daemon=True)
            for name, work in (("write", self._write), ("read", self._read), ("stderr", self._drain))
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
            header = bytearray(4)
            while fill(pipe, header):
                (length,) = struct.unpack("<I", header)
                if not 0 < length <= self._max_frame:
                    raise ProtocolError(
                        f"The server sent a frame of {length} bytes.", "PROTOCOL", {"limit": self._max_frame}
                    )
                body = bytearray(length)
                if not fill(pipe, body):
                    break
                self._on_message(decode_message(body))
        except LaplaceError as error:
            failure = error
        except (OSError, ValueError):
            pass
        reason = failure or self.explain_end()
        self.ended = True
        self._on_end(reason)

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
        if code == 1 and (problem := explain_version(self.command[0])):
            hints.append(problem)
        words = self.stderr_tail().strip()
        message = (
            " ".join([f"The server {how}.", *hints])
            + f"\nCommand: {' '.join(self.command)}"
            + (f"\nIts last words:\n{words}" if words else "")
        )
        return ServerCrashedError(message, "PROTOCOL", {"exit_code": code, "stderr": words})

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
        if self.process.poll() is not None and threading.current_thread() is not self._threads[2]:
            self._threads[2].join(0.5)
        with self._stderr_lock:
            return b"".join(self._stderr).decode(errors="replace")

    def close(self, farewell: list[Chunk] | None) -> None:
        """Ends the server: shutdown, end of stdin, 2 s, SIGTERM, 2 s, SIGKILL to its group."""
        self._closing = True
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


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
