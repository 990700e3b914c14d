"""From a finished data set to a scored model: TRL trains on a CPU, vLLM serves the base and the trained model."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import envs
from support import sharding_on_cpu
from support.benchmarks import small_benchmark
from support.local_runs import LocalRun, contents
from support.manifests import manifest
from support.tiny_model import tiny_model
from support.vllm_server import SERVER_ARGUMENTS, server_environment, vllm_python
from tiltyard.api import tournament_from_object
from tiltyard.plan.build import build_graph
from tiltyard_jobs.contracts.recipes import TrainRecipe
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.store import open_store
from tiltyard_jobs.training.nodes import Nodes
from tiltyard_jobs.training.order import order_of
from tiltyard_jobs.training.rows import write_rows
from tiltyard_jobs.training.supervise import TRAINER

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(vllm_python(), tmp_path_factory.mktemp("models") / "base", 1)


def tasks(folder: Path) -> Path:
    path = folder / "tasks.jsonl"
    path.write_text(small_benchmark(8))
    return path


def document(base: Path, benchmark: Path | None = None) -> dict[str, Any]:
    """Three simulated experts, whose data a tiny model learns from."""
    training: dict[str, Any] = {
        "baseModel": {"uri": base.as_uri()},
        "hyperparameters": {
            "learningRate": "0.002", "epochs": 4, "globalBatchSize": 4, "maxLength": 512, "precision": "Float32",
        },
    }  # fmt: skip
    spec: dict[str, Any] = {
        "curation": {"decontaminate": [], "diversity": {"perCompetitor": 20}},
        "jobs": {"shardSize": 64},
        "serving": {"maxActive": 1},
        "training": training,
    }
    if benchmark is not None:
        spec["evaluation"] = {
            "benchmarks": ["humaneval_plus"],
            "files": [{"benchmark": "humaneval_plus", "uri": benchmark.as_uri()}],
            "allowCodeExecution": True,
            "maxTokens": 48,
            "serving": {"args": [*SERVER_ARGUMENTS]},
        }
    return manifest(3, per_competitor=40, **spec)


ENGINES = ("--train-python", "{train}", "--vllm-python", "{vllm}")


def options() -> tuple[str, ...]:
    return tuple(part.format(train=envs.ensure("train"), vllm=vllm_python()) for part in ENGINES)


def curve_of(run: LocalRun) -> list[dict[str, Any]]:
    assert run.out is not None
    (path,) = (run.out / "train").glob("*/*.curve.json")
    curve: list[dict[str, Any]] = json.loads(path.read_text())
    return curve


def test_a_model_learns_is_served_and_scored(base: Path, tmp_path: Path) -> None:
    given = document(base, tasks(tmp_path))
    given["spec"]["training"] |= {
        "method": "SftThenDpo",
        "lora": {"rank": 8},
        "select": {"fraction": "0.9"},
        "trainer": {"deviceBatchSize": 2},
    }
    run = LocalRun(tmp_path / "run", given, env=server_environment())
    run.complete(*options(), timeout=900)
    curve = curve_of(run)
    sft = [point["loss"] for point in curve if point["stage"] == "sft"]
    assert sft[-1] < 0.9 * sft[0]
    assert [point["stage"] for point in curve if point["stage"] == "dpo"]
    assert run.out is not None
    (results,) = (run.out / "runs").glob("*")
    scores = json.loads((results / "benchmarks.json").read_text())["scores"]
    assert [(one["model"], one["benchmark"], one["tasks"]) for one in scores] == [
        ("base-model", "humaneval_plus", 8),
        ("trained-model", "humaneval_plus", 8),
    ]
    assert all(one["score"] < 0.5 for one in scores)  # its words are noise
    page = (results / "report.html").read_text()
    assert "Before and after" in page
    assert "Loss" in page
    # The base model and what it became say different things to the same task.
    replies = [
        pq.read_table(path).column("reply").to_pylist()
        for path in sorted((run.out / "solve").glob("*/00000.*.parquet"))
    ]
    assert len(replies) == 2
    assert replies[0] != replies[1]
    # Nothing of it is made again.
    before = contents(open_store(StoreRef(uri=run.out.as_uri())))
    run.complete(*options())
    assert contents(open_store(StoreRef(uri=run.out.as_uri()))) == before


def test_killed_in_the_middle_it_goes_on_to_the_same_weights(base: Path, tmp_path: Path) -> None:
    env = server_environment()
    whole, cut = (LocalRun(tmp_path / name, document(base), env=env) for name in ("whole", "cut"))
    whole.complete(*options(), timeout=600)
    process = cut.start("run", *options())
    end = time.monotonic() + 300
    while not list(cut.state.glob("work/*/scratch/training/sft/checkpoint-*/trainer_state.json")):
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.02)
    for pid in cut.pids():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    cut.complete(*options(), timeout=600)
    assert curve_of(cut) == curve_of(whole)
    assert whole.out is not None
    assert cut.out is not None
    assert contents(open_store(StoreRef(uri=cut.out.as_uri()))) == contents(
        open_store(StoreRef(uri=whole.out.as_uri()))
    )


def learn(
    base: Path, folder: Path, *launcher: str, env: dict[str, str] | None = None, **hyperparameters: Any
) -> list[float]:
    """The losses of a training by the trainer's own program, on a few rows of our own."""
    texts = [("Double it.", "x + x"), ("Square it.", "x * x"), ("Negate it.", "-x")] * 8
    folder.mkdir(exist_ok=True)
    rows = folder / "sft.jsonl"
    for_trl = (
        {
            "prompt": [{"role": "user", "content": question}],
            "completion": [{"role": "assistant", "content": answer}],
        }
        for question, answer in texts
    )
    write_rows(rows, for_trl)
    given = document(base)
    given["spec"]["training"]["hyperparameters"] |= hyperparameters
    (recipe,) = build_graph(tournament_from_object(given)).by_name["train"].recipes
    assert isinstance(recipe, TrainRecipe)
    order = order_of(recipe, base=str(base), rows={"sft": rows}, counts={"sft": len(texts)}, out=folder, cpu=True)
    (folder / "order.json").write_text(json.dumps(order | {"fullyShard": True, "saveSteps": 4}))
    command = [str(envs.ensure("train")), *launcher, str(TRAINER), str(folder / "order.json")]
    subprocess.run(command, env=server_environment() | (env or {}), check=True, timeout=300)
    return [point["loss"] for point in json.loads((folder / "curve.json").read_text())]


