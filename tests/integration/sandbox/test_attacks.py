"""Programs that try to do more than compute. None succeeds, and none is scored as passed."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tiltyard_jobs.evaluation.benchmarks.cruxeval import AssertionTask
from tiltyard_jobs.sandbox.confine import ConfinementError
from tiltyard_jobs.sandbox.host import Limits, ProgramOutcome, run_program, run_programs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="code of models runs on Linux alone")

SAY_EVERYWHERE = """
import os
def say(words):
    for fd in range(3, 64):
        try: os.write(fd, words)
        except OSError: pass
    os._exit(0)
pass"""

LIMITS = Limits(seconds=10, memory=1 << 30, file_bytes=1 << 20)


async def run(source: str, limits: Limits = LIMITS) -> ProgramOutcome:
    return await run_program(source, limits)


async def test_a_program_that_computes_passes() -> None:
    source = """
import collections, dataclasses, datetime, decimal, functools, heapq, itertools, json, math, random, re, statistics
from typing import List

def largest(values: List[int]) -> int:
    return max(values)

assert largest([1, 3, 2]) == 3
assert math.isclose(statistics.mean([1, 2]), 1.5)
"""
    assert await run(source) == ProgramOutcome("Passed")


async def test_an_answer_of_cruxeval_is_read_inside() -> None:
    task = AssertionTask("sample_0", "def f(x):\n    return [x, x]", "3", finds_output=True)
    assert await run(task.from_chat("assert f(3) == [3, 3]")) == ProgramOutcome("Passed")
    for wrong in ("assert f(3) == [3]", "assert f(3) == f(3)", "assert f(3) == " + "[" * 3000):
        assert (await run(task.from_chat(wrong))).verdict == "Failed"


async def test_a_process_that_is_killed_before_it_begins_is_started_again(tmp_path: Path) -> None:
    starts, limits = tmp_path / "starts", Limits()
    count = f"echo >> {starts}; n=0; while read one; do n=$((n+1)); done < {starts}"
    third = ("/bin/sh", "-c", f'{count}; [ $n -gt 2 ] && exec {sys.executable} -I -m "$@"; kill -9 $$', "start")
    assert await run_program("assert True", limits, third) == ProgramOutcome("Passed")
    with pytest.raises(ConfinementError, match="killed 3 times before it began"):
        await run_program("assert True", limits, ("/bin/sh", "-c", "kill -9 $$"))


async def test_an_interpreter_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfinementError, match="/nowhere/python cannot be started: No such file or directory"):
        await run_program("assert True", Limits(), ("/nowhere/python", "-I"))


async def test_what_benchmarks_need_works() -> None:
    source = """
import numpy, tempfile, threading, os
assert numpy.dot(numpy.ones((50, 50)), numpy.ones((50, 50)))[0, 0] == 50
with open("here.txt", "w") as file, open(os.devnull, "w") as nowhere:
    file.write("x")
    nowhere.write("x")
assert os.listdir() == ["here.txt"]
said = []
thread = threading.Thread(target=lambda: said.append(1))
thread.start()
thread.join()
assert said == [1]
"""
    assert await run(source) == ProgramOutcome("Passed")


async def test_what_libraries_do_works() -> None:
    source = """
import os, shutil
os.mkdir("folder")
with open("file", "w") as file:
    file.write("x")
os.symlink("file", "link")
os.link("file", "folder/other")
os.rename("file", "folder/file")
shutil.move("folder/other", "back")
assert sorted(os.listdir()) == ["back", "folder", "link"]
for place in ("/proc/cpuinfo", "/proc/meminfo", "/proc/self/cmdline", "/sys/devices/system/cpu/online"):
    assert open(place).read()
