"""Whether this machine can serve and train what the manifest names: asked before anything starts."""

from __future__ import annotations

import asyncio

from tiltyard.api import Tournament
from tiltyard.local.servers import is_simulated
from tiltyard.render.tasks import fields, participants
from tiltyard_jobs.contracts.target_recipes import BASE_MODEL, TRAINED_MODEL

ASK_SECONDS = 30.0
TARGETS = (BASE_MODEL, TRAINED_MODEL)

_ASK = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"


async def engine_problems(tournament: Tournament, *, vllm_python: str, train_python: str) -> list[str]:
    """What keeps vLLM or TRL from starting: a sentence for each that the manifest needs and the interpreter lacks.

    Args:
        tournament: the manifest.
        vllm_python: the interpreter that is to run vLLM.
        train_python: the interpreter that is to run TRL.
    """
    places = fields(tournament)
    weights = [
        "spec.training.baseModel.uri" if participant.name in TARGETS else f"{places[participant.name]}.model.uri"
        for participant in participants(tournament).values()
        if participant.model is not None and not is_simulated(participant)
    ]
    problems = []
    if weights and (lack := await _lack(vllm_python, "vllm")) is not None:
        more = f" (and {len(weights) - 1} more)" if len(weights) > 1 else ""
        problems.append(
            f"{weights[0]}{more}: vLLM serves it, and {lack}: name an interpreter that has vLLM with --vllm-python"
        )
    if tournament.spec.training is not None and (lack := await _lack(train_python, "trl")) is not None:
        problems.append(
            f"spec.training: TRL trains it, and {lack}: name an interpreter that has TRL with --train-python"
        )
    return problems


async def _lack(python: str, module: str) -> str | None:
    """Why an interpreter cannot run a module; None where it can, as far as a look tells."""
    nowhere = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            python, "-c", _ASK, module, stdin=nowhere, stdout=nowhere, stderr=nowhere
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
    return None if code == 0 else f"{python} does not have it"
