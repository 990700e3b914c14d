"""The last stage as a process would run it: from sealed artifacts to a run's folder, its manifest and its page."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from support.artifact_rows import Asked
from support.artifact_world import ArtifactWorld
from support.hostile_report import HOSTILE
from tiltyard_jobs.contracts.layout import manifest_key, run_prefix, seal_key
from tiltyard_jobs.contracts.recipes import RateRecipe, ReportRecipe, StagedArtifact
from tiltyard_jobs.contracts.tasks import BundleTask, LedgerRow, Part, StoreRef
from tiltyard_jobs.results.documents import Manifest
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.shard.entry import main
from tiltyard_jobs.stages.export import copy_run
from tiltyard_jobs.store.folder import FolderStore

NAMES = ("ada", "bob", "cyd", "dee")
INSTRUCTIONS = {name: [f"Instruction {row} of {name}: reverse a list." for row in range(6)] for name in NAMES}
LEDGER = (LedgerRow(stage="judge", model="ada", requests=48, prompt_tokens=4800, cached_tokens=2400, seconds=12.5),)
COST = re.compile(r'<section id="cost".*?</section>', re.DOTALL)


def noisy(asked: Asked) -> float | None:
    """The name that comes first in the alphabet wins three of four; one verdict is void."""
    if (asked.judge, asked.attacker, asked.row, asked.order) == ("dee", "ada", 2, "AB"):
        return None
    luck = hashlib.sha256(repr(asked).encode()).digest()[0] % 4
    return 1.0 if (asked.player_a < asked.player_b) == (luck > 0) else 0.0


class ReportWorld:
    """A tournament of four up to its dataset, and the report on it.

    Args:
        root: a folder of its own.
        formats: of the dataset.
        play: how answers and votes are given, see `ArtifactWorld.play`.
    """

    def __init__(self, root: Path, *, formats: tuple[str, ...] = ("Sft", "Preference"), **play: Any) -> None:
        self.world = ArtifactWorld(root, NAMES, shard_size=4)
        self.world.play(INSTRUCTIONS, **{"vote": noisy, **play})
        ratings = self.world.rate()
        assert self.world.run(ratings).code == 0
        self.dataset = self.world.dataset(ratings, formats=formats)
        assert self.world.run(self.dataset).code == 0
        self.recipe = self._recipe(ratings)
        self._at(root)

    def _at(self, root: Path) -> None:
        self.root = root
        self.store = FolderStore(root / "store")

    def copy(self, root: Path) -> ReportWorld:
        """The same world elsewhere, to be changed."""
        shutil.copytree(self.root / "store", root / "store")
        other = copy.copy(self)
        other._at(root)
        return other

    @property
    def run(self) -> str:
        return self.recipe.ref.key[:12]

    def _recipe(self, ratings: RateRecipe) -> ReportRecipe:
        lineup = ratings.lineup
        roles = {
            **{one.role: one.ref for one in self.world.sources},
            **{f"curate/{name}": ref for name, ref in lineup.instructions.items()},
            **{f"answer/{player}/{name}": ref for player, row in lineup.answers.items() for name, ref in row.items()},
            **{f"judge/{m.judge}/{m.attacker}/{m.player_a}/{m.player_b}": m.verdicts for m in lineup.matches},
            "rate": ratings.ref,
            "dataset": self.dataset.ref,
        }
        return ReportRecipe(
            tournament="code-experts",
            lineup=lineup,
            ratings=ratings.ref,
            dataset=self.dataset.ref,
            artifacts=tuple(StagedArtifact(role=role, ref=ref) for role, ref in roles.items()),
            seed=7,
        )

    def report(self, ledger: tuple[LedgerRow, ...] = LEDGER) -> tuple[int, dict[str, Any]]:
        task = BundleTask(
            stage="report",
            tournament="code-experts",
            store=StoreRef(uri=self.store.uri),
            recipes=(self.recipe,),
            indices=((Part(recipe=0, shard=0),),),
            ledger=ledger,
        )
        path, summary = self.root / "report-task.json", self.root / "report-summary.json"
        path.write_bytes(task.canonical())
        code = main(
            ["report", "--task", str(path), "--work-dir", str(self.root / "work")],
            environment={"TILTYARD_SUMMARY": str(summary)},
        )
        return code, json.loads(summary.read_text())

    def objects(self) -> dict[str, bytes | None]:
        return {info.key: self.store.get(info.key) for info in self.store.list("")}

    def get(self, name: str) -> bytes:
        data = self.store.get(run_prefix(self.run) + name)
        assert data is not None, name
        return data

    @property
    def page(self) -> str:
        return self.get("report.html").decode()

    @property
    def manifest(self) -> Manifest:
        return Manifest.model_validate_json(self.get("manifest.json"))

    def forget(self) -> None:
        """As if the report had never been made."""
        for prefix in ("report/", "runs/"):
            for info in list(self.store.list(prefix)):
                self.store.delete(info.key)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> ReportWorld:
    """A world without a report. Tests copy it."""
    return ReportWorld(tmp_path_factory.mktemp("played"))


@pytest.fixture
def world(played: ReportWorld, tmp_path: Path) -> ReportWorld:
    """A world without a report, to do with as one likes."""
    return played.copy(tmp_path)


@pytest.fixture(scope="module")
def made(played: ReportWorld, tmp_path_factory: pytest.TempPathFactory) -> tuple[ReportWorld, dict[str, Any]]:
    """A world whose report is made, and the worker's summary. Tests only read it."""
    world = played.copy(tmp_path_factory.mktemp("made"))
    code, summary = world.report()
    assert code == 0
    return world, summary


