"""The names of laplace-torch's backends that use curvlinops. The core computes, whatever the name."""

from __future__ import annotations

from .curvature import CurvatureInterface, EFInterface, GGNInterface, HessianInterface

__all__ = ["CurvlinopsEF", "CurvlinopsGGN", "CurvlinopsHessian", "CurvlinopsInterface"]


class CurvlinopsInterface(CurvatureInterface):
    """Jacobians and gradients."""


class CurvlinopsGGN(CurvlinopsInterface, GGNInterface):
    """The generalised Gauss-Newton matrix, or with `stochastic` its estimate."""


class CurvlinopsEF(CurvlinopsInterface, EFInterface):
    """The empirical Fisher matrix."""


class CurvlinopsHessian(CurvlinopsInterface, HessianInterface):
    """The exact Hessian of the loss."""
