"""Writes docs/architectures.md from results of architectures.mjs: `python architectures_page.py results.json ...`.

Without results the table of architectures stays, and what is not supported is written anew.
"""

from __future__ import annotations

import json
import pathlib
import sys

import unsupported

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
## What is not supported, and what is said of it

The networks of unsupported.py, given to the Python package for all weights and Kronecker factors. What torch's exporters
cannot write (LSTMs with `proj_size`, orthogonal parametrizations; `nn.Bilinear` in the older one) or write wrongly
(`index_add` with several sources for one place, whose sum the older one loses) is given as the module itself (Python).

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
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    target = ROOT / "docs" / "architectures.md"
    found = [each for path in sys.argv[1:] for each in json.loads(pathlib.Path(path).read_text())]
    capabilities = page(found) if found else target.read_text().split("\n## ")[0]
    target.write_text(capabilities + TAIL + unsupported.table())
