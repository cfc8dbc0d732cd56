"""Held-out rows of the estimators: given, or a share of the rows of `fit`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._data import Array
from ._exceptions import DataError, OptionError
from ._options import as_share

#: Ways of tuning that held-out rows are for, and those that use none.
_NEED_HELD_OUT = ("validated", "grid", "gridsearch")
_USE_NONE = ("linearized", "marglik", "none")


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Rows X and labels y that the network has not seen, or the share of the rows of `fit` to take for them."""

    rows: tuple[Any, Any] | None = None
    share: float | None = None

    @property
    def there(self) -> bool:
        """Whether there are any."""
        return self.rows is not None or self.share is not None


def held_out(X_val: Any, y_val: Any, share: Any) -> HeldOut:
    """What `fit` and the constructor say of held-out rows.

    Raises:
        OptionError: when half of it is missing, or when rows and a share are given.
    """
    if (X_val is None) != (y_val is None):
        missing, other = ("y_val", "X_val") if y_val is None else ("X_val", "y_val")
        raise OptionError(
            f"{missing} is missing: held-out rows are given as X_val and y_val; got {other} alone.",
            "BAD_OPTION",
            {"option": missing},
        )
    if share is None:
        return HeldOut() if X_val is None else HeldOut(rows=(X_val, y_val))
    if X_val is not None:
        raise OptionError(
            "Held-out rows are given twice: as X_val, y_val and as validation_fraction. Leave one out.",
            "BAD_COMBINATION",
            {"option": "validation_fraction"},
        )
    return HeldOut(share=as_share(share, "validation_fraction"))


def check_use(there: bool, tune: str | None, prior_precision: Any, calibrate: str | None) -> None:
    """Held-out rows are used where they are given, and given where they are needed.

    Raises:
        OptionError: BAD_COMBINATION.
    """
    if prior_precision is not None and tune not in (None, "auto", "none"):
        raise _refusal(
            f"prior_precision is given, so that nothing is left to tune by '{tune}'; leave one of the two out.", "tune"
        )
    if there and (prior_precision is not None or tune in _USE_NONE):
        reason = "prior_precision is given" if prior_precision is not None else f"tune='{tune}' uses the training rows"
        raise _refusal(
            f"Held-out rows would change nothing: {reason}. Use tune='validated' (or leave tune and prior_precision "
            "out), or leave the held-out rows out.",
            "validation_fraction",
        )
    if not there and tune in _NEED_HELD_OUT:
        raise _refusal(_missing(f"tune='{tune}'"), "tune")
    if calibrate is not None and not there:
        raise _refusal(_missing(f"calibrate='{calibrate}'"), "calibrate")
    if calibrate is not None and tune not in (None, "auto", "validated"):
        raise _refusal(f"calibrate='{calibrate}' goes with tune='validated'; got tune='{tune}'.", "calibrate")


def _missing(what: str) -> str:
    return (
        f"{what} needs held-out rows: fit(X, y, X_val=..., y_val=...), or validation_fraction=0.1 for rows that the "
        "network has not seen."
    )


def _refusal(sentence: str, option: str) -> OptionError:
    return OptionError(sentence, "BAD_COMBINATION", {"option": option})


def split_rows(count: int, share: float, random: np.random.RandomState, classes: Array | None) -> tuple[Array, Array]:
    """Row numbers of those that stay and of those that are held out; of each class its share, as near as it goes.

    Raises:
        DataError: when one of the two would be empty.
    """
    order = random.permutation(count)
    if classes is not None:
        # Rows in the order of their rank within their class: each stretch has the classes in proportion.
        ranks = np.empty(count)
        for label in np.unique(classes):
            own = order[classes[order] == label]
            ranks[own] = (np.arange(len(own)) + 0.5) / len(own)
        order = order[np.argsort(ranks[order], kind="stable")]
    held = round(share * count)
    if held == 0 or held == count:
        raise DataError(
            f"validation_fraction={share} of {count} rows leaves {held} held out and {count - held} for the fit; "
            "both need some.",
            "EMPTY_DATA",
        )
    return np.sort(order[held:]), np.sort(order[:held])
