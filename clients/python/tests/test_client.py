"""R and P of PROTOCOL.md from the client's side, with a server whose methods behave as badly as they are told."""

from __future__ import annotations

import _thread
import gc
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from conftest import HANG, allowed, during, fastest
from polylaplace import (
    CancelledError,
    Client,
    NodeNotFoundError,
    Progress,
    ProtocolError,
    ResourceError,
    ServerCrashedError,
    StateError,
)
from polylaplace._transport import Transport
from polylaplace._wire import encode_frame

SOURCE = str(Path(sys.modules["polylaplace"].__file__ or "").parents[1])


def run(client: Client, **options: Any) -> dict[str, Any]:
    keywords = {key: options.pop(key) for key in ("timeout", "progress") if key in options}
    return client.call("fit", {"options": options}, **keywords)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int, within: float = 300.0) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        if not alive(pid):
            return True
        time.sleep(0.02)
    return False


def test_h1_h2_handshake(slow_client: Client) -> None:
    assert slow_client.server_info["protocol"] == 1
    assert slow_client.server_info["server"] == "polylaplace"
    assert "fit" in slow_client.server_info["methods"]


def test_h4_start_up_deadline_and_failures_show_command_and_stderr() -> None:
    silent = [
        sys.executable,
        "-c",
        "import sys, time; print('last words', file=sys.stderr, flush=True); time.sleep(600)",
    ]
    for limit in (0.3, 3, 30):
        with pytest.raises(ServerCrashedError, match=f"did not answer within {limit} s") as silence:
            Client(command=silent, start_timeout=limit).ping()
        # A busy machine may not have let it speak.
        if "last words" in silence.value.message:
            break
    assert "last words" in silence.value.message
    broken = [sys.executable, "-c", "import sys; sys.exit('cannot start')"]
    with pytest.raises(ServerCrashedError, match=r"exit code 1(.|\n)*Command: (.|\n)*cannot start") as caught:
        Client(command=broken).ping()
    assert caught.value.data["exit_code"] == 1
    with pytest.raises(ServerCrashedError, match="could not be started"):
        Client(command=["/nonexistent/program"]).ping()
    chatty = [sys.executable, "-c", "print('hello there, I am no server')"]
    with pytest.raises(ProtocolError):
        Client(command=chatty).ping()


def test_h1_first_answer_within_200_ms(slow_server: list[str]) -> None:
    def first_answer() -> None:
        client = Client(command=slow_server)
        clients.append(client)
        client.ping()

    clients: list[Client] = []
    # On a busy machine a Node that does nothing takes long, too.
    bare = fastest(0.05, lambda: subprocess.run([slow_server[0], "-e", "0"], check=True), tries=5)
    limit = max(0.2, 5 * bare)
    took = fastest(limit, first_answer)
    for client in clients:
        client.close()
    assert took < max(limit, allowed(0.2))


def test_r2_errors_are_classes(slow_client: Client) -> None:
    with pytest.raises(ProtocolError, match="Did you mean 'predict'") as caught:
        slow_client.call("predikt")
    assert (caught.value.code, caught.value.number, caught.value.data["suggestion"]) == (
        "UNKNOWN_METHOD",
        703,
        "predict",
    )
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), again.message, again.code, again.data) == (
        ProtocolError,
        caught.value.message,
        caught.value.code,
        caught.value.data,
    )


def test_r3_ctrl_c_cancels_and_the_client_stays_usable(slow_client: Client) -> None:
    slow_client.ping()
    pid = slow_client.server_pid
    for deaf in (False, True):
        during(slow_client, _thread.interrupt_main)
        with pytest.raises(KeyboardInterrupt):
            run(slow_client, ms=1e9 if not deaf else 4000, deaf=deaf)
    assert run(slow_client)["handle"].startswith("posterior:")
    assert slow_client.server_pid == pid
    assert len(slow_client.stats()["handles"]) == 1, "what the cancelled requests made is gone"


def test_p5_second_ctrl_c_ends_the_server(slow_server: list[str]) -> None:
    stubborn = [sys.executable, "-c", STUBBORN]
    client = Client(command=stubborn)
    client.ping()
    pid = client.server_pid
    assert pid is not None

    def press_twice() -> None:
        _thread.interrupt_main()
        # The first one is being worked on by then, on any machine; that it comes later does no harm.
        time.sleep(2)
        _thread.interrupt_main()

    during(client, press_twice)
    with pytest.raises(KeyboardInterrupt):
        client.call("fit")
    assert gone(pid)
    client.close()


