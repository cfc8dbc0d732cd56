# mypy: disable-error-code="import-not-found"
"""The names of laplace-torch: change `from laplace import ...` to `from polylaplace.torch import ...`.

Tensors in, tensors out, with the network's dtype and on its device. torch is needed, and imported with this package
alone. docs/laplace-torch.md says where numbers differ, and why.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError("polylaplace.torch needs torch: pip install torch.") from error

from .baselaplace import (
    ELLA,
    BaseFunctionalLaplace,
    BaseLaplace,
    DiagLaplace,
    FullLaplace,
    FunctionalLaplace,
    KronLaplace,
    LowRankLaplace,
    ParametricLaplace,
)
from .laplace import Laplace
from .lllaplace import DiagLLLaplace, FullLLLaplace, FunctionalLLLaplace, KronLLLaplace, LLLaplace
from .marglik_training import marglik_training
from .subnetlaplace import DiagSubnetLaplace, FullSubnetLaplace, SubnetLaplace
from .utils.enums import (
    FunctionalApproximation,
    HessianStructure,
    Likelihood,
    LinkApprox,
    PredType,
    PriorStructure,
    SubsetOfWeights,
    TuningMethod,
)

__all__ = [
    "ELLA",
    "BaseFunctionalLaplace",
    "BaseLaplace",
    "DiagLLLaplace",
    "DiagLaplace",
    "DiagSubnetLaplace",
    "FullLLLaplace",
    "FullLaplace",
    "FullSubnetLaplace",
    "FunctionalApproximation",
    "FunctionalLLLaplace",
    "FunctionalLaplace",
    "HessianStructure",
    "KronLLLaplace",
    "KronLaplace",
    "LLLaplace",
    "Laplace",
    "Likelihood",
    "LinkApprox",
    "LowRankLaplace",
    "ParametricLaplace",
    "PredType",
    "PriorStructure",
    "SubnetLaplace",
    "SubsetOfWeights",
    "TuningMethod",
    "marglik_training",
]
