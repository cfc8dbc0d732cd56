"""What workers do: sums over a partition, a sample of its rows, predictions for it. It pickles; the work is numpy's."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import socket
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .._data import Array, to_array
from .._default_client import default_client
from .._examples import Examples, concatenated
from .._exceptions import DataError, LaplaceError, StateError, UntrustedInputError
from .._files import write_whole
from .._laplace import Laplace
from .._likelihoods import has_numbers
from .._models import fingerprint
from .._partial import Partial, merge
from .._posterior_state import TRANSIENT
from .._row_labels import refuse_reordered
from .._version import __version__
from .._weights import as_weights
from ._tables import Columns, as_table, count_of, is_arrays, with_columns

#: Rows and bytes of a chunk, the smaller of the two.
CHUNK_ROWS, CHUNK_BYTES = 65_536, 64 * 2**20
#: Partial fits that are merged at once, at every level of the tree.
FAN_IN = 16
#: The file by which workers see that a checkpoint folder is the driver's.
MARK = "polylaplace-checkpoint"


def shipped(la: Laplace, threads: int | None, *, fitted: bool) -> bytes:
    """A Laplace object for workers; only with its posterior where that is needed."""
    if fitted:
        la._handle()
        la._keep_copy()
    state = {key: value for key, value in vars(la).items() if key not in TRANSIENT}
    state |= {"fitted": fitted, "_blob": state.get("_blob") if fitted else None, "_summary": {}}
    state["_options"] = {**la._options, **({} if threads is None else {"threads": threads})}
    if state["_network_params"] is not None:
        state["model"] = None
    return pickle.dumps(state)


_engines: dict[bytes, Laplace] = {}
_engines_lock = threading.Lock()
#: Objects that a worker keeps: one for each fit or posterior that it works for.
_ENGINES_KEPT = 4


def engine_of(shipped: bytes) -> Laplace:
    """The object of this process, made once: its server keeps running from one partition to the next."""
    key = hashlib.blake2b(shipped, digest_size=16).digest()
    with _engines_lock:
        if key not in _engines:
            for old in list(_engines)[: max(0, len(_engines) - _ENGINES_KEPT + 1)]:
                del _engines[old]
            la = Laplace.__new__(Laplace)
            la.__setstate__(pickle.loads(shipped))
            _engines[key] = la
        return _engines[key]


def _after_fork() -> None:
    global _engines_lock
    _engines_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def probe(version: str, checkpoint: tuple[str, str] | None = None) -> str:
    """Whether this worker can do the work at all: same version, Node.js, the checkpoint folder. Its host.

    Raises:
        StateError: for another version; NodeNotFoundError and the like, naming the host.
    """
    host = socket.gethostname()
    if version != __version__:
        raise StateError(
            f"Worker {host} has polylaplace {__version__}, and this process {version}: install the same version.",
            "DIGEST_MISMATCH",
            {"expected": version, "actual": __version__},
        )
    try:
        default_client().ping()
    except LaplaceError as error:
        raise type(error)(f"On worker {host}: {error.message}", error.code, error.data) from None
    if checkpoint is not None:
        folder, token = checkpoint
        mark = Path(folder) / MARK
        if not mark.is_file() or mark.read_text() != token:
            raise StateError(
                f"Worker {host} does not see the checkpoint folder '{folder}': it must be one that all workers share.",
                "NOT_FITTED",
                {"option": "checkpoint", "value": folder},
            )
    return host


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows (n, ...), their labels and how often each counts."""

    x: Examples
    y: Array
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, rows: Any) -> Labelled:
        return Labelled(self.x[rows], self.y[rows], None if self.weights is None else self.weights[rows])

    @property
    def nbytes(self) -> int:
        """The bytes of all arrays."""
        return self.x.nbytes + self.y.nbytes + (0 if self.weights is None else self.weights.nbytes)

    @classmethod
    def of(cls, la: Laplace, x: Any, y: Any, weights: Any) -> Labelled:
        """Rows from outside, checked.

        Raises:
            ShapeError, DataError: when they are no arrays of numbers, one label and weight a row.
        """
        refuse_reordered({"x": x, "y": y, "sample_weight": weights})
        data = la._data(x, y, ("x", "y"))
        own = None if weights is None else to_array(weights, "sample_weight")
        return cls(data["x"], data["y"], as_weights(own, len(data["y"])).get("sampleWeight"))

    @classmethod
    def joined(cls, parts: list[Labelled]) -> Labelled:
        """Several one after another."""
        weights = [part.weights for part in parts if part.weights is not None]
        return cls(
            Examples.joined([part.x for part in parts]),
            concatenated([part.y for part in parts]),
            np.concatenate(weights) if len(weights) == len(parts) else None,
        )


