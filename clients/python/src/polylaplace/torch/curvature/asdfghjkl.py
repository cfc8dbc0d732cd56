"""The names of laplace-torch's backends that use asdfghjkl. The core computes, whatever the name."""

from __future__ import annotations

from .curvature import CurvatureInterface, EFInterface, GGNInterface, HessianInterface

__all__ = ["AsdfghjklEF", "AsdfghjklGGN", "AsdfghjklHessian", "AsdfghjklInterface"]


class AsdfghjklInterface(CurvatureInterface):
    """Jacobians and gradients."""


class AsdfghjklGGN(AsdfghjklInterface, GGNInterface):
    """The generalised Gauss-Newton matrix, or with `stochastic` its estimate."""


class AsdfghjklEF(AsdfghjklInterface, EFInterface):
    """The empirical Fisher matrix."""


class AsdfghjklHessian(AsdfghjklInterface, HessianInterface):
    """The exact Hessian of the loss."""
