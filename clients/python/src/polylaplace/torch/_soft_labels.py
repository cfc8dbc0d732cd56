# mypy: disable-error-code="import-not-found"
"""Labels that are probabilities of the classes, (n, C), as torch's CrossEntropyLoss takes them.

The Hessian of that loss with respect to the outputs is that of class numbers, as the probabilities of a row sum to 1;
the loss itself differs by a term that is linear in the outputs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._exceptions import DataError, OptionError
from .utils.enums import Likelihood

#: How far from 1 the probabilities of a row may sum up to.
_ROUNDING = 1e-3


class SoftLabels:
    """Makes class numbers of labels that are probabilities, and adds up what the loss of these lacks."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        #: The loss of the labels minus that of the class numbers.
        self.more: Tensor | float = 0.0

    def numbers(self, x: Any, y: Tensor) -> Tensor:
        """Class numbers, those of the largest probabilities; other labels as they are.

        Args:
            x: the inputs of the network, or of its last layer.

        Raises:
            DataError: for rows that are no probabilities.
            OptionError: for probabilities between 0 and 1 where the curvature depends on the labels.
        """
        soft = self._backend.likelihood == Likelihood.CLASSIFICATION and y.ndim == 2 and y.is_floating_point()
        if not soft or y.shape[1] == 1:
            return y
        total = y.sum(dim=1)
        if not bool(((y >= 0).all(dim=1) & ((total - 1).abs() <= _ROUNDING)).all()):
            raise DataError(
                "Labels (n, C) are probabilities of the classes, from 0 to 1, which sum to 1 in each row; give those, "
                "or class numbers (n,).",
                "BAD_LABELS",
            )
        numbers = y.argmax(dim=1)
        lacking = y - torch.nn.functional.one_hot(numbers, y.shape[1]).to(y)
        if not bool(lacking.any()):
            return numbers
        if self._backend.curvature != "ggn" and not self._backend.stochastic:
            raise OptionError(
                f"{type(self._backend).__name__} is that of class numbers, (n,), here; labels are probabilities from "
                "0 to 1. Give class numbers, or a GGN backend, whose curvature does not depend on the labels.",
                "BAD_COMBINATION",
                {"option": "backend"},
            )
        with torch.no_grad():
            f = self._backend._model(x)
        self.more = self.more - (lacking * f.log_softmax(dim=-1)).sum()
        return numbers