@contextlib.contextmanager
def named(part: str, partition: int | None, first: int, rows: int) -> Iterator[None]:
    """Errors say in which part of the data they arose, and at which of its rows; unchanged where it has no name."""
    try:
        yield
    except LaplaceError as error:
        if not part:
            raise
        where = f"{part.format(partition)}, rows {first} to {first + rows - 1}"
        data = {**error.data, "partition": partition, "first": first}
        raise type(error)(f"In {where}: {error.message}", error.code, data) from error


@dataclass(slots=True)
class Rows:
    """A sample of rows in the order of the whole: those with the smallest keys, which the seed draws."""

    data: Labelled
    keys: Array
    #: The chunks that were read, in the order of the whole: partition (or what a chunk without one holds), rows.
    counts: list[tuple[int, int]]

    @property
    def seen(self) -> int:
        """How many rows there are."""
        return sum(rows for _, rows in self.counts)


@dataclass(slots=True)
class Piece:
    """What a worker sends on: sums or rows, and what it took to bring them together."""

    value: Partial | Rows | None
    merges: int = 0
    network_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """A pass over the data: a leaf for each partition, and the way two pieces become one."""

    shipped: bytes
    columns: Columns
    chunk_rows: int
    repeats: str
    #: What errors call a part of the data, with its number where it has one: 'partition {}'.
    part: str

    def leaf(self, batches: Iterable[Any], partition: int | None) -> Iterator[bytes]:
        """The pieces of a partition; none of an empty one. Chunks are named by the partition where it has a number."""
        raise NotImplementedError

    def merged(self, values: list[Any]) -> Any:
        """Several values as one."""
        raise NotImplementedError

    def merge(self, pieces: Iterable[bytes]) -> bytes:
        """Several pieces as one."""
        received = [bytes(piece) for piece in pieces]
        if len(received) == 1:
            return received[0]
        parts: list[Piece] = [pickle.loads(piece) for piece in received]
        return pickle.dumps(self.combined(parts, sum(map(len, received))))

    def combined(self, parts: list[Piece], received: int) -> Piece:
        """Several pieces as one; `received`: the bytes that came over the network for it."""
        values = [part.value for part in parts if part.value is not None]
        return Piece(
            None if not values else values[0] if len(values) == 1 else self.merged(values),
            sum(part.merges for part in parts) + max(0, len(values) - 1),
            sum(part.network_bytes for part in parts) + received,
        )

    def _chunks(self, batches: Iterable[Any], partition: int | None) -> Iterator[Labelled]:
        """The rows of batches in chunks of a fixed number, wherever batches begin and end."""
        la = engine_of(self.shipped)
        held: list[Labelled] = []
        count = seen = 0
        for batch in batches:
            table = batch if is_arrays(batch) else as_table(batch)
            rows = len(batch[1]) if is_arrays(batch) else count_of(table)
            if rows == 0:
                continue
            with self._named(partition, seen, rows):
                data = Labelled.of(la, *self.columns.split(table))
            seen += rows
            while len(data):
                take = self.chunk_rows - count
                held.append(data[:take])
                count += len(held[-1])
                data = data[take:]
                if count == self.chunk_rows:
                    yield Labelled.joined(held)
                    held, count = [], 0
        if held:
            yield Labelled.joined(held)

    def _named(self, partition: int | None, first: int, rows: int) -> contextlib.AbstractContextManager[None]:
        return named(self.part, partition, first, rows)


