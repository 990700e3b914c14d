"""Whether this machine can serve and train what the manifest names: asked before anything starts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tiltyard.api import Tournament
from tiltyard.local.servers import is_simulated
from tiltyard.plan.participants import participations

ASK_SECONDS = 30.0

_HAS = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
_HAS_GPUS = "import sys, torch; sys.exit(torch.cuda.device_count() < int(sys.argv[1]))"
_IS_NEW = "import sys; sys.exit(sys.version_info < (3, 10))"


async def engine_problems(
    tournament: Tournament, *, vllm_python: str, train_python: str, programs_pythons: Mapping[str, str]
) -> list[str]:
    """What keeps vLLM, TRL or a benchmark's programs from starting: a sentence for each that an interpreter lacks.

    Args:
        tournament: the manifest.
        vllm_python: the interpreter that is to run vLLM.
        train_python: the interpreter that is to run TRL.
        programs_pythons: by benchmark, the interpreter that is to run its programs.
    """
    weights = [
        one.weights_field
        for one in participations(tournament).values()
        if one.participant.model is not None and not is_simulated(one.participant)
    ]
    problems = []
    if weights and (lack := await _lack(vllm_python, "vllm")) is not None:
        more = f" (and {len(weights) - 1} more)" if len(weights) > 1 else ""
        problems.append(
            f"{weights[0]}{more}: needs vLLM, and {lack}: give an interpreter that has it with --vllm-python"
        )
    if (training := tournament.spec.training) is not None:
        if (lack := await _lack(train_python, "trl")) is not None:
            advice = "give an interpreter that has it with --train-python"
            problems.append(f"spec.training: needs TRL, and {lack}: {advice}")
        elif (gpus := training.gpus) and (
            lack := await _why_not(train_python, _HAS_GPUS, str(gpus), otherwise="this machine has fewer")
        ):
            problems.append(f"spec.training.resources: requests {gpus} GPUs, but {lack}")
    evaluation = tournament.spec.evaluation
    for place, environment in enumerate(evaluation.environments if evaluation is not None else ()):
        name, field = environment.benchmark, f"spec.evaluation.environments[{place}]"
        advice = f"give an interpreter that has what the programs of {name} use with --programs-python {name}=PATH"
        python = programs_pythons.get(name)
        if python is None:
            problems.append(f"{field}: on this machine there is no {environment.image}: {advice}")
        elif (lack := await _why_not(python, _IS_NEW, otherwise=f"{python} is older than Python 3.10")) is not None:
            problems.append(f"{field}: {lack}: {advice}")
    return problems


async def _lack(python: str, module: str) -> str | None:
    """Why an interpreter cannot run a module; None where it can, as far as a look tells."""
    return await _why_not(python, _HAS, module, otherwise=f"{python} does not have it")


async def _why_not(python: str, question: str, *arguments: str, otherwise: str) -> str | None:
    """None where an interpreter ends a program well."""
    nowhere = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            python, "-c", question, *arguments, stdin=nowhere, stdout=nowhere, stderr=nowhere
        )
    except OSError as error:
        return f"{python} cannot be started ({error.strerror})"
    try:
        code = await asyncio.wait_for(process.wait(), ASK_SECONDS)
    except TimeoutError:
        return f"{python} does not answer"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return None if code == 0 else otherwise