def test_the_summary_names_the_outputs_and_the_leaders(made: tuple[ReportWorld, dict[str, Any]]) -> None:
    world, summary = made
    folder = f"{world.store.uri}/runs/{world.run}/"
    assert summary["outputs"] == {
        "dataset": folder,
        "manifest": f"{folder}manifest.json",
        "report": f"{folder}report.html",
    }
    assert [row["name"] for row in summary["leaderboard"]] == list(NAMES)
    assert (world.store.get(f"runs/{world.run}/report.html")) is not None


def test_the_manifest_tells_all_and_tells_the_truth(made: tuple[ReportWorld, dict[str, Any]]) -> None:
    world, _ = made
    manifest = world.manifest
    assert (manifest.tournament, manifest.run, manifest.seed) == ("code-experts", world.run, 7)
    assert manifest.outputs == {"dataset": "./", "manifest": "manifest.json", "report": "report.html"}
    assert set(manifest.versions) == {"numpy", "pyarrow", "python", "tiltyard"}
    lying = {info.key.removeprefix(run_prefix(world.run)) for info in world.store.list(run_prefix(world.run))}
    assert lying == {file.path for file in manifest.files} | {"manifest.json"}
    assert [file.path for file in manifest.files] == [
        "README.md",
        "croissant.json",
        "data/preference.parquet",
        "data/sft.parquet",
        "leaderboard.json",
        "report.html",
        *(f"tables/{name}.parquet" for name in ("answers", "battles", "breakdowns", "instructions")),
        *(f"tables/{name}.parquet" for name in ("ratings", "scores", "verdicts")),
    ]
    for file in manifest.files:
        data = world.get(file.path)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.size, file.sha256)
    assert [one.role for one in manifest.artifacts] == sorted(one.role for one in world.recipe.artifacts)
    for one, staged in zip(manifest.artifacts, sorted(world.recipe.artifacts, key=lambda one: one.role), strict=True):
        assert (one.stage, one.key, len(one.sha256)) == (staged.ref.stage, staged.ref.key, staged.ref.shards)
        for shard, digests in enumerate(one.sha256):
            seal = json.loads(world.store.get(seal_key(staged.ref, shard)) or b"")
            assert list(digests) == [file["sha256"] for _, file in sorted(seal["files"].items())]
    assert {one.role: one.rows for one in manifest.artifacts}["answer/bob/ada"] == 6


