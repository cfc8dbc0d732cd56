"""A posterior as a plain ONNX model, with a model card and a folder for MLflow on request."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ._exceptions import OptionError
from ._files import write_whole
from ._options import as_share
from ._prediction import Predicting


class OnnxExport(Predicting):
    """What any ONNX runtime can compute of a posterior."""

    def to_onnx(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        outputs: str | Sequence[str] | None = None,
        opset: int | None = None,
        dtype: str | None = None,
        link: str | None = None,
        level: float | None = None,
        samples: int | None = None,
        seed: int | None = None,
        labels: Sequence[str] | None = None,
        card: bool = False,
        mlflow: bool = False,
        X: Any = None,
        y: Any = None,
        timeout: float | None = None,
    ) -> bytes | None:
        """Writes a plain ONNX model that gives this posterior's predictions, with none of this library's code.

        Args:
            path: of the file; None: the model is returned as bytes.
            outputs: names among mean, variance, covariance, probabilities, aleatoric, epistemic, predictive_mean,
                predictive_variance, predictive_covariance, lower, upper, sets, novelty, novelty_score. None: what the
                posterior has without draws.
            opset: the operator set, 13 to 24. None: the oldest from 17 on that can hold the network.
            dtype: 'float32' or 'float64', of the file's inputs and outputs. None: that of the fit.
            link: how probabilities come from the outputs. None: the posterior's own answer.
            level: of intervals and sets; 0.9 when not given.
            samples, seed: of draws (link 'mc', aleatoric, epistemic), which are kept in the file.
            labels: names of the classes, for the file's metadata.
            card: writes a model card, `<name>.md`, beside the model.
            mlflow: writes a folder that MLflow loads, `<name>.mlflow`, beside the model.
            X, y: rows that neither network nor posterior has seen: the card then says how good the model is.

        Raises:
            OptionError: for outputs that this posterior does not have, with what to do.
            OSError: where a file cannot be written.
        """
        if path is None and (card or mlflow):
            raise OptionError("card and mlflow write files beside the model: give its path.", "BAD_COMBINATION", {})
        if X is not None and not (card or mlflow):
            raise OptionError("X and y are for the model card; give card=True or mlflow=True.", "BAD_COMBINATION", {})
        if isinstance(outputs, str):
            outputs = [outputs]
        given = {
            "outputs": None if outputs is None else [str(name) for name in outputs],
            "opset": opset,
            "dtype": dtype,
            "link": link,
            "level": None if level is None else as_share(level, "level"),
            "samples": samples,
            "seed": seed,
            "labels": None if labels is None else [str(label) for label in labels],
        }
        target = Path("model.onnx" if path is None else path)
        stem = target.stem if target.suffix.lower() == ".onnx" else target.name
        params: dict[str, Any] = {
            "options": {key: value for key, value in given.items() if value is not None},
            "stem": stem,
            "card": card,
            "mlflow": mlflow,
        }
        if X is not None:
            params.update(self._data(X, y))
        files = self._call("toOnnx", params, timeout=timeout, progress=self._progress)["files"]
        if path is None:
            return bytes(files[f"{stem}.onnx"])
        for name, content in files.items():
            beside = target if name == f"{stem}.onnx" else target.parent / name
            if beside.parent != target.parent:
                beside.parent.mkdir(parents=True, exist_ok=True)
            write_whole(beside, bytes(content))
        return None
