"""Networks of several parts, as their users write them: detectors, mixtures of experts, graphs, towers."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Crnn(nn.Module):
    """Optical character recognition: T x N x C, as CTC wants it."""

    def __init__(self) -> None:
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, padding=(0, 1)), nn.ReLU()
        )
        self.rnn = nn.LSTM(12, 4, bidirectional=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        features = self.cnn(x)
        n, c, h, w = features.shape
        rows = features.reshape(n, c * h, w).permute(2, 0, 1)
        return self.head(self.rnn(rows)[0])


class Yolo(nn.Module):
    """Boxes, objectness and classes of two anchors in every cell."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3, 2, 1, bias=False),
            nn.BatchNorm2d(4),
            nn.SiLU(),
            nn.Conv2d(4, 6, 3, 2, 1),
            nn.LeakyReLU(0.1),
        )
        self.head = nn.Conv2d(6, 2 * 7, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.head(self.body(x))
        n, _, h, w = y.shape
        return y.view(n, 2, 7, h, w).permute(0, 1, 3, 4, 2).contiguous().view(n, -1, 7)


class TiedGpt(nn.Module):
    """A language model whose head is the table of its tokens."""

    def __init__(self, width: int = 6, tokens: int = 7, length: int = 5) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(tokens, width), nn.Embedding(length, width)
        self.ln_1, self.ln_2, self.ln_f = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.lm_head = nn.Linear(width, tokens, bias=False)
        self.lm_head.weight = self.wte.weight
        self.register_buffer("mask", torch.tril(torch.ones(length, length)).view(1, 1, length, length))

    def forward(self, ids: Tensor) -> Tensor:
        t = ids.shape[1]
        x = self.wte(ids) + self.wpe(torch.arange(t, device=ids.device))
        h = self.ln_1(x)
        n, _, c = h.shape
        q, k, v = (part.view(n, t, 2, c // 2).transpose(1, 2) for part in self.c_attn(h).split(c, dim=2))
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = F.softmax(att.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf")), dim=-1)
        x = x + self.c_proj((att @ v).transpose(1, 2).contiguous().view(n, t, c))
        return self.lm_head(self.ln_f(x + self.mlp(self.ln_2(x))))


class TokenLabels(nn.Module):
    """A transformer that labels every token."""

    def __init__(self) -> None:
        super().__init__()
        self.word, self.position = nn.Embedding(7, 8), nn.Parameter(0.1 * torch.randn(1, 5, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 12, 0.0, "gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.classifier = nn.Linear(8, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.classifier(self.encoder(self.word(ids) + self.position))


class Wav2Vec(nn.Module):
    """Strided convolutions of a signal, positions by a convolution in groups with weight norm, a transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(1, 4, 5, 3, bias=False),
            nn.GroupNorm(4, 4),
            nn.GELU(),
            nn.Conv1d(4, 4, 3, 2, bias=False),
            nn.GELU(),
        )
        self.norm, self.project = nn.LayerNorm(4), nn.Linear(4, 8)
        self.positions = nn.utils.parametrizations.weight_norm(nn.Conv1d(8, 8, 4, padding=2, groups=2), dim=2)
        layer = nn.TransformerEncoderLayer(8, 2, 12, 0.0, "gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.projector, self.classifier = nn.Linear(8, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.norm(self.features(x[:, None]).transpose(1, 2)))
        moved = F.gelu(self.positions(y.transpose(1, 2))[:, :, :-1]).transpose(1, 2)
        return self.classifier(self.projector(self.encoder(y + moved)).mean(dim=1))


class GraphNetwork(nn.Module):
    """Messages along the edges of a graph that all examples share, added up at the nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.message, self.update, self.head = nn.Linear(6, 5), nn.Linear(8, 4), nn.Linear(4, 3)
        self.register_buffer("source", torch.tensor([0, 1, 1, 2, 3, 3]))
        self.register_buffer("target", torch.tensor([1, 0, 2, 1, 2, 0]))

    def forward(self, x: Tensor) -> Tensor:
        ends = torch.cat([x[:, self.source], x[:, self.target]], -1)
        messages = torch.relu(self.message(ends))
        total = torch.zeros(x.shape[0], x.shape[1], 5, dtype=x.dtype, device=x.device)
        total = total.index_add(1, self.target, messages)
        return self.head(torch.relu(self.update(torch.cat([x, total], -1))).mean(1))


class ScatterGraph(nn.Module):
    """Graph attention by scatter: softmax over the edges that come to a node."""

    def __init__(self) -> None:
        super().__init__()
        self.lin, self.att = nn.Linear(3, 4, bias=False), nn.Parameter(torch.randn(8))
        self.head = nn.Linear(4, 3)
        self.register_buffer("source", torch.tensor([0, 1, 1, 2, 3, 3]))
        self.register_buffer("target", torch.tensor([1, 0, 2, 1, 2, 0]))

    def forward(self, x: Tensor) -> Tensor:
        h = self.lin(x)
        a, b = h[:, self.source], h[:, self.target]
        scores = F.leaky_relu(torch.cat([a, b], -1) @ self.att, 0.25).exp()
        index = self.target[None].expand(x.shape[0], -1)
        total = torch.zeros_like(h[..., 0]).scatter_add(1, index, scores)
        weights = scores / total.gather(1, index)
        rows = torch.zeros_like(h).scatter_add(1, index[..., None].expand(-1, -1, 4), a * weights[..., None])
        return self.head(F.elu(rows)[:, 0])


class Gcn(nn.Module):
    """Graph convolutions by an adjacency that comes with every example."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        a = adjacency.abs() + torch.eye(adjacency.shape[-1], device=x.device, dtype=x.dtype)
        scale = a.sum(-1).rsqrt()
        a = scale[:, :, None] * a * scale[:, None, :]
        return (a @ self.second(torch.relu(a @ self.first(x)))).mean(1)


class MixtureOfExperts(nn.Module):
    """The two best experts of every row, weighted by a softmax of their scores."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(4, 3)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 4)) for _ in range(3))
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        best, chosen = self.gate(x).topk(2, dim=-1)
        weights = torch.zeros(x.shape[0], 3, dtype=x.dtype, device=x.device).scatter(-1, chosen, best.softmax(-1))
        results = torch.stack([expert(x) for expert in self.experts], 1)
        return self.head(x + (weights[..., None] * results).sum(1))


class Siamese(nn.Module):
    """Two inputs through one encoder, and a head on what tells them apart."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5))
        self.head = nn.Linear(10, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = self.encoder(a), self.encoder(b)
        return self.head(torch.cat([(a - b).abs(), a * b], 1))


class CosineHead(nn.Module):
    """Classes by the angle to learnt prototypes, times a learnt temperature (CLIP, ArcFace)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5))
        self.prototypes = nn.Parameter(torch.randn(3, 5))
        self.logit_scale = nn.Parameter(torch.tensor(1.2))

    def forward(self, x: Tensor) -> Tensor:
        y = F.normalize(self.body(x), dim=-1)
        return self.logit_scale.exp() * y @ F.normalize(self.prototypes, dim=-1).t()


class AttentionPooling(nn.Module):
    """A learnt query asks all positions (Perceiver, set transformers)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.query = nn.Linear(3, 8), nn.Parameter(torch.randn(1, 2, 8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.first(x))
        rows, _ = self.attention(self.query.expand(x.shape[0], -1, -1), y, y, need_weights=False)
        return self.head(self.norm(rows).flatten(1))


class PointNet(nn.Module):
    """The same layers for every point, then the largest of each feature."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(3, 6, 1), nn.BatchNorm1d(6), nn.ReLU(), nn.Conv1d(6, 8, 1), nn.BatchNorm1d(8), nn.ReLU()
        )
        self.head = nn.Sequential(nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).max(2)[0])


class WaveNet(nn.Module):
    """Gated dilated convolutions, skip connections, an answer at every time."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(1, 4, 1)
        self.gates = nn.ModuleList(nn.Conv1d(4, 8, 2, dilation=d) for d in (1, 2))
        self.skips = nn.ModuleList(nn.Conv1d(4, 4, 1) for _ in range(2))
        self.head = nn.Conv1d(4, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        y, total = self.first(x), torch.zeros(())
        for gate, skip in zip(self.gates, self.skips, strict=True):
            a, b = gate(F.pad(y, (gate.dilation[0], 0))).chunk(2, 1)
            z = torch.tanh(a) * torch.sigmoid(b)
            total = total + skip(z)
            y = y + z
        return self.head(F.relu(total))


class DeepLab(nn.Module):
    """Dilated convolutions side by side with a pooled image, enlarged again."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.branches = nn.ModuleList(nn.Conv2d(4, 3, 3, padding=d, dilation=d) for d in (1, 2))
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 3, 1), nn.ReLU())
        self.head = nn.Conv2d(9, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        whole = F.interpolate(self.pooled(y), size=y.shape[-2:], mode="nearest")
        y = self.head(torch.cat([*(F.relu(branch(y)) for branch in self.branches), whole], 1))
        return F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=True)


