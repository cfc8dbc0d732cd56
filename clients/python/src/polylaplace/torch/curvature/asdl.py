"""The names of laplace-torch's backends that use ASDL. The core computes, whatever the name."""

from __future__ import annotations

from .curvature import CurvatureInterface, EFInterface, GGNInterface, HessianInterface

__all__ = ["AsdlEF", "AsdlGGN", "AsdlHessian", "AsdlInterface"]


class AsdlInterface(CurvatureInterface):
    """Jacobians and gradients."""


class AsdlGGN(AsdlInterface, GGNInterface):
    """The generalised Gauss-Newton matrix, or with `stochastic` its estimate."""


class AsdlEF(AsdlInterface, EFInterface):
    """The empirical Fisher matrix."""


class AsdlHessian(AsdlInterface, HessianInterface):
    """The exact Hessian of the loss."""
