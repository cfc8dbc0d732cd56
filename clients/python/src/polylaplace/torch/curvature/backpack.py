"""The names of laplace-torch's backends that use BackPACK. The core computes, whatever the name."""

from __future__ import annotations

from .curvature import CurvatureInterface, EFInterface, GGNInterface

__all__ = ["BackPackEF", "BackPackGGN", "BackPackInterface"]


class BackPackInterface(CurvatureInterface):
    """Jacobians and gradients."""


class BackPackGGN(BackPackInterface, GGNInterface):
    """The generalised Gauss-Newton matrix, or with `stochastic` its estimate."""


class BackPackEF(BackPackInterface, EFInterface):
    """The empirical Fisher matrix."""
