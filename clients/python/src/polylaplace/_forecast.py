"""What a fit will take, before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StageForecast:
    """What a stage of the work takes: `fit`, `tune`, `predict`, `sample` or `save`."""

    stage: str
    #: Bytes at its widest, beyond what the server holds before.
    bytes: int
    seconds: float


@dataclass(frozen=True)
class Forecast:
    """The stages one after another: the most bytes that any of them takes, and the seconds of all together."""

    bytes: int
    seconds: float
    stages: tuple[StageForecast, ...]

    def __str__(self) -> str:
        lines = [("all", self.bytes, self.seconds), *((row.stage, row.bytes, row.seconds) for row in self.stages)]
        return "\n".join(f"{stage:8}{size / 2**20:12,.1f} MiB{time:12,.2f} s" for stage, size, time in lines)


def forecast_of(answer: Mapping[str, Any]) -> Forecast:
    """A forecast from the server's answer."""
    stages = (StageForecast(str(row["stage"]), int(row["bytes"]), float(row["seconds"])) for row in answer["stages"])
    return Forecast(int(answer["bytes"]), float(answer["seconds"]), tuple(stages))
