"""A turn for each of many processes that start a server at the same time.

Starting takes a tenth of a second of a processor. When a hundred processes start at once, each of them would take ten
seconds, and be taken for one that does not start.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

#: Longest wait for a turn in seconds: others may have servers that do not start.
_PATIENCE = 60.0
_POLL = 0.02


@contextlib.contextmanager
def start_slot(folder: Path, patience: float = _PATIENCE) -> Iterator[None]:
    """Waits for a turn, which ends with the context, or with the process.

    The turns are locks on files of the folder, as many as there are processors. Where they cannot be locked there is
    no waiting.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            _take_turn(stack, sorted(folder.glob("*.mjs"))[: max(2, os.cpu_count() or 1)], patience)
        yield


def _take_turn(stack: contextlib.ExitStack, files: list[Path], patience: float) -> None:
    if sys.platform == "win32":
        return
    import fcntl

    slots = [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in files]
    for slot in slots:
        stack.callback(os.close, slot)
    end = time.monotonic() + patience
    while slots and time.monotonic() < end:
        for slot in slots:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
        time.sleep(_POLL)