class Dlrm(nn.Module):
    """Numbers and categories, with the products of all pairs of their vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.bottom = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
        self.tables = nn.ModuleList(nn.Embedding(7, 3) for _ in range(2))
        self.top = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 1))
        self.register_buffer("i", torch.tensor([1, 2, 2]))
        self.register_buffer("j", torch.tensor([0, 0, 1]))

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        dense = self.bottom(numbers)
        rows = torch.stack([dense, *(table(categories[:, k]) for k, table in enumerate(self.tables))], 1)
        pairs = torch.bmm(rows, rows.transpose(1, 2))[:, self.i, self.j]
        return self.top(torch.cat([dense, pairs], 1))


class StateSpace(nn.Module):
    """A selective state space: a recurrence whose coefficients depend on the input (Mamba)."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.delta, self.b, self.c = nn.Linear(3, 8), nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(4, 2)
        self.log_a, self.d = nn.Parameter(torch.randn(4, 2)), nn.Parameter(torch.ones(4))
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        u, gate = self.into(x).chunk(2, -1)
        u = F.silu(u)
        step, b, c = F.softplus(self.delta(u)), self.b(u), self.c(u)
        decay = torch.exp(-step[..., None] * self.log_a.exp())
        state = torch.zeros_like(decay[:, 0])
        rows = []
        for t in range(x.shape[1]):
            state = decay[:, t] * state + (step[:, t] * u[:, t])[..., None] * b[:, t, None]
            rows.append((state * c[:, t, None]).sum(-1))
        y = (torch.stack(rows, 1) + u * self.d) * F.silu(gate)
        return self.head(y.mean(1))


