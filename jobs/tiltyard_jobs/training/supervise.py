"""Running the trainer to its end, and reading how it ended."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tiltyard_jobs.errors import ConfigurationError, TransientError
from tiltyard_jobs.training import trainer

TRAINER = Path(trainer.__file__)
GRACE_SECONDS = 20.0
POLL_SECONDS = 1.0
_MARK = "tiltyard: "
# A process of the user's models needs none of the bucket's keys.
_SECRETS = re.compile(r"^(AWS_|S3_)|(SECRET|TOKEN|PASSWORD|API_KEY|ACCESS_KEY)", re.IGNORECASE)
_KEPT = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")  # with which a gated base model is fetched
_QUIET = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "TOKENIZERS_PARALLELISM": "false"}


async def train(
    python: str,
    order: Mapping[str, Any],
    folder: Path,
    log: Path,
    *,
    launcher: Sequence[str] = (),
    each: Callable[[int, int], None],
) -> None:
    """Run the trainer. It is ended when this is cancelled, and what it has saved stays.

    Args:
        python: an interpreter that has TRL.
        order: see `order_of`.
        folder: an existing one, for the order's file.
        log: gets the trainer's output.
        launcher: what comes between the interpreter and the trainer, see `Nodes.launcher`.
        each: told of (step, steps) now and then.

    Raises:
        ConfigurationError: the trainer refuses what it was given.
        TransientError: it ended otherwise than well.
    """
    document = folder / "order.json"
    document.write_text(json.dumps(order))
    with log.open("ab") as output:
        try:
            process = await asyncio.create_subprocess_exec(
                python, *launcher, str(TRAINER), str(document),
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, env=_environment(),
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise ConfigurationError(f"the trainer cannot be started: {python}: {error.strerror}") from None
    try:
        while process.returncode is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), POLL_SECONDS)
            each(*_progress(Path(order["out"])))
    finally:
        await asyncio.shield(_end(process))
    if process.returncode == 0:
        return
    last = _last_words(log)
    # A launcher has an exit code of its own.
    if (launcher or process.returncode == trainer.CONFIGURATION) and last.startswith(_MARK):
        raise ConfigurationError(last.removeprefix(_MARK))
    if "No module named" in last:
        raise ConfigurationError(
            f"{python} cannot train ({last}): name an interpreter that has TRL with --train-python"
        )
    if "out of memory" in last.lower():
        raise ConfigurationError(f"the trainer ran out of memory ({last}): a smaller maxLength, LoRA, or more GPUs")
    raise TransientError(f"the trainer ended with {process.returncode}; its last words are {last!r}; its log is {log}")


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the trainer and what it started: they are one session."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    await process.wait()


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or not _SECRETS.search(name)}
    return kept | _QUIET


def _progress(out: Path) -> tuple[int, int]:
    """(step, steps) by the newest checkpoint."""
    states = sorted(out.glob("*/checkpoint-*/trainer_state.json"), key=lambda path: path.stat().st_mtime)
    for path in reversed(states):
        with suppress(OSError, ValueError, KeyError):
            state = json.loads(path.read_text())
            return int(state["global_step"]), int(state["max_steps"])
    return 0, 1


def _last_words(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
        lines = file.read().decode(errors="replace").splitlines()
    marked = [line for line in lines if line.startswith(_MARK)]
    said = [line.strip() for line in lines if line.strip()]
    return (marked or said or [""])[-1][:400]