def test_half_precision_learns_what_full_precision_learns(base: Path, tmp_path: Path) -> None:
    """At the paper's learning rate, where a step is less than the last digit of a weight's sixteen bits."""
    small: dict[str, Any] = {"learningRate": "0.00002", "epochs": 8}
    full = learn(base, tmp_path / "full", **small)
    half = learn(base, tmp_path / "half", **small, precision="Bfloat16")
    assert full[0] - full[-1] > 0.1
    assert half[0] - half[-1] == pytest.approx(full[0] - full[-1], rel=0.05)
    sizes = []
    for name, dtype in (("full", "float32"), ("half", "bfloat16")):
        model = tmp_path / name / "sft" / "model"
        assert json.loads((model / "config.json").read_text())["dtype"] == dtype
        sizes.append((model / "model.safetensors").stat().st_size)
    assert sizes[1] == pytest.approx(sizes[0] / 2, rel=0.01)


def test_packed_rows_do_not_see_each_other(base: Path, tmp_path: Path) -> None:
    """One step over all rows has one loss, whether they share a sequence or not; it must have learnt to tell."""
    learn(base, tmp_path / "first", epochs=10)
    learnt = tmp_path / "first" / "sft" / "model"
    whole: dict[str, Any] = {"epochs": 1, "globalBatchSize": 64}
    (packed,) = learn(learnt, tmp_path / "packed", **whole, packing=True)
    (apart,) = learn(learnt, tmp_path / "apart", **whole, packing=False)
    assert packed < 2
    assert packed == pytest.approx(apart, rel=1e-4)


def test_two_processes_share_a_model_and_continue(base: Path, tmp_path: Path) -> None:
    """Fully sharded they learn what one learns: the trainer's own program on PyTorch's FSDP, without a GPU."""
    (tmp_path / "sitecustomize.py").write_text(Path(sharding_on_cpu.__file__).read_text())
    two, env = Nodes().launcher(2), {"PYTHONPATH": str(tmp_path)}
    alone = learn(base, tmp_path / "alone")
    together = learn(base, tmp_path / "together", *two, env=env)
    assert together == pytest.approx(alone, rel=0.02)
    # Its last checkpoint but one: the same way once more.
    sft = tmp_path / "together" / "sft"
    assert list(sft.glob("checkpoint-*/pytorch_model_fsdp.bin"))  # only a sharded model has such
    *_, last = sorted(sft.glob("checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))
    for gone in (last, sft / "model"):
        shutil.rmtree(gone)
    (sft / "done.json").unlink()
    assert learn(base, tmp_path / "together", *two, env=env) == pytest.approx(together, rel=1e-4)


def test_gpus_that_pytorch_does_not_see_are_told_and_nothing_is_trained_on_the_cpu(tmp_path: Path) -> None:
    order = {"out": str(tmp_path), "base": "org/base", "stages": [{"kind": "sft"}], "cpu": False}
    (tmp_path / "order.json").write_text(json.dumps(order))
    command = [str(envs.ensure("train")), str(TRAINER), str(tmp_path / "order.json")]
    environment = server_environment() | {"CUDA_VISIBLE_DEVICES": ""}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 2
    assert "tiltyard: spec.training.resources requests GPUs, and PyTorch sees none" in ended.stdout + ended.stderr


def test_no_template_and_no_rows_are_told_in_a_sentence(base: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in base.iterdir():
        (bare / file.name).write_bytes(file.read_bytes())
    config = json.loads((bare / "tokenizer_config.json").read_text())
    del config["chat_template"]
    (bare / "tokenizer_config.json").write_text(json.dumps(config))
    ended = LocalRun(tmp_path / "bare-run", document(bare), env=server_environment()).run(*options())
    assert ended.code == 2
    assert "spec.training.baseModel.uri: " in ended.err
    assert "chat template" in ended.err
    nothing = document(base)
    nothing["spec"]["dataset"] = {"minMargin": "1"}
    ended = LocalRun(tmp_path / "nothing", nothing, env=server_environment()).run(*options())
    assert ended.code == 2
    assert "spec.training: the tournament left no sft row to train on" in ended.err
