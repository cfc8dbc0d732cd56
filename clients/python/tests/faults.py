"""Faults that are done to a client and its server, again and again: what test_faults.py does a few times, `npm run
faults` does in full. `python faults.py NAME TIMES` prints a line of JSON with what happened."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import json
import multiprocessing
import os
import platform
import random
import resource
import select
import signal
import struct
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from polylaplace import Client, Laplace, LaplaceError, StateError, load
from polylaplace._wire import decode_message, encode_frame

#: Where the package is that runs here, for children.
SOURCE = str(Path(sys.modules["polylaplace"].__file__ or "").parents[1])

#: Longest wait of a fault for its child in seconds: a hang is told, and a busy machine is not taken for one.
PATIENCE = 300.0

#: Growth in MB that a collector explains, however long the work.
FLAT = 64


def network() -> dict[str, Any]:
    """Layers and weights of a small network of two classes."""
    rng = np.random.default_rng(1)
    return {
        "layers": [
            {"type": "Linear", "name": "0"},
            {"type": "ReLU"},
            {"type": "Linear", "name": "2"},
        ],
        "tensors": {
            "0.weight": rng.normal(size=(16, 4)),
            "0.bias": rng.normal(size=16),
            "2.weight": rng.normal(size=(2, 16)),
            "2.bias": rng.normal(size=2),
        },
    }


def data(rows: int = 200) -> tuple[Any, Any]:
    """Rows and their classes."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(rows, 4))
    return x, (x[:, 0] > 0).astype(np.int64)


def fitted(client: Client) -> Laplace:
    """A fit of that network to these rows."""
    parts = network()
    la = Laplace(parts["tensors"], "classification", architecture=parts["layers"], client=client)
    x, y = data()
    return la.fit(x, y)


# --- 55: Ctrl-C ---

#: A child that fits and predicts until it is interrupted, as often as it is told. It tells when it has begun, and waits
#: to be told that the signal was sent, so that no signal of one round ends the next. What Python raises within a
#: callback of its garbage collector it only prints and drops: then a user presses Ctrl-C again, and so does the hook.
INTERRUPTED = """
    import json, os, signal, sys, threading, warnings
    sys.path[:0] = {paths!r}
    warnings.simplefilter("ignore")

    def press_again(dropped):
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()

    sys.unraisablehook = press_again
    import numpy as np
    from collections import Counter
    from faults import Client, data, fitted
    client = Client()
    kept, (x, _) = fitted(client), data()
    before, pid, ends = kept(x[:20]), client.server_pid, Counter()

    def cell():
        try:
            try:
                print("go", flush=True)
                while True:
                    fitted(client)(x)
            finally:
                sys.stdin.readline()
        except BaseException as error:
            ends[type(error).__name__] += 1
        assert np.array_equal(before, kept(x[:20])), "another answer"
        assert client.server_pid == pid, "another server"

    def rounds():
        for _ in range({times}):
            cell()

    {run}
    # What the last interrupted call made is freed once its answer has come.
    import gc, time
    until = time.monotonic() + 60
    while True:
        gc.collect(); client.ping()
        handles = len(client.stats()["handles"])
        if handles <= 1 or time.monotonic() > until: break
        time.sleep(0.05)
    print("end " + json.dumps({{"ends": ends, "handles": handles, "waiting": len(client._calls)}}), flush=True)
"""

#: How the child runs its rounds: as a script does, and as Jupyter does, within an event loop.
RUNS = {
    "script": "rounds()",
    "loop": "import asyncio; loop = asyncio.new_event_loop(); loop.call_soon(lambda: (rounds(), loop.stop()));"
    " loop.run_forever()",
}


def ctrl_c(times: int, how: str = "script", longest: float = 0.03) -> dict[str, Any]:
    """Interrupts a child at random instants of its fits and predictions."""
    paths = [SOURCE, str(Path(__file__).parent)]
    script = textwrap.dedent(INTERRUPTED.format(paths=paths, times=times, run=RUNS[how]))
    child = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    with child, timed(child):
        for line in child.stdout:
            if line.startswith("end "):
                return dict(json.loads(line[4:]))
            time.sleep(random.uniform(0, longest))
            child.send_signal(signal.SIGINT)
            child.stdin.write("sent\n")
            child.stdin.flush()
    raise AssertionError(f"the child ended with {child.returncode}")