class ConvLstm(nn.Module):
    """A recurrence of convolutions over frames."""

    def __init__(self) -> None:
        super().__init__()
        self.gates, self.head = nn.Conv2d(4, 12, 3, padding=1), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        n, t, _, h, w = x.shape
        state = cell = torch.zeros(n, 3, h, w, dtype=x.dtype, device=x.device)
        for k in range(t):
            i, f, o, g = self.gates(torch.cat([x[:, k], state], 1)).chunk(4, 1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            state = o.sigmoid() * cell.tanh()
        return self.head(state.mean((2, 3)))


class Kan(nn.Module):
    """Learnt functions on the edges (Kolmogorov-Arnold), by bumps on a grid."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("grid", torch.linspace(-2, 2, 5))
        self.first, self.second = nn.Parameter(0.3 * torch.randn(4, 5, 6)), nn.Parameter(0.3 * torch.randn(6, 5, 3))
        self.base = nn.Linear(4, 6)

    def bumps(self, x: Tensor) -> Tensor:
        return torch.exp(-(((x[..., None] - self.grid) / 1.0) ** 2))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.einsum("nik,iko->no", self.bumps(x), self.first) + self.base(F.silu(x))
        return torch.einsum("nik,iko->no", self.bumps(y), self.second)


class RadialBasis(nn.Module):
    """Distances to learnt centres."""

    def __init__(self) -> None:
        super().__init__()
        self.centres, self.log_width = nn.Parameter(torch.randn(6, 4)), nn.Parameter(torch.zeros(6))
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        squared = (x[:, None, :] - self.centres[None]).pow(2).sum(-1)
        return self.head(torch.exp(-squared * self.log_width.exp()))


class BilinearHead(nn.Module):
    """A bilinear form of two representations."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Linear(4, 3), nn.Linear(4, 3), nn.Bilinear(3, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.a(x)), torch.relu(self.b(x)))


class Highway(nn.Module):
    """Gates between a layer and its input, and a residual into the logits."""

    def __init__(self) -> None:
        super().__init__()
        self.plain, self.gate, self.head, self.skip = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        t = torch.sigmoid(self.gate(x))
        return self.head(t * torch.relu(self.plain(x)) + (1 - t) * x) + self.skip(x)
