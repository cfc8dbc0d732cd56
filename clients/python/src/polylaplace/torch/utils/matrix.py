# mypy: disable-error-code="import-not-found"
"""Kronecker-factored matrices of tensors: their factors, and their eigenvalues and eigenvectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from ..._arguments import CheckedArguments
from ..._exceptions import OptionError, ShapeError
from .._kinds import demand_finite
from .utils import _is_valid_scalar, block_diag, kron, symeig

__all__ = ["Kron", "KronDecomposed"]

#: One block of a matrix: one factor, or two of which it is the Kronecker product. A factor is dense or a diagonal, or
#: (g, b, b): the dense ones of the groups of a convolution, whose blocks follow one another on the diagonal.
Factors = Sequence[Tensor]


class Kron(CheckedArguments):
    """A block-diagonal matrix with a block for each tensor of parameters: `[B]`, or `[B, A]` for B ⊗ A."""

    def __init__(self, kfacs: Sequence[Factors]) -> None:
        self.kfacs = _blocks(kfacs, "kfacs")

    @classmethod
    def init_from_model(
        cls, model: nn.Module | Iterable[Tensor], device: torch.device | str, dtype: torch.dtype
    ) -> Self:
        """Zeros of the shapes that belong to the parameters of a module.

        Raises:
            OptionError: when a tensor has no such shape.
        """
        given = model.parameters() if isinstance(model, nn.Module) else model
        parameters = list(given) if isinstance(given, Iterable) else []
        if not parameters or not all(map(torch.is_tensor, parameters)):
            raise OptionError("model must be a torch.nn.Module or its parameters.", data={"option": "model"})

        def zeros(size: int) -> Tensor:
            return torch.zeros(size, size, device=device, dtype=dtype)

        blocks: list[Factors] = []
        for parameter in parameters:
            if parameter.ndim == 0:
                raise OptionError("A scalar parameter has no Kronecker factors: use 'full' or 'diag'.")
            rows, *rest = parameter.shape
            columns = parameter.numel() // max(rows, 1)
            blocks.append([zeros(rows), zeros(columns)] if rest else [zeros(rows)])
        return cls(blocks)

    def __add__(self, other: object) -> Kron:
        if not isinstance(other, Kron):
            raise OptionError(f"A Kron is added to a Kron; got {type(other).__name__}.")
        pairs = zip(self.kfacs, other.kfacs, strict=True)
        return Kron([[a + b for a, b in zip(mine, others, strict=True)] for mine, others in pairs])

    __radd__ = __add__

    def __mul__(self, scalar: float | Tensor) -> Kron:
        """The matrix times a scalar, which the factors of a block share evenly."""
        return Kron([[_share(scalar, len(factors)) * factor for factor in factors] for factors in self.kfacs])

    __rmul__ = __mul__

    def __len__(self) -> int:
        return len(self.kfacs)

    def decompose(self, damping: bool = False) -> KronDecomposed:
        """The same matrix by eigenvalues, which are kept from being negative."""
        parts = [[_decomposed(factor) for factor in factors] for factors in self.kfacs]
        return KronDecomposed(
            [[vectors for _, vectors in part] for part in parts],
            [[values for values, _ in part] for part in parts],
            damping=damping,
        )

    def bmm(self, W: Tensor, exponent: float = 1) -> Tensor:
        """W times the matrix, for W (P,), (n, P) or (n, C, P).

        Raises:
            OptionError: for an exponent other than 1, which needs `decompose`.
        """
        if exponent != 1:
            raise OptionError("A power of the matrix needs its eigenvalues: decompose() first.")

        def product(factors: Factors, part: Tensor) -> Tensor:
            return _times(part, [factor if factor.ndim > 1 else factor.diag() for factor in factors])

        sizes = [_shape([f.diagonal(dim1=-2, dim2=-1) if f.ndim > 1 else f for f in factors]) for factors in self.kfacs]
        return _by_blocks(W, sizes, self.kfacs, product)

    def logdet(self) -> Tensor:
        """The log-determinant."""
        total: Any = 0.0
        for factors in self.kfacs:
            widths = [factor.shape[-1] for factor in factors]
            for factor, others in zip(factors, reversed(widths), strict=True):
                one = factor.logdet().sum() if factor.ndim > 1 else factor.log().sum()
                total = total + one * (others if len(factors) > 1 else 1)
        return total

    def diag(self) -> Tensor:
        """The diagonal, (P,)."""
        diagonals = ([f.diagonal(dim1=-2, dim2=-1) if f.ndim > 1 else f for f in factors] for factors in self.kfacs)
        return torch.cat([_outer(each).flatten() for each in diagonals])

    def to_matrix(self) -> Tensor:
        """The whole matrix, (P, P)."""
        return block_diag([_product([f if f.ndim > 1 else f.diag() for f in factors]) for factors in self.kfacs])


class KronDecomposed(CheckedArguments):
    """A Kronecker-factored matrix by the eigenvectors and eigenvalues of its factors, plus a number on each block.

    With `damping` the square root of that number is added to the eigenvalues of each factor, instead of the number
    itself to their products.
    """

    def __init__(
        self,
        eigenvectors: Sequence[Factors],
        eigenvalues: Sequence[Factors],
        deltas: Tensor | None = None,
        damping: bool = False,
    ) -> None:
        self.eigenvectors = _blocks(eigenvectors, "eigenvectors")
        self.eigenvalues = _blocks(eigenvalues, "eigenvalues")
        like = eigenvectors[0][0]
        if deltas is not None:
            self._check_deltas(deltas)
        self.deltas = torch.zeros(len(self), device=like.device, dtype=like.dtype) if deltas is None else deltas
        self.damping = damping

    def _with(self, eigenvalues: Sequence[Factors], deltas: Tensor) -> KronDecomposed:
        """The same in other numbers, which need no check."""
        other = KronDecomposed.__new__(KronDecomposed)
        other.eigenvectors, other.eigenvalues, other.deltas = self.eigenvectors, eigenvalues, deltas
        other.damping = self.damping
        return other

    def _check_deltas(self, deltas: object) -> None:
        if not isinstance(deltas, Tensor):
            raise OptionError(f"What is added must be a tensor; got {type(deltas).__name__}.")
        if deltas.ndim > 1 or (deltas.ndim == 1 and len(deltas) not in (1, len(self))):
            raise OptionError(f"What is added must be a scalar, or one number for each of {len(self)} blocks.")

    def detach(self) -> KronDecomposed:
        """The same without the history of what was added."""
        self.deltas = self.deltas.detach()
        return self

    def __len__(self) -> int:
        return len(self.eigenvalues)

    def __add__(self, deltas: Tensor) -> KronDecomposed:
        self._check_deltas(deltas)
        return self._with(self.eigenvalues, self.deltas + deltas)

    __radd__ = __add__

    def __mul__(self, scalar: float | Tensor) -> KronDecomposed:
        """The matrix times a scalar; what has been added to it stays."""
        shares = {length: _share(scalar, length) for length in set(map(len, self.eigenvalues))}
        return self._with(
            [[shares[len(values)] * value for value in values] for values in self.eigenvalues], self.deltas
        )

    __rmul__ = __mul__

    def spectra(self) -> list[Tensor]:
        """The eigenvalues of each block, (b,) or (b, a), with what has been added."""
        return [self._spectrum(values, delta) for values, delta in zip(self.eigenvalues, self.deltas, strict=True)]

    def _spectrum(self, values: Factors, delta: Tensor) -> Tensor:
        if len(values) == 1:
            return values[0] + delta
        if self.damping:
            return _outer([value + delta.sqrt() for value in values])
        return _outer(values) + delta

    def logdet(self) -> Tensor:
        """The log-determinant."""
        return torch.stack([spectrum.log().sum() for spectrum in self.spectra()]).sum()

    def bmm(self, W: Tensor, exponent: float = -1) -> Tensor:
        """W times a power of the matrix, for W (P,), (n, P) or (n, C, P)."""
        return self._power(exponent, W.shape[:-1].numel())(W)

    def _power(self, exponent: float, rows: int) -> Callable[[Tensor], Tensor]:
        """What multiplies W, as of `bmm`, by a power of the matrix, worked out once for so many rows in all."""
        sizes = [_shape(values) for values in self.eigenvalues]
        blocks = [
            _whole_or_factors(vectors, spectrum.pow(exponent), rows)
            for vectors, spectrum in zip(self.eigenvectors, self.spectra(), strict=True)
        ]
        return lambda W: _by_blocks(W, sizes, blocks, lambda block, part: block(part))

    def inv_square_form(self, W: Tensor) -> Tensor:
        """W times the inverse times W', (n, C, C) for W (n, C, P)."""
        return self.bmm(W, -1) @ W.transpose(1, 2)

    def diag(self, exponent: float = 1) -> Tensor:
        """The diagonal of a power of the matrix, (P,)."""
        parts = []
        for vectors, spectrum in zip(self.eigenvectors, self.spectra(), strict=True):
            parts.append(_times(spectrum.pow(exponent)[None], [Q.square().mT for Q in vectors]).flatten())
        return torch.cat(parts)

    def to_matrix(self, exponent: float = 1) -> Tensor:
        """A power of the whole matrix, (P, P)."""
        blocks = []
        for vectors, spectrum in zip(self.eigenvectors, self.spectra(), strict=True):
            Q = _product(vectors)
            blocks.append((Q * spectrum.pow(exponent).flatten()) @ Q.mT)
        return block_diag(blocks)