@contextlib.contextmanager
def timed(child: subprocess.Popen[Any]) -> Any:
    """Ends a child that hangs."""
    timer = threading.Timer(PATIENCE, child.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        child.kill()


def ctrl_c_repl(times: int) -> dict[str, Any]:
    """Ctrl-C at the terminal of an interactive Python: the whole foreground group gets the signal."""
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-i", "-q"])

    screen = [""]

    def until(text: str) -> str:
        """What appears on the screen up to a text."""
        end = time.monotonic() + PATIENCE
        while text not in screen[0]:
            assert time.monotonic() < end, f"no {text!r} in {screen[0]!r}"
            if select.select([terminal], [], [], 0.2)[0]:
                screen[0] += os.read(terminal, 65536).decode(errors="replace")
        before, found, screen[0] = screen[0].partition(text)
        return before + found

    def say(line: str) -> None:
        os.write(terminal, line.encode() + b"\n")

    ends: Counter[str] = Counter()
    try:
        say(f"import sys, warnings; sys.path[:0] = {[SOURCE, str(Path(__file__).parent)]!r}")
        say("warnings.simplefilter('ignore'); from faults import *; client = Client(); kept = fitted(client)")
        say("x, _ = data(); before = kept(x); pid = client.server_pid; print('re' + 'ady')")
        until("ready")
        for _ in range(times):
            say("while print('beg' + 'un') is None: _ = [fitted(client) for _ in range(10**6)]\n")
            until("begun")
            time.sleep(random.uniform(0, 0.1))
            os.write(terminal, b"\x03")
            until("KeyboardInterrupt")
            say("print('ke' + 'pt:', np.array_equal(before, kept(x)) and client.server_pid == pid, 'e' + 'nd')")
            until("kept: ")
            ends["kept" if "True" in until(" end") else "lost"] += 1
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
    return {"ends": ends}


# --- kill -9 ---


def kill_server(times: int, longest: float = 0.05) -> dict[str, Any]:
    """Kills the server at random instants: calls are answered, or a typed error; what was saved is there."""
    ends: Counter[str] = Counter()
    x, _ = data()
    with tempfile.TemporaryDirectory() as folder, Client() as client:
        saved = Path(folder) / "posterior"
        fitted(client).save(saved)
        expected = load(saved, client=client)(x)
        for _ in range(times):
            kept = fitted(client)
            killer = threading.Timer(random.uniform(0, longest), os.kill, (client.server_pid, signal.SIGKILL))
            killer.start()
            try:
                while True:
                    fitted(client)(x)
                    kept(x)
            except LaplaceError as error:
                ends[type(error).__name__] += 1
            killer.join()
            # More than three ends a minute are taken for a server that cannot run.
            client.restart()
            try:
                kept(x)
                ends["kept what is gone"] += 1
            except StateError as error:
                ends["gone is told"] += "gone" in error.message
            assert np.array_equal(load(saved, client=client)(x), expected)
    return {"ends": ends}


# --- 56: many on one client ---


def threads(times: int, in_flight: int | None = None) -> dict[str, Any]:
    """Threads that fit with one client: all are served, in the order in which they came as far as that can be seen."""
    x, _ = data()
    with Client(max_in_flight=in_flight) as client, ThreadPoolExecutor(times) as pool:
        fitted(client)
        answers = list(pool.map(lambda _: outcome(lambda: fitted(client)(x)), range(times)))
        waiting = len(client._calls) + len(client._queue)
    return {"ends": Counter(answers), "waiting": waiting}


def outcome(work: Callable[[], Any]) -> str:
    """`served`, or the code of the error."""
    try:
        work()
    except LaplaceError as error:
        return error.code
    return "served"


def _served(client: Client, results: Any) -> None:
    results.put(outcome(lambda: fitted(client)(data()[0])))
    client.close()


def processes(times: int, started: bool = True) -> dict[str, Any]:
    """Forked processes that fit with the client of their parent, before and after its server has been started."""
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    with Client() as client:
        if started:
            fitted(client)
        children = [context.Process(target=_served, args=(client, results)) for _ in range(times)]
        for child in children:
            child.start()
        answers = [results.get(timeout=PATIENCE) for _ in children]
        for child in children:
            child.join(PATIENCE)
        fitted(client)
    return {"ends": Counter(answers), "exit codes": Counter(child.exitcode for child in children)}


# --- the server's process ---


def stops(times: int) -> dict[str, Any]:
    """SIGSTOP and SIGCONT at random instants: every answer is right."""
    ends: Counter[str] = Counter()
    x, _ = data()
    with Client() as client:
        expected = fitted(client)(x)
        for _ in range(times):
            pid = client.server_pid
            assert pid is not None
            stop = threading.Timer(random.uniform(0, 0.03), os.kill, (pid, signal.SIGSTOP))
            resume = threading.Timer(random.uniform(0.03, 0.08), os.kill, (pid, signal.SIGCONT))
            stop.start()
            resume.start()
            ends["right" if np.array_equal(fitted(client)(x), expected) else "wrong"] += 1
            stop.join()
            resume.join()
            os.kill(pid, signal.SIGCONT)
    return {"ends": ends}


@contextlib.contextmanager
def bare_server() -> Iterator[subprocess.Popen[bytes]]:
    """A server that has been greeted, without a client."""
    with Client() as client:
        command = client.server_command()
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, bufsize=0) as server:
        try:
            ask(server, 1, "hello", {"protocol": [1, 1], "client": "python/faults", "pid": os.getpid()})
            read_frame(server)
            yield server
        finally:
            server.kill()


