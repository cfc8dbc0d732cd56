"""What this package uses of scikit-learn, which is optional: the one place that says so where it is missing."""

from __future__ import annotations

from ._exceptions import ResourceError

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone  # type: ignore[import-untyped]
    from sklearn.neural_network import MLPClassifier, MLPRegressor  # type: ignore[import-untyped]
    from sklearn.utils.multiclass import check_classification_targets  # type: ignore[import-untyped]
    from sklearn.utils.validation import (  # type: ignore[import-untyped]
        check_is_fitted,
        check_random_state,
        column_or_1d,
        has_fit_parameter,
        validate_data,
    )
except ImportError as error:
    raise ResourceError(
        "LaplaceClassifier and LaplaceRegressor need scikit-learn 1.6 or newer: pip install scikit-learn. "
        "(Laplace works without it.)",
        "MISSING_DEPENDENCY",
    ) from error

__all__ = [
    "BaseEstimator",
    "ClassifierMixin",
    "MLPClassifier",
    "MLPRegressor",
    "RegressorMixin",
    "check_classification_targets",
    "check_is_fitted",
    "check_random_state",
    "clone",
    "column_or_1d",
    "has_fit_parameter",
    "validate_data",
]
