# mypy: disable-error-code="import-not-found"
"""Errors that are also those of laplace-torch, so that what caught them there catches them here."""

from __future__ import annotations

import torch

from .._exceptions import NumericalError, OptionError


class NotDefiniteError(NumericalError, torch.linalg.LinAlgError):  # type: ignore[misc]
    """A matrix that must be positive definite is not."""


class NoCurvatureError(OptionError, NotImplementedError):
    """A backend that does not have the curvature of a structure."""
