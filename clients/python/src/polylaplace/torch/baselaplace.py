"""Posteriors over all weights, under the name of laplace-torch's module."""

from ._base import BaseLaplace
from ._functional import FunctionalLaplace
from ._low_rank import LowRankLaplace
from ._nystroem import ELLA
from ._outputs_posterior import BaseFunctionalLaplace
from ._parametric import ParametricLaplace
from ._structures import DiagLaplace, FullLaplace, KronLaplace

__all__ = [
    "ELLA",
    "BaseFunctionalLaplace",
    "BaseLaplace",
    "DiagLaplace",
    "FullLaplace",
    "FunctionalLaplace",
    "KronLaplace",
    "LowRankLaplace",
    "ParametricLaplace",
]
