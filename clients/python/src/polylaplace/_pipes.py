"""Pipes: their capacity, what waits in them, reading them in whole pieces."""

from __future__ import annotations

import contextlib
import sys
from typing import IO

_PIPE_BYTES = 2**20


def fill(pipe: IO[bytes], buffer: bytearray, ahead: bytearray | None = None) -> bool:
    """Fills the buffer; False when the stream ends before.

    Args:
        ahead: bytes of the stream that have been read already; those that are used are taken away.
    """
    view = memoryview(buffer)
    if ahead:
        count = min(len(ahead), len(view))
        view[:count] = ahead[:count]
        del ahead[:count]
        view = view[count:]
    while len(view) > 0:
        count = pipe.readinto(view)  # type: ignore[attr-defined]
        if not count:
            return False
        view = view[count:]
    return True


def enlarge(pipe: IO[bytes] | None) -> int:
    """Lets a pipe hold 1 MiB where the system can: fewer switches between the processes.

    Returns:
        The bytes that it holds, 0 if unknown.
    """
    if sys.platform == "linux" and pipe is not None:
        import fcntl

        with contextlib.suppress(OSError, AttributeError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        with contextlib.suppress(OSError, AttributeError):
            return fcntl.fcntl(pipe.fileno(), fcntl.F_GETPIPE_SZ)
    return 0


def unread(pipe: IO[bytes]) -> int:
    """Bytes in a pipe that have not been read."""
    import fcntl
    import termios

    return int.from_bytes(fcntl.ioctl(pipe.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder)
