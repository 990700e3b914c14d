from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.stage_world import Sim, StageWorld, mine_recipe
from tiltyard_jobs.contracts.layout import manifest_key
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import LmEvalRecipe, PairsRecipe, SplitFile, TaskSetRecipe
from tiltyard_jobs.contracts.solo_tasks import ModelFolder, NamedEndpoint, PreflightTask, ReadableFile, SimulatedModel
from tiltyard_jobs.contracts.summary import Standing, parts_done
from tiltyard_jobs.contracts.tasks import EndpointRef, LmEvalTask, StoreRef
from tiltyard_jobs.contracts.versions import LM_EVAL
from tiltyard_jobs.results.documents import Manifest
from tiltyard_jobs.results.stage_tables import INSTRUCTIONS
from tiltyard_jobs.sandbox.confine import ConfinementError
from tiltyard_jobs.sandbox.host import Limits, ProgramOutcome
from tiltyard_jobs.stages import endpoints, preflight

CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
RUN = "0123456789ab"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that is not there is waited for; here not for long."""
    monkeypatch.setattr(endpoints, "ENDPOINT_SECONDS", 0.3)


def task(world: StageWorld, **members: Any) -> PreflightTask:
    values: dict[str, Any] = {"tournament": "test", "store": world.store_ref, "run": RUN, "artifacts": ()}
    return PreflightTask(**values | members)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def problems(world: StageWorld, **members: Any) -> list[str]:
    """The sentences of a preflight that did not pass."""
    ran = world.run_task(task(world, **members))
    assert ran.code == 2
    found: list[str] = ran.summary["message"].split("\n")
    return found


def mining(endpoint: EndpointRef, **changes: Any) -> NamedEndpoint:
    recipe = mine_recipe(**{"prefix": None, **changes})
    return NamedEndpoint(name="x", endpoint=endpoint, needs_completions=True, probes=(recipe,))


def folder_with(path: Path, template: str | None) -> ModelFolder:
    path.mkdir()
    (path / "tokenizer_config.json").write_text(json.dumps({"chat_template": template} if template else {}))
    return ModelFolder(field="spec.competitors[0].model.uri", path=str(path), needs_template=True)


def test_all_is_well(world: StageWorld, sim: Sim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILTYARD_SECRET_BUCKET_KEY", "s3cret")
    (world.root / "held out.csv").write_text("text\nSort it.\n")
    held_out = ReadableFile(field="spec.curation.heldOut[0]", uri=(world.root / "held out.csv").as_uri(), column="text")
    ran = world.run_task(
        task(
            world,
            secrets={"spec.judges[0].endpoint.apiKeySecretRef": "TILTYARD_SECRET_BUCKET_KEY"},
            folders=(folder_with(world.root / "model", CHATML),),
            simulated=(SimulatedModel(field="spec.competitors[1].model.uri", uri="sim://ada?skill=0.5"),),
            files=(held_out,),
            benchmarks=("humaneval",),
            endpoints=(mining(sim.endpoint), NamedEndpoint(name="e", endpoint=sim.endpoint, needs_embeddings=True)),
        )
    )
    assert (ran.code, ran.summary.get("message", "")) == (0, "")


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        (
            None,
            "has no chat template: give chatTemplatePrefix, serve a model with one, or name a file in"
            " serving.args by --chat-template",
        ),
        ("<|im_start|>user\n", "the chat template drops or alters the user's message, so no prefix can be cut"),
        ("{{ messages[0].content.upper() }}", "the chat template drops or alters the user's message"),
        ("<s>{{ messages[0].content }}{{ messages[0].content }}", "the chat template repeats the user's message"),
        ("{{ messages[0].content }}", "the chat template puts nothing before the user's message"),
        ("{% for", "is not valid jinja"),
        ("{{ raise_exception('only robots') }}", "fails on a user message: only robots"),
    ],
)
def test_a_folder_without_a_user_turn(world: StageWorld, template: str | None, sentence: str) -> None:
    (found,) = problems(world, folders=(folder_with(world.root / "model", template),))
    assert found.startswith("spec.competitors[0].model.uri: ")
    assert sentence in found


@pytest.mark.parametrize(
    "given",
    [
        lambda root: {"chat_template": str(write(root / "given.jinja", CHATML))},
        lambda root: {"chat_template": CHATML},
        lambda root: write(root / "model/chat_template.json", json.dumps({"chat_template": CHATML})) and {},
        lambda root: write(root / "model/tekken.json", "{}") and {},
    ],
)
def test_a_template_that_the_server_has_from_elsewhere(
    world: StageWorld, given: Callable[[Path], dict[str, str]]
) -> None:
    folder = folder_with(world.root / "model", None)
    assert len(problems(world, folders=(folder,))) == 1
    assert world.run_task(task(world, folders=(folder.model_copy(update=given(world.root)),))).code == 0


def test_a_given_template_that_is_not_there_or_has_no_user_turn(world: StageWorld) -> None:
    folder = folder_with(world.root / "model", CHATML)
    assert problems(world, folders=(folder.model_copy(update={"chat_template": "/no/such.jinja"}),)) == [
        "spec.competitors[0].model.uri: serving.args: there is no chat template /no/such.jinja: correct --chat-template"
    ]
    (found,) = problems(world, folders=(folder.model_copy(update={"chat_template": "{{ messages[0].content }}"}),))
    assert "the chat template puts nothing before the user's message" in found


def test_a_folder_that_is_not_there(world: StageWorld) -> None:
    (found,) = problems(world, folders=(ModelFolder(field="spec.judges[0].model.uri", path="/no/such/folder"),))
    assert found == "spec.judges[0].model.uri: /no/such/folder is not a folder on this machine"


@pytest.mark.parametrize("value", [None, ""])
def test_a_secret_that_is_not_there(world: StageWorld, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("TILTYARD_SECRET_X", raising=False)
    if value is not None:
        monkeypatch.setenv("TILTYARD_SECRET_X", value)
    field = "spec.competitors[2].endpoint.apiKeySecretRef"
    assert problems(world, secrets={field: "TILTYARD_SECRET_X"}) == [
        f"{field}: the secret does not exist: set the environment variable TILTYARD_SECRET_X"
    ]


def test_a_benchmark_that_is_out_of_reach(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    (found,) = problems(world, benchmarks=("humaneval", "mbpp"))
    assert found.startswith("spec.curation.decontaminate: mbpp comes from the Hugging Face hub")
    assert found.endswith("{uri, field} of a file that holds its texts under spec.curation.heldOut")


HUMANEVAL = TaskSetRecipe(name="humaneval", rows=164)


def test_benchmarks_that_will_be_run(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.run_task(task(world, task_sets=(HUMANEVAL,))).code == 0
    monkeypatch.setitem(sys.modules, "datasets", None)
    file = TaskSetRecipe(name="mbpp", uri="file:///no/such/mbpp.jsonl", rows=500)
    hub, gone = problems(world, task_sets=(HUMANEVAL, TaskSetRecipe(name="mbpp_plus", rows=378), file))
    assert hub.startswith("spec.evaluation.benchmarks: mbpp_plus comes from the Hugging Face hub")
    assert gone == "spec.evaluation.benchmarks: /no/such/mbpp.jsonl cannot be read: No such file or directory"


def test_a_machine_that_cannot_hold_programs_back(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(source: str, limits: Limits) -> ProgramOutcome:
        raise ConfinementError("the kernel has no Landlock")

    monkeypatch.setattr(preflight, "run_program", refuse)
    assert problems(world, task_sets=(HUMANEVAL,)) == [
        "spec.evaluation: code that models wrote cannot be run here: the kernel has no Landlock"
    ]


def test_a_file_that_cannot_be_read(world: StageWorld) -> None:
    path = world.root / "prompts.jsonl"
    given = ReadableFile(field="spec.instructions.from", uri=path.as_uri(), column="prompt", also="who", names=("ada",))
    cases = {
        None: f"{path} cannot be read: No such file or directory",
        '{"prompt": "Sort.", "who": "eve"}': f"{path}: 'who' is 'eve' beside text 1, but must be one of ada",
        '{"prompt": " ", "who": "ada"}': f"{path} has no text in 'prompt'",
    }
    for content, sentence in cases.items():
        if content is not None:
            path.write_text(content)
        assert problems(world, files=(given,)) == [f"spec.instructions.from: {sentence}"]


def test_data_of_a_harness_that_cannot_be_passed_on_and_a_harness_that_is_not_there(world: StageWorld) -> None:
    file = world.root / "pictures.parquet"
    pq.write_table(pa.table({"picture": [b"\x89PNG"]}), file)
    split = SplitFile(split="test", uri=file.as_uri())

    def told(*files: SplitFile) -> list[str]:
        tasks = LmEvalRecipe(name="gsm8k", harness=LM_EVAL, files=files)
        asked = LmEvalTask(field="spec.evaluation.lmEval[0]", tasks=tasks, metric=None)
        return problems(world, lm_eval=(asked,), lm_eval_python=sys.executable)

    (sentence,) = told(split)
    assert sentence.startswith(f"spec.evaluation.lmEval[0]: {file} holds records that are not JSON")
    (sentence,) = told()
    assert sentence.startswith(f"spec.evaluation.lmEval: {sys.executable} cannot ask tasks (ModuleNotFoundError: ")
    assert sentence.endswith("give an interpreter that has lm-evaluation-harness with --lm-eval-python")


def test_an_expert_that_cannot_be_simulated(world: StageWorld) -> None:
    model = SimulatedModel(field="spec.competitors[0].model.uri", uri="sim://ada?skil=1")
    (found,) = problems(world, simulated=(model,))
    assert found.startswith("spec.competitors[0].model.uri: 'sim://ada?skil=1': unknown parameter 'skil'")


def test_a_store_that_is_not_there(world: StageWorld) -> None:
    (world.root / "file").write_text("")
    (found,) = problems(world, store=StoreRef(uri=(world.root / "file" / "below").as_uri()))
    assert found.startswith("spec.output: ")


def test_all_that_is_wrong_is_said_at_once(world: StageWorld, refusing: str) -> None:
    found = problems(
        world,
        secrets={"spec.a": "TILTYARD_SECRET_NOWHERE"},
        folders=(ModelFolder(field="spec.b", path="/no/such/folder"),),
        simulated=(SimulatedModel(field="spec.c", uri="sim://"),),
        files=(ReadableFile(field="spec.d", uri="file:///no/such.jsonl", column="text"),),
        benchmarks=("nope",),
        endpoints=tuple(
            NamedEndpoint(name=name, endpoint=EndpointRef(url=refusing, model="m", field=f"spec.{name}"))
            for name in ("f", "g")
        ),
    )
    assert [sentence.partition(":")[0] for sentence in found] == [
        "spec.a",
        "spec.b",
        "spec.c",
        "spec.d",
        "spec.curation.decontaminate",
        "spec.f",
        "spec.g",
    ]


def test_what_is_there_already(world: StageWorld) -> None:
    rows = [{"instruction_id": str(row)} for row in range(10)]
    whole = world.seal("mine", "whole", INSTRUCTIONS, rows, size=3)
    holey = world.seal("mine", "holey", INSTRUCTIONS, rows, size=4)
    world.store.delete(f"mine/{holey.key}/00001.json")
    world.store.put(f"mine/{holey.key}/00009.json", b"of another number of parts")
    absent = mine_recipe(rows=30, shard_size=10).ref
    artifacts = (holey, absent, whole)
    ran = world.run_task(task(world, artifacts=artifacts))
    assert ran.code == 0
    assert parts_done(artifacts, ran.summary["done"]) == {
        holey.key: frozenset({0, 2}),
        absent.key: frozenset(),
        whole.key: frozenset({0, 1, 2, 3}),
    }
    assert "outputs" not in ran.summary


def complete_run(world: StageWorld) -> tuple[ArtifactRef, ...]:
    """A run of one artifact, with its manifest."""
    manifest = Manifest(
        tournament="test",
        run=RUN,
        seed=0,
        versions={},
        leaderboard=(Standing(name="ada", rating=1010.0), Standing(name="bob", rating=990.0)),
        outputs={},
        files=(),
        artifacts=(),
    )
    world.store.put(manifest_key(RUN), manifest.canonical())
    return (world.seal("mine", "a", INSTRUCTIONS, []),)


def test_a_complete_run_tells_its_results(world: StageWorld) -> None:
    artifacts = complete_run(world)
    ran = world.run_task(task(world, artifacts=artifacts))
    folder = f"{world.store.uri}/runs/{RUN}"
    assert ran.summary["outputs"] == {
        "dataset": f"{folder}/",
        "manifest": f"{folder}/manifest.json",
        "report": f"{folder}/report.html",
    }
    assert [row["name"] for row in ran.summary["leaderboard"]] == ["ada", "bob"]
    ran = world.run_task(task(world, artifacts=(*artifacts, mine_recipe().ref)))
    assert "outputs" not in ran.summary  # a part is missing: the run is not complete, whatever the manifest says


def test_a_damaged_manifest_is_said(world: StageWorld) -> None:
    artifacts = complete_run(world)
    world.store.put(manifest_key(RUN), b'{"tournament": "te')
    ran = world.run_task(task(world, artifacts=artifacts))
    assert ran.code == 3
    assert ran.summary["message"] == (
        f"runs/{RUN}/manifest.json in {world.store.place} is damaged; delete it and run again."
    )


def test_labelled_pairs_are_counted_with_what_is_passed_over(world: StageWorld) -> None:
    rows = [{"prompt": "Sort.", "chosen": "sorted(x)", "rejected": "x"}, {"prompt": "Merge."}]
    path = write(world.root / "pairs.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    pairs = PairsRecipe(
        uri=path.as_uri(),
        field="prompt",
        answers=("chosen", "rejected"),
        better="First",
        winner_field="winner",
        on_bad_row="Skip",
        rows=100,
        seed=0,
    )
    file = ReadableFile(field="spec.judging.calibration", uri=path.as_uri(), column="prompt", pairs=pairs)
    ran = world.run_task(task(world, files=(file,)))
    assert ran.summary["instructions"] == "calibration: 1 labelled pairs, skipped: 1 bad (line 2)"


def test_an_embedder_that_is_not_installed(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_spec("sentence_transformers") is None
    needs = "spec.curation.diversity.embedder.method: SentenceTransformers needs the package sentence-transformers, and"
    assert problems(world, needs_embeddings=True) == [
        f"{needs} it is not installed; install the extra tiltyard[embeddings], or give HashedNgrams or an endpoint"
    ]
    monkeypatch.setenv("TILTYARD_IMAGE", "registry.example/worker:1")
    assert problems(world, needs_embeddings=True) == [
        f"{needs} the image registry.example/worker:1 does not have it; build the image worker-full and name it in the"
        " chart's worker.image, or give HashedNgrams or an endpoint"
    ]


def test_a_benchmark_whose_package_is_not_in_the_image(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_spec("datasets") is None
    monkeypatch.setenv("TILTYARD_IMAGE", "registry.example/worker:1")
    (found,) = problems(world, benchmarks=("mbpp",))
    assert "and the image registry.example/worker:1 does not have datasets; build the image worker-full" in found
