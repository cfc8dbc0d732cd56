"""Calibrated uncertainty for trained neural networks, by Laplace approximation.

>>> from polylaplace import Laplace
>>> la = Laplace("model.onnx", "classification")  # doctest: +SKIP
>>> la.fit(X, y)  # doctest: +SKIP
>>> la.optimize_prior_precision()  # doctest: +SKIP
>>> probabilities = la(X_new)  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._choice import Choice, LeaveOneOutScore
from ._client import Client
from ._comparison import Comparison
from ._default_client import default_client
from ._doctor import doctor
from ._exceptions import (
    CancelledError,
    DataError,
    GraphError,
    InternalError,
    LaplaceError,
    LaplaceWarning,
    NodeNotFoundError,
    NumericalError,
    OptionError,
    PriorWarning,
    ProtocolError,
    ResourceError,
    ServerCrashedError,
    ShapeError,
    StateError,
    TrainingWarning,
    UntrustedInputError,
)
from ._figures import Figures
from ._kron import KronFactors
from ._laplace import Laplace, load
from ._low_rank import LowRank
from ._partial import Partial, merge
from ._prediction import Prediction
from ._progress import Progress
from ._version import __version__

if TYPE_CHECKING:
    from ._estimators import LaplaceClassifier, LaplaceRegressor

__all__ = [
    "CancelledError",
    "Choice",
    "Client",
    "Comparison",
    "DataError",
    "Figures",
    "GraphError",
    "InternalError",
    "KronFactors",
    "Laplace",
    "LaplaceClassifier",
    "LaplaceError",
    "LaplaceRegressor",
    "LaplaceWarning",
    "LeaveOneOutScore",
    "LowRank",
    "NodeNotFoundError",
    "NumericalError",
    "OptionError",
    "Partial",
    "Prediction",
    "PriorWarning",
    "Progress",
    "ProtocolError",
    "ResourceError",
    "ServerCrashedError",
    "ShapeError",
    "StateError",
    "TrainingWarning",
    "UntrustedInputError",
    "__version__",
    "default_client",
    "doctor",
    "load",
    "merge",
]


def __getattr__(name: str) -> Any:
    # scikit-learn takes a second to import, and is optional.
    if name in ("LaplaceClassifier", "LaplaceRegressor"):
        return getattr(importlib.import_module("._estimators", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
