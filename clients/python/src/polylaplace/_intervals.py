"""Intervals, quantiles and sets of classes, and how unlike the training data rows are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from ._batching import row_batches, together
from ._comparison import Comparison
from ._data import Array, to_array
from ._exceptions import LaplaceWarning, OptionError, StateError
from ._likelihoods import has_numbers
from ._options import as_share
from ._prediction import Predicting
from ._warnings import warn_user


class Intervals(Predicting):
    """What is said of new rows with a probability, and how it is checked on held-out ones."""

    def conformalize(
        self,
        X: Any = None,
        y: Any = None,
        *,
        score: str | None = None,
        randomised: bool = False,
        seed: int | None = None,
        timeout: float | None = None,
    ) -> Self:
        """Makes intervals (regression) and sets of classes hold with their probability, by held-out rows.

        Args:
            X, y: rows that neither the network nor the posterior has seen. None: the leave-one-out residuals of the
                fit (the jackknife of the linear model), which holds approximately.
            score: of classes: 'aps' (adaptive sets, the default) or 'lac' (the smallest sets on average).
            randomised: counts a random part of the right class's probability ('aps'), by the seed: smaller sets.

        The guarantee: of new rows that come as these did, at least a share 1 - alpha lies in its interval or set. It is
        saved with the posterior, and dropped when the prior is changed.
        """
        params: dict[str, Any] = {"posterior": self._handle()}
        if X is not None or y is not None:
            params.update(self._data(X, y))
        given = {"score": score, "randomised": randomised or None, "seed": seed}
        params.update({key: value for key, value in given.items() if value is not None})
        self._adopt(*self._made("conformalize", params, timeout=timeout, progress=self._progress), same_fit=True)
        return self

    def predict_interval(self, X: Any, alpha: float = 0.1, *, noise: bool = True) -> Array:
        """Lower and upper ends for new observations, (n, 2), or (n, 2, C) with several outputs; likelihoods of numbers.

        After `conformalize` they are the conformal ones; before, those of the predictive distribution: Gaussian, or of
        counts (poisson).

        Args:
            alpha: the share of new observations that may lie outside.
            noise: False: intervals of the function itself, without the noise of observations.
        """
        self._only("predict_interval", numbers=True)
        answer = self._asked(X, {"level": 1 - as_share(alpha, "alpha")} | ({} if noise else {"noise": False}))
        ends = np.stack([answer["lower"], answer["upper"]], axis=1)
        return ends[:, :, 0] if ends.shape[2] == 1 else ends

    def predict_quantiles(self, X: Any, quantiles: float | Sequence[float] = (0.05, 0.5, 0.95)) -> Array:
        """Quantiles of new observations, (n, Q), or (n, C, Q) with several outputs."""
        self._only("predict_quantiles", numbers=True)
        wanted = [as_share(value, "quantiles") for value in np.atleast_1d(to_array(quantiles, "quantiles"))]
        values: Array = self._asked(X, {"quantiles": wanted})["quantiles"]
        return values[:, 0] if values.shape[1] == 1 else values

    def predict_sets(self, X: Any, alpha: float = 0.1) -> Array:
        """Sets of classes that hold the right one with probability 1 - alpha, (n, classes) of booleans.

        Raises:
            OptionError: before `conformalize`.
        """
        self._only("predict_sets", numbers=False)
        sets: Array = self._asked(X, {"level": 1 - as_share(alpha, "alpha")})["sets"].astype(bool)
        return sets

    def novelty(self, X: Any) -> Array:
        """How unlike the training rows each row is, (n,): a p-value, small for rows unlike them.

        The share of training rows whose own variance, predicted without them, is at least as large as the row's.

        Raises:
            StateError: where the prior was not tuned by 'auto' or 'validated'.
        """
        answer = self._asked(X, {}, ["novelty"])
        if answer.get("novelty") is None:
            raise StateError(
                "There is no novelty to compare with: it comes with a prior that is tuned by 'auto' or 'validated' "
                "(optimize_prior_precision(method='auto'), or subset_of_weights='auto').",
                "NOT_FITTED",
            )
        values: Array = answer["novelty"]
        return values

    def compare(self, X: Any, y: Any, *, outliers: Any = None, timeout: float | None = None) -> Comparison:
        """Scores of the network, of temperature scaling and of the posterior on rows that none of them has seen.

        Args:
            X, y: the rows and their labels.
            outliers: rows that are no data, without labels: how well does each of them, and novelty, tell them from X?
        """
        params = self._data_and_outliers(X, y, outliers)
        answer = self._call("compare", params, timeout=timeout, progress=self._progress)
        return Comparison.from_wire(answer)

    def _data_and_outliers(self, X: Any, y: Any, outliers: Any) -> dict[str, Any]:
        """Rows with labels, and rows that are no data where there are any, as the server takes them."""
        params = self._data(X, y)
        if outliers is not None:
            params["outliers"] = self._examples(outliers, "outliers")
        return params

    def _only(self, method: str, *, numbers: bool) -> None:
        """Refuses a method of another likelihood."""
        if has_numbers(self.likelihood) != numbers:
            other = "predict_sets" if numbers else "predict_interval or predict_quantiles"
            raise OptionError(
                f"{method} is for {'numbers' if numbers else 'classes'}; the likelihood is '{self.likelihood}': "
                f"use {other}.",
                "BAD_COMBINATION",
                {"likelihood": self.likelihood},
            )

    def _asked(self, X: Any, options: dict[str, Any], parts: list[str] | None = None) -> dict[str, Any]:
        """Parts of a prediction, in as many messages as the rows need; what the server notices is a warning."""
        more = {} if parts is None else {"parts": parts}
        answers = [
            self._call("predict", {"x": rows, "options": {"uncertainty": False, **options}, **more})
            for rows in row_batches(self._examples(X))
        ]
        for note in dict.fromkeys(str(note) for answer in answers for note in answer.get("notes", ())):
            warn_user(note, LaplaceWarning)
        return together(answers)
