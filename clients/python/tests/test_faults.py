"""Families 49, 55, 56, 60 and kill -9 from the side of the client, in short; `npm run faults` has the long form."""

from __future__ import annotations

import os
import re
import resource
import stat
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

import faults
from polylaplace import (
    CancelledError,
    Client,
    LaplaceError,
    NodeNotFoundError,
    OptionError,
    ServerCrashedError,
    StateError,
    _client,
    doctor,
)
from polylaplace._remote import create, maker

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals, forks and shell scripts")


def test_55_ctrl_c_at_any_instant_of_a_script() -> None:
    told = faults.ctrl_c(200)
    assert told["ends"] == {"KeyboardInterrupt": 200}
    assert told["handles"] == 1, "what interrupted calls made is freed"
    assert told["waiting"] == 0


def test_55_ctrl_c_within_an_event_loop_as_in_jupyter() -> None:
    assert faults.ctrl_c(20, "loop")["ends"] == {"KeyboardInterrupt": 20}


def test_55_ctrl_c_at_the_terminal_of_an_interactive_python() -> None:
    assert faults.ctrl_c_repl(5)["ends"] == {"kept": 5}


def test_55_ctrl_c_while_the_server_starts_leaves_it_to_the_next_call(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    slow = wrapper(tmp_path, f'echo >> {starts}; sleep 0.5; exec "$REAL" "$@"')
    script = f"""
        import sys, os, signal, threading
        sys.path.insert(0, {faults.SOURCE!r})
        from polylaplace import Client
        client = Client(node={str(slow)!r})
        for _ in range(6):
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                client.ping()
            except KeyboardInterrupt:
                print("interrupted")
                break
        client.ping()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.split() == ["interrupted"]
    assert len(starts.read_text()) == 1, "one start served both calls"


def test_kill_9_at_random_instants_is_a_typed_error_and_what_was_saved_is_there() -> None:
    told = faults.kill_server(8)
    assert told["ends"]["gone is told"] == 8
    assert set(told["ends"]) <= {"gone is told", "ServerCrashedError", "StateError"}


def test_54_a_full_disk_and_a_quota_leave_the_posterior_that_was_saved_before() -> None:
    assert set(faults.full_disk(5)["ends"]) == {"error"}
    assert set(faults.quota(6)["ends"]) <= {"error"}


def test_56_a_hundred_threads_wait_for_their_turn() -> None:
    assert faults.threads(100) == {"ends": {"served": 100}, "waiting": 0}
    assert faults.threads(30, in_flight=2) == {"ends": {"served": 30}, "waiting": 0}


def test_56_first_come_first_served_and_a_deadline_holds_while_waiting(slow_server: list[str]) -> None:
    with Client(command=[*slow_server, "--workers", "1", "--max-in-flight", "1"]) as client:
        client.ping()
        starts: dict[int, float] = {}

        def fit(number: int) -> None:
            starts[number] = client.call("fit", {"options": {"ms": 20}})["started"]

        blocking = threading.Thread(target=lambda: client.call("fit", {"options": {"ms": 1500}}))
        blocking.start()
        waiting = [threading.Thread(target=fit, args=(number,)) for number in range(10)]
        for number, thread in enumerate(waiting):
            thread.start()
            while len(client._queue) < number + (1 if blocking.is_alive() else 0):
                time.sleep(0.001)
        with pytest.raises(CancelledError, match="did not end within 0"):
            client.call("fit", {"options": {"ms": 20}}, timeout=0.001)
        for thread in [blocking, *waiting]:
            thread.join(faults.PATIENCE)
        assert sorted(starts, key=lambda number: starts[number]) == list(range(10))
        assert not client._queue


def test_56_forked_processes_use_the_client_of_their_parent() -> None:
    for started in (True, False):
        assert faults.processes(8, started) == {"ends": {"served": 8}, "exit codes": {0: 8}}


def test_49_what_a_thread_held_that_was_ended_is_told_by_handle(slow_server: list[str]) -> None:
    with Client(command=[*slow_server, "--workers", "1", "--thread-grace", "200"]) as client:
        lost, _ = create(client, "readNetwork", {})
        again, _ = create(client, "readNetwork", {}, maker("readNetwork", {}))
        handle, pid = lost.handle(), client.server_pid
        first = again.handle()
        with pytest.raises(CancelledError):
            client.call("fit", {"options": {"ms": 1e9, "deaf": True}}, timeout=0.1)
        client.call("fit", {"options": {}})
        assert not lost.alive
        with pytest.raises(StateError, match=f"'{handle}' is gone: .*did not stop.*Fit again") as caught:
            lost.handle()
        assert caught.value.data["handle"] == handle
        assert again.handle() != first, "what can be made again is"
        assert client.server_pid == pid


# --- 60: what can be wrong with the start ---


def wrapper(folder: Path, script: str) -> Path:
    """A `node` that is a shell script; $REAL is the real one."""
    path = folder / "node"
    real = subprocess.run(["which", "node"], capture_output=True, text=True, check=True).stdout.strip()
    path.write_text(f"#!/bin/sh\nREAL={real}\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


STARTS = {
    "banner": ('echo "Welcome to node 20"; exec "$REAL" "$@"', "Welcome to node 20"),
    "short banner": ('echo; exec "$REAL" "$@"', "does not speak as the server does"),
    "only a banner": ('echo "Welcome to nothing"; sleep 600', "Welcome to nothing"),
    "huge frame": (r'printf "\377\377\377\177\203abc"; sleep 600', "does not speak as the server does"),
    "silent": ("sleep 600", "did not answer within [0-9.]+ s"),
    "silent, with last words": ("echo waiting for a licence >&2; sleep 600", "waiting for a licence"),
    "old": (
        'if [ "$1" = --version ]; then echo v16.20.0; else echo SyntaxError >&2; exit 1; fi',
        "Node.js 16.20.0 .* is too old",
    ),
    "ends at once": ("exit 0", "ended with exit code 0"),
    "ends at once, with words": ("echo no licence; exit 5", "no licence"),
    "not a program": (None, "may not be run"),
    "missing": ("", "is not there"),
}


@pytest.mark.parametrize("name", STARTS)
def test_60_a_node_that_is_not_right_is_named_in_time(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script, words = STARTS[name]
    node = wrapper(tmp_path, script or "")
    if name == "missing":
        node.unlink()
    elif script is None:
        node.chmod(0o644)
    monkeypatch.setenv("POLYLAPLACE_NODE", str(node))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for limit in ("1.5", "15", "150"):
        monkeypatch.setenv("POLYLAPLACE_START_TIMEOUT", limit)
        # The 600 s of the script are not waited for.
        with pytest.raises((ServerCrashedError, NodeNotFoundError)) as named:
            Client().ping()
        # A busy machine may not have let the script come to its words.
        if re.search(words, str(named.value)):
            break
    assert re.search(words, str(named.value))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "memory for a claimed frame"
    assert not doctor()
    told = capsys.readouterr().out
    assert "[!!]" in told
    assert str(node) in told


def test_60_a_silent_start_is_named_within_the_limit_and_can_be_given_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = wrapper(tmp_path, 'sleep 2; exec "$REAL" "$@"')
    monkeypatch.setattr("polylaplace._client.Path.read_text", lambda _: "400.0 300.0 200.0 9/999 1")
    assert _client._crowding() == round(400 / (4 * (os.cpu_count() or 1)))
    monkeypatch.undo()
    with pytest.raises(ServerCrashedError, match="POLYLAPLACE_START_TIMEOUT"):
        Client(node=str(slow), start_timeout=0.5).ping()
    monkeypatch.setenv("POLYLAPLACE_START_TIMEOUT", "120")
    with Client(node=str(slow)) as client:
        assert client.ping() > 0
    monkeypatch.setenv("POLYLAPLACE_START_TIMEOUT", "soon")
    with pytest.raises(OptionError, match="POLYLAPLACE_START_TIMEOUT"):
        Client()


def test_60_of_two_nodes_the_one_that_runs_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.run(["which", "node"], capture_output=True, text=True, check=True).stdout.strip()
    monkeypatch.setenv("PATH", f"{wrapper(tmp_path, 'exit 3').parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("POLYLAPLACE_NODE", raising=False)
    monkeypatch.setattr("polylaplace._runtime._wheel_node", lambda: real)
    with Client() as client:
        assert client.ping() > 0
        assert client.server_command()[0] == real


def test_p6_the_refusal_to_restart_says_why_and_what_to_do(tmp_path: Path) -> None:
    client = Client(node=str(wrapper(tmp_path, "echo out of paper >&2; exit 3")))
    for _ in range(4):
        with pytest.raises(ServerCrashedError, match="out of paper"):
            client.ping()
    with pytest.raises(LaplaceError, match=r"restart\(\)(.|\n)*out of paper"):
        client.ping()