#: A server that answers hello and ping and nothing else.
STUBBORN = textwrap.dedent("""
    import sys, struct, msgpack
    while (head := sys.stdin.buffer.read(4)):
        message = msgpack.unpackb(sys.stdin.buffer.read(struct.unpack("<I", head)[0]))
        if message.get("method") in ("hello", "ping"):
            body = msgpack.packb({"t": "res", "id": message["id"], "ok": {"version": "0", "protocol": 1}})
            sys.stdout.buffer.write(struct.pack("<I", len(body)) + body)
            sys.stdout.buffer.flush()
    import time; time.sleep(3000)
""")


def test_r4_progress(slow_client: Client) -> None:
    seen: list[Progress] = []
    # Longer where others had the processors.
    for ms in (1500, 6000, 24_000):
        seen.clear()
        run(slow_client, ms=ms, progress=seen.append)
        assert len(seen) <= ms / 100 + 1
        if len(seen) >= 2:
            break
    assert len(seen) >= 2
    assert seen[-1].stage == "fit"
    run(slow_client, ms=100, progress=True)


def test_r5_timeouts_at_the_server_and_at_the_client(slow_client: Client) -> None:
    slow_client.ping()

    def late() -> None:
        with pytest.raises(CancelledError) as caught:
            run(slow_client, ms=1e9, timeout=0.2)
        assert caught.value.code == "DEADLINE"

    took = fastest(1.0, late)
    assert took < allowed(1.0)
    run(slow_client)
    with Client(command=[sys.executable, "-c", STUBBORN]) as client:
        client.ping()
        with pytest.raises(CancelledError):
            client.call("fit", timeout=0.1)
    with pytest.raises(StateError):
        client.ping()


def test_r6_threads_share_a_client(slow_client: Client) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: slow_client.call("ping", {"echo": number})["echo"], range(500)))
    assert answers == list(range(500))


def test_r6_10_000_pipelined_pings(slow_client: Client) -> None:
    with ThreadPoolExecutor(32) as pool:
        assert len(list(pool.map(lambda _: slow_client.ping(), range(10_000)))) == 10_000


def test_r7_dropped_objects_are_freed(slow_client: Client) -> None:
    from polylaplace._remote import create

    remotes = [create(slow_client, "readNetwork", {})[0] for _ in range(5)]
    assert len(slow_client.stats()["handles"]) == 5
    del remotes
    gc.collect()
    slow_client.ping()
    assert len(slow_client.stats()["handles"]) == 0


def test_55_no_python_runs_when_a_handle_dies(slow_client: Client) -> None:
    # A Ctrl-C within it would be printed and dropped, and the object would stay on the server.
    handles = [slow_client.call("readNetwork", {}, owned=True)["handle"]]
    ran: list[str] = []
    sys.setprofile(lambda frame, event, _: ran.append(frame.f_code.co_qualname) if event == "call" else None)
    try:
        handles.clear()
    finally:
        sys.setprofile(None)
    assert ran == []
    slow_client.ping()
    assert len(slow_client.stats()["handles"]) == 0


@pytest.mark.skipif(shutil.which("cat") is None, reason="cat stands in for a server that echoes; Windows has none")
def test_p5_small_frames_do_not_overtake_large_ones() -> None:
    came: list[int] = []
    ended = threading.Event()
    transport = Transport(["cat"], 2**30, lambda message: came.append(message["id"]), lambda _: ended.set())
    for number in range(300):
        transport.send(encode_frame({"id": number, "data": bytes(200_000 if number % 3 == 0 else 20)}))
    transport.close(None)
    assert ended.wait(HANG)
    assert came == list(range(300))


@pytest.mark.skipif(
    shutil.which("sleep") is None, reason="sleep stands in for a server that never reads; Windows has none"
)
def test_p5_a_server_that_does_not_read_blocks_nobody() -> None:
    # It would block for ever.
    transport = Transport(["sleep", "100000"], 2**30, lambda _: None, lambda _: None)
    for _ in range(3000):
        transport.send([bytes(1000)])
    transport.kill()
    transport.close(None)


def test_p1_p2_prints_and_a_full_stderr(slow_client: Client) -> None:
    for _ in range(50):
        run(slow_client, print=True, descriptor=True)
    slow_client.ping()