def _blocks(blocks: Any, name: str) -> Any:
    """Blocks of one or two tensors each.

    Raises:
        OptionError: for anything else.
    """
    good = (
        isinstance(blocks, (list, tuple))
        and bool(blocks)
        and all(isinstance(factors, (list, tuple)) for factors in blocks)
    )
    if not good or not all(len(factors) in (1, 2) and all(map(torch.is_tensor, factors)) for factors in blocks):
        raise OptionError(f"{name} must be a list of blocks, of one or two tensors each.", data={"option": name})
    return blocks


def _share(scalar: float | Tensor, factors: int) -> Any:
    """What each of so many factors is multiplied by."""
    if not _is_valid_scalar(scalar):
        raise OptionError("A Kronecker-factored matrix can be multiplied by a scalar only.")
    return demand_finite(scalar, "scalar") ** (1 / factors)


def _decomposed(factor: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of a factor, dense or a diagonal."""
    return symeig(factor) if factor.ndim > 1 else (factor, torch.eye(len(factor), dtype=factor.dtype).to(factor.device))


def _shape(diagonals: Factors) -> list[int]:
    """The axes of a block's parameters, (b,), (b, a) or (g, b, a), by the diagonals of its factors."""
    return [*diagonals[0].shape, *(width for each in diagonals[1:] for width in each.shape[-1:])]


def _outer(parts: Factors) -> Tensor:
    """The outer product of two vectors, or those of each group; one vector as it is."""
    return parts[0] if len(parts) == 1 else parts[0][..., :, None] * parts[1][..., None, :]


def _product(parts: Factors) -> Tensor:
    """The Kronecker product of two matrices, or one matrix; of groups the block-diagonal one of theirs."""
    if parts[0].ndim > 2:
        return block_diag([_product(group) for group in zip(*parts, strict=True)])
    return parts[0] if len(parts) == 1 else kron(parts[0], parts[1])


def _times(part: Tensor, matrices: Factors) -> Tensor:
    """Rows (n, b) times a matrix, or rows (n, b, a) along both axes times a matrix each; of groups group by group."""
    if len(matrices) == 1 and matrices[0].ndim > 2:
        return (part[..., None, :] @ matrices[0]).squeeze(-2)
    if len(matrices) == 1:
        return part @ matrices[0]
    return matrices[0].mT @ part @ matrices[1]


#: Up to this width a block times many rows is sooner done by one product with the whole of it than by its factors.
_WHOLE_WIDTH = 128


def _whole_or_factors(vectors: Factors, power: Tensor, rows: int) -> Callable[[Tensor], Tensor]:
    """What multiplies so many rows (n, *block) by a block of these eigenvectors and eigenvalues."""
    width = power.numel()
    if vectors[0].ndim == 2 and width <= _WHOLE_WIDTH and width <= rows:
        Q = _product(vectors)
        whole = (Q * power.flatten()) @ Q.mT
        return lambda part: part.flatten(1) @ whole
    back = [Q.mT for Q in vectors]
    return lambda part: _times(_times(part, vectors) * power, back)


def _by_blocks(
    W: Tensor, sizes: list[list[int]], blocks: Sequence[Any], product: Callable[[Any, Tensor], Tensor]
) -> Tensor:
    """The rows of W (..., P), in which each block has its columns, through a product by block."""
    lengths = [torch.Size(size).numel() for size in sizes]
    if W.ndim not in (1, 2, 3) or W.shape[-1] != sum(lengths):
        raise ShapeError(f"W must be (P,), (n, P) or (n, C, P) with P = {sum(lengths)}; got {tuple(W.shape)}.")
    rows = W.reshape(-1, W.shape[-1])
    parts = rows.split(lengths, dim=1)
    done = [
        product(block, part.reshape(-1, *size)).reshape(len(rows), -1)
        for block, part, size in zip(blocks, parts, sizes, strict=True)
    ]
    return torch.cat(done, dim=1).reshape(W.shape)