@dataclass(frozen=True, slots=True)
class SumJob(Job):
    """Sums over the rows: partial fits."""

    #: Where every chunk's partial fit is kept, so that no later run does it again.
    checkpoint: str | None = None
    #: Whether chunks are sent on one by one, so that they can be merged in an order of their own.
    apart: bool = False

    def leaf(self, batches: Iterable[Any], partition: int | None) -> Iterator[bytes]:
        waiting: list[Partial] = []
        merges = 0
        for number, data in enumerate(self._chunks(batches, partition)):
            name = None if partition is None else f"{partition}:{number}"
            with self._named(partition, number * self.chunk_rows, len(data)):
                part = self._chunk(data, name)
            if self.apart:
                yield pickle.dumps(Piece(part))
                continue
            waiting.append(part)
            if len(waiting) == FAN_IN:
                merges += FAN_IN - 1
                waiting = [self.merged(waiting)]
        if waiting:
            total = waiting[0] if len(waiting) == 1 else self.merged(waiting)
            yield pickle.dumps(Piece(total, merges + len(waiting) - 1))

    def merged(self, values: list[Any]) -> Any:
        return merge(values, repeats=self.repeats)

    def _chunk(self, data: Labelled, name: str | None) -> Partial:
        """The partial fit of a chunk, from the checkpoint folder where it is there."""
        la = engine_of(self.shipped)
        if self.checkpoint is None:
            return la.fit_partial(data.x, data.y, sample_weight=data.weights, chunk=name)
        weights = b"" if data.weights is None else data.weights.tobytes()
        digest = la._chunk_digest(data.x, data.y, name)
        own = hashlib.sha256(digest + _fingerprint(self.shipped) + weights).hexdigest()
        file = Path(self.checkpoint) / f"{own}.partial"
        if file.is_file():
            return _kept(file, digest)
        part = la.fit_partial(data.x, data.y, sample_weight=data.weights, chunk=name)
        write_whole(file, part.to_bytes())
        return part


def _kept(file: Path, digest: bytes) -> Partial:
    """The partial fit of a chunk from a checkpoint folder.

    Raises:
        UntrustedInputError: when it is damaged, or of other rows.
    """
    try:
        part = Partial.from_bytes(file.read_bytes())
    except LaplaceError as error:
        raise UntrustedInputError(f"{file} is damaged: {error.message} {_SUM_AGAIN}", "UNTRUSTED_INPUT") from error
    if part.chunks != (digest.hex(),):
        raise UntrustedInputError(f"{file} holds the sums of other rows. {_SUM_AGAIN}", "UNTRUSTED_INPUT")
    return part


#: What to do about a file that does not hold what its name says.
_SUM_AGAIN = "Remove it: its rows are then summed again."


@functools.lru_cache(maxsize=8)
def _fingerprint(shipped: bytes) -> bytes:
    state = pickle.loads(shipped)
    options = {key: value for key, value in state["_options"].items() if key not in ("threads", "memoryLimit")}
    return fingerprint((state["_network_params"], options, state["_prior"]["sigmaNoise"]))


