"""Mutants that our readers accept, a small number of those that `npm run fuzz -- --keep` keeps: what the libraries read
of them is the same (test/peers/compare_kept.py, by hand for many)."""

import pathlib
import subprocess

import compare_kept

REPOSITORY = pathlib.Path(__file__).parents[2]


def test_accepted_mutants_are_read_as_the_libraries_read_them(tmp_path):
    for target in ("PyTorch", "safetensors", "ONNX"):
        subprocess.run(
            ["node", "scripts/fuzz.mjs", "--inputs", "60", "--seed", "7", "--target", target, "--keep", str(tmp_path)],
            cwd=REPOSITORY,
            check=True,
            capture_output=True,
        )
    counts, different = compare_kept.compare(tmp_path)
    assert different == []
    equal = {kind for (kind, end), count in counts.items() if end == "equal" and count > 0}
    assert equal == set(compare_kept.PEERS)
