"""A run at work: what `tiltyard status --watch -o json` says of it, kept up to date, and as words for a page.

The reader looks at no state folder and no cluster of its own: a process of the command line does, in the form that is
documented for programs. It is started when somebody looks at the page, and again when it has ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from tiltyard_jobs.contracts.durations import duration_text, seconds_left
from tiltyard_jobs.contracts.spending import hours_text

AGAIN_SECONDS = 5.0  # from one start of the process to the next
FIRST_SECONDS = 20.0  # for its first word
_LINE = 4 << 20  # bytes of a status, at most
_SHOWN = ("Complete", "Failed", "Suspended", "Waiting")  # conditions whose message is shown


class _Document(BaseModel):
    """What is read of a status; the rest may change."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")


class _Counts(_Document):
    total: int = 0
    done: int = 0


class _Shards(_Document):
    total: int = 0
    succeeded: int = 0
    active: int = 0


class _Void(_Document):
    reason: str
    records: int


class _Stage(_Document):
    name: str
    state: str
    shards: _Shards = _Shards()
    records: _Counts | None = None
    records_per_second: float | None = None
    void: int = 0
    voids: list[_Void] = Field(default_factory=list)


class _Model(_Document):
    name: str
    state: str
    activity: str | None = None
    asking: int | None = None
    queued: int | None = None
    loads: int = 0
    load_seconds: int | None = None


class _Usage(_Document):
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_per_second: float | None = None
    completion_tokens_per_second: float | None = None
    model_seconds: int = 0
    gpu_seconds: int | None = None
    cost: str | None = None
    currency: str | None = None


class _Condition(_Document):
    type: str
    status: str
    message: str = ""


class Status(_Document):
    """A run's status, see `tiltyard schema Status`."""

    tournament: str
    activity: str
    phase: str = ""
    progress: str = "0%"
    step: str | None = None
    records: str | None = None
    eta: datetime | None = None
    stages: list[_Stage] = Field(default_factory=list)
    models: list[_Model] = Field(default_factory=list)
    usage: _Usage = _Usage()
    conditions: list[_Condition] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)


class Live:
    """The newest status of a run.

    Args:
        command: prints a status on a line of its own each time that it changes, until the run has ended.
        clock: monotonic seconds.
    """

    def __init__(self, command: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._command = tuple(command)
        self._clock = clock
        self._started = -AGAIN_SECONDS
        self._reading: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[tuple[bytes, bytes]] | None = None
        self._seen = asyncio.Event()
        self._status: Status | None = None
        self._message = ""

    async def look(self) -> tuple[Status | None, str]:
        """The newest status, and why there is none where there is none."""
        if self._reading is None or (self._reading.done() and self._clock() - self._started >= AGAIN_SECONDS):
            self._started = self._clock()
            self._seen.clear()
            self._reading = asyncio.create_task(self._read())
        with suppress(TimeoutError):
            await asyncio.wait_for(self._seen.wait(), FIRST_SECONDS)
        return self._status, self._message or ("" if self._status else "the run's status takes long to read")

    async def _read(self) -> None:
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, limit=_LINE
            )
            try:
                await self._follow(process)
            finally:
                with suppress(ProcessLookupError):
                    process.terminate()
                # Its end is seen once its pipes are empty. Whoever cancels meanwhile still waits for it in `close`.
                self._ending = asyncio.create_task(process.communicate())
                await asyncio.shield(self._ending)
        except OSError as error:
            self._status, self._message = None, str(error.strerror)
        finally:
            self._seen.set()

    async def _follow(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        found = False
        async with asyncio.TaskGroup() as group:
            words = group.create_task(process.stderr.read())
            async for line in _lines(process.stdout):
                with suppress(ValidationError):
                    self._status, found = Status.model_validate_json(line), True
                    self._message = ""
                    self._seen.set()
        if not found:
            said = words.result().decode("utf-8", "replace").strip()
            self._status, self._message = None, said or "the run has no status"

    async def close(self) -> None:
        """End the process, also one that is being started."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._ending is not None:
            await self._ending


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The lines of a stream; of one that is longer than any status there may be a rest, which is none."""
    while True:
        try:
            line = await stream.readline()
        except ValueError:
            continue
        if not line:
            return
        yield line


def words_of(status: Status, now: float) -> dict[str, Any]:
    """What the page says.

    Args:
        status: the newest one.
        now: seconds since the epoch.
    """
    done, _, total = (status.records or "").partition("/")
    usage = status.usage
    speeds = (("read", usage.prompt_tokens_per_second), ("written", usage.completion_tokens_per_second))
    pace = [f"{int(done):,} of {int(total):,} records"] if done.isdigit() and total.isdigit() else []
    pace += [f"{speed:,.0f} tokens/s {what}" for what, speed in speeds if speed]
    if status.eta is not None and status.activity == "Running":
        left = duration_text(max(0.0, status.eta.timestamp() - now))
        pace.append(f"complete at about {status.eta.astimezone():%Y-%m-%d %H:%M} (in {left})")
    return {
        "phase": status.phase + (f": {status.step.lower()}" if status.step else ""),
        "progress": status.progress,
        "share": int(status.progress.rstrip("%") or 0) if status.progress.rstrip("%").isdigit() else 0,
        "activity": status.activity,
        "at_work": status.activity == "Running",
        "pace": pace,
        "stages": [_stage(one) for one in status.stages],
        "models": [_model(one) for one in status.models],
        "costs": [
            ("Tokens read", f"{usage.prompt_tokens:,}"),
            ("of them from a prefix cache", f"{usage.cached_tokens:,}"),
            ("Tokens written", f"{usage.completion_tokens:,}"),
            ("Time at models", duration_text(usage.model_seconds)),
            *([("GPU-hours", hours_text(usage.gpu_seconds))] if usage.gpu_seconds is not None else []),
            *([("Cost", f"{usage.cost} {usage.currency}")] if usage.cost is not None else []),
        ],
        "messages": [
            one.message for one in status.conditions if one.type in _SHOWN and one.status == "True" and one.message
        ],
        "warnings": status.notes,
    }


def _stage(one: _Stage) -> dict[str, Any]:
    records, rate = one.records, one.records_per_second
    counted = records is not None and records.total > 0
    done, total = (records.done, records.total) if records and counted else (one.shards.succeeded, one.shards.total)
    left = seconds_left(records.done, records.total, rate) if records is not None else None
    return {
        "name": one.name,
        "state": one.state,
        "done": done if one.state != "Complete" else total,
        "total": max(1, total),
        "records": f"{records.done:,} / {records.total:,}" if records is not None and counted else "",
        "rate": f"{rate:,.1f}/s" if rate else "",
        "left": "" if left is None else f"about {duration_text(left)}",
        "shards": f"{one.shards.succeeded:,} / {one.shards.total:,}",
        "void": f"{one.void:,}",
        "voids": ", ".join(f"{void.reason} {void.records:,}" for void in one.voids),
    }


def _model(one: _Model) -> dict[str, str]:
    return {
        "name": one.name,
        "doing": one.activity or one.state,
        "asking": "" if one.asking is None else f"{one.asking:,}",
        "queued": "" if one.queued is None else f"{one.queued:,}",
        "loads": str(one.loads),
        "load": "" if one.load_seconds is None else duration_text(one.load_seconds),
    }
