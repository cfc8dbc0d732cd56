"""Calibrated uncertainty for trained neural networks, by Laplace approximation.

>>> import numpy as np
>>> from polylaplace import Laplace
>>> network = {"0.weight": np.array([[-2.0, 0.0], [2.0, 0.0]]), "0.bias": np.zeros(2)}  # or a file, or a torch module
>>> X = np.random.default_rng(0).normal(size=(40, 2))
>>> y = (X[:, 0] + X[:, 1] / 2 > 0).astype(int)
>>> la = Laplace(network, "classification").fit(X, y).optimize_prior_precision(method="auto")
>>> probabilities = la(X)
>>> probabilities.shape
(40, 2)
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from ._block_diagonal import BlockDiagonal
    from ._choice import Choice, LeaveOneOutScore
    from ._client import Client
    from ._comparison import Comparison
    from ._default_client import default_client
    from ._doctor import doctor
    from ._estimators import LaplaceClassifier, LaplaceRegressor
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
    from ._forecast import Forecast
    from ._kron import KronFactors
    from ._laplace import Laplace, load
    from ._low_rank import LowRank
    from ._mixture import Mixture
    from ._own_likelihood import OwnLikelihood
    from ._partial import Partial, merge
    from ._prediction import ClassPrediction, ObservationPrediction, Prediction, RegressionPrediction
    from ._progress import Progress

__all__ = [
    "BlockDiagonal",
    "CancelledError",
    "Choice",
    "ClassPrediction",
    "Client",
    "Comparison",
    "DataError",
    "Figures",
    "Forecast",
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
    "Mixture",
    "NodeNotFoundError",
    "NumericalError",
    "ObservationPrediction",
    "OptionError",
    "OwnLikelihood",
    "Partial",
    "Prediction",
    "PriorWarning",
    "Progress",
    "ProtocolError",
    "RegressionPrediction",
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

if not TYPE_CHECKING and find_spec("sklearn") is None:
    # `from polylaplace import *` works without scikit-learn; a name of an estimator says what to install.
    __all__.remove("LaplaceClassifier")
    __all__.remove("LaplaceRegressor")


#: Where each name is. Modules are imported when a name of theirs is first used: together they, and numpy, take a tenth
#: of a second.
_MODULES = {
    "_block_diagonal": ("BlockDiagonal",),
    "_choice": ("Choice", "LeaveOneOutScore"),
    "_client": ("Client",),
    "_comparison": ("Comparison",),
    "_default_client": ("default_client",),
    "_doctor": ("doctor",),
    "_estimators": ("LaplaceClassifier", "LaplaceRegressor"),
    "_exceptions": (
        "CancelledError",
        "DataError",
        "GraphError",
        "InternalError",
        "LaplaceError",
        "LaplaceWarning",
        "NodeNotFoundError",
        "NumericalError",
        "OptionError",
        "PriorWarning",
        "ProtocolError",
        "ResourceError",
        "ServerCrashedError",
        "ShapeError",
        "StateError",
        "TrainingWarning",
        "UntrustedInputError",
    ),
    "_figures": ("Figures",),
    "_forecast": ("Forecast",),
    "_kron": ("KronFactors",),
    "_laplace": ("Laplace", "load"),
    "_low_rank": ("LowRank",),
    "_mixture": ("Mixture",),
    "_own_likelihood": ("OwnLikelihood",),
    "_partial": ("Partial", "merge"),
    "_prediction": ("ClassPrediction", "ObservationPrediction", "Prediction", "RegressionPrediction"),
    "_progress": ("Progress",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{home}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
