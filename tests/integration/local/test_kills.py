"""SIGKILL anywhere, again and again: the same bytes, and next to nothing is asked twice."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from integration.local.conftest import MakeRun
from support.local_runs import INTERRUPTED, LocalRun, alive, command_of, contents
from support.manifests import manifest
from support.waiting import wait_until
from tiltyard.local.occupancy import is_occupied
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.sim.request_log import asked_twice
from tiltyard_jobs.store import open_store

SEED = 4
WHILE_ASKING = {"shard": 5, "server": 6, "main": 6}
LINES_AT_WORK = 100  # of a request log, all of a server that has just started
ASKING = ("mine", "filter", "grade", "curate", "answer", "judge")
LAST_STAGES = ("rate", "dataset", "report")  # they ask nothing; the shard of each is killed once


def big(logs: Path) -> dict[str, Any]:
    """A tournament of some forty thousand requests, each of which is logged.

    What a killed shard has asked and not written down is asked again: up to 64 requests, which no client can avoid.
    """
    document = manifest(2, judges=1, per_competitor=5200)
    for player in [*document["spec"]["competitors"], *document["spec"]["judges"]]:
        player["serving"] = {"args": [f"--request-log={logs / player['name']}.jsonl"]}
    document["spec"] |= {
        "curation": {"decontaminate": [], "diversity": {"perCompetitor": 3500}},
        "jobs": {"shardSize": 4096, "backoffLimitPerShard": 8},
    }
    return document


def written(logs: Path) -> int:
    """Bytes in the request logs."""
    return sum(log.stat().st_size for log in logs.glob("*.jsonl"))


def is_server_at_work(pid: int) -> bool:
    """Whether a server answers requests."""
    command = command_of(pid)
    log = re.search(r"--request-log[= ](\S+)", command) if "tiltyard_jobs.sim" in command else None
    if log is None or not Path(log[1]).exists():
        return False
    last = Path(log[1]).read_bytes().splitlines()[-LINES_AT_WORK:]
    return len(last) == LINES_AT_WORK and len({json.loads(line)["run"] for line in last[:-1]}) == 1


def is_shard_of(*stages: str) -> Callable[[int], bool]:
    return lambda pid: any(f"-m tiltyard_jobs {stage} " in command_of(pid) for stage in stages)


class Killing:
    """A run that is killed at moments drawn from a seed."""

    def __init__(self, run: LocalRun, logs: Path, total: int) -> None:
        self.run = run
        self.logs = logs
        self.total = total
        self.rng = random.Random(SEED)
        self.kills: list[str] = []
        self.witnesses: set[int] = set()
        self.process = run.start()

    def to_the_end(self) -> None:
        kinds = [kind for kind, count in WHILE_ASKING.items() for _ in range(count)]
        self.rng.shuffle(kinds)
        moments = sorted(self.rng.uniform(0.01, 0.9) * self.total for _ in kinds)
        for moment, kind in zip(moments, kinds, strict=True):
            self.wait_until(partial(self.has_written, moment))
            match kind:
                case "main":
                    self.kill_main()
                case "server":
                    self.kill_server()
                case _:
                    self.kill(is_shard_of(*ASKING))
        for stage in LAST_STAGES:
            self.kill(is_shard_of(stage))
        finished = self.run.finish(self.process)
        assert finished.code == 0, finished.err + self.run.logs()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        wait_until(lambda: condition() or self.process.poll() is not None, seconds=200, poll=0.005)
        assert self.process.poll() is None, self.run.finish(self.process).err + self.run.logs()

    def has_written(self, bytes_: float) -> bool:
        return written(self.logs) >= bytes_

    def kill(self, of_kind: Callable[[int], bool]) -> None:
        """Kill one process of a kind, once there is one."""

        def strike() -> bool:
            found = [pid for pid in self.run.pids() if of_kind(pid)]
            if not found:
                return False
            victim = self.rng.choice(found)
            command = command_of(victim)
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:  # it has ended by itself meanwhile
                return False
            self.kills.append(command)
            return True

        self.wait_until(strike)

    def kill_server(self) -> None:
        """Kill a server, but not the second one of a shard.

        A shard asks again what was under way when its server died; if the next one dies of it too, it says that the
        request has killed them.
        """
        self.wait_until(lambda: not any(map(is_shard_of(*ASKING), self.witnesses)))
        self.kill(is_server_at_work)
        self.witnesses = set(self.run.pids())

    def kill_main(self) -> None:
        """Kill the main process and run it again at once."""
        self.kills.append("main")
        self.process.kill()
        self.process.communicate()
        self.process = self.run.start()


PROBES = 16


@pytest.mark.timeout(480)
def test_twenty_kills_change_nothing_and_hardly_anything_is_asked_twice(tmp_path: Path, make_run: MakeRun) -> None:
    for name in ("whole", "killed"):
        (tmp_path / f"{name}-logs").mkdir()
    whole_logs, killed_logs = tmp_path / "whole-logs", tmp_path / "killed-logs"
    whole = make_run("whole", big(whole_logs))
    whole.complete()
    counts = asked_twice(sorted(whole_logs.glob("*.jsonl")))
    assert counts.asked_twice == 0
    assert counts.distinct > 32_000

    killing = Killing(make_run("killed", big(killed_logs)), killed_logs, written(whole_logs))
    killing.to_the_end()
    assert len(killing.kills) == 20
    again = asked_twice(sorted(killed_logs.glob("*.jsonl")))
    stores = [open_store(StoreRef(uri=(tmp_path / name / "out").as_uri())) for name in ("whole", "killed")]
    undisturbed, disturbed = map(contents, stores)
    assert sorted(undisturbed) == sorted(disturbed)
    assert [key for key in sorted(undisturbed) if undisturbed[key] != disturbed[key]] == []
    # Shards of one author probe it until it is known to be able, each with seeds of its own.
    assert abs(again.distinct - counts.distinct) <= PROBES
    assert again.share <= 0.01, again


def test_what_a_killed_main_process_leaves_is_gone_before_the_next_one_starts_anything(make_run: MakeRun) -> None:
    run = make_run("run", manifest(3, per_competitor=2000))
    process = run.start()
    slow = one_stopped(run)  # it stands for a model that takes long to free its memory
    process.kill()
    process.communicate()
    left = run.pids()
    assert len(left) >= 4  # three models, a shard or two

    process = run.start()
    wait_until(lambda: is_occupied(run.state))
    time.sleep(1.0)
    assert run.pids() == left  # it waits
    os.kill(slow, signal.SIGCONT)
    wait_until(lambda: run.pids() != left and run.pids() != [], poll=0.002)
    assert alive(left) == []
    process.terminate()
    assert run.finish(process).code == INTERRUPTED


def test_without_another_run_the_processes_of_a_killed_one_end_all_the_same(make_run: MakeRun) -> None:
    run = make_run("run", manifest(3, per_competitor=2000))
    process = run.start()
    slow = one_stopped(run)
    process.kill()
    process.communicate()
    left = run.pids()
    wait_until(lambda: alive(left) == [slow], seconds=15)
    os.kill(slow, signal.SIGCONT)  # the kernel's signal has waited for it
    wait_until(lambda: not alive(left), seconds=15)


def one_stopped(run: LocalRun) -> int:
    """A shard that is running and does not react to anything until it is continued."""
    wait_until(lambda: any(map(is_shard_of("mine"), run.pids())))
    shard = next(filter(is_shard_of("mine"), run.pids()))
    os.kill(shard, signal.SIGSTOP)
    wait_until(lambda: "\nState:\tT" in Path(f"/proc/{shard}/status").read_text())
    return shard
