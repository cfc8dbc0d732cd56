"""What the driver does, whatever the engine: check, pass over the data, merge, fit, tune."""

from __future__ import annotations

import contextlib
import difflib
import errno
import heapq
import os
import pickle
import secrets
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from .._data import fresh_seed
from .._exceptions import DataError, LaplaceError, LaplaceWarning, OptionError
from .._laplace import Laplace
from .._options import TUNE_METHODS, as_tune_method
from .._posterior_state import AUTO
from .._progress import Progress, ProgressOption, progress_callback
from .._tuning import _READ_TRAINING_DATA
from .._version import __version__
from ._tables import Columns, Features, Label, as_table, is_arrays
from ._work import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    FAN_IN,
    MARK,
    Job,
    Labelled,
    Piece,
    Predict,
    Rows,
    SampleJob,
    SumJob,
    shipped,
)

#: Rows that tuning reads once more, in bytes: all of them where they are no more, else a seeded sample of them.
SAMPLE_BYTES = 256 * 2**20


class Told:
    """Tells how a pass goes on."""

    def __init__(self, option: ProgressOption, stage: str) -> None:
        self._tell = progress_callback(option)
        self._stage = stage

    def __call__(self, done: int, total: int, piece: Piece | None = None) -> None:
        """`done` of `total` partitions; at the end the piece that they became."""
        if self._tell is None:
            return
        merges, moved = (0, 0) if piece is None else (piece.merges, piece.network_bytes)
        message = "" if piece is None else f"{merges} merges, {moved} bytes over the network"
        self._tell(Progress(self._stage, done, total, message, merges, moved))


class Engine(Protocol):
    """An engine with its data."""

    #: What a merge does about chunks that two pieces have: 'skip' where chunks are named by their partition; 'count'
    #: where only the engine can tell equal rows apart, which gives each partition's result once.
    repeats: str
    #: What errors call a part of the data, with its number where it has one: 'partition {}'.
    part: str

    def first(self) -> Any:
        """A batch with a row or more; None where there are no rows."""

    def probe(self, version: str, checkpoint: tuple[str, str] | None) -> None:
        """Raises what is wrong with any worker."""

    def reduce(self, job: Job, told: Told) -> bytes | None:
        """All pieces as one, merged in a tree on the workers; those of a sample in the order of the data."""

    def pieces(self, job: Job, told: Told) -> Iterator[bytes]:
        """All pieces, as they come."""


