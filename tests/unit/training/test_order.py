from __future__ import annotations

from pathlib import Path
from typing import Any

from support.manifests import tournament
from tiltyard.plan.build import build_graph
from tiltyard_jobs.contracts.recipes import TrainRecipe
from tiltyard_jobs.training.order import order_of

BASE: dict[str, Any] = {"baseModel": {"uri": "hf://org/base", "revision": "main"}}


def recipe(**training: Any) -> TrainRecipe:
    (found,) = build_graph(tournament(3, training={**BASE, **training})).by_name["train"].recipes
    assert isinstance(found, TrainRecipe)
    return found


def order(made: TrainRecipe, rows: int = 100_000) -> dict[str, Any]:
    files = {"sft": Path("sft"), "dpo": Path("dpo")}
    return order_of(made, base="org/base", rows=files, counts=dict.fromkeys(files, rows), out=Path("out"), cpu=False)


def test_the_defaults_are_the_papers() -> None:
    made = order(recipe())
    (stage,) = made["stages"]
    assert (stage["learningRate"], stage["batch"], stage["warmupRatio"], stage["weightDecay"]) == (1e-5, 512, 0.2, 3e-7)
    assert (made["maxLength"], made["packing"], made["precision"], made["lora"]) == (2048, True, "Bfloat16", None)
    assert made["revision"] == "main"
    assert made["saveSteps"] == 3 * (100_000 // 512) // 20


def test_preferences_come_second_and_more_gently() -> None:
    sft, dpo = order(recipe(method="SftThenDpo", lora={"rank": 8}))["stages"]
    assert (sft["kind"], sft["epochs"], dpo["kind"], dpo["epochs"]) == ("sft", 3, "dpo", 1)
    assert dpo["learningRate"] == 0.1 * sft["learningRate"]
    assert order(recipe(lora={"rank": 8}))["lora"] == {"rank": 8, "alpha": 32}


def test_few_rows_are_saved_at_every_step() -> None:
    assert order(recipe(), rows=10)["saveSteps"] == 1


def test_how_it_runs_is_in_no_key() -> None:
    one = recipe(
        resources={"limits": {"nvidia.com/gpu": "8"}},
        pod={"priorityClassName": "batch"},
        trainer={"deviceBatchSize": 4},
    )
    assert one.ref == recipe().ref
    assert recipe(hyperparameters={"epochs": 2}).ref != recipe().ref
