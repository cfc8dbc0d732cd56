"""The networks of the workloads that are not dense: torch modules by name, and what they are fed with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside a way around them, which is a 1 x 1 convolution where the shape changes."""

    def __init__(self, channels: int, out: int, stride: int, norm: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, 1, bias=not norm),
            *([nn.BatchNorm2d(out)] if norm else []),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=not norm),
            *([nn.BatchNorm2d(out)] if norm else []),
        )
        self.around = (
            nn.Identity()
            if stride == 1 and channels == out
            else nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=not norm), *([nn.BatchNorm2d(out)] if norm else [])
            )
        )
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x channels x H x W to N x out x H / stride x W / stride."""
        return self.relu(self.body(x) + self.around(x))


def small_convolutional() -> nn.Module:
    """W4: convolutions of 16 and 32 channels with pools between them, 512-64-10."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def residual(widths: list[int], blocks: int, norm: bool) -> nn.Module:
    """A residual network for images of 3 x 32 x 32: `blocks` blocks of each width, the resolution halved between."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, widths[0], 3, 1, 1, bias=not norm),
        *([nn.BatchNorm2d(widths[0])] if norm else []),
        nn.ReLU(),
    ]
    channels = widths[0]
    for i, width in enumerate(widths):
        for block in range(blocks):
            layers.append(Residual(channels, width, 2 if i > 0 and block == 0 else 1, norm))
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


class VisionTransformer(nn.Module):
    """Patches of 4 x 4 of a 3 x 32 x 32 image as tokens, a token for the class, and blocks of attention."""

    def __init__(self, width: int = 128, depth: int = 4, heads: int = 4) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.places = nn.Parameter(0.02 * torch.randn(1, 65, width))
        self.encoder = encoder(width, depth, heads, "gelu", norm_first=True)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x 3 x 32 x 32 to N x 10."""
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(tokens.shape[0], -1, -1), tokens], 1) + self.places
        return self.head(self.norm(self.encoder(tokens)[:, 0]))


class SequenceEncoder(nn.Module):
    """torch's TransformerEncoder over steps of 64 features, and the mean over them."""

    def __init__(self, width: int = 128, depth: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.embed = nn.Linear(64, width)
        self.encoder = encoder(width, depth, heads, "relu", norm_first=False)
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x 32 x 64 to N x 10."""
        return self.head(self.encoder(self.embed(x)).mean(1))


def encoder(width: int, depth: int, heads: int, activation: str, norm_first: bool) -> nn.Module:
    """Blocks of self-attention; the tensors of nested ones are not for export."""
    layer = nn.TransformerEncoderLayer(
        width, heads, 4 * width, 0.0, activation, batch_first=True, norm_first=norm_first
    )
    return nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)


class Recurrent(nn.Module):
    """An LSTM over 32 steps of 32 features, and a head on its last state."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.lstm = nn.LSTM(32, width, batch_first=True)
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x 32 x 32 to N x 10."""
        return self.head(self.lstm(x)[0][:, -1])


#: The shape of one example, and what makes the network.
NETWORKS: dict[str, tuple[list[int], Callable[[], nn.Module]]] = {
    "W4": ([1, 16, 16], small_convolutional),
    "res8": ([3, 32, 32], lambda: residual([16, 32, 64], 1, norm=False)),
    "resnet18": ([3, 32, 32], lambda: residual([64, 128, 256, 512], 2, norm=True)),
    "vit": ([3, 32, 32], VisionTransformer),
    "transformer": ([32, 64], SequenceEncoder),
    "lstm": ([32, 32], Recurrent),
}


def network(name: str, seed: int = 0) -> nn.Module:
    """The network of a workload with seeded weights, made for evaluation."""
    torch.manual_seed(seed)
    net = NETWORKS[name][1]()
    with torch.no_grad():
        # The layers of an encoder are copies of each other, which an exporter would store once.
        for parameter in net.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    return net.eval()
