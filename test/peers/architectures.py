"""Small torch versions of the architectures that people use, and their exports by both of torch's exporters.

`python test/peers/architectures.py FOLDER all 0 1` writes every export and `exports.json`, which `architectures.mjs`
reads; `two 1 2` writes two exports of every second architecture.
"""

from __future__ import annotations

import json
import math
import pathlib
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import compound_networks as compound
import torch
import torch.nn.functional as F
from torch import Tensor, nn

TOKENS = 7


@dataclass(frozen=True)
class Architecture:
    """A network of a kind.

    `shapes` are those of one example's inputs, `kinds` a letter for each: r for real numbers, t for tokens, m for a mask
    of padding. `batch` is the axis of the examples in the outputs, and
    `class_axis` that of the classes once the examples come first. `newer_only` is for what torch's older exporter cannot write, or writes
    wrongly. `head` are the parameters of its last linear layer, by the beginnings of their names; None: those of the
    last module that has a weight.
    """

    name: str
    build: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...]
    kinds: str = "r"
    likelihood: str = "classification"
    positions: bool = False
    batch: int = 0
    class_axis: int = -1
    newer_only: bool = False
    head: tuple[str, ...] | None = None


class Residual(nn.Module):
    def __init__(self, body: nn.Module, short: nn.Module | None = None, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.body, self.short = body, short or nn.Identity()
        self.activation = activation or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.body(x) + self.short(x))


def conv_bn(a: int, b: int, k: int, *, stride: int = 1, groups: int = 1, act: nn.Module | None = None) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(a, b, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(b)]
    return nn.Sequential(*layers, *([] if act is None else [act]))


def head(channels: int, classes: int = 3) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]


def lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, padding=2),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 6, 5),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(6, 8),
        nn.Tanh(),
        nn.Linear(8, 3),
    )


def resnet() -> nn.Module:
    def block(a: int, b: int, stride: int) -> nn.Module:
        short = conv_bn(a, b, 1, stride=stride) if stride != 1 or a != b else None
        return Residual(
            nn.Sequential(conv_bn(a, b, 3, stride=stride, act=nn.ReLU()), conv_bn(b, b, 3)), short, nn.ReLU()
        )

    return nn.Sequential(
        conv_bn(3, 4, 3, act=nn.ReLU()), nn.MaxPool2d(3, 2, 1), block(4, 4, 1), block(4, 8, 2), *head(8)
    )


def bottleneck_resnet() -> nn.Module:
    body = nn.Sequential(conv_bn(8, 4, 1, act=nn.ReLU()), conv_bn(4, 4, 3, groups=2, act=nn.ReLU()), conv_bn(4, 8, 1))
    return nn.Sequential(conv_bn(3, 8, 3, act=nn.ReLU()), Residual(body, None, nn.ReLU()), *head(8))


def mobilenet() -> nn.Module:
    def inverted(a: int, b: int, stride: int) -> nn.Module:
        body = nn.Sequential(
            conv_bn(a, 2 * a, 1, act=nn.ReLU6()),
            conv_bn(2 * a, 2 * a, 3, stride=stride, groups=2 * a, act=nn.ReLU6()),
            conv_bn(2 * a, b, 1),
        )
        return Residual(body) if stride == 1 and a == b else body

    return nn.Sequential(conv_bn(3, 4, 3, act=nn.ReLU6()), inverted(4, 4, 1), inverted(4, 6, 2), *head(6))


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int, gate: nn.Module) -> None:
        super().__init__()
        self.scale = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 2, 1), nn.SiLU(), nn.Conv2d(2, channels, 1), gate
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale(x)


def mobilenet_v3() -> nn.Module:
    body = nn.Sequential(
        conv_bn(4, 8, 1, act=nn.Hardswish()),
        conv_bn(8, 8, 3, groups=8, act=nn.Hardswish()),
        SqueezeExcite(8, nn.Hardsigmoid()),
        conv_bn(8, 4, 1),
    )
    return nn.Sequential(conv_bn(3, 4, 3, stride=2, act=nn.Hardswish()), Residual(body), *head(4))


