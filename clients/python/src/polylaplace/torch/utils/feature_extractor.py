# mypy: disable-error-code="import-not-found,misc"
"""The inputs of a network's last linear layer."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import torch
from torch import Tensor, nn

from ..._arguments import CheckedArguments
from ..._exceptions import OptionError, ShapeError
from .._kinds import Inputs, allow_words

__all__ = ["FeatureExtractor", "FeatureReduction"]


class FeatureReduction(StrEnum):
    """What is taken of features at several positions of an example."""

    PICK_FIRST = "pick_first"
    PICK_LAST = "pick_last"
    AVERAGE = "average"


allow_words(FeatureReduction)


class UnknownNameError(OptionError, KeyError):
    """A name that the network does not have: laplace-torch raises a KeyError."""

    def __str__(self) -> str:
        return self.message


class FeatureExtractor(CheckedArguments, nn.Module):
    """A network that also gives the inputs of its last layer.

    Args:
        last_layer_name: the name of a `nn.Linear`. None: the module without children that runs last, once a forward
            pass has told which one it is.
        enable_backprop: whether the features keep their history.
        feature_reduction: 'pick_first', 'pick_last' or 'average' over all axes between the first and the last.

    Raises:
        OptionError: for another word of reduction, a name that no module has, or a last layer that is not linear.
    """

    def __init__(
        self,
        model: nn.Module,
        last_layer_name: str | None = None,
        enable_backprop: bool = False,
        feature_reduction: FeatureReduction | str | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.enable_backprop = enable_backprop
        self.feature_reduction = None if feature_reduction is None else FeatureReduction(feature_reduction)
        self.last_layer: Any = None
        self._last_layer_name: str | None = None
        if last_layer_name is not None:
            self.set_last_layer(last_layer_name)

    def forward(self, x: Inputs) -> Tensor:
        """The network's outputs."""
        return self.find_last_layer(x) if self.last_layer is None else self.model(x)

    def forward_with_features(self, x: Inputs, **model_kwargs: Any) -> tuple[Tensor, Tensor]:
        """The network's outputs, and the inputs of its last layer, reduced."""
        out, features = self._run(x, **model_kwargs)
        return out, self._reduced(features)

    def answering_features(self, x: Inputs, **model_kwargs: Any) -> tuple[Tensor, Tensor]:
        """The network's outputs, and the inputs of the last layer of which it makes them.

        Of a layer that is applied at every position they are those of the position that answers (the last token before
        the padding, say), whatever the reduction.

        Raises:
            ShapeError: when the outputs are not what the last layer makes of any of its inputs.
        """
        out, features = self._run(x, **model_kwargs)
        reduced = self._reduced(features)
        if _same(out, self.last_layer(reduced)):
            return out, reduced
        if features.ndim > 2 and out.ndim == 2:
            positions = features.flatten(1, -2)
            each = self.last_layer(positions)
            answering = (each - out[:, None]).abs().amax(dim=-1).argmin(dim=1)
            rows = torch.arange(len(out), device=out.device)
            if _same(out, each[rows, answering]):
                return out, positions[rows, answering]
        raise ShapeError(
            f"The network's outputs {tuple(out.shape)} are not what its last layer {self._last_layer_name!r} makes of "
            f"its inputs {tuple(features.shape)}: something comes after that layer. Name the layer that comes last by "
            "last_layer_name, or take polylaplace.Laplace, which follows the network to its end.",
            "SHAPE_MISMATCH",
        )

    def _run(self, x: Inputs, **model_kwargs: Any) -> tuple[Tensor, Tensor]:
        """Outputs, and the inputs of the last layer as they are."""
        if self.last_layer is None:
            self.find_last_layer(x)
        seen: list[Tensor] = []
        # A hook for this pass alone: it leaves nothing behind, so that the module can be copied and pickled.
        hook = self.last_layer.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
        try:
            out = self.model(x, **model_kwargs)
        finally:
            hook.remove()
        return out, seen[-1] if self.enable_backprop else seen[-1].detach()

    def _reduced(self, features: Tensor) -> Tensor:
        if self.feature_reduction is None or features.ndim <= 2:
            return features
        positions = features.flatten(1, -2)
        if self.feature_reduction is FeatureReduction.PICK_FIRST:
            return positions[:, 0]
        return positions[:, -1] if self.feature_reduction is FeatureReduction.PICK_LAST else positions.mean(dim=1)

    def set_last_layer(self, last_layer_name: str) -> None:
        """Takes the module of a name for the last layer."""
        layer = dict(self.model.named_modules()).get(last_layer_name)
        if not isinstance(layer, nn.Linear):
            found = "there is none of this name" if layer is None else f"that is a {type(layer).__name__}"
            raise UnknownNameError(
                f"The last layer must be linear, and {found}: {last_layer_name!r}. Name a nn.Linear with "
                "last_layer_name=.",
                "BAD_OPTION",
                {"option": "last_layer_name"},
            )
        self._last_layer_name = last_layer_name
        self.last_layer = layer

    def find_last_layer(self, x: Inputs) -> Tensor:
        """Runs the network to find its last layer.

        Raises:
            OptionError: when the last layer is known, or the network is a single module.
        """
        if self.last_layer is not None:
            raise OptionError(f"The last layer is known: {self._last_layer_name!r}.", "BAD_OPTION")
        modules = dict(self.model.named_modules())
        if len(modules) <= 2:
            raise OptionError("The network is a single module, and has no layers before its last one.", "BAD_OPTION")
        leaves = {name: module for name, module in modules.items() if not list(module.children())}
        order: list[str] = []
        hooks = [
            module.register_forward_hook(lambda _module, _inputs, _output, name=name: order.append(name))
            for name, module in leaves.items()
        ]
        try:
            out = self.model(x)
        finally:
            for hook in hooks:
                hook.remove()
        self.set_last_layer(order[-1])
        return out


def _same(out: Tensor, own: Tensor) -> bool:
    """Whether outputs are those of the last layer, to the rounding of another way to compute them."""
    # Nearly always to the last bit, which is a tenth of the time.
    return out.shape == own.shape and (
        torch.equal(out, own) or bool(torch.allclose(out, own, rtol=1e-3, atol=1e-5, equal_nan=True))
    )
