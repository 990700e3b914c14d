"""The packages of the image worker-full, installed from its lock: they are what examples/warriorcoder.yaml needs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

import envs
from support.documents import ROOT
from tiltyard.api import load_tournament
from tiltyard.plan.build import build_graph
from tiltyard.render.preflight import preflight_task
from tiltyard_jobs.contracts.tasks import StoreRef

pytestmark = pytest.mark.timeout(1800)  # the environment may have to be made first

CHECK = """\
import sys
from tiltyard_jobs.contracts.solo_tasks import PreflightTask
from tiltyard_jobs.errors import JobError
from tiltyard_jobs.stages.preflight import local_checks

for field, check in local_checks(PreflightTask.model_validate_json(sys.stdin.read()), []):
    try:
        check()
    except JobError as error:
        print(f"{field}: {error}")
"""
USE = """\
import sys
from pathlib import Path

from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Pooling, Transformer
from transformers import BertConfig, BertModel, BertTokenizerFast

from tiltyard_jobs.curation.embed import SentenceTransformers
from tiltyard_jobs.evaluation.known_texts import load_known
from tiltyard_jobs.evaluation.hub import hub_rows

folder = Path(sys.argv[1])
(folder / "vocab.txt").write_text("\\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "sort", "a", "list"]))
bert = BertConfig(vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
BertModel(bert).save_pretrained(folder / "bert")
BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder / "bert")
transformer = Transformer(str(folder / "bert"))
SentenceTransformer(modules=[transformer, Pooling(8)], device="cpu").save(str(folder / "embedder"))
print(SentenceTransformers(str(folder / "embedder"), device="cpu").embed(["sort a list", "a list"]).shape)
(folder / "rows").mkdir()
(folder / "rows" / "test.jsonl").write_text('{"prompt": "one"}\\n{"prompt": "two"}\\n')
print([row["prompt"] for row in hub_rows("it", str(folder / "rows"), None, None, "")])
print(len(load_known("humaneval")))  # prompts and solutions
"""


def run(script: str, *arguments: str, folder: Path, stdin: str = "") -> list[str]:
    """What a script prints, in the environment, without a network."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "jobs"),
        "TILTYARD_IMAGE": "worker-full",
        "HF_HOME": str(folder / "hugging-face"),
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [str(envs.ensure("worker-full")), "-c", script, *arguments]
    done = subprocess.run(command, input=stdin, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_preflight_finds_all_packages_that_the_example_needs(tmp_path: Path) -> None:
    tournament = load_tournament(ROOT / "examples" / "warriorcoder.yaml")
    task = preflight_task(tournament, build_graph(tournament), StoreRef(uri="file:///out"))
    assert task.needs_embeddings
    hub = [tasks.name for tasks in task.task_sets if tasks.name != "humaneval"]
    assert hub
    said = run(CHECK, folder=tmp_path, stdin=json.dumps(task.model_dump(mode="json")))
    # They would be fetched, and there is no network; a package that is missing is said in other words.
    of_hub = [line for line in said if "cannot be read from the Hugging Face hub" in line]
    assert len(of_hub) == len(hub), said
    assert "worker-full does not have" not in "\n".join(said)


def test_the_packages_work(tmp_path: Path) -> None:
    assert run(USE, str(tmp_path), folder=tmp_path) == ["(2, 8)", "['one', 'two']", "328"]