def efficientnet() -> nn.Module:
    body = nn.Sequential(
        conv_bn(4, 8, 1, act=nn.SiLU()),
        conv_bn(8, 8, 3, groups=8, act=nn.SiLU()),
        SqueezeExcite(8, nn.Sigmoid()),
        conv_bn(8, 4, 1),
    )
    return nn.Sequential(conv_bn(3, 4, 3, stride=2, act=nn.SiLU()), Residual(body), *head(4))


class ChannelShuffle(nn.Module):
    """ShuffleNet's unit: half of the channels pass, the other half is convolved; then the halves are mixed."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.body = nn.Sequential(
            conv_bn(half, half, 1, act=nn.ReLU()),
            conv_bn(half, half, 3, groups=half),
            conv_bn(half, half, 1, act=nn.ReLU()),
        )

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, dim=1)
        joined = torch.cat([a, self.body(b)], 1)
        n, c, h, w = joined.shape
        return joined.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def shufflenet() -> nn.Module:
    return nn.Sequential(conv_bn(3, 8, 3, stride=2, act=nn.ReLU()), ChannelShuffle(8), ChannelShuffle(8), *head(8))


class ChannelsLast(nn.Module):
    """LayerNorm over channels, as ConvNeXt and Swin have it."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.body = ChannelsLast(
            nn.Sequential(
                nn.LayerNorm(channels), nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels)
            )
        )
        self.scale = nn.Parameter(0.1 * torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale[:, None, None] * self.body(self.depthwise(x))


def convnext() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 2, 2),
        ChannelsLast(nn.LayerNorm(6)),
        ConvNeXtBlock(6),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.LayerNorm(6),
        nn.Linear(6, 3),
    )


class DenseLayer(nn.Module):
    def __init__(self, a: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.BatchNorm2d(a), nn.ReLU(), nn.Conv2d(a, growth, 3, padding=1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], 1)


def densenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        DenseLayer(4, 3),
        DenseLayer(7, 3),
        nn.BatchNorm2d(10),
        nn.ReLU(),
        nn.Conv2d(10, 5, 1),
        nn.AvgPool2d(2),
        DenseLayer(5, 3),
        *head(8),
    )


