"""`LaplaceClassifier`: a scikit-learn classifier."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._data import Array
from ._estimator_base import LaplaceEstimator
from ._exceptions import DataError, StateError
from ._scikit_learn import (
    ClassifierMixin,
    MLPClassifier,
    check_classification_targets,
    check_is_fitted,
    check_random_state,
    validate_data,
)


class LaplaceClassifier(ClassifierMixin, LaplaceEstimator):  # type: ignore[misc]
    """A neural network classifier with calibrated probabilities.

    Args:
        model: a fitted network (path, bytes, torch module, scikit-learn MLP, skorch net), or an unfitted MLPClassifier,
            which `fit` clones and trains first. None: an MLPClassifier with its defaults.
        subset_of_weights, hessian_structure, curvature: as in `Laplace`.
        prior_precision: a number switches tuning off; None: tuned.
        tune: 'linearized', 'marglik', 'grid' (then `fit` needs validation data) or 'none'. None: 'linearized' for the
            last layer, 'marglik' for all weights.
        prior_structure: 'scalar', 'layerwise' or 'diag'.
        random_state: of the training of an unfitted model.

    Attributes:
        classes_: labels in the order of the columns of `predict_proba`.
        laplace_: the `Laplace` posterior.
        network_: the network in use.
    """

    def fit(self, X: Any, y: Any, *, X_val: Any = None, y_val: Any = None) -> LaplaceClassifier:
        """Fits the posterior (and an unfitted network before) to X (n, ...) and labels y (n,)."""
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], allow_nd=True)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(
                f"A classifier needs at least two classes; y has one class: {self.classes_[0]!r}.", "BAD_LABELS"
            )
        network = self._network(MLPClassifier, X, y)
        if hasattr(network, "classes_"):
            codes = self._codes(network, y)
        binary = getattr(network, "out_activation_", None) == "logistic"
        validation = None if X_val is None else (X_val, self._column(np.searchsorted(self.classes_, y_val), binary))
        self._fit_laplace(network, "binary" if binary else "classification", X, self._column(codes, binary), validation)
        self._binary = self.laplace_.likelihood == "binary"
        return self

    def _codes(self, network: Any, y: Array) -> Array:
        """Class numbers in the network's own order."""
        self.classes_ = np.asarray(network.classes_)
        unknown = sorted(set(np.unique(y)) - set(self.classes_))
        if unknown:
            raise DataError(f"y has labels that the network was not trained on: {unknown[:5]}.", "BAD_LABELS")
        return np.searchsorted(self.classes_, y)

    @staticmethod
    def _column(codes: Array, binary: bool) -> Array:
        return codes.reshape(-1, 1).astype(np.int64) if binary else codes.astype(np.int64)

    def predict_proba(self, X: Any) -> Array:
        """Calibrated probabilities, (n, n_classes)."""
        probabilities = self._predict_all(X).probabilities
        if probabilities is None:
            raise StateError("The posterior gives no probabilities.", "NOT_FITTED")
        return np.column_stack([1 - probabilities[:, 0], probabilities[:, 0]]) if self._binary else probabilities

    def predict(self, X: Any) -> Array:
        """The most probable class of each row, (n,)."""
        probabilities = self.predict_proba(X)
        labels: Array = self.classes_[np.argmax(probabilities, axis=1)]
        return labels

    def sample_y(self, X: Any, n_samples: int = 1, random_state: Any = 0) -> Array:
        """Draws of labels, (n, n_samples): a class drawn from the probabilities of a drawn network."""
        check_is_fitted(self, "laplace_")
        random = check_random_state(random_state)
        draws = self.laplace_.predictive_samples(self._checked(X), n_samples, seed=random)
        if self._binary:
            draws = np.concatenate([1 - draws, draws], axis=2)
        uniform = random.random_sample(draws.shape[:2])[..., np.newaxis]
        labels: Array = self.classes_[
            np.minimum((draws.cumsum(axis=2) < uniform).sum(axis=2), len(self.classes_) - 1)
        ].T
        return labels
