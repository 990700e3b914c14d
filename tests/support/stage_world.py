"""A store, a worker and a server whose replies a test gives: all that a test of one stage needs.

    world = StageWorld(tmp_path)
    source = world.instructions(["Reverse a list.", "Sort a file."])
    with stub(lambda path, document: '{"grade": 7}') as server:
        ran = world.run(grade_recipe(source, rows=2), endpoint=server.endpoint)
    world.rows(recipe.ref)

Stages run through the worker's own entry point, on a task file.
"""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pyarrow as pa
from aiohttp import web

from integration.sim.process import SimProcess
from support.artifact_rows import Row, key_of
from support.artifact_world import Ran
from support.stub_llm import serving
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.layout import Seal
from tiltyard_jobs.contracts.recipe import ArtifactRef, parts
from tiltyard_jobs.contracts.recipes import (
    AnswerRecipe,
    AnyRecipe,
    CurateRecipe,
    FilterRecipe,
    GradeRecipe,
    JudgeRecipe,
    MineRecipe,
    SamplingRecipe,
)
from tiltyard_jobs.contracts.solo_tasks import SoloTask
from tiltyard_jobs.contracts.tasks import BundleTask, EndpointRef, Limits, Part, StoreRef
from tiltyard_jobs.contracts.versions import GRADE_PROMPT, judge_prompt
from tiltyard_jobs.results.stage_tables import ANSWERS, INSTRUCTIONS
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.shard.entry import main
from tiltyard_jobs.shard.tables import TableWriter
from tiltyard_jobs.sim.request_log import LoggedRequest, read_log
from tiltyard_jobs.store.folder import FolderStore

SAMPLING = SamplingRecipe(temperature=Decimal("0.7"), top_p=Decimal("0.95"), max_tokens=256)
PREFIX = "<|im_start|>user\n"


def model(name: str) -> ModelIdentity:
    return ModelIdentity(uri=f"sim://{name}")


def id_of(row: int) -> str:
    """The id of the instruction in a row that `StageWorld.instructions` sealed."""
    return f"{row:020x}"


class StageWorld:
    """Artifacts below `root`, and the worker.

    Args:
        root: gets `store`, `work` and what the worker writes.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = FolderStore(root / "store")
        self.store_ref = StoreRef(uri=(root / "store").as_uri())
        self.artifacts = Artifacts(self.store, root / "cache")

    def seal(
        self, stage: str, name: str, schema: pa.Schema, rows: Sequence[Row], *, size: int | None = None
    ) -> ArtifactRef:
        """Seal an artifact that no worker made, in parts of `size` rows."""
        size = size or max(1, len(rows))
        ref = ArtifactRef(stage=stage, key=key_of(f"{stage}/{name}"), shards=parts(len(rows), size))
        for shard in range(ref.shards):
            part = rows[shard * size : (shard + 1) * size]
            path = self.root / "rows.parquet"
            with TableWriter(path, schema) as table:
                for row in part:
                    table.write(row)
            self.artifacts.publish(ref, shard, {"rows": path}, rows=len(part))
        return ref

    def instructions(self, texts: Sequence[str], *, stage: str = "filter", name: str = "a") -> ArtifactRef:
        """Seal instructions, as `mine` or `filter` leaves them."""
        plain = {"attacker_id": model(name).id, "finish_reason": "stop"}
        rows = [{"instruction_id": id_of(row), "instruction": text, **plain} for row, text in enumerate(texts)]
        return self.seal(stage, name, INSTRUCTIONS, rows)

    def answers(self, player: str, texts: Sequence[str | None], *, size: int | None = None) -> ArtifactRef:
        """Seal a player's answers; None stands for a void one."""
        rows = [
            {"instruction_id": id_of(row), "model_id": model(player).id}
            | ({"answer": text} if text is not None else {"void": "Unavailable", "detail": "HTTP 503"})
            for row, text in enumerate(texts)
        ]
        return self.seal("answer", player, ANSWERS, rows, size=size)

    def run(
        self,
        *recipes: AnyRecipe,
        shard: int = 0,
        endpoint: EndpointRef | None = None,
        embedder: EndpointRef | None = None,
        max_void_fraction: str = "0.01",
        patience: float = 5,
        probes: tuple[AnyRecipe, ...] = (),
    ) -> Ran:
        """Make one part of each of these artifacts, in one index; `patience` is in seconds."""
        limits = Limits(
            record_deadline_seconds=patience,
            endpoint_deadline_seconds=patience,
            max_void_fraction=Decimal(max_void_fraction),
        )
        more = {"endpoint": endpoint, "embedder": embedder, "limits": limits, "probes": probes}
        return self.run_task(self.bundle(*recipes, shard=shard, **more))

    def bundle(self, *recipes: AnyRecipe, shard: int = 0, **members: Any) -> BundleTask:
        """The task that makes one part of each of these artifacts, in one index."""
        return BundleTask(
            stage=recipes[0].stage,
            tournament="test",
            store=self.store_ref,
            recipes=recipes,
            indices=(tuple(Part(recipe=place, shard=shard) for place in range(len(recipes))),),
            **members,
        )

    def run_task(self, task: BundleTask | SoloTask, *, index: int = 0) -> Ran:
        """Run a task document as the worker would, of a bundle one index."""
        path, summary = self.root / "task.json", self.root / "summary.json"
        path.write_bytes(task.canonical())
        arguments = [task.stage, "--task", str(path)]
        if isinstance(task, BundleTask):
            arguments += ["--index", str(index), "--work-dir", str(self.root / "work")]
        code = main(arguments, environment={"TILTYARD_SUMMARY": str(summary), "TILTYARD_LOG_LEVEL": "CRITICAL"})
        return Ran(code, json.loads(summary.read_text()))

    def make(self, *recipes: AnyRecipe, endpoint: EndpointRef | None = None, max_void_fraction: str = "0") -> None:
        """Make all parts of these artifacts, part by part."""
        for shard in range(recipes[0].shards):
            ran = self.run(*recipes, shard=shard, endpoint=endpoint, max_void_fraction=max_void_fraction)
            assert ran.code == 0, ran.summary

    def rows(self, ref: ArtifactRef, table: str = "rows") -> list[Row]:
        """One of an artifact's tables."""
        return list(self.artifacts.rows(ref, table=table))

    def column(self, ref: ArtifactRef, name: str) -> list[Any]:
        """One column of an artifact's main table."""
        return [row[name] for row in self.rows(ref)]

    def seals(self, ref: ArtifactRef) -> list[Seal]:
        """The seals of an artifact's parts."""
        return self.artifacts.require(ref)


