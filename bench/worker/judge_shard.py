"""Our side of the comparison: a judge's shard, run by the worker's own command as a tournament runs it.

The store holds one attacker's instructions, its answers and three defenders'. The shard compares the attacker with each
defender on each instruction, in both orders: six verdicts for an instruction, three sealed parts. All of it is in the
process that is measured: its start, inputs, prompts, requests, verdicts, journal, checkpoints, tables, seals.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from workload import ANSWER, MODEL, instruction

from tiltyard_jobs.contracts.frozen import digest
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import JudgeRecipe
from tiltyard_jobs.contracts.summary import Summary
from tiltyard_jobs.contracts.tasks import BundleTask, EndpointRef, Part, StoreRef
from tiltyard_jobs.contracts.versions import judge_prompt
from tiltyard_jobs.records import instruction_id
from tiltyard_jobs.results.stage_tables import ANSWERS, CURATED
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.shard.tables import TableWriter
from tiltyard_jobs.store.folder import FolderStore

JOBS = Path(__file__).resolve().parents[2] / "jobs"
DEFENDERS = 3
VERDICTS_OF_AN_INSTRUCTION = 2 * DEFENDERS


class ShardRun(NamedTuple):
    """One run of the worker.

    Attributes:
        cpu_seconds: user and system time of the whole process, its start included.
        seconds: by the clock, from the first connection to the last seal.
        lost: records that are void or missing in the sealed tables.
        retries: requests that were sent again.
    """

    cpu_seconds: float
    seconds: float
    lost: int
    retries: int


class JudgeShard:
    """A store with inputs for `n` verdicts (rounded up to whole instructions), which each run makes again.

    Args:
        folder: is made; holds the store.
        n: how many verdicts.
        bytecode: the folder of compiled modules: the first run with an empty one pays for the compiling.
    """

    def __init__(self, folder: Path, n: int, bytecode: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._bytecode = bytecode
        self._store = FolderStore(folder / "store")
        self._artifacts = Artifacts(self._store, folder / "cache")
        self._runs = 0
        instructions = -(-n // VERDICTS_OF_AN_INSTRUCTION)
        self.n = instructions * VERDICTS_OF_AN_INSTRUCTION
        self._players = [ModelIdentity(uri=f"hf://bench/player-{number}") for number in range(1 + DEFENDERS)]
        ids = [instruction_id("bench", row) for row in range(instructions)]
        self._instructions = self._publish(
            "curate",
            f"instructions/{n}",
            CURATED,
            (
                {"instruction_id": one, "attacker_id": self._players[0].id, "instruction": instruction(row)}
                for row, one in enumerate(ids)
            ),
        )
        self._answers = [
            self._publish(
                "answer",
                f"answers/{n}/{player.id}",
                ANSWERS,
                ({"instruction_id": one, "model_id": player.id, "answer": ANSWER} for one in ids),
            )
            for player in self._players
        ]

    def run(self, url: str, concurrency: int) -> ShardRun:
        """Run the worker in a process of its own, from nothing to sealed parts."""
        self._runs += 1
        recipes = self._recipes(seed=self._runs)  # another seed is another artifact: nothing is found made
        task, summary_file = self._folder / "task.json", self._folder / "summary.json"
        task.write_bytes(self._task(recipes, url, concurrency).canonical())
        command = [sys.executable, "-m", "tiltyard_jobs", "judge", "--task", str(task)]
        environment = os.environ | {
            "PYTHONPATH": str(JOBS),
            "TILTYARD_SUMMARY": str(summary_file),
            "TILTYARD_LOG_LEVEL": "warning",
            "PYTHONPYCACHEPREFIX": str(self._bytecode),
            "PYTHONDONTWRITEBYTECODE": "",
        }
        cpu, start = _children_cpu_seconds(), time.perf_counter()
        done = subprocess.run(command, env=environment, check=False)
        cpu, whole = _children_cpu_seconds() - cpu, time.perf_counter() - start
        summary = Summary.model_validate_json(summary_file.read_bytes())
        if done.returncode:
            sys.exit(f"the worker ended with code {done.returncode}: {summary.message}")
        return ShardRun(cpu, summary.seconds or whole, self.n - self._verdicts(recipes), summary.retries)

    def _recipes(self, seed: int) -> tuple[JudgeRecipe, ...]:
        attacker, *defenders = self._players
        own, *others = self._answers
        return tuple(
            JudgeRecipe(
                judge=ModelIdentity(uri="hf://bench/judge"),
                player_a=attacker,
                player_b=defender,
                instructions=self._instructions,
                answers_a=own,
                answers_b=answers,
                orders="Both",
                method="Logprobs",
                prompt=judge_prompt("code-v1"),
                max_tokens=512,
                rows=self.n // DEFENDERS // 2,
                seed=seed,
                shard_size=max(1, self.n // DEFENDERS),
            )
            for defender, answers in zip(defenders, others, strict=True)
        )

    def _task(self, recipes: tuple[JudgeRecipe, ...], url: str, concurrency: int) -> BundleTask:
        return BundleTask(
            stage="judge",
            tournament="bench",
            store=StoreRef(uri=(self._folder / "store").absolute().as_uri()),
            recipes=recipes,
            indices=(tuple(Part(recipe=position, shard=0) for position in range(DEFENDERS)),),
            endpoint=EndpointRef(url=url, model=MODEL, max_concurrency=concurrency),
        )

    def _verdicts(self, recipes: tuple[JudgeRecipe, ...]) -> int:
        """How many different verdicts with a vote the sealed tables hold."""
        found = {
            (recipe.ref.key, row["instruction_id"], row["order"])
            for recipe in recipes
            for row in self._artifacts.rows(recipe.ref, columns=("instruction_id", "order", "vote"))
            if row["vote"] is not None
        }
        return len(found)

    def _publish(self, stage: str, role: str, schema: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> ArtifactRef:
        ref = ArtifactRef(stage=stage, key=digest(role.encode())[:32])
        path = self._folder / "rows.parquet"
        with TableWriter(path, schema) as table:
            for row in rows:
                table.write(row)
            count = table.close()
        self._artifacts.publish(ref, 0, {"rows": path}, rows=count)
        return ref


def _children_cpu_seconds() -> float:
    """Of the processes that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
