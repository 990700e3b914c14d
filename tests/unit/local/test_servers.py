"""The command lines of models' servers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.manifests import manifest
from tiltyard.api import Participant, Tournament, load_tournament
from tiltyard.local.engines import engine_problems
from tiltyard.local.servers import server_command

ADDRESS = ["--served-model-name", "m0", "--host", "127.0.0.1", "--port", "8000"]
VLLM = ["vllm-python", "-m", "vllm.entrypoints.openai.api_server", "--model"]


def participant(**fields: Any) -> Participant:
    document = manifest(3)
    document["spec"]["competitors"][0] |= fields
    return load_tournament(yaml.safe_dump(document)).spec.competitors[0]


@pytest.mark.parametrize(
    ("fields", "command"),
    [
        (
            {"model": {"uri": "sim://sage?skill=0.8"}, "serving": {"args": ["--latency-ms=3"]}},
            ["python", "-m", "tiltyard_jobs.sim", "--uri", "sim://sage?skill=0.8", *ADDRESS, "--latency-ms=3"],
        ),
        (
            {"model": {"uri": "hf://org/name", "revision": "v2"}, "serving": {"args": ["--max-model-len=512"]}},
            [
                *VLLM, "org/name", "--revision", "v2", "--enable-prompt-tokens-details", *ADDRESS,
                "--max-model-len=512",
            ],
        ),
        (
            {"model": {"uri": "file:///models/my%20model"}},
            [*VLLM, "/models/my model", "--enable-prompt-tokens-details", *ADDRESS],
        ),
    ],
)  # fmt: skip
def test_commands(fields: dict[str, Any], command: list[str]) -> None:
    assert server_command(participant(**fields), 8000, python="python", vllm_python="vllm-python") == command


async def problems(tournament: Tournament, train_python: str = "/nowhere/t", **programs_pythons: str) -> list[str]:
    return await engine_problems(
        tournament, vllm_python="/nowhere/v", train_python=train_python, programs_pythons=programs_pythons
    )


async def test_simulated_experts_and_endpoints_need_no_vllm() -> None:
    document = manifest(3)
    document["spec"]["competitors"][0] = {"name": "m0", "endpoint": {"url": "http://127.0.0.1:1/v1", "model": "m"}}
    tournament = load_tournament(yaml.safe_dump(document))
    assert await problems(tournament) == []


async def test_a_target_needs_both_engines() -> None:
    document = manifest(3, training={"baseModel": {"uri": "hf://org/base"}})
    document["spec"]["evaluation"] = {"benchmarks": ["humaneval"], "allowCodeExecution": True}
    tournament = load_tournament(yaml.safe_dump(document))
    served, trained = await problems(tournament)
    assert served.startswith("spec.training.baseModel.uri (and 1 more): needs vLLM, and /nowhere/v cannot be started")
    assert trained.startswith("spec.training: needs TRL, and /nowhere/t cannot be started")
    assert trained.endswith("give an interpreter that has it with --train-python")


async def test_more_gpus_than_this_machine_has(tmp_path: Path) -> None:
    def asking(gpus: str) -> Tournament:
        training = {"baseModel": {"uri": "hf://org/base"}, "resources": {"limits": {"nvidia.com/gpu": gpus}}}
        return load_tournament(yaml.safe_dump(manifest(3, training=training)))

    has_two = tmp_path / "python"  # and TRL
    has_two.write_text('#!/bin/sh\n[ "$3" = trl ] || [ "$3" -le 2 ]\n')
    has_two.chmod(0o755)
    assert (await problems(asking("3"), str(has_two)))[-1] == (
        "spec.training.resources: requests 3 GPUs, but this machine has fewer"
    )
    assert not [one for one in await problems(asking("2"), str(has_two)) if "gpu" in one]


async def test_programs_with_libraries_need_an_interpreter_that_is_named(tmp_path: Path) -> None:
    document = manifest(3)
    document["spec"]["evaluation"] = {
        "benchmarks": ["ds1000"], "competitors": True, "allowCodeExecution": True,
        "environments": [{"benchmark": "ds1000", "image": "registry.example/science:1"}],
    }  # fmt: skip
    tournament = load_tournament(yaml.safe_dump(document))
    advice = "give an interpreter that has what the programs of ds1000 use with --programs-python ds1000=PATH"
    field = "spec.evaluation.environments[0]"
    assert await problems(tournament) == [f"{field}: on this machine there is no registry.example/science:1: {advice}"]
    assert await problems(tournament, ds1000="/nowhere/p") == [
        f"{field}: /nowhere/p cannot be started (No such file or directory): {advice}"
    ]
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    assert await problems(tournament, ds1000=str(old)) == [f"{field}: {old} is older than Python 3.10: {advice}"]
    assert await problems(tournament, ds1000=sys.executable) == []