def test_the_card_finds_its_tables(made: tuple[ReportWorld, dict[str, Any]]) -> None:
    world, _ = made
    _, front, _ = world.get("README.md").decode().split("---\n", 2)
    configs = yaml.safe_load(front)["configs"]
    assert {one["config_name"] for one in configs} >= {"sft", "preference", "answers"}
    assert {one["data_files"] for one in configs} <= {file.path for file in world.manifest.files}


def test_croissant_names_the_tables_with_their_digests_and_columns(made: tuple[ReportWorld, dict[str, Any]]) -> None:
    world, _ = made
    document = json.loads(world.get("croissant.json"))
    _, front, _ = world.get("README.md").decode().split("---\n", 2)
    card = yaml.safe_load(front)
    assert document["license"] == card["license"]
    digests = {file.path: file.sha256 for file in world.manifest.files}
    assert {one["contentUrl"]: one["sha256"] for one in document["distribution"]} == {
        one["data_files"]: digests[one["data_files"]] for one in card["configs"]
    }
    for records in document["recordSet"]:
        (path,) = (one["data_files"] for one in card["configs"] if one["config_name"] == records["name"])
        schema = pq.read_schema(pa.BufferReader(world.get(path)))
        assert [one["name"] for one in records["field"]] == schema.names
        assert all(one["description"] for one in records["field"])
    fields = {field["@id"]: field for records in document["recordSet"] for field in records["field"]}
    assert [part["@id"] for part in fields["sft/messages"]["subField"]] == ["sft/messages/role", "sft/messages/content"]
    kinds = [fields[name]["dataType"] for name in ("sft/score", "sft/quorum", "answers/verdicts", "sft/attacker")]
    assert kinds == ["sc:Float", "sc:Boolean", "sc:Integer", "sc:Text"]


def test_the_page_shows_this_tournament(made: tuple[ReportWorld, dict[str, Any]]) -> None:
    world, _ = made
    page = world.page
    assert "4 players met in 72 battles over 24 instructions" in page
    assert re.search(r"ada leads with \d+ points", page)
    assert "Undecided" in page
    assert "Instruction " in page[page.index('id="samples"') :]
    assert "on ada&#39;s instruction" in page
    assert 'aria-label="Instructions by difficulty. 1: 0;' in page
    document = json.loads(world.get("leaderboard.json"))
    assert [row["name"] for row in document["players"]] == list(NAMES)
    assert [row["name"] for row in document["judges"]] == list(NAMES)
    assert (document["run"], document["players"][0]["rank"]) == (world.run, 1)
    for file in world.manifest.files:
        assert (file.sha256 in page) == (file.path != "report.html")


def test_samples_hold_the_gold_answer_of_their_instruction(made: tuple[ReportWorld, dict[str, Any]]) -> None:
    world, _ = made
    rows = {row["instruction_id"]: row for row in world.world.rows(world.dataset.ref, "instructions")}
    samples = re.findall(
        r"Instruction <code>(\w+)</code></p>\s*<pre[^>]*>(.*?)</pre>.*?<pre[^>]*>(.*?)</pre>",
        world.page,
        re.DOTALL,
    )
    assert len(samples) == len(NAMES)
    for name, instruction, answer in samples:
        row = rows[name]
        place = [one["instruction_id"] for one in rows.values() if one["attacker"] == row["attacker"]].index(name)
        assert instruction == row["instruction"]
        assert answer == f"{row['gold']} on {row['attacker']}&#39;s instruction {place}"


def test_a_run_is_exported_whole(made: tuple[ReportWorld, dict[str, Any]], tmp_path: Path) -> None:
    world, _ = made
    copy_run(world.store, world.run, tmp_path)
    assert (tmp_path / "report.html").read_text() == world.page
    assert (tmp_path / "manifest.json").read_bytes() == world.get("manifest.json")