def mine_recipe(*, rows: int = 20, shard_size: int = 1000, prefix: str | None = PREFIX, **changes: Any) -> MineRecipe:
    grid = (Decimal("0.6"), Decimal("0.9")), (Decimal("1"), Decimal("0.95")), (Decimal("0.8"), Decimal("0.99"))
    values: dict[str, Any] = {
        "model": model("sage"),
        "settings": tuple(SamplingRecipe(temperature=t, top_p=p, max_tokens=200) for t, p in grid),
        "seed": 0,
    }
    return MineRecipe(rows=rows, shard_size=shard_size, prefix=prefix, **values | changes)


def filter_recipe(source: ArtifactRef, *earlier: ArtifactRef, **changes: Any) -> FilterRecipe:
    values: dict[str, Any] = {"dedup": "MinHash", "threshold": Decimal("0.5"), "embedder": None}
    return FilterRecipe(source=source, earlier=earlier, **values | changes)


def grade_recipe(instructions: ArtifactRef, rows: int, *, grader: str = "g", **changes: Any) -> GradeRecipe:
    values: dict[str, Any] = {"prompt": GRADE_PROMPT, "max_tokens": 512, "shard_size": 1000}
    return GradeRecipe(grader=model(grader), instructions=instructions, rows=rows, **values | changes)


def curate_recipe(instructions: ArtifactRef, *grades: ArtifactRef, **changes: Any) -> CurateRecipe:
    keep = ("Excellent", "Good") if grades else ()
    values: dict[str, Any] = {"keep": keep, "diversity": "None", "embedder": None, "limit": None, "seed": 0}
    return CurateRecipe(instructions=instructions, grades=grades, **values | changes)


def answer_recipe(
    instructions: ArtifactRef,
    rows: int,
    *,
    player: str = "p",
    seed: int = 0,
    shard_size: int = 1000,
    system: str | None = None,
) -> AnswerRecipe:
    return AnswerRecipe(
        model=model(player),
        instructions=instructions,
        system=system,
        sampling=SAMPLING,
        rows=rows,
        seed=seed,
        shard_size=shard_size,
    )


