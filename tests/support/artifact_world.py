"""A store filled with the artifacts of a tournament, from plain data: what the last stages read, without a model.

    world = ArtifactWorld(tmp_path, ["ada", "bob", "cyd"])
    world.play({"ada": ["Reverse a list.", "Sort a file."]}, answer=…, vote=…)
    world.run(world.rate())
    world.run(world.dataset())

Every artifact is sealed by `Artifacts.publish`, and stages run through the worker's own entry point.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from support.artifact_rows import (
    BY_CURATE,
    Asked,
    Row,
    answer_row,
    by_name,
    curated_rows,
    grade_rows,
    key_of,
    lost_rows,
    mined_id,
    mined_rows,
    plain_answer,
    verdict_row,
)
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipe import ArtifactRef, parts
from tiltyard_jobs.contracts.recipes import (
    AnyRecipe,
    BenchmarkRecipe,
    DatasetRecipe,
    Lineup,
    Match,
    PlayerRecipe,
    RateRecipe,
    StagedArtifact,
)
from tiltyard_jobs.contracts.tasks import BundleTask, Part, StoreRef
from tiltyard_jobs.contracts.vocabulary import Thoughts
from tiltyard_jobs.results.columns import with_thoughts
from tiltyard_jobs.results.run_folder import sealed_files
from tiltyard_jobs.results.stage_tables import (
    ANSWERS,
    CURATED,
    GRADES,
    INSTRUCTIONS,
    SOLUTIONS,
    TASK_SCORES,
    TEXTS,
    VERDICTS,
)
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.shard.entry import main
from tiltyard_jobs.shard.tables import TableWriter
from tiltyard_jobs.store.folder import FolderStore


class Ran(NamedTuple):
    """How a worker ended: its exit code and its summary."""

    code: int
    summary: dict[str, Any]


@dataclass
class ArtifactWorld:
    """A tournament's artifacts below `root`.

    Attributes:
        root: gets `store`, `work` and what the worker writes.
        names: the players, in the manifest's order.
        neutral: judges that do not play; without any the players judge.
        licenses: by player's name.
        families: likewise; by default each player is its own.
        all_pairs: pairing AllPairs instead of AttackerDefender.
        orders: in which each match is judged.
        thoughts: Keep: answers have a column for what was thought before them.
        shard_size: rows of answers, and instructions of verdicts, in one part.
    """

    root: Path
    names: Sequence[str]
    neutral: Sequence[str] = ()
    licenses: Mapping[str, str] = field(default_factory=dict)
    families: Mapping[str, str] = field(default_factory=dict)
    all_pairs: bool = False
    orders: Sequence[str] = ("AB", "BA")
    thoughts: Thoughts = "Drop"
    shard_size: int = 100

    def __post_init__(self) -> None:
        self.store = FolderStore(self.root / "store")
        self.artifacts = Artifacts(self.store, self.root / "cache")
        self.players = tuple(map(self._player, self.names))
        self.judges = tuple(map(self._player, self.neutral))
        self.sources: list[StagedArtifact] = []
        self.before = 0
        self.lineup: Lineup | None = None

    def _player(self, name: str) -> PlayerRecipe:
        return PlayerRecipe(
            name=name,
            model=ModelIdentity(uri=f"hf://lab/{name}", revision=f"{name}-r1"),
            license=self.licenses.get(name),
            family=self.families.get(name, name),
        )

    def play(
        self,
        instructions: Mapping[str, Sequence[str]],
        *,
        answer: Callable[[str, str, int], str | Row | None] = plain_answer,
        vote: Callable[[Asked], float | Row | None] = by_name,
        dropped: Mapping[str, int] | None = None,
        kept: Callable[[str, int], str | None] = lambda attacker, row: None,
    ) -> None:
        """Seal everything up to the verdicts.

        Args:
            instructions: curated ones by attacker; a player that is not named has none.
            answer: of (player, attacker, row): a text, None for a void, or columns of the answer's row.
            vote: of what is asked: a vote for A in [0, 1], None for a void, or columns of the verdict's row.
            dropped: how many of each attacker's instructions were mined and dropped, by reason.
            kept: of (attacker, row): the user's own columns, as JSON.
        """
        self.before = sum(count for reason, count in (dropped or {}).items() if reason in BY_CURATE)
        curated: dict[str, ArtifactRef] = {}
        for player in self.players:
            curated[player.name] = self._instructions(
                player, instructions.get(player.name, ()), dropped or {}, partial(kept, player.name)
            )
        counts = {player: len(instructions.get(player, ())) for player in self.names}
        answers = {
            player.name: {
                attacker: self._publish(
                    "answer",
                    f"{player.name}/{attacker}",
                    with_thoughts(ANSWERS) if self.thoughts == "Keep" else ANSWERS,
                    (
                        answer_row(self.id_of(attacker, row), player.model.id, answer(player.name, attacker, row))
                        for row in range(counts[attacker])
                    ),
                )
                for attacker in self.names
            }
            for player in self.players
        }
        matches = tuple(
            Match(
                attacker=attacker,
                player_a=a,
                player_b=b,
                judge=judge,
                verdicts=self._publish(
                    "judge",
                    f"{judge}/{attacker}/{a}/{b}",
                    VERDICTS,
                    self._verdicts(judge, attacker, a, b, counts[attacker], vote),
                    size=self.shard_size * len(self.orders),
                ),
            )
            for attacker in self.names
            for a, b in self.pairs(attacker)
            for judge in (self.neutral or self.names)
            if judge not in (a, b)
        )
        self.lineup = Lineup(
            players=self.players, judges=self.judges, instructions=curated, answers=answers, matches=matches
        )

    def pairs(self, attacker: str) -> Iterator[tuple[str, str]]:
        """Who meets whom over an attacker's instructions, as (A, B)."""
        others = [name for name in self.names if name != attacker]
        yield from ((attacker, other) for other in others)
        if self.all_pairs:
            yield from combinations(others, 2)

    def id_of(self, attacker: str, row: int) -> str:
        """The id of an attacker's curated instruction."""
        return mined_id(attacker, self.before + row)

    def rate(self, **changes: Any) -> RateRecipe:
        """The recipe of the ratings."""
        assert self.lineup is not None
        values = {"alpha": Decimal("0.7"), "k": Decimal(40), "seed": 0}
        return RateRecipe(lineup=self.lineup, **values | changes)

    def dataset(self, ratings: RateRecipe | None = None, **changes: Any) -> DatasetRecipe:
        """The recipe of the data."""
        assert self.lineup is not None
        values: dict[str, Any] = {
            "formats": ("Sft", "Preference"),
            "min_margin": Decimal(0),
            "benchmarks": (),
            "tournament": "test",
        }
        return DatasetRecipe(
            lineup=self.lineup,
            sources=tuple(self.sources),
            ratings=(ratings or self.rate()).ref,
            **values | changes,
        )

    def benchmark(self, name: str, texts: Sequence[str]) -> BenchmarkRecipe:
        """A benchmark in a file of the user's."""
        path = self.root / f"{name}.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        return BenchmarkRecipe(name=name, uri=path.as_uri(), field="text")

    def harness_task(self, name: str, texts: Sequence[str]) -> BenchmarkRecipe:
        """A task of lm-evaluation-harness, whose texts are sealed."""
        ref = self._publish("texts", name, TEXTS, [{"text": text} for text in texts])
        return BenchmarkRecipe(name=name, texts=ref)

    def programs(self, player: str, benchmark: str, rows: Sequence[Row]) -> None:
        """What became of a player's programs: rows of `SOLUTIONS` with those of `TASK_SCORES`, one for each task."""
        named = [{"model_id": player, **row} for row in rows]
        for stage, schema in (("solve", SOLUTIONS), ("score", TASK_SCORES)):
            role = f"{stage}/{player}/{benchmark}"
            own = [{name: row.get(name) for name in schema.names} for row in named]
            self._source(role, self._publish(stage, role, schema, own))

    def run(self, recipe: AnyRecipe, **environment: str) -> Ran:
        """Run a stage by the worker's entry point, in this process."""
        task = BundleTask(
            stage=recipe.stage,
            tournament="test",
            store=StoreRef(uri=(self.root / "store").as_uri()),
            recipes=(recipe,),
            indices=((Part(recipe=0, shard=0),),),
        )
        path, summary = self.root / "task.json", self.root / "summary.json"
        path.write_bytes(task.canonical())
        code = main(
            [recipe.stage, "--task", str(path), "--work-dir", str(self.root / "work")],
            environment={"TILTYARD_SUMMARY": str(summary), **environment},
        )
        return Ran(code, json.loads(summary.read_text()))

    def file(self, ref: ArtifactRef, name: str) -> bytes:
        """The bytes of one of an artifact's files."""
        (seal,) = self.artifacts.require(ref)
        return self.artifacts.fetch(seal.files[name]).read_bytes()

    def document(self, ref: ArtifactRef, name: str) -> dict[str, Any]:
        """One of an artifact's JSON documents."""
        found: dict[str, Any] = json.loads(self.file(ref, name))
        return found

    def rows(self, ref: ArtifactRef, table: str) -> list[Row]:
        """One of an artifact's tables."""
        return list(self.artifacts.rows(ref, table=table))

    def lay_out(self, ratings: ArtifactRef, dataset: ArtifactRef, folder: Path) -> Path:
        """The files of both under the names that people know, as a run's folder has them."""
        for file in sealed_files(self.artifacts, ratings, dataset):
            path = folder / file.described.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.local.read_bytes())
        return folder

    def objects(self) -> dict[str, bytes | None]:
        """All that lies in the store."""
        return {info.key: self.store.get(info.key) for info in self.store.list("")}

    def _instructions(
        self,
        player: PlayerRecipe,
        texts: Sequence[str],
        dropped: Mapping[str, int],
        kept: Callable[[int], str | None],
    ) -> ArtifactRef:
        """Mined, filtered, graded and curated instructions of one attacker.

        Those that `curate` drops come first, those that `filter` drops last.
        """
        name, model_id = player.name, player.model.id
        late = {reason: count for reason, count in dropped.items() if reason in BY_CURATE}
        early = {reason: count for reason, count in dropped.items() if reason not in BY_CURATE}
        passed = [*(f"Dropped {place}." for place in range(self.before)), *texts]
        mined = mined_rows(name, model_id, passed)
        lost = lost_rows(name, model_id, range(len(passed), len(passed) + sum(early.values())))
        scores = [1] * self.before + [6 + row % 5 for row in range(len(texts))]
        counts = {f"dropped.{reason}": count for reason, count in early.items()}
        self._source(f"mine/{name}", self._publish("mine", name, INSTRUCTIONS, [*mined, *lost]))
        self._source(f"filter/{name}", self._publish("filter", name, INSTRUCTIONS, mined, counts=counts))
        grader = (self.neutral or self.names)[0]
        graded = grade_rows(mined, scores)
        self._source(f"grade/{grader}/{name}", self._publish("grade", f"{grader}/{name}", GRADES, graded))
        curated = curated_rows(mined[self.before :], scores[self.before :], kept)
        counts = {f"score.{score}": count for score, count in Counter(scores[late.get("Ungraded", 0) :]).items()}
        counts |= {f"dropped.{reason}": count for reason, count in late.items()} | {"task.Generation": len(texts)}
        return self._publish("curate", name, CURATED, curated, counts=counts)

    def _verdicts(
        self,
        judge: str,
        attacker: str,
        a: str,
        b: str,
        count: int,
        vote: Callable[[Asked], float | Row | None],
    ) -> Iterator[Row]:
        ids = {one.name: one.model.id for one in (*self.players, *self.judges)}
        for row in range(count):
            for order in self.orders:
                asked = Asked(judge, attacker, row, a, b, order)
                yield verdict_row(self.id_of(attacker, row), asked, ids, vote(asked))

    def _source(self, role: str, ref: ArtifactRef) -> None:
        self.sources.append(StagedArtifact(role=role, ref=ref))

    def _publish(
        self,
        stage: str,
        role: str,
        schema: pa.Schema,
        rows: Iterator[Row] | Sequence[Row],
        *,
        size: int | None = None,
        counts: Mapping[str, int] | None = None,
    ) -> ArtifactRef:
        """Seal an artifact in parts; where it is there already, it is left as it is."""
        made, size = list(rows), size or self.shard_size
        shards = parts(len(made), size) if stage in ("mine", "grade", "answer", "judge") else 1
        ref = ArtifactRef(stage=stage, key=key_of(f"{stage}/{role}"), shards=shards)
        for shard in range(shards):
            part = made[shard * size : (shard + 1) * size] if shards > 1 else made
            path = self.root / "rows.parquet"
            with TableWriter(path, schema) as table:
                for row in part:
                    table.write(row)
            self.artifacts.publish(
                ref,
                shard,
                {"rows": path},
                rows=len(part),
                voids=Counter(row["void"] for row in part if row.get("void")),
                counts=counts,
                prompt_tokens=sum(row.get("prompt_tokens") or 0 for row in part),
                completion_tokens=sum(row.get("completion_tokens") or 0 for row in part),
            )
        return ref