"""
    assert await run(source) == ProgramOutcome("Passed")


@pytest.mark.parametrize(
    ("source", "detail"),
    [
        ("assert 1 == 2", "AssertionError: "),
        ("def f(:", "SyntaxError: invalid syntax (program.py, line 1)"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("import sys; sys.exit()", "SystemExit: "),
        ("x = '\\ud800'; raise ValueError(x)", "ValueError: \\ud800"),
    ],
)
async def test_what_fails_says_why(source: str, detail: str) -> None:
    assert await run(source) == ProgramOutcome("Failed", detail)


@pytest.mark.parametrize(
    "source",
    [
        "import os; os._exit(0)",
        "print('passed'); import os; os._exit(0)",
        f"{SAY_EVERYWHERE}; say(b'passed 0')",
        f"{SAY_EVERYWHERE}; say(b'unconfined')",
        "import ctypes; ctypes.string_at(0)",
        "import os; os.abort()",
    ],
)
async def test_an_early_end_is_no_success(source: str) -> None:
    assert (await run(source)).verdict == "Crashed"


async def test_an_endless_loop_ends() -> None:
    assert (await run("while True: pass", Limits(seconds=1))).verdict == "TimedOut"
    assert (await run("import time; time.sleep(60)", Limits(seconds=1))).verdict == "TimedOut"


@pytest.mark.parametrize(
    "source",
    [
        "x = bytearray(4 << 30)",
        "x = []\nwhile True: x.append(bytearray(1 << 24))",
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        "open('big', 'wb').write(bytes(8 << 20))",
    ],
)
async def test_memory_threads_and_files_have_a_limit(source: str) -> None:
    enough = replace(LIMITS, seconds=60)  # a busy machine is slow to reach these limits
    assert (await run(source, enough)).verdict in ("Failed", "Crashed")


@pytest.mark.parametrize(
    "call",
    [
        "os.fork()",
        "[os.fork() for _ in range(4)]",
        "subprocess.run(['/bin/true'])",
        "os.system('true') == 0 or refuse()",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.execv('/bin/true', ['true'])",
        "multiprocessing.Process(target=print).start()",
        "os.kill(os.getppid(), 0)",  # signal 0: nobody dies should the sandbox be broken
        "os.kill(1, 0)",
        "os.kill(-1, 0)",
        "os.pidfd_open(os.getppid())",
        "resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
        "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "os.setpriority(os.PRIO_PROCESS, os.getppid(), 5)",
        "socket.socket()",
        "socket.socket(socket.AF_UNIX)",
        "urllib.request.urlopen('http://127.0.0.1:1')",
        "os.unshare(1) if hasattr(os, 'unshare') else refuse()",
        "os.chroot('.')",
        "os.sethostname('x') if hasattr(os, 'sethostname') else socket.sethostname('x')",
        "ctypes.CDLL(None, use_errno=True).ptrace(16, os.getppid(), 0, 0) == 0 or refuse()",
    ],
)
async def test_no_process_no_network_no_privilege(call: str) -> None:
    source = f"""
import ctypes, multiprocessing, os, resource, socket, subprocess, urllib.request
multiprocessing.set_start_method("fork")
def refuse(): raise PermissionError
{call}
"""
    outcome = await run(source)
    assert outcome.verdict == "Failed", outcome
    assert outcome.detail.startswith(("PermissionError", "BlockingIOError", "URLError", "ValueError", "OSError"))


async def test_nobody_is_reached_over_the_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        port = server.getsockname()[1]
        outcome = await run(f"import socket; socket.create_connection(('127.0.0.1', {port}), timeout=2)")
        assert outcome.verdict == "Failed"
        with pytest.raises(TimeoutError):
            server.accept()


async def test_files_outside_are_out_of_reach(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    link = tmp_path / "link"
    for call in (
        f"open({str(secret)!r}).read()",
        f"open({str(secret)!r}, 'w').write('yours')",
        f"os.truncate({str(secret)!r}, 0)",
        f"os.remove({str(secret)!r})",
        f"os.rename({str(secret)!r}, 'mine')",
        f"os.link({str(secret)!r}, 'mine')",
        f"os.symlink({str(secret)!r}, 'mine'); open('mine').read()",
        f"open({str(tmp_path / 'new')!r}, 'w')",
        f"os.symlink('x', {str(link)!r})",
        f"os.listdir({str(tmp_path)!r})",
        "open('/etc/passwd').read()",
        "open('/proc/1/environ').read()",
        "open('/proc/1/cmdline').read()",
        f"open('x', 'w'); os.symlink({str(tmp_path)!r}, 'folder'); os.rename('x', 'folder/x')",
        f"open('here', 'w'); os.rename('here', {str(tmp_path / 'new')!r})",
        f"open('here', 'w'); os.link('here', {str(tmp_path / 'new')!r})",
        "open('/proc/self/environ').read()",
        f"open('/proc/{os.getpid()}/mem').read()",
        "open('/dev/shm/left', 'w')",
        "open('/tmp/left', 'w')",
    ):
        outcome = await run(f"import os\n{call}")
        assert outcome.verdict == "Failed", (call, outcome)
        assert outcome.detail.startswith(("PermissionError", "OSError")), (call, outcome)
    assert secret.read_text() == "mine"
    assert os.listdir(tmp_path) == ["secret"]


async def test_the_environment_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    source = """
import ctypes, os
assert "AWS_SECRET_ACCESS_KEY" not in os.environ, os.environ
assert ctypes.CDLL(None).getenv(b"AWS_SECRET_ACCESS_KEY") == 0
"""
    assert await run(source) == ProgramOutcome("Passed")


async def test_one_program_cannot_touch_the_outcome_of_another() -> None:
    attack = """
import os
for folder in ("/tmp", "..", "/proc"):
    try: names = os.listdir(folder)
    except OSError: continue
    raise SystemError(folder)
"""
    programs = [attack, "assert True", attack, "assert False", "import os; os._exit(0)"] * 3
    found = {position: outcome.verdict async for position, outcome in run_programs(programs, LIMITS, 4)}
    assert [found[position] for position in range(5)] == ["Passed", "Passed", "Passed", "Failed", "Crashed"]
    assert [found[position] for position in range(15)] == [found[position % 5] for position in range(15)]