def judge_recipe(
    instructions: ArtifactRef, a: tuple[str, ArtifactRef], b: tuple[str, ArtifactRef], rows: int, **changes: Any
) -> JudgeRecipe:
    values: dict[str, Any] = {"orders": "Both", "method": "Choice", "max_tokens": 768, "seed": 0, "shard_size": 1000}
    return JudgeRecipe(
        judge=model("j"),
        player_a=model(a[0]),
        player_b=model(b[0]),
        instructions=instructions,
        answers_a=a[1],
        answers_b=b[1],
        prompt=judge_prompt("code-v1"),
        rows=rows,
        **values | changes,
    )


class Sim:
    """A simulated expert's process, with its log of requests."""

    def __init__(self, uri: str, folder: Path) -> None:
        self._log = folder / "requests.jsonl"
        self._process = SimProcess(uri, "--request-log", str(self._log))
        self.endpoint = EndpointRef(
            url=f"{self._process.url}/v1", model=self._process.model, field="spec.competitors[0]", max_concurrency=8
        )

    def asked(self) -> list[LoggedRequest]:
        """All requests so far."""
        return read_log(self._log).requests

    def close(self) -> None:
        """End it."""
        self._process.send(signal.SIGTERM)
        code, errors = self._process.wait()
        assert code == 0, errors


class Asked(NamedTuple):
    """One request to a stub."""

    path: str
    document: dict[str, Any]
    headers: Mapping[str, str] = MappingProxyType({})

    @property
    def prompt(self) -> str:
        """The raw prompt, or the last turn of the conversation."""
        document = self.document
        text = document["prompt"] if "prompt" in document else document["messages"][-1]["content"]
        assert isinstance(text, str)
        return text


Given = str | bytes | Mapping[str, Any] | web.Response
"""What a stub replies: a model's text, a body as it is, members of a choice, or a whole response."""
Reply = Callable[[Asked], Given]


@dataclass
class Stub:
    """A server in a thread.

    Attributes:
        url: of the API, with its `/v1`.
        asked: all requests for work so far, in order of arrival.
    """

    url: str
    asked: list[Asked] = field(default_factory=list)

    @property
    def endpoint(self) -> EndpointRef:
        """How a worker reaches it: one request at a time, so that `asked` has the order of sending."""
        return EndpointRef(url=self.url, model="m", field="spec.competitors[1].endpoint", max_concurrency=1)


@contextmanager
def stub(
    reply: Reply,
    *,
    models: Sequence[str] | Callable[[], web.Response] | None = ("m",),
    tells_tokens: bool = False,
    paths: Sequence[str] = (),
    tls: ssl.SSLContext | None = None,
) -> Iterator[Stub]:
    """Serve an OpenAI-compatible API whose every reply comes from `reply`.

    Args:
        reply: of completions, chats, embeddings, and where it `tells_tokens` of `/tokenize` and `/detokenize`.
        models: what `/v1/models` lists, or its whole response; None: there is no such path.
        tells_tokens: there are `/tokenize` and `/detokenize`.
        paths: that there are besides.
        tls: what it is served with.
    """
    served = Stub("")

    async def work(request: web.Request) -> web.StreamResponse:
        asked = Asked(request.path, await request.json(), {**request.headers})
        served.asked.append(asked)
        return response_of(asked.path, reply(asked))

    async def names(request: web.Request) -> web.StreamResponse:
        if callable(models):
            return models()
        return not_found() if models is None else web.json_response({"data": [{"id": name} for name in models]})

    known = ["/v1/completions", "/v1/chat/completions", "/v1/embeddings", *paths]
    if tells_tokens:
        known += ["/tokenize", "/detokenize"]
    ready, over = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with serving({**dict.fromkeys(known, work), "/v1/models": names}, tls=tls) as url:
            served.url = f"{url}/v1"
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield served
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()


def response_of(path: str, given: Given) -> web.Response:
    """A response with the text, the choice or the body that was given."""
    if isinstance(given, web.Response):
        return given
    if isinstance(given, bytes):
        return web.Response(body=given, content_type="application/json")
    if isinstance(given, str):
        given = {"text": given} if path == "/v1/completions" else {"message": {"content": given}}
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    return web.json_response({"choices": [{"finish_reason": "stop", **given}], "usage": usage})


def not_found() -> web.Response:
    """What a server says of a path that it lacks."""
    return web.json_response({"detail": "Not Found"}, status=404)
