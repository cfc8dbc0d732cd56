"""Progress of long work: a callback, or a bar of tqdm where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Progress:
    """Where long work stands; `total` is 0 when it is not known, and `left`, the seconds of the stage, is None.

    At the end of a pass over the data of several machines (`polylaplace.distributed`) `merges` and `network_bytes` say
    what bringing the parts together took.
    """

    stage: str
    done: int
    total: int
    message: str = ""
    merges: int = 0
    network_bytes: int = 0
    left: float | None = None


#: What users may give as `progress`: True for a bar, a function, or None.
ProgressOption: TypeAlias = bool | Callable[[Progress], None] | None


def progress_callback(option: ProgressOption) -> Callable[[Progress], None] | None:
    """The function that is told about progress, or None."""
    if callable(option):
        return option
    if not option or importlib.util.find_spec("tqdm") is None:
        return None
    return _Bar()


class _Bar:
    """One bar for each stage."""

    def __init__(self) -> None:
        self._tqdm: Any = importlib.import_module("tqdm.auto").tqdm
        self._bar: Any = None
        self._stage = ""

    def __call__(self, progress: Progress) -> None:
        if self._bar is None or self._stage != progress.stage:
            if self._bar is not None:
                self._bar.close()
            self._bar = self._tqdm(total=progress.total or None, desc=progress.stage, leave=False)
            self._stage = progress.stage
        self._bar.update(progress.done - self._bar.n)
        if progress.total and progress.done >= progress.total:
            self._bar.close()
            self._bar = None
