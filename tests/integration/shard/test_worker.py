"""The worker as a process: started, killed, stopped, raced, and its exit code, summary and log read."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.shard_stage import bundle, recipe
from support.waiting import wait_until
from tiltyard_jobs.contracts.layout import checkpoint_prefix
from tiltyard_jobs.contracts.progress import MAX_BYTES, PATH, PORT, WorkerProgress
from tiltyard_jobs.contracts.recipes import AnswerRecipe
from tiltyard_jobs.contracts.solo_tasks import PreflightTask
from tiltyard_jobs.contracts.tasks import BundleTask, StoreRef
from tiltyard_jobs.results import columns
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.shard.folders import folder_of
from tiltyard_jobs.shard.tables import TableWriter
from tiltyard_jobs.store.folder import FolderStore

IN_FLIGHT = 4  # the fake stage's concurrency: what a kill may cost


class World:
    """A store, a work folder and a task; workers are started on them."""

    def __init__(self, root: Path, *recipes: AnswerRecipe) -> None:
        self.root = root
        self.recipes = recipes
        self.store = FolderStore(root / "store")
        self.task = root / "task.json"
        self.give(bundle(root / "store", recipes))

    def give(self, task: BundleTask | PreflightTask) -> None:
        self.task.write_bytes(task.canonical())

    @contextmanager
    def worker(self, *options: str, work: str = "work", **environment: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, "-m", "support.shard_stage", "answer", "--task", str(self.task), *options],
            env=os.environ
            | {
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                "FAKE_ASKED": str(self.root / "asked"),
                "TILTYARD_WORK_DIR": str(self.root / work),
                "TILTYARD_SUMMARY": str(self.root / "summary"),
                "TILTYARD_PROGRESS": str(self.root / "progress"),
            }
            | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def run(self, *options: str, work: str = "work", **environment: str) -> tuple[int, list[dict[str, Any]]]:
        with self.worker(*options, work=work, **environment) as process:
            _, errors = process.communicate(timeout=60)
        return process.returncode, [json.loads(line) for line in errors.splitlines()]

    @property
    def summary(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.root / "summary").read_text())
        return document

    @property
    def asked(self) -> Counter[str]:
        path = self.root / "asked"
        return Counter(path.read_text().splitlines() if path.exists() else [])

    def objects(self) -> dict[str, bytes | None]:
        return {info.key: self.store.get(info.key) for info in self.store.list("")}

    def wait_until_asked(self, count: int) -> None:
        wait_until(lambda: self.asked.total() >= count, poll=0.005)


def test_a_shard_from_task_to_seal(tmp_path: Path) -> None:
    world = World(tmp_path, recipe(0), recipe(1, rows=30))
    code, lines = world.run(TILTYARD_NAMESPACE="team-a")
    assert code == 0
    assert world.summary == {
        "exitCode": 0,
        "rows": 70,
        "voids": {"Undecided": 2},
        "requests": 70,
        "promptTokens": sum(range(40)) + sum(range(30)),
        "fresh": 70,
    }
    told = WorkerProgress.model_validate_json((tmp_path / "progress").read_bytes())
    assert (told.done, told.total, told.records, told.voids) == (70, 70, True, {"Undecided": 2})
    assert told.prompt_tokens == world.summary["promptTokens"]
    assert [line["event"] for line in lines] == ["shard started", "complete"]
    for line in lines:
        assert (line["tournament"], line["stage"], line["index"]) == ("test", "answer", 0)
        assert (line["namespace"], line["bundle"], line["shard"]) == ("team-a", "answer/fake", 0)
    seal = Artifacts(world.store, tmp_path / "cache").require(world.recipes[0].ref)[0]
    # The void row counts no tokens.
    assert (seal.prompt_tokens, seal.completion_tokens) == (sum(range(40)) - 7, 2 * (sum(range(40)) - 7))
    rows = list(Artifacts(world.store, tmp_path / "cache").rows(world.recipes[0].ref))
    assert [row["instruction_id"] for row in rows] == [f"{row:020x}" for row in range(40)]
    assert [row["answer"] for row in rows[2:4]] == ["reply 2", "reply 3 ?"]
    assert (rows[7]["void"], rows[7]["detail"], rows[7]["answer"]) == ("Undecided", "neither", None)
    assert list((tmp_path / "work").iterdir()) == []
    assert list(world.store.list("checkpoints/")) == []


def told_at(address: str) -> WorkerProgress:
    with urllib.request.urlopen(f"http://{address}:{PORT}{PATH}", timeout=10) as answer:
        body = answer.read()
    assert len(body) <= MAX_BYTES
    return WorkerProgress.model_validate_json(body)


def test_a_worker_at_work_tells_how_far_it_is(tmp_path: Path) -> None:
    world = World(tmp_path, recipe(0, rows=1000))
    address = f"127.21.{os.getpid() // 250 % 250}.{1 + os.getpid() % 250}"
    with world.worker(FAKE_DELAY="0.1", TILTYARD_POD_IP=address) as process:
        world.wait_until_asked(20)
        told = told_at(address)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://{address}:{PORT}/", timeout=10)
        with pytest.raises(OSError, match="refused"):
            told_at(f"127.22.0.{1 + os.getpid() % 250}")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert 10 <= told.done < told.total == 1000
    assert told.records
    assert 0 < told.asking <= IN_FLIGHT
    assert told.prompt_tokens >= sum(range(8))
    assert process.returncode == 143


def test_a_worker_whose_port_is_taken_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path, recipe(0))
    with socket.create_server((f"127.23.0.{1 + os.getpid() % 250}", PORT)) as other:
        code, lines = world.run(TILTYARD_POD_IP=other.getsockname()[0])
    assert code == 0
    assert [line["event"] for line in lines] == ["progress is not served", "shard started", "complete"]


def test_what_is_sealed_is_not_made_again(tmp_path: Path) -> None:
    world = World(tmp_path, recipe(0))
    world.run()
    before = world.objects()
    world.give(bundle(tmp_path / "store", (recipe(0), recipe(1))))
    code, lines = world.run()
    assert code == 0
    assert lines[0]["reused_parts"] == 1
    assert (world.summary["rows"], world.summary["reused"]) == (40, 40)
    assert max(world.asked.values()) == 1
    world.run()
    assert world.summary == {"exitCode": 0, "reused": 80}
    assert max(world.asked.values()) == 1
    assert before.items() <= world.objects().items()


@pytest.mark.parametrize("seed", [0, 1])
def test_kills_cost_what_was_under_way_and_change_no_byte(tmp_path: Path, seed: int) -> None:
    (tmp_path / "calm").mkdir()
    calm = World(tmp_path / "calm", recipe(0, rows=100), recipe(1, rows=100))
    assert calm.run()[0] == 0

    world = World(tmp_path, recipe(0, rows=100), recipe(1, rows=100))
    rng = random.Random(seed)
    kills = 0
    while kills < 7:
        with world.worker("--no-checkpoints", FAKE_DELAY="0.01") as process:
            # Some while it reads what it has, most while it asks; once all is asked, while it seals.
            world.wait_until_asked(min(world.asked.total() + rng.randrange(1, 45), 200))
            time.sleep(rng.random() * 0.02)
            if process.poll() == 0:
                break
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    assert world.run("--no-checkpoints")[0] == 0
    assert world.objects() == calm.objects()
    assert len(world.asked) == 200
    assert kills
    assert world.asked.total() - 200 <= kills * IN_FLIGHT


def test_a_stopped_shard_goes_on_at_another_machine(tmp_path: Path) -> None:
    world = World(tmp_path, recipe(0, rows=60))
    with world.worker(FAKE_DELAY="0.02") as process:
        world.wait_until_asked(30)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 143
    assert json.loads(errors.splitlines()[-1])["event"] == "stopped"
    assert world.summary["exitCode"] == 143
    assert world.summary["requests"] >= 26
    assert list(world.store.list(checkpoint_prefix(world.recipes[0].ref, 0)))

    assert world.run(work="elsewhere")[0] == 0
    assert len(world.asked) == 60
    assert world.asked.total() <= 60 + IN_FLIGHT
    assert list(world.store.list("checkpoints/")) == []


def test_a_lost_machine_costs_what_was_not_exported(tmp_path: Path) -> None:
    world = World(tmp_path, recipe(0, rows=60))
    with world.worker(FAKE_DELAY="0.02") as process:
        world.wait_until_asked(45)
        process.kill()
    assert world.run(work="elsewhere")[0] == 0
    # The fake stage exports every ten records, beside its work.
    assert world.asked.total() <= 60 + 2 * 10 + IN_FLIGHT


def test_a_part_finds_its_work_in_another_bundle(tmp_path: Path) -> None:
    world = World(tmp_path, recipe(0), recipe(1))
    with world.worker(FAKE_DELAY="0.02") as process:
        world.wait_until_asked(40)
        process.kill()
    world.give(bundle(tmp_path / "store", (recipe(1), recipe(2))))
    assert world.run("--no-checkpoints")[0] == 0
    for made in (recipe(1), recipe(2)):
        times = [world.asked[f"{made.ref.key} {row}"] for row in range(40)]
        assert sum(times) <= 40 + IN_FLIGHT
        assert min(times) == 1


def test_the_index_chooses_the_shard(tmp_path: Path) -> None:
    world = World(tmp_path, recipe(0, rows=50, shard_size=20))
    assert world.run("--index", "2")[0] == 0
    assert world.summary["rows"] == 10
    assert world.run(JOB_COMPLETION_INDEX="1")[0] == 0
    assert world.run()[0] == 0
    rows = Artifacts(world.store, tmp_path / "cache").rows(world.recipes[0].ref)
    assert len(list(rows)) == 50
    code, lines = world.run("--index", "3")
    assert code == 2
    assert "has indices 0 to 2; there is no index 3." in world.summary["message"]
    assert lines[-1]["message"] == world.summary["message"]


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("transient", 75, "the endpoint is away"),
        ("permanent", 3, "the input is corrupt"),
        ("configuration", 2, "spec.competitors[0].endpoint: refused"),
        ("bug", 1, "A bug in Tiltyard (builtins.ValueError); the log says where."),
    ],
)
def test_exit_codes_and_what_was_spent(tmp_path: Path, fault: str, code: int, message: str) -> None:
    world = World(tmp_path, recipe(0))
    found, lines = world.run("--no-checkpoints", FAKE_FAULT=fault)
    assert found == code
    assert (world.summary["exitCode"], world.summary["message"]) == (code, message)
    assert world.summary["requests"] >= 4
    assert lines[-1]["level"] == "error"
    if fault == "bug":
        assert any("support/shard_stage.py" in frame for frame in lines[-1]["frames"])
    assert "secret" not in json.dumps(lines) + json.dumps(world.summary)
    # What was done before is kept.
    assert world.run("--no-checkpoints")[0] == 0
    assert world.asked.total() <= 40 + IN_FLIGHT


def test_who_waited_for_the_other_to_seal_makes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, recipe(0))
    with world.worker(FAKE_DELAY="0.05") as first:
        world.wait_until_asked(4)
        code, _ = world.run()
        assert first.wait(20) == 0
    assert code == 0
    assert world.summary["reused"] == 40
    assert max(world.asked.values()) == 1


def test_two_machines_at_one_part_leave_one_result(tmp_path: Path) -> None:
    world = World(tmp_path, recipe(0))
    with ExitStack() as stack:
        works = [stack.enter_context(world.worker(work=name, FAKE_DELAY="0.02")) for name in ("one", "two")]
        assert [process.wait(60) for process in works] == [0, 0]
    assert len(world.objects()) == 2
    assert len(list(Artifacts(world.store, tmp_path / "cache").rows(world.recipes[0].ref))) == 40


def test_a_folder_left_by_a_kill_after_the_seal_is_removed(tmp_path: Path) -> None:
    world = World(tmp_path, recipe(0))
    world.run()
    folder = folder_of(tmp_path / "work", world.recipes[0].ref, 0)
    folder.mkdir()
    (folder / "records").write_bytes(b"left over")
    assert world.run()[0] == 0
    assert not folder.exists()


def test_a_corrupt_seal_is_permanent_and_named(tmp_path: Path) -> None:
    world = World(tmp_path, recipe(0))
    key = f"answer/{world.recipes[0].ref.key}/00000.json"
    world.store.put(key, b"not a seal")
    assert world.run()[0] == 3
    assert key in world.summary["message"]


def test_a_wrong_task_is_a_configuration_error(tmp_path: Path) -> None:
    world = World(tmp_path, recipe(0))
    world.task.write_text('{"stage": "answer"}')
    code, lines = world.run()
    assert code == 2
    assert "tournament: Field required." in world.summary["message"]
    assert lines[-1]["event"] == "failed"


def test_preflight(tmp_path: Path) -> None:
    world = World(tmp_path, recipe(0))
    world.give(
        PreflightTask(tournament="test", store=StoreRef(uri=(tmp_path / "store").as_uri()), run="0" * 12, artifacts=())
    )
    process = subprocess.run(
        [sys.executable, "-m", "support.shard_stage", "preflight", "--task", str(world.task)],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "TILTYARD_SUMMARY": str(tmp_path / "summary")},
        capture_output=True,
        check=False,
    )
    assert process.returncode == 0
    assert world.summary == {"exitCode": 0, "done": "bits"}


def test_a_table_has_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    script = (
        "import sys, json, pyarrow as pa; from pathlib import Path\n"
        "from tiltyard_jobs.shard.tables import TableWriter\n"
        "with TableWriter(Path(sys.argv[1]), pa.schema({'id': pa.int32(), 'text': pa.string()})) as table:\n"
        "    for line in sys.stdin: table.write(json.loads(line))\n"
    )
    rows: list[dict[str, Any]] = [{"id": row, "text": f"row {row}"} for row in range(1500)]
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "other.parquet")],
        input="".join(json.dumps(dict(reversed(row.items()))) + "\n" for row in rows),
        text=True,
        check=True,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"},
    )
    schema = columns.table({"id": columns.integer("a number", 32), "text": columns.text("a text")})
    with TableWriter(tmp_path / "rows.parquet", schema) as table:
        for row in rows:
            table.write(row)
    assert (tmp_path / "rows.parquet").read_bytes() == (tmp_path / "other.parquet").read_bytes()