def test_p3_p5_close_ends_the_server(slow_server: list[str]) -> None:
    def closed() -> float:
        client = Client(command=slow_server)
        client.ping()
        pid = client.server_pid
        assert pid is not None
        start = time.monotonic()
        client.close()
        took = time.monotonic() - start
        assert not alive(pid)
        client.close()
        return took

    assert min(closed() for _ in range(3)) < allowed(1.0)


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals, which Windows does not have")
@pytest.mark.parametrize("how", ["exit", "kill", "abort"])
def test_p3_no_orphan_when_the_parent_ends(slow_server: list[str], how: str) -> None:
    script = f"""
        import os, signal, sys, threading
        sys.path.insert(0, {SOURCE!r})
        from polylaplace import Client
        client = Client(command={slow_server!r})
        client.ping()
        options = {{"ms": 20000, "deaf": True}}
        threading.Thread(target=lambda: client.call("fit", {{"options": options}}), daemon=True).start()
        while not client._calls: pass
        print(client.server_pid, flush=True)
        {{"exit": lambda: None, "kill": lambda: os.kill(os.getpid(), signal.SIGKILL), "abort": os.abort}}["{how}"]()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )
    assert gone(int(done.stdout))


def test_p6_kill_during_a_fit_fails_it_and_the_next_call_starts_again(slow_client: Client) -> None:
    slow_client.ping()
    pid = slow_client.server_pid
    assert pid is not None
    during(slow_client, lambda: os.kill(pid, signal.SIGKILL))
    with pytest.raises(ServerCrashedError, match="SIGKILL") as caught:
        run(slow_client, ms=1e9)
    assert "Command:" in str(caught.value)
    assert slow_client.ping() > 0
    assert slow_client.server_pid != pid


def test_p6_no_endless_restarts(slow_server: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    # A busy machine may take longer for four starts.
    monkeypatch.setattr("polylaplace._client._RESTART_WINDOW", 3600.0)
    client = Client(command=slow_server)
    for _ in range(4):
        client.ping()
        os.kill(client.server_pid or 0, signal.SIGKILL)
        while client.server_pid is not None:
            time.sleep(0.01)
    with pytest.raises(ServerCrashedError, match="times within"):
        client.ping()
    client.restart()
    client.ping()
    client.close()


def test_p7_out_of_memory_is_said(slow_server: list[str]) -> None:
    with Client(command=[*slow_server, "--heap", "64"]) as client:
        with pytest.raises(ResourceError, match="ran out of memory"):
            run(client, fill=True)
        run(client)


def test_p7_the_environment_is_short(slow_server: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_OPTIONS", "--no-such-option")
    with Client(command=slow_server) as client:
        client.ping()
        environment = Path(f"/proc/{client.server_pid}/environ").read_text()
    assert "NODE_OPTIONS" not in environment


def _child(client: Client, connection: Any) -> None:
    connection.send((client.call("ping", {"echo": "child"})["echo"], client.server_pid))
    client.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows starts no process by fork")
def test_p5_fork(slow_client: Client) -> None:
    slow_client.ping()
    pid = slow_client.server_pid
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_child, args=(slow_client, there))
    child.start()
    assert here.poll(300)
    echo, child_pid = here.recv()
    child.join(300)
    assert child.exitcode == 0
    assert echo == "child"
    assert child_pid != pid, "a child has a server of its own"
    assert gone(child_pid)
    assert slow_client.call("ping", {"echo": 1})["echo"] == 1
    assert slow_client.server_pid == pid, "and the parent keeps its own"


def test_p5_pickle(slow_client: Client) -> None:
    slow_client.ping()
    with pickle.loads(pickle.dumps(slow_client)) as other:
        assert other.ping() > 0
        assert other.server_pid != slow_client.server_pid


def test_p10_sigstop(slow_client: Client) -> None:
    slow_client.ping()
    pid = slow_client.server_pid or 0
    os.kill(pid, signal.SIGSTOP)
    start = time.monotonic()
    during(slow_client, lambda: (time.sleep(0.25), os.kill(pid, signal.SIGCONT)))
    assert slow_client.ping() > 0
    assert time.monotonic() - start > 0.25, "it waited for the server to go on"
    os.kill(pid, signal.SIGSTOP)
    slow_client.close()
    assert not alive(pid), "a stopped server is killed"


def test_p10_two_clients(slow_server: list[str]) -> None:
    with Client(command=slow_server) as one, Client(command=slow_server) as two:
        assert one.call("ping", {"echo": 1})["echo"] == 1
        assert two.call("ping", {"echo": 2})["echo"] == 2
        assert one.server_pid != two.server_pid


def test_no_node_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("POLYLAPLACE_NODE", raising=False)
    monkeypatch.setattr("polylaplace._runtime._wheel_node", lambda: None)
    with pytest.raises(NodeNotFoundError, match=r"needs Node.js.*pip install polylaplace\[node\]"):
        Client().ping()
    monkeypatch.setenv("POLYLAPLACE_NODE", str(tmp_path / "missing"))
    with pytest.raises(NodeNotFoundError, match="POLYLAPLACE_NODE"):
        Client().ping()


def test_an_old_node_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "node"
    old.write_text('#!/bin/sh\nif [ "$1" = --version ]; then echo v16.20.0; else echo "SyntaxError" >&2; exit 1; fi\n')
    old.chmod(0o755)
    monkeypatch.setenv("POLYLAPLACE_NODE", str(old))
    with pytest.raises(ServerCrashedError, match=r"Node.js 16.20.0 .* is too old"):
        Client().ping()
