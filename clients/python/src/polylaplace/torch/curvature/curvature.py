# mypy: disable-error-code="import-not-found"
"""Curvature, Jacobians and gradients of a module: what laplace-torch calls a backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..._arguments import CheckedArguments
from ..._exceptions import OptionError
from .._kinds import Count, Inputs
from .._summed import Summed, summed
from ..utils.enums import Likelihood
from ..utils.matrix import Kron

__all__ = ["CurvatureInterface", "EFInterface", "GGNInterface", "HessianInterface"]

#: Numbers of a Jacobian up to which it is made with parameters of each row's own, by plain autograd: torch.func, which
#: is faster beyond, takes a second and tens of megabytes to load what it differentiates with.
_OWN_PARAMETERS = 1 << 22


class CurvatureInterface(CheckedArguments):
    """What a posterior asks of a module; curvature is summed by the core, Jacobians and gradients are torch's own.

    A subclass of yours that has `full`, `kron` or `diag` of its own is asked for each batch, as in laplace-torch.

    Args:
        model: the network; with `last_layer` a `FeatureExtractor`.
        likelihood: 'regression' or 'classification'.
        last_layer: whether the parameters are those of the last layer alone.
        subnetwork_indices: flat indices of the parameters that take part.
        dict_key_x, dict_key_y: keys of inputs and labels in batches that are mappings.

    Raises:
        OptionError: for another likelihood.
    """

    #: The word of the core for what is summed; None: nothing is.
    curvature: ClassVar[str | None] = None
    #: Whether the curvature is that of labels drawn from the network's own outputs.
    stochastic: bool = False
    #: How many labels are drawn for each example.
    num_samples: int = 1

    def __init__(
        self,
        model: nn.Module,
        likelihood: Likelihood | str,
        last_layer: bool = False,
        subnetwork_indices: Tensor | None = None,
        dict_key_x: str = "input_ids",
        dict_key_y: str = "labels",
    ) -> None:
        if likelihood not in (Likelihood.REGRESSION, Likelihood.CLASSIFICATION):
            raise OptionError(
                f"A backend's likelihood is 'regression' or 'classification'; got {str(likelihood)!r}.",
                "BAD_OPTION",
                {"option": "likelihood"},
            )
        self.likelihood = Likelihood(likelihood)
        self.model = model
        self.last_layer = last_layer
        self.subnetwork_indices = subnetwork_indices
        self.dict_key_x, self.dict_key_y = dict_key_x, dict_key_y
        regression = self.likelihood is Likelihood.REGRESSION
        #: The loss is `factor * lossfunc(outputs, targets)`, a sum over examples.
        self.lossfunc: nn.Module = nn.MSELoss(reduction="sum") if regression else nn.CrossEntropyLoss(reduction="sum")
        self.factor = 0.5 if regression else 1.0

    @property
    def _model(self) -> nn.Module:
        return self.model.last_layer if self.last_layer else self.model

    @property
    def params(self) -> list[Tensor]:
        """The parameters that are trained."""
        return list(self.params_dict.values())

    @property
    def params_dict(self) -> dict[str, Tensor]:
        """The parameters that are trained, by name."""
        return {name: value for name, value in self._model.named_parameters() if value.requires_grad}

    @property
    def buffers_dict(self) -> dict[str, Tensor]:
        """The module's buffers, by name."""
        return dict(self.model.named_buffers())

    def jacobians(self, x: Inputs, enable_backprop: bool = False) -> tuple[Tensor, Tensor]:
        """Jacobians (n, C, P) of the outputs with respect to the parameters, and the outputs (n, C).

        Args:
            enable_backprop: whether gradients flow through both, to x.
        """
        if self.last_layer:
            return self.last_layer_jacobians(x, enable_backprop)
        J, f = self._by_own_parameters(x, enable_backprop) or self._by_functions(x)
        return self._detached(self._of_subnetwork(J), f, enable_backprop)

    def _by_own_parameters(self, x: Any, enable_backprop: bool) -> tuple[Tensor, Tensor] | None:
        """Jacobians and outputs, with a backward pass for each output of a row; None where another way is taken."""
        numbers = sum(value.numel() for value in self.params)
        if not isinstance(x, Tensor) or len(x) * numbers > _OWN_PARAMETERS:
            return None
        try:
            with torch.enable_grad():
                own = self._parameters_of_rows(len(x))
                columns = self._of_rows(_row_of, own, x, x).flatten(1).sum(dim=0)
                if len(columns) * len(x) * numbers > _OWN_PARAMETERS:
                    return None
                # The network's own answer, to the last bit: products of one row each round otherwise.
                f = self.model(x)
                J = torch.stack([_gradients(column, own, enable_backprop) for column in columns], dim=1)
        except Exception:
            # Whatever a module does that cannot be mapped over rows, it does for all of them at once.
            return None
        return J.reshape(*f.shape, -1), f

    def _parameters_of_rows(self, rows: int) -> dict[str, Tensor]:
        """The parameters, for each row by themselves: derivatives by them are those of the row."""
        return {name: value.expand(rows, *value.shape) for name, value in self.params_dict.items()}

    def _of_rows(self, function: Any, own: dict[str, Tensor], x: Any, y: Tensor) -> Tensor:
        """A function of each row's outputs, as of a batch of one, and label."""
        buffers = self.buffers_dict

        def of_one(parameters: dict[str, Tensor], row: Any, label: Tensor) -> Tensor:
            one = (_batch_of_one(row),)
            return function(torch.func.functional_call(self.model, (parameters, buffers), one), label)

        return torch.func.vmap(of_one)(own, x, y)

    def _by_functions(self, x: Any) -> tuple[Tensor, Tensor]:
        """The same where there is more to do than torch.func takes to import, or for modules that need all rows."""
        parts, f = self._row_by_row(x) or self._all_rows(x)
        return torch.cat([part.reshape(*f.shape, -1) for part in parts.values()], dim=-1), f

    def _row_by_row(self, x: Any) -> tuple[dict[str, Tensor], Tensor] | None:
        """Jacobians by parameter, with a backward pass for each output of a row; None where the module has no such way.

        Of a whole batch there is one for each output of every row, through all rows: of a single row that is the same,
        without the mapping.
        """
        if not isinstance(x, Tensor) or len(x) == 1:
            return None
        buffers = self.buffers_dict

        def outputs(parameters: dict[str, Tensor], row: Tensor) -> tuple[Tensor, Tensor]:
            out = _row_of(torch.func.functional_call(self.model, (parameters, buffers), (row[None],)))
            return out, out

        try:
            each = torch.func.vmap(torch.func.jacrev(outputs, has_aux=True), in_dims=(None, 0))
            parts, f = each(self.params_dict, x)
        except Exception:
            # Whatever a module does that cannot be mapped over rows, it does for all of them at once.
            return None
        return parts, f

    def _all_rows(self, x: Any) -> tuple[dict[str, Tensor], Tensor]:
        buffers = self.buffers_dict

        def outputs(parameters: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
            out = torch.func.functional_call(self.model, (parameters, buffers), (x,))
            return out, out

        parts, f = torch.func.jacrev(outputs, has_aux=True)(self.params_dict)
        return parts, f

    functorch_jacobians = jacobians

    def last_layer_jacobians(self, x: Inputs, enable_backprop: bool = False) -> tuple[Tensor, Tensor]:
        """Jacobians (n, C, P) with respect to the last layer's parameters, and the outputs (n, C)."""
        f, features = self.model.answering_features(x)
        n, C = len(features), f.shape[-1]
        identity = torch.eye(C, dtype=f.dtype, device=f.device).expand(n, C, C)
        J = (identity[..., None] * features[:, None, None, :]).flatten(2)
        if self.model.last_layer.bias is not None:
            J = torch.cat([J, identity], dim=2)
        return self._detached(J, f, enable_backprop)

    def gradients(self, x: Inputs, y: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients (n, P) of the loss of each example, and the sum of the losses, both without `factor`."""
        if self.last_layer:
            J, f = self.last_layer_jacobians(x)
            with torch.enable_grad():
                loss = self.lossfunc(f.requires_grad_(), y)
            (residuals,) = torch.autograd.grad(loss, f)
            return torch.einsum("nc,ncp->np", residuals, J), loss.detach()
        with torch.enable_grad():
            gradients, losses = self._gradients_by_row(x, y)
        return self._of_subnetwork(gradients), losses.sum().detach()

    def _gradients_by_row(self, x: Inputs, y: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of each example's loss, (n, P), and the losses (n,)."""
        try:
            own = self._parameters_of_rows(len(y))
            losses = self._of_rows(lambda out, label: self.lossfunc(out, label[None]), own, x, y)
            return _gradients(losses.sum(), own), losses
        except RuntimeError:
            # Some modules, recurrent ones for instance, cannot be mapped over rows.
            each = [self._gradient_of_row(_batch_of_one(_row(x, i)), label) for i, label in enumerate(y)]
        return torch.cat([gradient for gradient, _ in each]), torch.stack([loss for _, loss in each])

    def _gradient_of_row(self, one: Any, label: Tensor) -> tuple[Tensor, Tensor]:
        loss = self.lossfunc(self.model(one), label[None])
        found = torch.autograd.grad(loss, self.params, allow_unused=True, materialize_grads=True)
        return torch.cat([part.flatten() for part in found])[None], loss

    def _of_subnetwork(self, J: Tensor) -> Tensor:
        return J if self.subnetwork_indices is None else J[..., self.subnetwork_indices]

    def _detached(self, J: Tensor, f: Tensor, enable_backprop: bool) -> tuple[Tensor, Tensor]:
        return (J, f) if enable_backprop else (J.detach(), f.detach())

    def full(self, x: Inputs, y: Tensor, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """The loss of a batch and its curvature, (P, P)."""
        return self._of_batch("full", x, y, kwargs)

    def kron(self, x: Inputs, y: Tensor, N: Count, **kwargs: Any) -> tuple[Tensor, Kron]:
        """The loss of a batch of N examples and its share of the Kronecker factors."""
        loss, H = self._of_batch("kron", x, y, kwargs)
        for factors in H.kfacs:
            if len(factors) == 2:
                factors[1] = factors[1] * (len(y) / N)
        return loss, H

    def diag(self, x: Inputs, y: Tensor, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """The loss of a batch and the diagonal of its curvature, (P,)."""
        return self._of_batch("diag", x, y, kwargs)

    def _of_batch(self, structure: str, x: Any, y: Tensor, kwargs: Mapping[str, Any]) -> tuple[Tensor, Any]:
        batch = summed(self, structure, [(x, y)], kwargs)
        return batch.loss, batch.H

    def sums(self, structure: str, batches: Any, kwargs: Mapping[str, Any], progress: bool = False) -> Summed:
        """Loss and curvature of all batches by the core, with the posterior that it has made of them."""
        return summed(self, structure, batches, kwargs, progress=progress)


class GGNInterface(CurvatureInterface):
    """The generalised Gauss-Newton matrix, or with `stochastic` its estimate by labels drawn from the network.

    Args:
        num_samples: how many labels are drawn for each example.
    """

    curvature = "ggn"

    def __init__(
        self,
        model: nn.Module,
        likelihood: Likelihood | str,
        last_layer: bool = False,
        subnetwork_indices: Tensor | None = None,
        dict_key_x: str = "input_ids",
        dict_key_y: str = "labels",
        stochastic: bool = False,
        num_samples: Count = 1,
    ) -> None:
        super().__init__(model, likelihood, last_layer, subnetwork_indices, dict_key_x, dict_key_y)
        self.stochastic = stochastic
        self.num_samples = num_samples


class EFInterface(CurvatureInterface):
    """The empirical Fisher matrix: products of the gradients of each example's loss.

    That of regression is twice the definition, as in laplace-torch.
    """

    curvature = "empirical_fisher"


class HessianInterface(CurvatureInterface):
    """The exact Hessian of the loss; `full` alone has it."""

    curvature = "hessian"


def _row_of(out: Tensor, _label: Any = None) -> Tensor:
    """The outputs of the only row of a batch.

    Raises:
        ValueError: where they are something else.
    """
    if out.ndim < 2 or len(out) != 1:
        raise ValueError("The module treats a single row otherwise.")
    return out[0]


def _gradients(total: Tensor, own: Mapping[str, Tensor], differentiable: bool = False) -> Tensor:
    """The gradient of a sum over rows by the parameters of each of n rows, (n, P)."""
    parts = list(own.values())
    found = torch.autograd.grad(
        total, parts, retain_graph=True, create_graph=differentiable, allow_unused=True, materialize_grads=True
    )
    return torch.cat([part.reshape(len(part), -1) for part in found], dim=1)


def _row(x: Any, i: int) -> Any:
    return {key: value[i] for key, value in x.items()} if isinstance(x, Mapping) else x[i]


def _batch_of_one(example: Any) -> Any:
    if isinstance(example, Mapping):
        return {key: value[None] for key, value in example.items()}
    return example[None]
