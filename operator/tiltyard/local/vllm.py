"""Whether this machine can serve what the manifest names: asked before anything starts."""

from __future__ import annotations

import asyncio

from tiltyard.api import Tournament
from tiltyard.local.servers import is_simulated
from tiltyard.render.tasks import fields, participants

ASK_SECONDS = 30.0

_ASK = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"


async def vllm_problems(tournament: Tournament, vllm_python: str) -> list[str]:
    """What keeps vLLM from starting: a sentence where the manifest needs it and the interpreter lacks it.

    Args:
        tournament: the manifest.
        vllm_python: the interpreter that is to run vLLM.
    """
    places = fields(tournament)
    weights = [
        f"{places[participant.name]}.model.uri"
        for participant in participants(tournament).values()
        if participant.model is not None and not is_simulated(participant)
    ]
    if not weights or (lack := await _lack(vllm_python)) is None:
        return []
    more = f" (and {len(weights) - 1} more)" if len(weights) > 1 else ""
    return [f"{weights[0]}{more}: vLLM serves it, and {lack}: name an interpreter that has vLLM with --vllm-python"]


async def _lack(python: str) -> str | None:
    """Why an interpreter cannot run vLLM; None where it can, as far as a look tells."""
    nowhere = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            python, "-c", _ASK, stdin=nowhere, stdout=nowhere, stderr=nowhere
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
