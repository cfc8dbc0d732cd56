"""Writes adapters/onnx/attribute-table.ts, which attributes each operator of ONNX has, and scripts/onnx-operator-sets.json,
the operator sets that gave it a new form: from the schemas.

Needs the package onnx (test/peers/requirements.txt).
"""

from __future__ import annotations

import json
from pathlib import Path

import onnx.defs

LETTERS = {"FLOAT": "f", "INT": "i", "STRING": "s", "TENSOR": "t", "GRAPH": "g", "FLOATS": "F", "INTS": "I"}
LETTERS |= {"STRINGS": "S", "SPARSE_TENSOR": "p", "TYPE_PROTO": "y", "GRAPHS": "G", "TENSORS": "T"}

Versions = dict[int, dict[str, str]]


def versions_by_operator() -> dict[str, Versions]:
    """The attributes of every version of every operator."""
    table: dict[str, Versions] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain != "":
            continue
        kinds = {key: LETTERS.get(str(value.type).split(".")[-1], "?") for key, value in schema.attributes.items()}
        table.setdefault(schema.name, {}).setdefault(schema.since_version, kinds)
    return table


def entries(versions: Versions) -> list[str]:
    """`name:kind`, with `@from` and `-to` where not every version has it."""
    order = sorted(versions)
    found: dict[tuple[str, str], list[int]] = {}
    for version in order:
        for name, kind in versions[version].items():
            found.setdefault((name, kind), []).append(version)
    result = []
    for (name, kind), having in sorted(found.items()):
        runs: list[list[int]] = []
        for version in having:
            if runs and order.index(version) == order.index(runs[-1][1]) + 1:
                runs[-1][1] = version
            else:
                runs.append([version, version])
        for first, last in runs:
            after = order.index(last) + 1
            start = "" if first == order[0] else f"@{first}"
            end = "" if after == len(order) else f"-{order[after] - 1}"
            result.append(f"{name}:{kind}{start}{end}")
    return result


lines = [
    "/**",
    " * @file The attributes of ONNX' operators, written by scripts/build-onnx-attributes.py: `name:kind`, with `@` and",
    " * the first operator set that has it and `-` and the last one, where not all have it. Kinds: f, i, s, t, g for a",
    " * number, an integer, text, a tensor, a graph; capitals for lists of them; p sparse tensors, y types.",
    " */",
    "export const ATTRIBUTE_TABLE: Readonly<Record<string, readonly string[]>> = {",
]
for operator, versions in sorted(versions_by_operator().items()):
    key = operator if operator.isidentifier() else f"'{operator}'"
    lines.append(f"  {key}: [{', '.join(repr(entry) for entry in entries(versions))}],")
lines.append("}")
target = Path(__file__).parents[1] / "adapters" / "onnx" / "attribute-table.ts"
target.write_text("\n".join(lines) + "\n")
sets = {operator: sorted(versions) for operator, versions in sorted(versions_by_operator().items())}
text = ",\n".join(f"  {json.dumps(operator)}: {json.dumps(found)}" for operator, found in sets.items())
Path(__file__).with_name("onnx-operator-sets.json").write_text(f"{{\n{text}\n}}\n")