def ask(server: subprocess.Popen[bytes], number: int, method: str, params: dict[str, Any]) -> None:
    """Sends a request."""
    assert server.stdin is not None
    for chunk in encode_frame({"t": "req", "id": number, "method": method, "params": params}):
        server.stdin.write(chunk)


def read_frame(server: subprocess.Popen[bytes], step: int = 65536, pause: float = 0.0) -> dict[str, Any]:
    """Reads an answer, in small steps and with pauses where they are asked for."""
    assert server.stdout is not None
    body, length = b"", None
    while length is None or len(body) < length + 4:
        due = 4 - len(body) if length is None else min(step, length + 4 - len(body))
        part = server.stdout.read(due)
        assert part, "the stream ended"
        body += part
        if len(body) == 4:
            length = int.from_bytes(body, "little")
        time.sleep(pause)
    return decode_message(body[4:])


def closed_pipes(times: int) -> dict[str, Any]:
    """A client that closes a pipe at random instants of a fit: the server ends."""
    ends: Counter[str] = Counter()
    parts = network()
    x, y = data(2000)
    for _ in range(times):
        with bare_server() as server:
            ask(server, 2, "fit", {"network": parts, "options": {"likelihood": "classification"}, "x": x, "y": y})
            time.sleep(random.uniform(0, 0.2))
            pipe = random.choice(("stdin", "stdout"))
            getattr(server, pipe).close()
            if pipe == "stdout":
                # It is noticed by whoever writes.
                with contextlib.suppress(BrokenPipeError):
                    for number in range(3, 100):
                        ask(server, number, "ping", {})
                        time.sleep(0.01)
            server.wait(PATIENCE)
            ends["ended"] += 1
    return {"ends": ends}


def slow_reader(times: int) -> dict[str, Any]:
    """A client that sends much and reads slowly: it gets every answer, and the server does not pile them up."""
    with bare_server() as server:
        parts = network()
        x, y = data(1000)
        ask(server, 2, "fit", {"network": parts, "options": {"likelihood": "classification"}, "x": x, "y": y})
        posterior = read_frame(server)["ok"]["handle"]
        sent = threading.Thread(
            target=lambda: [
                ask(server, number, "predict", {"posterior": posterior, "x": x}) for number in range(3, 3 + times)
            ]
        )
        sent.start()
        answers = [read_frame(server, 16384, 0.0002) for _ in range(times)]
        sent.join()
        # BUSY is the right answer to a client that sends more than was agreed.
        ends = Counter("answered" if "ok" in answer else answer["err"]["name"] for answer in answers)
        return {"ends": ends, "MB": rss(server.pid)}