def fit(
    la: Laplace,
    engine: Engine,
    columns: Columns,
    *,
    tune: str | None,
    tune_sigma_noise: bool,
    validation: tuple[Any, Any] | None,
    deterministic: bool,
    checkpoint: str | os.PathLike[str] | None,
    chunk_rows: int | None,
    sample_bytes: int,
    seed: int,
    threads: int | None,
    progress: ProgressOption,
) -> Laplace:
    """Fits a posterior to the data of an engine. The posterior of an earlier fit stays until this has succeeded."""
    seed = fresh_seed(seed)
    _check_tuning(la, tune, tune_sigma_noise, validation)
    first = engine.first()
    if first is None:
        raise DataError("There are no rows to fit to.", "EMPTY_DATA")
    table = first if is_arrays(first) else as_table(first)
    columns = columns.as_in(table)
    data = Labelled.of(la, *columns.split(table))
    # The network is read here, once, with rows where it needs them; workers get what was read.
    la._read_model(data.x)
    row_bytes = max(1, data.nbytes // max(1, len(data)))
    rows = chunk_rows or max(1, min(CHUNK_ROWS, CHUNK_BYTES // row_bytes))
    with _typed_errors():
        engine.probe(__version__, _marked(checkpoint))
    common = (shipped(la, threads, fitted=False), columns, rows, engine.repeats, engine.part)
    needs_rows = tune is not None and as_tune_method(tune) in _READ_TRAINING_DATA
    sample = SampleJob(*common, max(1, sample_bytes // row_bytes), seed)
    if la.subset_of_weights == AUTO or la.hessian_structure in ("lowrank", "gp", "functional", "ekfac", "samples"):
        _fit_to_rows(la, _drawn(engine, sample, progress), sample_bytes, tune, tune_sigma_noise, validation)
        return la
    job = SumJob(*common, None if checkpoint is None else os.fspath(checkpoint), deterministic)
    total = _merged_in_order(engine, job, progress) if deterministic else _reduced(engine, job, progress, "fit")
    drawn = _drawn(engine, sample, progress) if needs_rows else None
    la.fit_merged(total)
    if drawn is not None:
        _note_sample(drawn, sample_bytes, "The prior is tuned by")
    if tune is not None:
        _tune(la, tune, tune_sigma_noise, validation, drawn)
    return la


def _check_tuning(la: Laplace, tune: str | None, noise: bool, validation: tuple[Any, Any] | None) -> None:
    """Refuses words and held-out rows before the pass over the data, which may take hours."""
    if tune is None:
        if noise or validation is not None:
            name = "tune_sigma_noise" if noise else "validation"
            raise OptionError(
                f"{name} goes with a way of tuning: tune='auto', for example.", "BAD_COMBINATION", {"option": name}
            )
        return
    if as_tune_method(tune) not in TUNE_METHODS:
        near = difflib.get_close_matches(tune, TUNE_METHODS, 1)
        raise OptionError(
            f"tune must be one of {', '.join(TUNE_METHODS)}, or None; got {tune!r}."
            + (f" Did you mean '{near[0]}'?" if near else ""),
            "BAD_OPTION",
            {"option": "tune", "value": tune},
        )
    if validation is not None:
        if not isinstance(validation, (tuple, list)) or len(validation) != 2:
            raise OptionError(
                f"validation must be held-out rows (X, y); got {type(validation).__name__}.",
                "BAD_OPTION",
                {"option": "validation"},
            )
        la._data(*validation, ("validation[0]", "validation[1]"))
    elif as_tune_method(tune) in ("validated", "grid"):
        raise OptionError(
            f"Tuning '{tune}' chooses the prior precision by held-out rows: give validation=(X, y).",
            "BAD_COMBINATION",
            {"option": "validation"},
        )


def _tune(
    la: Laplace,
    method: str,
    noise: bool,
    validation: tuple[Any, Any] | None,
    drawn: Rows | None,
) -> None:
    """Tunes by the sums, and by rows where they are needed."""
    more: dict[str, Any] = {}
    if drawn is not None:
        data = drawn.data
        more |= {"X": data.x, "y": data.y, "sample_weight": data.weights}
    if validation is not None:
        more["X_val"], more["y_val"] = validation
    la.optimize_prior_precision(method=method, tune_sigma_noise=noise, **more)


def _fit_to_rows(
    la: Laplace,
    rows: Rows,
    sample_bytes: int,
    tune: str | None,
    noise: bool,
    validation: tuple[Any, Any] | None,
) -> None:
    """A posterior of which nothing adds up: of the linear model over all weights, or one that the rows choose.

    It is tuned as it is fitted: the mode of the linear model is that of its own prior.
    """
    _note_sample(rows, sample_bytes, "Of this posterior nothing adds up over machines, so that it is fitted to")
    data = rows.data
    if tune is None:
        la.fit(data.x, data.y, sample_weight=data.weights)
    else:
        found = ("priorPrecision", "sigmaNoise") if noise else ("priorPrecision",)
        options = {key: value for key, value in la._fit_options().items() if key not in found}
        options["tune"] = as_tune_method(tune)
        la.tuned_fit(data.x, data.y, options, validation, sample_weight=data.weights)
    la._training = None


def _note_sample(rows: Rows, sample_bytes: int, what: str) -> None:
    if rows.seen > len(rows.data):
        warnings.warn(
            f"{what} {len(rows.data)} of the {rows.seen} rows, drawn by the seed: more are more than {sample_bytes} "
            "bytes (sample_bytes). It is not exactly that of one machine.",
            LaplaceWarning,
            stacklevel=5,
        )


def _drawn(engine: Engine, job: SampleJob, progress: ProgressOption) -> Rows:
    """All rows, or a sample of them: once the partitions are counted, rows are drawn by their places in the whole."""
    rows: Rows = _reduced(engine, job, progress, "rows")
    if len(rows.data) == rows.seen:
        return rows
    again: Rows = _reduced(engine, job.in_whole(rows.counts), progress, "rows")
    return again


def _reduced(engine: Engine, job: Job, progress: ProgressOption, stage: str) -> Any:
    """The value of all pieces, merged by the engine."""
    told = Told(progress, stage)
    with _typed_errors():
        result = engine.reduce(job, told)
    piece: Piece | None = None if result is None else pickle.loads(result)
    if piece is None or piece.value is None:
        raise DataError("There are no rows to fit to.", "EMPTY_DATA")
    piece.network_bytes += 0 if result is None else len(result)
    told(1, 1, piece)
    return piece.value


def _merged_in_order(engine: Engine, job: SumJob, progress: ProgressOption) -> Any:
    """The sum of all chunks in the order of their digests, in a tree of fixed shape: the same bits, however they come.

    They wait in files, so that this process holds a few of them at a time.
    """
    told = Told(progress, "fit")
    with tempfile.TemporaryDirectory() as folder, _typed_errors():
        names: list[tuple[str, int]] = []
        moved = 0
        for number, data in enumerate(engine.pieces(job, told)):
            part = pickle.loads(data).value
            moved += len(data)
            (Path(folder) / str(number)).write_bytes(pickle.dumps(part))
            names.append((part.chunks[0], number))
        if not names:
            raise DataError("There are no rows to fit to.", "EMPTY_DATA")
        # (level, partial fits of that level): sixteen of a level make one of the next.
        levels: list[list[Any]] = [[]]
        heapq.heapify(names)
        merges = max(0, len(names) - 1)
        while names:
            _, number = heapq.heappop(names)
            levels[0].append(pickle.loads((Path(folder) / str(number)).read_bytes()))
            for level, held in enumerate(levels):
                if len(held) < FAN_IN:
                    break
                if level + 1 == len(levels):
                    levels.append([])
                levels[level + 1].append(job.merged(held))
                held.clear()
        carried: list[Any] = []
        for held in levels:
            rest = [*held, *carried]
            carried = rest if len(rest) < 2 else [job.merged(rest)]
        told(1, 1, Piece(carried[0], merges, moved))
        return carried[0]


def _marked(checkpoint: str | os.PathLike[str] | None) -> tuple[str, str] | None:
    """Marks a checkpoint folder, so that workers can tell that they see the same one."""
    if checkpoint is None:
        return None
    folder = Path(checkpoint)
    token = secrets.token_hex(8)
    try:
        if not os.fspath(checkpoint):
            raise OSError(errno.ENOENT, "it has no name")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).write_text(token)
    except OSError as error:
        raise OptionError(
            f"checkpoint must be a folder that can be written to, or made; '{folder}' cannot: {error.strerror}.",
            "BAD_OPTION",
            {"option": "checkpoint", "value": str(folder)},
        ) from error
    return str(folder), token


class _WorkerError:
    """Marks an error's text on its way through engines that turn errors into text."""

    BEGIN, END = "<polylaplace:", ":polylaplace>"


def told_as_text(error: LaplaceError) -> LaplaceError:
    """The error with all of it in its message, for engines that send nothing but text."""
    packed = pickle.dumps((type(error).__name__, error.message, error.code, error.data)).hex()
    return type(error)(f"{error.message} {_WorkerError.BEGIN}{packed}{_WorkerError.END}", error.code, error.data)


@contextlib.contextmanager
def _typed_errors() -> Iterator[None]:
    """Errors of this package come as they were thrown on the worker, not as the engine wraps them."""
    try:
        yield
    except LaplaceError as error:
        # Ray's errors are of the class of what they wrap.
        inner = getattr(error, "cause", None)
        if isinstance(inner, LaplaceError):
            raise inner from None
        raise
    except Exception as error:
        found = _own_error(error)
        if found is None:
            raise
        raise found from _without_frames(error)


def _without_frames(error: BaseException) -> BaseException:
    """The error without its local variables: those of Ray's hold actors, whose processors nobody else could have."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error


def _own_error(error: BaseException | None) -> LaplaceError | None:
    from .. import _exceptions

    seen = 0
    whole = error
    while error is not None and seen < 10:
        if isinstance(error, LaplaceError):
            return error
        inner = getattr(error, "cause", None)
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
        seen += 1
    text = str(whole)
    at = text.find(_WorkerError.BEGIN)
    if at < 0:
        return None
    packed = text[at + len(_WorkerError.BEGIN) : text.index(_WorkerError.END, at)]
    # What this package's own worker wrote; an engine's workers run this process's code anyway.
    name, message, code, data = pickle.loads(bytes.fromhex(packed))
    cls: type[LaplaceError] = getattr(_exceptions, name, LaplaceError)
    return cls(message, code, data)


def predictor(
    la: Laplace, features: Features, label: Label, alpha: float | None, prefix: str, threads: int | None
) -> Predict:
    """What workers predict with."""
    return Predict(shipped(la, threads, fitted=True), Columns(features, label), alpha, prefix)
