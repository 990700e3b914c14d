"""Asking lm-evaluation-harness: what its tasks ask, what replies are worth, and what is wrong with a task."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tiltyard_jobs.contracts.located import readable
from tiltyard_jobs.contracts.recipes import LmEvalRecipe
from tiltyard_jobs.contracts.tasks import LmEvalTask, StoreRef
from tiltyard_jobs.errors import ConfigurationError, PermanentError
from tiltyard_jobs.evaluation.beside import run_harness, shared_folder
from tiltyard_jobs.sandbox import confine
from tiltyard_jobs.userfiles import read_records

FIELD = "spec.evaluation.lmEval"
# To read replies: what a model wrote may be made to be slow to read.
MEASURE_SECONDS, SECONDS_A_REPLY = 600.0, 1.0


class Measured(NamedTuple):
    """What a question's reply is worth.

    Attributes:
        id: TASK/QUESTION.
        metric: `NAME` or `NAME,FILTER`.
        value: 0 to 1; None where void.
        void: why, of the first of its requests that is.
    """

    id: str
    metric: str
    value: float | None
    void: str | None


class Harness(NamedTuple):
    """The harness in its interpreter.

    Attributes:
        python: an interpreter that has it; None: this one.
        store: S3's endpoint, region and certificates, for files of data.
        own_folder: an existing one, for orders, data and replies.
    """

    python: str | None
    store: StoreRef
    own_folder: Path

    @property
    def folder(self) -> Path:
        """Where they lie: what runs the harness may see another one only."""
        return shared_folder(self.own_folder)

    async def problems(self, tasks: Iterable[LmEvalTask]) -> list[str]:
        """A sentence for each task that cannot be asked, or not be measured as wanted.

        Raises:
            ConfigurationError: the harness cannot be run at all.
            TransientError: it failed.
        """
        problems, orders = [], []
        for number, one in enumerate(tasks):
            try:
                orders.append((one.field, await self._task(one.tasks, one.metric, number)))
            except ConfigurationError as error:
                problems.append(str(error.under(one.field)))
        found = json.loads(await self._run("check", [order for _, order in orders])) if orders else []
        return problems + [f"{field}: {said}" for (field, _), said in zip(orders, found, strict=True) if said]

    async def requests(self, recipe: LmEvalRecipe, *, chat: bool, max_tokens: int) -> list[dict[str, Any]]:
        """What a model is asked, in the harness's order: rows of `stage_tables.QUESTIONS`.

        Args:
            recipe: the task.
            chat: in a conversation, where the task wants a reply.
            max_tokens: of a reply whose task does not say.

        Raises:
            ConfigurationError: the task cannot be asked.
            TransientError: the harness failed.
        """
        task = await self._task(recipe, None)
        lines = await self._run("ask", [task], chat=chat, maxTokens=max_tokens)
        return [json.loads(line) for line in lines.splitlines()]

    async def texts(self, recipe: LmEvalRecipe) -> list[str]:
        """What the records of a task say: questions, choices, solutions, each text once.

        Raises:
            ConfigurationError: the task has no data here.
            TransientError: the harness failed.
        """
        lines = await self._run("texts", [await self._task(recipe, None)])
        return [json.loads(line) for line in lines.splitlines()]

    async def measure(
        self, recipe: LmEvalRecipe, metric: str | None, replies: Iterable[Mapping[str, Any]], *, chat: bool
    ) -> list[Measured]:
        """What replies are worth, question by question.

        Args:
            recipe: the task.
            metric: `NAME` or `NAME,FILTER`; None: the task's first.
            replies: rows of `stage_tables.HARNESS_REPLIES`, to all requests of the task.
            chat: as in `requests`.

        Raises:
            ConfigurationError: the metric is none of the task's, or not one that lies between 0 and 1.
            PermanentError: it takes too long.
            TransientError: the harness failed.
        """
        path = self.folder / "replies.jsonl"
        count = await asyncio.to_thread(_write_lines, path, map(_reply, replies))
        task = await self._task(recipe, metric)
        seconds = MEASURE_SECONDS + SECONDS_A_REPLY * count
        try:
            async with asyncio.timeout(seconds):
                lines = await self._run("measure", [task], chat=chat, replies=str(path), confine=confine.__file__)
        except TimeoutError:
            raise PermanentError(
                f"{FIELD}: {recipe.name}: {count} replies were not measured within {seconds:.0f} s"
            ) from None
        return [Measured(**json.loads(line)) for line in lines.splitlines()]

    async def _task(self, recipe: LmEvalRecipe, metric: str | None, number: int = 0) -> dict[str, Any]:
        """A task as the harness gets it, with its data on this machine."""
        files = {}
        for file in recipe.files:
            path = self.folder / f"{number}-{file.split}.jsonl"
            records = await asyncio.to_thread(read_records, file.uri, self.store, sha256=file.sha256)
            try:
                await asyncio.to_thread(_write_lines, path, records)
            except TypeError as error:  # parquet knows more types than JSON
                raise ConfigurationError(f"{readable(file.uri)} holds records that are not JSON: {error}") from None
            files[file.split] = str(path)
        return {
            "name": recipe.name,
            "harness": recipe.harness,
            "numFewshot": recipe.num_fewshot,
            "limit": recipe.limit,
            "files": files,
            "metric": metric,
        }

    async def _run(self, command: str, tasks: list[dict[str, Any]], **more: Any) -> str:
        out, order = self.folder / f"{command}.out", self.folder / f"{command}.json"
        document = {"command": command, "tasks": tasks, "out": str(out), **more}
        order.write_text(json.dumps(document))
        await run_harness(self.python, order)
        return await asyncio.to_thread(out.read_text)


def _write_lines(path: Path, documents: Iterable[Mapping[str, Any]]) -> int:
    count = 0
    with path.open("w") as out:
        for count, document in enumerate(documents, start=1):  # noqa: B007
            out.write(json.dumps(document) + "\n")
    return count


def _reply(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("reply", "logprob", "greedy", "void")} | {"id": row["request_id"]}