def rss(pid: int) -> int:
    """Resident memory of a process in MB."""
    fields = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")
    return int(fields[1].split()[0]) // 1024


def little_memory(times: int) -> dict[str, Any]:
    """Fits of all sizes where 256 MB are allowed: an answer or a typed error, and the server lives."""
    ends: Counter[str] = Counter()
    rng, peak = np.random.default_rng(3), 0
    with Client(heap=256) as client:
        client.ping()
        pid = client.server_pid
        assert pid is not None
        for _ in range(times):
            width, outputs, rows = (int(2 ** rng.uniform(1, top)) for top in (11, 8, 11))
            tensors = {"0.weight": rng.normal(size=(outputs, width)), "0.bias": rng.normal(size=outputs)}
            layers = [{"type": "Linear", "name": "0"}]
            y = rng.integers(0, outputs, rows)
            structure = str(rng.choice(["full", "kron", "diag"]))
            la = Laplace(
                tensors, "classification", "all", structure, architecture=layers, client=client, memory_limit=2**28
            )
            x = rng.normal(size=(rows, width))
            ends[outcome(lambda la=la, x=x, y=y: la.fit(x, y, timeout=20)(x[:5]))] += 1
            peak = max(peak, rss(pid))
            assert client.server_pid == pid
    return {"ends": ends, "MB": peak}


def clock_jumps(times: int) -> dict[str, Any]:
    """The time of day jumps by up to an hour, at the server and here: deadlines are kept."""
    jump = "const now = Date.now; Date.now = () => now() + (Math.random() - 0.5) * 7.2e6"
    ends: Counter[str] = Counter()
    with Client() as plain:
        node, *rest = plain.server_command()
    real = time.time
    time.time = lambda: real() + random.uniform(-3600, 3600)
    try:
        with Client(command=[node, "--import", f"data:text/javascript,{jump}", *rest]) as client:
            la, (x, _) = fitted(client), data()
            for _ in range(times):
                begin = time.monotonic()
                ends[outcome(lambda: la.predictive_samples(x, 50))] += 1
                ends[outcome(lambda: client.call("ping", timeout=60))] += 1
                assert time.monotonic() - begin < 60
    finally:
        time.time = real
    return {"ends": ends}


def full_disk(times: int) -> dict[str, Any]:
    """Saves that end in the middle, for want of space: an error, and the old file is whole."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    @contextlib.contextmanager
    def cut(size: int) -> Iterator[None]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (random.randrange(size), limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    with tempfile.TemporaryDirectory() as folder:
        ends = cut_saves(times, Path(folder), cut)
        if mounted(folder):
            try:
                ends += cut_saves(times, Path(folder), functools.partial(filled, Path(folder)))
            finally:
                subprocess.run(["umount", folder], check=True)
    return {"ends": ends}


def cut_saves(times: int, folder: Path, cut: Callable[[int], Any]) -> Counter[str]:
    """How saves ended for which `cut(size of the file)` leaves no room; the old file is looked at after each."""
    ends: Counter[str] = Counter()
    with Client() as client:
        la, path = fitted(client), folder / "posterior"
        la.save(path)
        old = path.read_bytes()
        for _ in range(times):
            with cut(len(old)):
                before = sorted(os.listdir(folder))
                try:
                    la.save(path)
                    ends["saved"] += 1
                except (OSError, LaplaceError):
                    ends["error"] += 1
                assert sorted(os.listdir(folder)) == before, "nothing is left behind"
            assert path.read_bytes() == old, "the old file"
    return ends


def mounted(folder: str) -> bool:
    """Whether a disk of 1 MiB could be put there, which root may."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder]
    try:
        return subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@contextlib.contextmanager