def squeezenet() -> nn.Module:
    class Fire(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.squeeze, self.one, self.three = nn.Conv2d(6, 3, 1), nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            s = F.relu(self.squeeze(x))
            return torch.cat([F.relu(self.one(s)), F.relu(self.three(s))], 1)

    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Fire(),
        nn.Dropout(0.5),
        nn.Conv2d(6, 3, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


class Patches(nn.Module):
    def __init__(self, width: int, patch: int, count: int, tokens: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(3, width, patch, patch)
        self.special = nn.Parameter(torch.randn(1, tokens, width))
        self.position = nn.Parameter(0.1 * torch.randn(1, count + tokens, width))

    def forward(self, x: Tensor) -> Tensor:
        rows = self.project(x).flatten(2).transpose(1, 2)
        return torch.cat([self.special.expand(x.shape[0], -1, -1), rows], 1) + self.position


class Vit(nn.Module):
    """A vision transformer; DeiT has a second token, for distillation, and a second head."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.patches = Patches(8, 4, 4, tokens)
        layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(8)
        self.heads = nn.ModuleList(nn.Linear(8, 3) for _ in range(tokens))

    def forward(self, x: Tensor) -> Tensor:
        rows = self.norm(self.encoder(self.patches(x)))
        results = [head(rows[:, i]) for i, head in enumerate(self.heads)]
        return results[0] if len(results) == 1 else (results[0] + results[1]) / 2


class WindowAttention(nn.Module):
    """Swin's attention within shifted windows, with relative positions and a mask."""

    def __init__(self, width: int, window: int, side: int, shift: int) -> None:
        super().__init__()
        self.window, self.shift, self.heads, self.side = window, shift, 2, side
        self.norm, self.qkv, self.out = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.table = nn.Parameter(0.1 * torch.randn((2 * window - 1) ** 2, self.heads))
        at = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
        apart = (at[:, :, None] - at[:, None, :]).permute(1, 2, 0) + window - 1
        self.register_buffer("index", apart[..., 0] * (2 * window - 1) + apart[..., 1])
        regions = torch.zeros(1, side, side, 1)
        parts = (slice(0, -window), slice(-window, -shift), slice(-shift, None)) if shift else (slice(None),)
        for k, (a, b) in enumerate((a, b) for a in parts for b in parts):
            regions[:, a, b, :] = k
        cells = self.split(regions).squeeze(-1)
        apart = cells[:, None, :] - cells[:, :, None]
        self.register_buffer("mask", torch.zeros_like(apart).masked_fill(apart != 0, -100.0))

    def split(self, x: Tensor) -> Tensor:
        n, h, w, c = x.shape
        k = self.window
        return x.view(n, h // k, k, w // k, k, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, k * k, c)

    def forward(self, x: Tensor) -> Tensor:
        n, h, w, c = x.shape
        k = self.window
        moved = torch.roll(self.norm(x), (-self.shift, -self.shift), (1, 2)) if self.shift else self.norm(x)
        rows = self.split(moved)
        q, key, v = self.qkv(rows).reshape(rows.shape[0], k * k, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        scores = q @ key.transpose(-2, -1) / math.sqrt(q.shape[-1])
        scores = scores + self.table[self.index].permute(2, 0, 1)
        if self.shift:
            count = self.mask.shape[0]
            scores = scores.view(-1, count, self.heads, k * k, k * k) + self.mask[:, None]
            scores = scores.view(-1, self.heads, k * k, k * k)
        y = self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, k * k, c))
        y = y.view(-1, h // k, w // k, k, k, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, h, w, c)
        return x + (torch.roll(y, (self.shift, self.shift), (1, 2)) if self.shift else y)


class Swin(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Conv2d(3, 8, 2, 2)
        self.blocks = nn.Sequential(WindowAttention(8, 2, 4, 0), WindowAttention(8, 2, 4, 1))
        self.merge = nn.Linear(32, 8, bias=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.blocks(self.project(x).permute(0, 2, 3, 1))
        corners = [y[:, i::2, j::2, :] for j in (0, 1) for i in (0, 1)]
        return self.head(self.merge(torch.cat(corners, -1)).flatten(1, 2).mean(1))


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Conv2d(3, 6, 4, 4)
        self.first, self.second = nn.LayerNorm(6), nn.LayerNorm(6)
        self.tokens = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))
        self.channels = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 6))
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(x).flatten(2).transpose(1, 2)
        y = y + self.tokens(self.first(y).transpose(1, 2)).transpose(1, 2)
        y = y + self.channels(self.second(y))
        return self.head(y.mean(1))


class UNet(nn.Module):
    """Class scores for every pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.down = conv_bn(3, 4, 3, act=nn.ReLU())
        self.bottom = nn.Sequential(nn.MaxPool2d(2), conv_bn(4, 6, 3, act=nn.ReLU()))
        self.up = nn.ConvTranspose2d(6, 4, 2, 2)
        self.out = nn.Sequential(conv_bn(8, 4, 3, act=nn.ReLU()), nn.Conv2d(4, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        a = self.down(x)
        return self.out(torch.cat([a, self.up(self.bottom(a))], 1))


class Fcn(nn.Module):
    """Segmentation whose scores are enlarged by interpolation."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_bn(3, 4, 3, stride=2, act=nn.ReLU()), nn.Conv2d(4, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(self.body(x), size=x.shape[-2:], mode="bilinear", align_corners=False)


def dcgan_discriminator() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4, 6, 4, 2, 1, bias=False),
        nn.BatchNorm2d(6),
        nn.LeakyReLU(0.2),
        nn.Conv2d(6, 1, 2, bias=False),
        nn.Flatten(),
    )


def dcgan_generator() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (4, 1, 1)),
        nn.ConvTranspose2d(4, 4, 2, 1, 0, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 1, 4, 2, 1, bias=False),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int, causal: bool, fused: bool) -> None:
        super().__init__()
        self.heads, self.causal, self.fused = heads, causal, fused
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        n, t, c = x.shape
        q, k, v = (part.view(n, t, self.heads, -1).transpose(1, 2) for part in self.qkv(x).split(c, -1))
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal, attn_mask=mask)
        else:
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
            if self.causal:
                allowed = torch.ones(t, t, dtype=torch.bool, device=x.device).tril()
                scores = scores.masked_fill(~allowed, float("-inf"))
            if mask is not None:
                scores = scores + mask
            y = scores.softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(n, t, c))


