# mypy: disable-error-code="import-not-found"
"""Predictions by the core's posterior, which forms no Jacobian: those of large networks do not fit into memory."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._batching import row_batches, together
from .._data import Array
from .._examples import to_examples
from .._exceptions import NumericalError
from .._remote import Remote, create
from ._errors import NotDefiniteError
from ._summed import Summed, inputs_of, shape_of


class Predictor:
    """The core's posterior of some sums, under any prior and noise."""

    def __init__(self, backend: Any, sums: Summed) -> None:
        self._backend = backend
        self._core = sums.posterior
        self._scale = sums.scale
        self._order = None if sums.order is None else sums.order.numpy()
        self._shape = sums.shape
        self._H, self._version = sums.H, getattr(sums.H, "_version", 0)
        self._weights = self._checksum()
        # The posterior of the sums themselves has a prior precision and a temperature of 1.
        self._key: tuple[bytes, float] | None = (np.ones(1).tobytes(), 1.0)
        self._remote: Remote | None = self._core._posterior

    def __getstate__(self) -> dict[str, Any]:
        # What belongs to one server is made again on another one.
        return {**self.__dict__, "_key": None, "_remote": None}

    def has(self, H: Any) -> bool:
        """Whether curvature and network are those that the core has: users may set others, or change them in place."""
        of_present = H is self._H and getattr(H, "_version", 0) == self._version
        return of_present and self._weights == self._checksum()

    def _checksum(self) -> int | None:
        """Of the network's mode and tensors; None for a last layer, whose covariances do not depend on its weights."""
        model = self._backend.model
        if self._backend.last_layer:
            return None
        value = int(model.training)
        for tensor in (*model.parameters(), *model.buffers()):
            value = zlib.crc32(tensor.detach().cpu().flatten().view(torch.uint8).numpy(), value)
        return value

    def __call__(self, X: Any, prior_precision: Tensor, H_factor: Tensor, joint: bool) -> tuple[Tensor, Tensor] | None:
        """Means and covariances of the outputs; None where the core's posterior is not of such inputs.

        Args:
            prior_precision: one number, one for each tensor, or one for each parameter.
            H_factor: what the curvature is multiplied by.
            joint: whether the covariance is that of all outputs of all rows.
        """
        backend = self._backend
        with torch.no_grad():
            # The mean is the network's own answer, to the last bit.
            outputs, X = backend.model.answering_features(X) if backend.last_layer else (backend.model(X), X)
        inputs = inputs_of(X, backend.dict_key_y)
        if shape_of(inputs) != self._shape:
            return None
        if len(outputs) == 0:
            C = outputs.shape[-1]
            return (outputs.flatten(), outputs.new_zeros(0, 0)) if joint else (outputs, outputs.new_zeros(0, C, C))
        x = to_examples(inputs, "x")
        handle = self._under(prior_precision, H_factor).handle()
        try:
            answers = [
                self._core._client.call("functionalVariance", {"posterior": handle, "x": rows, "joint": joint})
                for rows in ([x] if joint else row_batches(x))
            ]
        except NumericalError as error:
            raise NotDefiniteError(error.message, error.code, error.data) from error
        answer = together(answers)
        like = next(backend._model.parameters())
        mean = outputs if outputs.shape == answer["mean"].shape else _tensor(answer["mean"], like)
        return mean.flatten() if joint else mean, _tensor(answer["covariance"], like)

    def _under(self, prior_precision: Tensor, H_factor: Tensor) -> Remote:
        """The core's posterior under a prior and a noise, made where it is another one than the last."""
        prior = np.asarray(prior_precision.detach().cpu().double())
        if self._order is not None and prior.size == len(self._order):
            prior = prior[self._order]
        # The core's factor is 1 / temperature: its sigma stays 1.
        temperature = 1 / (float(H_factor.detach()) * self._scale)
        key = (prior.tobytes(), temperature)
        if self._remote is None or key != self._key:
            changed = {"priorPrecision": float(prior[0]) if prior.size == 1 else prior, "temperature": temperature}
            self._remote, _ = create(
                self._core._client, "withPrior", {"posterior": self._core._handle(), **changed, "brief": True}
            )
            self._key = key
        return self._remote


def _tensor(array: Array, like: Tensor) -> Tensor:
    return torch.as_tensor(array).to(device=like.device, dtype=like.dtype)