def filled(folder: Path, size: int) -> Iterator[None]:
    """A disk with less room than a file needs."""
    free = os.statvfs(folder)
    ballast = folder / "ballast"
    blocks = random.randrange(max(1, size // free.f_bsize))
    ballast.write_bytes(b"x" * max(0, (free.f_bavail - blocks) * free.f_bsize))
    try:
        yield
    finally:
        ballast.unlink()


#: Numbers of the system calls `write` and `fsync`.
SYSTEM_CALLS = {"x86_64": (1, 74), "aarch64": (64, 82)}


def quota(times: int) -> dict[str, Any]:
    """Saves beyond a quota (EDQUOT), which some disks tell when bytes are written and some when they are synced."""
    calls = SYSTEM_CALLS.get(platform.machine())
    if sys.platform != "linux" or calls is None:
        return {"ends": Counter()}
    context = multiprocessing.get_context("fork")
    ends: Counter[str] = Counter()
    # A filter of system calls stays for good: in processes of their own.
    for call in calls:
        results = context.Queue()
        child = context.Process(target=_beyond_quota, args=((times + 1) // 2, call, results))
        child.start()
        ends.update(results.get(timeout=PATIENCE))
        child.join(PATIENCE)
    return {"ends": ends}


def _beyond_quota(times: int, call: int, results: Any) -> None:
    with tempfile.TemporaryDirectory() as folder, Client() as client:
        la, path = fitted(client), Path(folder) / "posterior"
        la.save(path)
        old = path.read_bytes()
        refuse(call, errno.EDQUOT)
        ends: Counter[str] = Counter()
        for _ in range(times):
            try:
                la.save(path)
                ends["saved"] += 1
            except OSError as error:
                told = error.errno == errno.EDQUOT and "unchanged" in str(error)
                ends["error" if told else str(error)] += 1
            if path.read_bytes() != old or os.listdir(folder) != ["posterior"]:
                ends["another file"] += 1
    results.put(dict(ends))


class _Filter(ctypes.Structure):
    """`struct sock_fprog` of Linux."""

    _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_char_p))


def refuse(call: int, number: int, least: int = 512) -> None:
    """Lets a system call of this process fail for good; `write` only of that many bytes, so that messages go on."""
    load, equal, atleast, give = 0x20, 0x15, 0x35, 0x06
    write = call in {calls[0] for calls in SYSTEM_CALLS.values()}
    # Another call: 3 further, to `allow`. The number of bytes is the third argument, at 32.
    lines = [
        (load, 0, 0, 0),
        (equal, 0, 3, call),
        (load, 0, 0, 32),
        (atleast, 0, 1, least if write else 0),
        (give, 0, 0, 0x00050000 | number),
        (give, 0, 0, 0x7FFF0000),
    ]
    program = b"".join(struct.pack("HBBI", *line) for line in lines)
    libc = ctypes.CDLL(None, use_errno=True)
    # PR_SET_NO_NEW_PRIVS, then PR_SET_SECCOMP with SECCOMP_MODE_FILTER.
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.byref(_Filter(len(lines), program)), 0, 0) == 0, os.strerror(ctypes.get_errno())


def soak(times: int) -> dict[str, Any]:
    """Fits and predictions in a row: the memory of client and server stays flat."""
    x, _ = data()
    with Client() as client:
        sizes = []
        for number in range(times):
            fitted(client)(x)
            if number % max(1, times // 10) == 0 or number == times - 1:
                sizes.append((rss(client.server_pid or 0), rss(os.getpid())))
        handles = len(client.stats()["handles"])
    # The first tenth warms up.
    grown = [last - first for first, last in zip(sizes[min(2, len(sizes) - 1)], sizes[-1], strict=True)]
    ends = {"fitted": times} | ({"grew": 1} if max(grown) > FLAT else {})
    return {"ends": ends, "server grew by MB": grown[0], "client grew by MB": grown[1], "handles": handles}


FAULTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "ctrl-c": ctrl_c,
    "ctrl-c-loop": lambda times: ctrl_c(times, "loop"),
    "ctrl-c-repl": ctrl_c_repl,
    "kill-9": kill_server,
    "threads": threads,
    "processes": processes,
    "processes-unstarted": lambda times: processes(times, started=False),
    "stops": stops,
    "closed-pipes": closed_pipes,
    "slow-reader": slow_reader,
    "little-memory": little_memory,
    "clock-jumps": clock_jumps,
    "full-disk": full_disk,
    "quota": quota,
    "soak": soak,
}

if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    print(json.dumps(FAULTS[sys.argv[1]](int(sys.argv[2]))))