class Gpt(nn.Module):
    """Next tokens at every position, or classes from the last one."""

    def __init__(self, fused: bool, positions: bool) -> None:
        super().__init__()
        self.positions = positions
        self.token, self.position = nn.Embedding(7, 8), nn.Embedding(5, 8)
        self.norms = nn.ModuleList(nn.LayerNorm(8) for _ in range(3))
        self.attention = SelfAttention(8, 2, True, fused)
        self.body = nn.Sequential(nn.Linear(8, 16), nn.GELU(approximate="tanh"), nn.Linear(16, 8))
        self.head = nn.Linear(8, 7 if positions else 3, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.token(ids) + self.position(torch.arange(ids.shape[1], device=ids.device))
        x = x + self.attention(self.norms[0](x))
        x = self.norms[2](x + self.body(self.norms[1](x)))
        return self.head(x if self.positions else x[:, -1])


class Bert(nn.Module):
    """Ids and a mask of padding; `kinds` adds embeddings of segments."""

    def __init__(self, kinds: bool = True, pooled: bool = True, padding: int | None = None) -> None:
        super().__init__()
        self.padding = padding
        self.word, self.position = nn.Embedding(7, 8), nn.Embedding(9, 8)
        self.kind = nn.Embedding(2, 8) if kinds else None
        self.norms = nn.ModuleList(nn.LayerNorm(8, eps=1e-12) for _ in range(3))
        self.attention = SelfAttention(8, 2, False, False)
        self.body = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.pool = nn.Linear(8, 8)
        self.pooled = pooled
        self.head = nn.Linear(8, 3)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        if self.padding is None:
            positions = torch.arange(ids.shape[1], device=ids.device)[None].expand(ids.shape)
        else:
            counted = ids.ne(self.padding).int()
            positions = (torch.cumsum(counted, 1) * counted).long() + self.padding
        x = self.word(ids) + self.position(positions)
        if self.kind is not None:
            x = x + self.kind(torch.zeros_like(ids))
        x = self.norms[0](x)
        if mask is None:
            mask = torch.ones_like(ids)
        bias = (1.0 - mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        x = self.norms[1](x + self.attention(x, bias))
        x = self.norms[2](x + self.body(x))
        first = x[:, 0]
        return self.head(torch.tanh(self.pool(first)) if self.pooled else F.relu(self.pool(first)))


class Llama(nn.Module):
    """Rotary positions, root mean squares, gated units, shared heads of keys."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Embedding(7, 8)
        self.norms = nn.ParameterList(torch.ones(8) for _ in range(3))
        self.q, self.k, self.v, self.o = (nn.Linear(8, width, bias=False) for width in (8, 4, 4, 8))
        self.gate, self.up, self.down = (
            nn.Linear(8, 12, bias=False),
            nn.Linear(8, 12, bias=False),
            nn.Linear(12, 8, bias=False),
        )
        self.head = nn.Linear(8, 7, bias=False)
        self.register_buffer("frequencies", 1.0 / 10000 ** (torch.arange(0, 4, 2) / 4))

    def normalise(self, x: Tensor, i: int) -> Tensor:
        return self.norms[i] * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))

    def rotate(self, x: Tensor) -> Tensor:
        angles = torch.arange(x.shape[2], device=x.device)[:, None] * self.frequencies
        cos, sin = torch.cat([angles, angles], -1).cos(), torch.cat([angles, angles], -1).sin()
        a, b = x.chunk(2, -1)
        return x * cos + torch.cat([-b, a], -1) * sin

    def forward(self, ids: Tensor) -> Tensor:
        x = self.token(ids)
        y = self.normalise(x, 0)
        n, t, _ = y.shape
        q, k, v = (layer(y).view(n, t, -1, 4).transpose(1, 2) for layer in (self.q, self.k, self.v))
        k, v = (each[:, :, None].expand(n, 1, 2, t, 4).reshape(n, 2, t, 4) for each in (self.rotate(k), v))
        y = F.scaled_dot_product_attention(self.rotate(q), k, v, is_causal=True)
        x = x + self.o(y.transpose(1, 2).reshape(n, t, 8))
        y = self.normalise(x, 1)
        x = x + self.down(F.silu(self.gate(y)) * self.up(y))
        return self.head(self.normalise(x, 2))


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], **options: object) -> None:
        super().__init__()
        self.body = kind(3, 4, batch_first=True, **options)
        self.head = nn.Linear(8 if options.get("bidirectional") else 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.body(x)
        return self.head(y[:, -1])


class LastState(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.body, self.head = nn.Embedding(7, 3), nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, ids: Tensor) -> Tensor:
        _, (h, _) = self.body(self.embed(ids))
        return self.head(h[-1])


class Tcn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(2, 4, 3, dilation=1), nn.Conv1d(4, 4, 3, dilation=2)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first(F.pad(x, (2, 0))))
        y = y + F.relu(self.second(F.pad(y, (4, 0))))
        return self.head(y[:, :, -1])


class Encoder(nn.Module):
    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, "relu", batch_first=True, norm_first=norm_first)
        self.first, self.body = nn.Linear(3, 8), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.first(x)).mean(1))


class FtTransformer(nn.Module):
    """Every number of a table a token."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(5, 8)), nn.Parameter(torch.randn(5, 8))
        self.cls = nn.Parameter(torch.randn(1, 1, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, "relu", batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        tokens = x[..., None] * self.weight + self.bias
        return self.head(self.body(torch.cat([self.cls.expand(x.shape[0], -1, -1), tokens], 1))[:, 0])


class TabNet(nn.Module):
    """Two steps of features chosen by sparsemax."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(5)
        self.steps = nn.ModuleList(nn.Linear(5, 8) for _ in range(3))
        self.masks = nn.ModuleList(nn.Linear(4, 5) for _ in range(2))
        self.head = nn.Linear(4, 3)

    @staticmethod
    def sparsemax(z: Tensor) -> Tensor:
        ordered, _ = torch.sort(z, -1, descending=True)
        k = torch.arange(1, z.shape[-1] + 1, device=z.device, dtype=z.dtype)
        total = ordered.cumsum(-1) - 1
        support = (k * ordered > total).to(z.dtype)
        size = support.sum(-1, keepdim=True)
        threshold = total.gather(-1, size.long() - 1) / size
        return torch.clamp(z - threshold, min=0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        prior = torch.ones_like(x)
        state = F.glu(self.steps[0](x), -1)
        total = torch.zeros_like(state)
        for mask, step in zip(self.masks, self.steps[1:], strict=True):
            chosen = self.sparsemax(mask(state) * prior)
            prior = prior * (1.3 - chosen)
            state = F.glu(step(chosen * x), -1)
            total = total + F.relu(state)
        return self.head(total)


class NodeTrees(nn.Module):
    """Neural oblivious decision trees: soft choices of features and thresholds."""

    def __init__(self) -> None:
        super().__init__()
        self.choice = nn.Parameter(torch.randn(5, 4, 2))
        self.threshold, self.scale = nn.Parameter(torch.randn(4, 2)), nn.Parameter(torch.zeros(4, 2))
        self.response = nn.Parameter(torch.randn(4, 3, 4))
        codes = torch.tensor([[(leaf >> depth) & 1 for leaf in range(4)] for depth in range(2)])
        self.register_buffer("codes", torch.stack([codes, 1 - codes], -1).float())

    def forward(self, x: Tensor) -> Tensor:
        features = torch.einsum("bi,itd->btd", x, self.choice.softmax(0))
        logits = (features - self.threshold) * torch.exp(-self.scale)
        bins = torch.clamp(0.5 * torch.stack([-logits, logits], -1) + 0.5, 0, 1)
        matches = torch.einsum("btds,dcs->btdc", bins, self.codes).prod(-2)
        return torch.einsum("btc,tkc->btk", matches, self.response).mean(1)


class OdeNet(nn.Module):
    """A neural ODE by Euler's rule: the same layer several times."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.field, self.head = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        for _ in range(4):
            y = y + 0.25 * torch.tanh(self.field(y))
        return self.head(y)


class TwoInputs(nn.Module):
    """Numbers and categories."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 3)
        self.body = nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        return self.body(torch.cat([numbers, self.embed(categories).flatten(1)], 1))


class SpatialTransformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.where = nn.Linear(64, 6)
        self.head = nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        grid = F.affine_grid(self.where(x.flatten(1)).view(-1, 2, 3), list(x.shape), align_corners=False)
        return self.head(F.grid_sample(x, grid, align_corners=False).flatten(1))


def mlp(*layers: nn.Module, width: int = 6) -> nn.Module:
    return nn.Sequential(nn.Linear(4, width), *layers, nn.Linear(width, 3))


IMAGE = ((3, 8, 8),)
SEQUENCE = ((5, 3),)
IDS = ((5,),)

ARCHITECTURES = (
    Architecture("MLP", lambda: mlp(nn.ReLU(), nn.Dropout(0.1), nn.Linear(6, 6), nn.SiLU()), ((4,),)),
    Architecture("MLP for regression", lambda: mlp(nn.Tanh()), ((4,),), likelihood="regression"),
    Architecture("LeNet", lenet, ((1, 12, 12),)),
    Architecture("ResNet", resnet, IMAGE),
    Architecture("ResNeXt", bottleneck_resnet, IMAGE),
    Architecture("MobileNetV2", mobilenet, IMAGE),
    Architecture("MobileNetV3", mobilenet_v3, IMAGE),
    Architecture("ShuffleNetV2", shufflenet, IMAGE),
    Architecture("EfficientNet", efficientnet, IMAGE),
    Architecture("ConvNeXt", convnext, IMAGE),
    Architecture("DenseNet", densenet, IMAGE),
    Architecture("SqueezeNet", squeezenet, IMAGE),
    Architecture("ViT", lambda: Vit(1), IMAGE),
    Architecture("DeiT", lambda: Vit(2), IMAGE, head=("heads.",)),
    Architecture("Swin", Swin, IMAGE),
    Architecture("MLP-Mixer", Mixer, IMAGE),
    Architecture("U-Net", UNet, IMAGE, positions=True, class_axis=1),
    Architecture("FCN", Fcn, IMAGE, positions=True, class_axis=1),
    Architecture("DeepLab", compound.DeepLab, IMAGE, positions=True, class_axis=1),
    Architecture("YOLO", compound.Yolo, IMAGE, likelihood="regression", positions=True),
    Architecture("CRNN for CTC", compound.Crnn, ((1, 8, 12),), positions=True, batch=1),
    Architecture("DCGAN discriminator", dcgan_discriminator, IMAGE, likelihood="binary"),
    Architecture("DCGAN generator with a head", dcgan_generator, ((4,),)),
    Architecture("Spatial transformer", SpatialTransformer, ((1, 8, 8),)),
    Architecture("GPT", lambda: Gpt(False, True), IDS, "t", positions=True),
    Architecture("GPT with fused attention", lambda: Gpt(True, True), IDS, "t", positions=True),
    Architecture("GPT with a tied head", compound.TiedGpt, IDS, "t", positions=True, head=("wte.",)),
    Architecture("GPT, the last token", lambda: Gpt(True, False), IDS, "t"),
    Architecture("LLaMA", Llama, IDS, "t", positions=True),
    Architecture("BERT", Bert, IDS, "t"),
    Architecture("BERT with a mask", Bert, ((5,), (5,)), "tm"),
    Architecture("BERT with a label for every token", compound.TokenLabels, IDS, "t", positions=True),
    Architecture("RoBERTa", lambda: Bert(True, True, 1), IDS, "t"),
    Architecture("DistilBERT", lambda: Bert(False, False), IDS, "t"),
    Architecture("RNN", lambda: Recurrent(nn.RNN), SEQUENCE),
    Architecture("LSTM", lambda: Recurrent(nn.LSTM), SEQUENCE),
    Architecture("LSTM of two layers", lambda: Recurrent(nn.LSTM, num_layers=2), SEQUENCE),
    Architecture("LSTM of tokens", LastState, IDS, "t"),
    Architecture("GRU", lambda: Recurrent(nn.GRU), SEQUENCE),
    Architecture("Bidirectional LSTM", lambda: Recurrent(nn.LSTM, bidirectional=True), SEQUENCE),
    Architecture("Bidirectional GRU", lambda: Recurrent(nn.GRU, bidirectional=True), SEQUENCE),
    Architecture("ConvLSTM", compound.ConvLstm, ((3, 1, 4, 4),)),
    Architecture("TCN", Tcn, ((2, 6),)),
    Architecture("WaveNet", compound.WaveNet, ((1, 6),), positions=True, class_axis=1),
    Architecture("wav2vec", compound.Wav2Vec, ((29,),)),
    Architecture("State space (Mamba)", compound.StateSpace, SEQUENCE),
    Architecture("TransformerEncoder", lambda: Encoder(False), SEQUENCE),
    Architecture("TransformerEncoder, norm first", lambda: Encoder(True), SEQUENCE),
    Architecture("Attention pooling", compound.AttentionPooling, SEQUENCE),
    Architecture("PointNet", compound.PointNet, ((3, 5),)),
    Architecture("FT-Transformer", FtTransformer, ((5,),)),
    Architecture("TabNet", TabNet, ((5,),)),
    Architecture("NODE", NodeTrees, ((5,),), head=("response",)),
    Architecture("KAN", compound.Kan, ((4,),), head=("second",)),
    Architecture("Radial basis functions", compound.RadialBasis, ((4,),)),
    Architecture("Bilinear head", compound.BilinearHead, ((4,),), newer_only=True),
    Architecture("Highway network", compound.Highway, ((4,),), head=("head.", "skip.")),
    Architecture("Cosine head", compound.CosineHead, ((4,),), head=("prototypes",)),
    Architecture("Mixture of experts", compound.MixtureOfExperts, ((4,),)),
    Architecture("Neural ODE", OdeNet, ((4,),)),
    Architecture("Graph network of messages", compound.GraphNetwork, ((4, 3),), newer_only=True),
    Architecture("Graph attention", compound.ScatterGraph, ((4, 3),)),
    Architecture("Graph convolutions", compound.Gcn, ((4, 3), (4, 4)), "rr"),
    Architecture("Siamese network", compound.Siamese, ((4,), (4,)), "rr", likelihood="binary"),
    Architecture("Numbers and categories", TwoInputs, ((4,), (2,)), "rt"),
    Architecture("Recommender (DLRM)", compound.Dlrm, ((4,), (2,)), "rt", likelihood="binary"),
)


def example_inputs(architecture: Architecture, rows: int) -> tuple[Tensor, ...]:
    """Rows of every input."""
    generator = torch.Generator().manual_seed(rows)
    inputs = []
    for kind, shape in zip(architecture.kinds, architecture.shapes, strict=True):
        if kind == "r":
            inputs.append(torch.randn(rows, *shape, generator=generator))
        elif kind == "m":
            inputs.append((torch.arange(shape[0])[None] < torch.arange(rows)[:, None] % 4 + 2).long())
        else:
            inputs.append(torch.randint(2, TOKENS, (rows, *shape), generator=generator))
    return tuple(inputs)


def double_inputs(architecture: Architecture, rows: int) -> tuple[Tensor, ...]:
    """The same, real numbers in double precision."""
    inputs = example_inputs(architecture, rows)
    return tuple(each.double() if each.is_floating_point() else each for each in inputs)


def trained(architecture: Architecture) -> nn.Module:
    """The network with statistics and weights as training leaves them."""
    torch.manual_seed(0)
    module = architecture.build()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
        module.train()
        for seed in range(3):
            module(*example_inputs(architecture, 8 + seed))
    return module.eval()


def head_names(architecture: Architecture, module: nn.Module) -> list[str]:
    """The parameters of the last linear layer."""
    names = [name for name, _ in module.named_parameters()]
    prefixes = architecture.head
    if prefixes is None:
        weights = [name for name in names if name.endswith(".weight") and module.get_parameter(name).ndim > 1]
        prefixes = (weights[-1].removesuffix("weight"),)
    return [name for name in names if name.startswith(prefixes)]


def export(architecture: Architecture, module: nn.Module, path: pathlib.Path, dynamo: bool, dynamic: bool) -> None:
    inputs = example_inputs(architecture, 2 if dynamic or not dynamo else 1)
    names = ["x", "z"][: len(inputs)]
    options: dict[str, object] = {"input_names": names, "output_names": ["y"], "dynamo": dynamo}
    if dynamo:
        options |= {"external_data": False, "verbose": False}
    if dynamic and dynamo:
        batch = torch.export.Dim("n")
        options["dynamic_shapes"] = tuple({0: batch} for _ in inputs)
    elif dynamic:
        options["dynamic_axes"] = {**{name: {0: "n"} for name in names}, "y": {architecture.batch: "n"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, inputs, str(path), **options)


def example_labels(architecture: Architecture, outputs: Tensor) -> Tensor:
    """Labels of the shape that the likelihood takes, examples first."""
    rows = outputs.movedim(architecture.batch, 0)
    if architecture.likelihood == "regression":
        return rows + torch.sin(torch.arange(rows.numel())).view(rows.shape)
    if architecture.likelihood == "binary":
        return torch.arange(len(rows)) % 2
    axis = (architecture.class_axis if architecture.positions else 1) % rows.ndim
    shape = [extent for k, extent in enumerate(rows.shape) if k != axis]
    return (torch.arange(math.prod(shape)) % rows.shape[axis]).view(shape)


def _as_json(value: Tensor) -> dict[str, object]:
    return {
        "shape": list(value.shape),
        "integers": not value.is_floating_point(),
        "data": value.flatten().tolist(),
    }


def entry_of(
    architecture: Architecture, module: nn.Module, path: pathlib.Path, dynamo: bool, dynamic: bool
) -> dict[str, object]:
    """An export, with inputs and torch's outputs: what architectures.mjs needs to know of it."""
    inputs = example_inputs(architecture, 4)
    with torch.no_grad():
        outputs = module(*inputs)
    entry: dict[str, object] = {
        "architecture": architecture.name, "export": way_name(dynamo, dynamic), "path": str(path),
        "likelihood": architecture.likelihood, "batch": architecture.batch, "parameters": sum(each.numel() for each in module.parameters()),
        "inputs": [_as_json(each) for each in inputs], "output": _as_json(outputs),
        "labels": _as_json(example_labels(architecture, outputs)),
    }  # fmt: skip
    try:
        export(architecture, module, path, dynamo, dynamic)
    except Exception as error:
        entry["failed"] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:160]}"
    return entry


def write_exports(
    folder: pathlib.Path, ways: Callable[[Architecture], list[tuple[bool, bool]]], part: int, parts: int
) -> None:
    """Exports of every `parts`-th architecture, in the ways (newer exporter, any batch) that its number gets."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for number, architecture in enumerate(ARCHITECTURES):
        if number % parts != part:
            continue
        module = trained(architecture)
        for dynamo, dynamic in ways(architecture):
            path = folder / f"{number}-{'new' if dynamo else 'old'}-{'any' if dynamic else 'fixed'}.onnx"
            entries.append(entry_of(architecture, module, path, dynamo, dynamic))
    (folder / "exports.json").write_text(json.dumps(entries))


def way_name(dynamo: bool, dynamic: bool) -> str:
    return f"{'new' if dynamo else 'old'} exporter, {'any' if dynamic else 'fixed'} batch"


def all_ways(architecture: Architecture) -> list[tuple[bool, bool]]:
    exporters = (True,) if architecture.newer_only else (True, False)
    return [(dynamo, dynamic) for dynamo in exporters for dynamic in (True, False)]


def two_ways(architecture: Architecture) -> list[tuple[bool, bool]]:
    """Both exporters, one of them with a batch of any size and the other with a fixed one."""
    if architecture.newer_only:
        return all_ways(architecture)
    first = ARCHITECTURES.index(architecture) // 2 % 2 == 0
    return [(True, first), (False, not first)]


if __name__ == "__main__":
    target, chosen, part, parts = sys.argv[1:]
    write_exports(pathlib.Path(target), two_ways if chosen == "two" else all_ways, int(part), int(parts))
