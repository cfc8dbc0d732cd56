"""54 of the list of attacks: a save that is cut off leaves the old file whole."""

from __future__ import annotations

import os
import pickle
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

import polylaplace
from polylaplace import LaplaceClassifier, load
from polylaplace._files import write_whole

KILLS = int(os.environ.get("POLYLAPLACE_KILLS", "8"))
SIZE = 2 << 20
SOURCE = str(Path(polylaplace.__file__).parents[1])

WRITER = """
import sys
sys.path.insert(0, sys.argv[3])
from polylaplace._files import write_whole
print("ready", flush=True)
value = 0
while True:
    value = 1 + value % 250
    write_whole(sys.argv[1], bytes([value]) * int(sys.argv[2]))
"""

ONCE = """
import resource, sys
sys.path.insert(0, sys.argv[3])
from polylaplace._files import write_whole
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    write_whole(sys.argv[1], bytes(int(sys.argv[2])))
except OSError as error:
    print(error)
"""


def start(code: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(path), str(SIZE), SOURCE], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process by SIGKILL, which Windows does not have")
def test_54_a_kill_leaves_the_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "killed.posterior"
    path.write_bytes(b"\xff" * SIZE)
    delay = random.Random(54)
    for _ in range(KILLS):
        with start(WRITER, path) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.06 * delay.random())
            writer.send_signal(signal.SIGKILL)
        data = path.read_bytes()
        assert len(data) == SIZE
        assert data == data[:1] * SIZE


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files of a process, which Windows cannot")
def test_54_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "full.posterior"
    path.write_bytes(b"old")
    with start(ONCE, path) as writer:
        said = writer.communicate()[0]
    assert "what was there before is unchanged" in said
    assert "full.posterior" in said
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["full.posterior"]


@pytest.mark.skipif(
    sys.platform == "win32", reason="looks at permissions and devices of POSIX, which Windows does not have"
)
def test_54_links_permissions_and_devices(tmp_path: Path) -> None:
    path, link = tmp_path / "private", tmp_path / "link"
    path.write_bytes(b"old")
    path.chmod(0o600)
    link.symlink_to(path)
    write_whole(link, b"new")
    assert path.read_bytes() == b"new"
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "nowhere" / "x", b"x")
    if Path("/dev/full").exists():
        with pytest.raises(OSError, match="unchanged"):
            write_whole("/dev/full", b"x")


def test_the_names_of_the_classes_are_in_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(60, 2))
    y = np.where(x[:, 0] > 0, "oak", np.where(x[:, 1] > 0, "ash", "elm"))
    model = LaplaceClassifier(MLPClassifier((4,), max_iter=50, random_state=0).fit(x, y)).fit(x, y)
    model.laplace_.save(tmp_path / "trees.posterior")
    assert load(tmp_path / "trees.posterior").class_names == ["ash", "elm", "oak"]
    assert pickle.loads(pickle.dumps(load(tmp_path / "trees.posterior"))).class_names == ["ash", "elm", "oak"]