@dataclass(frozen=True, slots=True)
class SampleJob(Job):
    """A sample of the rows, drawn by a seed: all of them where they are few. Pieces are merged in their order."""

    rows: int = 0
    seed: int = 0
    #: The rows before each partition, where that is known: then neither division nor engine changes what is drawn.
    before: dict[int, int] | None = None

    def leaf(self, batches: Iterable[Any], partition: int | None) -> Iterator[bytes]:
        parts: list[Rows] = []
        la = engine_of(self.shipped)
        for number, data in enumerate(self._chunks(batches, partition)):
            # Without a number of the partition the rows themselves say which chunk they are.
            own = _place(la._chunk_digest(data.x, data.y, None)) if partition is None else partition
            first = self._offset(own) + (0 if partition is None else number * self.chunk_rows)
            parts.append(self._smallest(Rows(data, _uniforms(self.seed, first, len(data)), [(own, len(data))])))
            if len(parts) == FAN_IN:
                parts = [self.merged(parts)]
        if parts:
            yield pickle.dumps(Piece(self.merged(parts)))

    def merged(self, values: list[Any]) -> Any:
        return self._smallest(
            Rows(
                Labelled.joined([part.data for part in values]),
                np.concatenate([part.keys for part in values]),
                [count for part in values for count in part.counts],
            )
        )

    def _offset(self, own: int) -> int:
        """Where the keys of a partition or chunk begin; where that is not known, far from those of any other."""
        return (self.before or {}).get(own, own * 2**45)

    def in_whole(self, counts: list[tuple[int, int]]) -> SampleJob:
        """The same sample with the place of every row in the whole."""
        before: dict[int, int] = {}
        seen = 0
        for own, rows in counts:
            before.setdefault(own, seen)
            seen += rows
        return replace(self, before=before)

    def _smallest(self, rows: Rows) -> Rows:
        if len(rows.keys) <= self.rows:
            return rows
        kept = np.sort(np.argpartition(rows.keys, self.rows - 1)[: self.rows])
        return Rows(rows.data[kept], rows.keys[kept], rows.counts)


def _uniforms(seed: int, first: int, count: int) -> Array:
    """Numbers `first` and on of a seed's stream in [0, 1), four of which come at a time."""
    stream = np.random.Philox(seed).advance(first // 4)
    return np.random.Generator(stream).random(first % 4 + count)[first % 4 :]


def _place(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big")


@dataclass(frozen=True, slots=True)
class Predict:
    """The columns of a prediction for tables, in the names of the command line."""

    shipped: bytes
    columns: Columns
    alpha: float | None = None
    prefix: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    def table(self, table: Any, part: str = "", number: int | None = None) -> Any:
        """A table with the columns added. Errors say which `part` of the data it is, where that is given."""
        return with_columns(table, self.of(table, part, number))

    def of(self, table: Any, part: str = "", number: int | None = None) -> dict[str, Array]:
        """The columns for the rows of a table."""
        rows = count_of(table)
        if rows == 0:
            raise DataError(
                "There are no rows to predict for, so that it is not known which columns they get.", "EMPTY_DATA"
            )
        with named(part, number, 0, rows):
            return self._columns(self.columns.examples(table))

    def of_examples(self, x: Any, part: str = "", number: int | None = None) -> dict[str, Array]:
        """The columns for rows of examples (n, ...)."""
        with named(part, number, 0, len(x)):
            return self._columns(x)

    def _columns(self, x: Any) -> dict[str, Array]:
        la = engine_of(self.shipped)
        answer = la.predict(x, uncertainty=False, **self.options)
        numbers = has_numbers(la.likelihood)
        columns: dict[str, Array] = {}
        if answer.probabilities is not None:
            if la.likelihood == "classification":
                columns["class"] = answer.probabilities.argmax(axis=1)
            columns |= _spread("probability", answer.probabilities)
        columns |= _spread("mean", answer.mean) | _spread("sd", np.sqrt(answer.variance))
        if answer.predictive_mean is not None:
            columns |= _spread("predictive_mean", answer.predictive_mean)
        if answer.predictive_variance is not None:
            columns |= _spread("predictive_sd", np.sqrt(answer.predictive_variance))
        if self.alpha is not None and numbers:
            ends = la.predict_interval(x, self.alpha).reshape(len(answer.mean), 2, -1)
            columns |= _spread("lower", ends[:, 0]) | _spread("upper", ends[:, 1])
        elif self.alpha is not None:
            columns |= _spread("in_set", la.predict_sets(x, self.alpha))
        if answer.novelty is not None:
            columns["novelty"] = answer.novelty
        return {self.prefix + name: values for name, values in columns.items()}


def _spread(name: str, values: Array) -> dict[str, Array]:
    """A column for each output; one output needs no number."""
    if values.shape[1] == 1:
        return {name: values[:, 0]}
    return {f"{name}_{c}": values[:, c] for c in range(values.shape[1])}