def test_two_runs_differ_in_their_cost_alone(world: ReportWorld) -> None:
    world.report()
    first = world.objects()
    world.forget()
    world.report()
    assert world.objects() == first
    page, manifest = world.page, world.manifest
    world.forget()
    world.report(ledger=tuple(row.model_copy(update={"seconds": 99.0}) for row in LEDGER))
    assert world.page != page
    assert COST.sub("", world.page) == COST.sub("", page)
    changed = [file.path for file in manifest.files if file not in world.manifest.files]
    assert changed == ["report.html"]
    assert manifest.model_copy(update={"files": ()}) == world.manifest.model_copy(update={"files": ()})


def test_a_kill_before_the_seal_does_no_harm(world: ReportWorld) -> None:
    world.report()
    whole = world.objects()
    # The manifest is written, the seal is not; and an attempt that came less far.
    for lost in ((seal_key(world.recipe.ref, 0),), (seal_key(world.recipe.ref, 0), manifest_key(world.run))):
        for key in lost:
            world.store.delete(key)
        assert world.report()[0] == 0
        assert world.objects() == whole


def test_what_is_made_is_not_made_again(world: ReportWorld) -> None:
    world.report()
    before = world.objects()
    code, summary = world.report(ledger=())
    assert (code, summary.get("outputs")) == (0, None)
    assert world.objects() == before


def test_a_missing_artifact_leaves_no_manifest(world: ReportWorld) -> None:
    gone = next(one for one in world.recipe.artifacts if one.ref.stage == "judge")
    world.store.delete(seal_key(gone.ref, 0))
    code, summary = world.report()
    assert code == 3
    assert seal_key(gone.ref, 0) in summary["message"]
    assert list(world.store.list("runs/")) == []


def test_a_damaged_table_is_never_passed_on(world: ReportWorld) -> None:
    (seal,) = Artifacts(world.store, world.root / "cache").require(world.dataset.ref)
    world.store.put(seal.files["battles"].path, b"PAR1 cut")
    code, summary = world.report()
    assert code == 3
    assert "damaged" in summary["message"]
    assert list(world.store.list("runs/")) == []


def test_a_manifest_without_preference_pairs(tmp_path: Path) -> None:
    world = ReportWorld(tmp_path, formats=("Sft",))
    assert world.report()[0] == 0
    paths = {file.path for file in world.manifest.files}
    assert "data/sft.parquet" in paths
    assert "data/preference.parquet" not in paths
    assert "preference.parquet" not in world.page


def test_what_models_said_is_shown_and_never_obeyed(tmp_path: Path) -> None:
    texts = [text[:20_000] for text in HOSTILE]
    world = ReportWorld(
        tmp_path,
        answer=lambda player, attacker, row: f"{player}{row} {texts[(row + NAMES.index(player)) % len(texts)]}",
    )
    assert world.report()[0] == 0
    page = world.page
    assert "<script" not in page
    assert "<img" not in page
    assert "onerror=alert(1)&gt;" in page or "&lt;svg onload" in page or "⟨U+" in page
    assert len(page) < 200_000


def ada_beats_bob(asked: Asked) -> float | dict[str, Any]:
    """The only match that anybody can decide."""
    if {asked.player_a, asked.player_b} == {"ada", "bob"}:
        return float(asked.player_a == "ada")
    return {"vote": None, "void": "InputVoid"}


def test_a_tournament_in_which_little_was_decided(tmp_path: Path) -> None:
    world = ReportWorld(tmp_path, vote=ada_beats_bob)
    code, summary = world.report()
    assert code == 0
    assert [row["name"] for row in summary["leaderboard"]] == ["ada", "bob", "cyd", "dee"]
    assert "60 battles have no vote" in world.page
    assert "It is far above bob" in world.page


def test_work_left_by_a_killed_attempt_is_no_hindrance(world: ReportWorld) -> None:
    scratch = world.root / "work" / f"report-{world.recipe.ref.key}-00000" / "scratch"
    scratch.mkdir(parents=True)
    (scratch / "report.html").write_text("half a page")
    assert world.report()[0] == 0
    assert "half a page" not in world.page
