"""Writes docs/architectures.md from the results of architectures.mjs: `python architectures_page.py results.json`."""

from __future__ import annotations

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
WAYS = ("new exporter, any batch", "new exporter, fixed batch", "old exporter, any batch", "old exporter, fixed batch")

HEAD = """# Architectures

Written by `test/peers/architectures_page.py` from small torch versions of each architecture, exported by both of torch's
exporters (`dynamo=True` and `False`), with a batch of any size and with the fixed one that is torch's default. *outputs*:
equal to torch's and ONNX Runtime's to 1e-5; *derivative*: J v of all weights equal to central differences in double
precision; *last layer*, *all/kron*: a small fit and its predictions. A number is that of the four exports for which it
holds.

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
    (ROOT / "docs" / "architectures.md").write_text(page(json.loads(pathlib.Path(sys.argv[1]).read_text())))
