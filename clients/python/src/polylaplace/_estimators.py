"""scikit-learn estimators: `LaplaceClassifier` and `LaplaceRegressor`.

This module imports scikit-learn, and is itself imported only when one of them is asked for.
"""

from __future__ import annotations

from ._classifier import LaplaceClassifier
from ._regressor import LaplaceRegressor

__all__ = ["LaplaceClassifier", "LaplaceRegressor"]
