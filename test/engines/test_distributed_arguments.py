"""58: fits and predictions where the data are refuse arguments of another kind before an engine is asked for anything.

The public surface is read from the package, so that a new function or argument is covered by itself.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import data, posterior

sys.path.insert(0, str(Path(__file__).parents[2] / "clients" / "python" / "tests"))
from argument_audit import NATIVE, WRONG, failures, required
from polylaplace import OptionError, distributed

NAMES: list[Any] = [5, b"x", object(), 2.5, [1], math.nan]
KINDS: dict[str, list[Any]] = {
    "Laplace": ["la", 5, object(), None, {"0.weight": 1}],
    "Features": [*NAMES, {}, {"x": 5}],
    "Label": [*NAMES, {"a": 1}],
    "Tune": ["nonsense", 5, object(), ["auto"], math.nan],
    "Rows": ["rows", 5, object(), (1, 2, 3), np.ones(2)],
    "Count": [*WRONG["int"], 0, -1],
    "Seed": [*WRONG["int"], -1],
    "Share": [*WRONG["float"], 0, 1, -0.1],
    "ProgressOption": ["yes", 2, object(), [1]],
}


class Untouched:
    """Data of no engine, which are never looked at: every refusal comes before."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("map_blocks", "chunks"):
            raise AttributeError(name)
        return self._looked_at

    def _looked_at(self, *args: Any, **options: Any) -> Any:
        raise AssertionError("The data were looked at.")


@pytest.mark.parametrize("name", distributed.__all__)
def test_every_argument(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for annotation, values in KINDS.items():
        monkeypatch.setitem(WRONG, annotation, values)
    function = getattr(distributed, name)
    x, y = data("classification")
    la = posterior("classification").fit(x, y)
    untouched = dict.fromkeys(("batches", "data", "dataset", "dataframe"), Untouched())
    given = required(function, {"la": la, **untouched})
    found = [line for line in failures(name, function, given, NATIVE) if "were looked at" not in line]
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("name", ["fit_batches", "fit_ray", "fit_spark"])
def test_held_out_rows_that_are_missing(name: str) -> None:
    with pytest.raises(OptionError, match="validation"):
        getattr(distributed, name)(posterior("classification"), Untouched(), label="y", tune="validated")


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_rows_that_are_not_finite(bad: float) -> None:
    x, y = data("classification")
    x[150, 2] = bad
    la = posterior("classification")
    with pytest.raises(Exception, match=r"batches.*(NaN|finite|infinity)"):
        distributed.fit_batches(la, [(x[:100], y[:100]), (x[100:], y[100:])])
