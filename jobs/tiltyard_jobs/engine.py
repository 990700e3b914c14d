"""Foreign software in a process of its own: a program of ours in an interpreter that has it, told by one JSON file.

The program imports nothing of Tiltyard. What the user can mend ends it with exit code 2 and a line that begins with
`tiltyard: `.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tiltyard_jobs.contracts.stores import STORES
from tiltyard_jobs.errors import ConfigurationError, TransientError
from tiltyard_jobs.packages import IMAGE_VARIABLE

CONFIGURATION = 2
GRACE_SECONDS = 20.0
POLL_SECONDS = 1.0
_MARK = "tiltyard: "
# A process of the user's models needs none of the bucket's keys.
_SECRETS = re.compile(r"^(AWS_|S3_)|(SECRET|TOKEN|PASSWORD|API_KEY|ACCESS_KEY)", re.IGNORECASE)
_CREDENTIALS = frozenset(name for facts in STORES.values() for name in facts.credentials)
_KEPT = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")  # with which a gated base model or data set is fetched
_SET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONHASHSEED": "0",  # two runs agree on the order of a set
    "PYTHONSAFEPATH": "1",  # the modules beside the program are no packages of that interpreter's
}


class Engine(NamedTuple):
    """A program and what it stands on.

    Attributes:
        name: for messages: `the trainer`.
        verb: what it does: `train`.
        software: what the interpreter must have: `TRL`.
        flag: of the command line, by which that interpreter is named.
        chart: the chart's value of the image that has it: `trainer`.
        out_of_memory: what helps then.
    """

    name: str
    verb: str
    software: str
    flag: str
    chart: str
    out_of_memory: str

    @property
    def advice(self) -> str:
        """What to do where the software is not there."""
        if image := os.environ.get(IMAGE_VARIABLE):
            return (
                f"the image {image} must have {self.software}: name one that has it in the chart's {self.chart}.image,"
                f" and its interpreter in {self.chart}.python"
            )
        return f"give an interpreter that has {self.software} with {self.flag}"


async def run_engine(
    engine: Engine,
    python: str,
    arguments: Sequence[str],
    log: Path,
    *,
    launched: bool = False,
    each: Callable[[], None] = lambda: None,
    echo: BinaryIO | None = None,
) -> None:
    """Run a program to its end. It is ended when this is cancelled, and what it has written stays.

    Args:
        engine: what it is.
        python: the interpreter.
        arguments: what follows it.
        log: gets the program's output.
        launched: by a launcher, which has an exit code of its own.
        each: called now and then.
        echo: gets the program's output too.

    Raises:
        ConfigurationError: it refuses what it was given, or the interpreter lacks the software.
        TransientError: it ended otherwise than well.
    """
    with log.open("ab") as output:
        copied = output.tell()
        try:
            process = await asyncio.create_subprocess_exec(
                python, *arguments,
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, env=_environment(),
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            words = f"{engine.name} cannot be started: {python}: {error.strerror}; {engine.advice}"
            raise ConfigurationError(words) from None
    try:
        while process.returncode is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), POLL_SECONDS)
            each()
            copied = _copy(log, copied, echo)
    finally:
        await asyncio.shield(_end(process))
        _copy(log, copied, echo)
    if process.returncode == 0:
        return
    last = _last_words(log)
    if (launched or process.returncode == CONFIGURATION) and last.startswith(_MARK):
        raise ConfigurationError(last.removeprefix(_MARK))
    if "No module named" in last:
        raise ConfigurationError(f"{python} cannot {engine.verb} ({last}): {engine.advice}")
    if "out of memory" in last.lower():
        raise ConfigurationError(f"{engine.name} ran out of memory ({last}): {engine.out_of_memory}")
    raise TransientError(
        f"{engine.name} ended with {process.returncode}; its last output is {last!r}; its log is {log}"
    )


def _copy(log: Path, start: int, out: BinaryIO | None) -> int:
    """What a log has from a place on, to another file; returns where it ends."""
    if out is None:
        return start
    with log.open("rb") as file:
        file.seek(start)
        shutil.copyfileobj(file, out)
        out.flush()
        return file.tell()


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the program and what it started: they are one session."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    await process.wait()


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or not _is_secret(name)}
    return kept | _SET


def _is_secret(name: str) -> bool:
    return name in _CREDENTIALS or _SECRETS.search(name) is not None


def _last_words(log: Path) -> str:
    """The program's last line, without the tokens that it was given: it goes into a message."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
        text = file.read().decode(errors="replace")
    for token in filter(None, map(os.environ.get, _KEPT)):
        text = text.replace(token, "(not shown)")
    lines = text.splitlines()
    marked = [line for line in lines if line.startswith(_MARK)]
    said = [line.strip() for line in lines if line.strip()]
    return (marked or said or [""])[-1][:400]
