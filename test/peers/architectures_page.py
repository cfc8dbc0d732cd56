"""Writes docs/architectures.md from results of architectures.mjs: `python architectures_page.py results.json ...`."""

from __future__ import annotations

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

HEAD = """# Architectures

Written by `npm run architectures` from small torch versions of each architecture (test/peers/architectures.py
and compound_networks.py), exported by both of torch's exporters (`dynamo=True` and `False`), one with a batch of any size
and the other with the fixed one that is torch's default. *outputs*: equal to torch's and ONNX Runtime's to 1e-5;
*derivative*: J v of all weights equal to central differences in double precision; *last layer*, *all/kron*: a small fit
and its predictions. A number is that of the exports for which it holds. `test_architectures.py` runs the same exports, and
compares the variances of the torch modules themselves with those of torch.func to 1e-6; `test_kron.py` compares
Kronecker factors with the definition, `test_heads.py` last layers of files as other converters write them.

| architecture | outputs | derivative | last layer | all/kron |
|---|---|---|---|---|
"""

TAIL = """
## What is not supported, and what to do

| what | what to do |
|---|---|
| quantised networks (QLinearConv, QuantizeLinear of activations, ...) | use the float model they were made from; weights that are dequantised constants are read |
| If, Loop and Scan whose condition, count or position depends on the data | export with fixed sizes, or by `torch.onnx.export(..., dynamo=True)` |
| If, Loop and Scan by a length that the file leaves open | give the length (option `dimensions`) |
| results whose number depends on the data (NonMaxSuppression, NonZero, Unique of computed values) | choose an output before them (option `output`) |
| random operators (Bernoulli, RandomNormal, ...) | export for inference, `model.eval()` in torch |
| text, images as bytes (StringNormalizer, TfIdfVectorizer, ImageDecoder) | do this step before the network |
| decision trees and support vectors | they are no neural networks |
| `index_add` with several sources for one place in files of torch's older exporter, which loses the sum | export by `torch.onnx.export(..., dynamo=True)`, or give the module itself (Python) |
| examples that change each other (statistics of the batch in training mode, a softmax over the batch) | export for inference; of a file for one example, each is computed alone |
| files of LSTMs with projections (`proj_size`) and orthogonal parametrizations, which no exporter of torch writes | give the module itself (Python) |
| torch modules that are random in evaluation, or branch on values of the rows | `training=self.training` for dropout; `torch.where` for branches |
| `nn.Bilinear` in torch's older exporter | export by `dynamo=True`, or give the module itself (Python) |
| Kronecker factors of a weight that is also used in another way (a tied embedding) | they hold the layer alone, which a note says; structures `full` and `diag` count every use |
| Det, and ScatterElements that multiplies or takes extremes: no derivative | subset `last_layer`, or parameters above that node |
"""


def holds(value: object, tolerance: float | None = None) -> bool:
    if tolerance is not None:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and value <= tolerance
    return value is True


def page(results: list[dict[str, object]]) -> str:
    names = list(dict.fromkeys(str(each["architecture"]) for each in results))
    lines = []
    for name in names:
        own = [each for each in results if each["architecture"] == name]
        counts = [
            sum(holds(each.get("outputs"), 1e-5) and holds(each.get("runtime"), 1e-5) for each in own),
            sum(holds(each.get("derivative"), 1e-6) for each in own),
            sum(holds(each.get("lastLayer")) for each in own),
            sum(holds(each.get("all")) for each in own),
        ]
        lines.append(
            f"| {name} | " + " | ".join("yes" if n == len(own) else f"{n} of {len(own)}" for n in counts) + " |"
        )
    return HEAD + "\n".join(lines) + "\n" + TAIL


if __name__ == "__main__":
    found = [each for path in sys.argv[1:] for each in json.loads(pathlib.Path(path).read_text())]
    (ROOT / "docs" / "architectures.md").write_text(page(found))
