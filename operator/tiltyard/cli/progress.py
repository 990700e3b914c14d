"""What a running tournament shows: bars on a terminal, one line for each change where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Column

from tiltyard.api import RecordCounts, StageStatus, TournamentStatus
from tiltyard.cli.names import shortened
from tiltyard.status.rates import stage_seconds_left
from tiltyard_jobs.contracts.durations import duration_text

Display = Callable[[TournamentStatus], None]
LINE_SECONDS = 60.0  # between two lines of a phase that goes on
_PREFLIGHT = "Preflight"
_ALL = "All"
_NAME_IN_BAR = 20


@contextmanager
def progress(kind: str, clock: Callable[[], float] = time.monotonic) -> Iterator[Display]:
    """What shows each new status of a run.

    Args:
        kind: `bars`, `lines`, `none`, or `auto`: bars on a terminal, lines elsewhere.
        clock: monotonic seconds.
    """
    if kind == "auto":
        kind = "bars" if sys.stderr.isatty() else "lines"
    if kind == "none":
        yield lambda status: None
    elif kind == "lines":
        yield _Lines(_Silence(clock), clock)
    else:
        with Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            TextColumn("{task.fields[done]}", justify="right"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=Console(stderr=True),
        ) as bars:
            yield _Bars(bars, _Silence(clock))


def phase_text(status: TournamentStatus) -> str:
    """A phase by its name, with what preflight checks now."""
    return f"{status.phase} ({status.step.lower()})" if status.step else status.phase or ""


def done_text(records: RecordCounts) -> str:
    """`812/4,000`."""
    return f"{records.done:,}/{records.total:,}"


def rate_text(rate: str | None) -> str:
    """`35.2/s`; empty where there is none."""
    return f"{rate}/s" if rate is not None else ""


def records_text(status: TournamentStatus) -> str:
    """What is done in all: `812/4,000`; empty where nothing is counted."""
    done, _, total = (status.records or "").partition("/")
    return f"{int(done):,}/{int(total):,}" if total else ""


def pace_of(status: TournamentStatus) -> list[str]:
    """What is done in all, how fast it goes, and when all will be done, as far as that is known."""
    records = records_text(status)
    return [*([f"{records} records"] if records else []), *_speed_of(status)]


def _speed_of(status: TournamentStatus) -> list[str]:
    usage, words = status.usage, list[str]()
    if usage is not None:
        told = (("read", usage.prompt_tokens_per_second), ("written", usage.completion_tokens_per_second))
        words += [f"{float(rate):,.0f} tokens/s {what}" for what, rate in told if rate is not None]
    if status.eta is not None:
        words.append(f"complete at about {status.eta.astimezone():%Y-%m-%d %H:%M}")
    return words


def pace_of_stage(stage: StageStatus) -> list[str]:
    """How fast a stage goes, and for how long at that rate."""
    if stage.records_per_second is None:
        return []
    left = stage_seconds_left(stage)
    return [rate_text(stage.records_per_second), *([f"about {duration_text(left)} left"] if left is not None else [])]


class _Silence:
    """For how long no reply has come, although models are asked: a server may be down, or slow."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told: tuple[object, ...] = ()
        self._since = clock()

    def words(self, status: TournamentStatus) -> list[str]:
        """`no reply from ada for 2 min`, without a name for endpoints; nothing before a minute has passed."""
        waits = any(stage.asking for stage in status.stages)
        asked = ", ".join(model.name for model in status.models if model.asking)
        usage = status.usage
        told = (status.phase, status.records, usage and (usage.prompt_tokens, usage.completion_tokens))
        if not waits or told != self._told:
            self._told, self._since = told, self._clock()
        silence = self._clock() - self._since
        return [f"no reply{asked and f' from {asked}'} for {duration_text(silence)}"] if silence >= LINE_SECONDS else []


class _Lines:
    """One line when a phase or a step of it begins, ten percent more are done, replies stop, or a minute has passed."""

    def __init__(self, silence: _Silence, clock: Callable[[], float]) -> None:
        self._silence = silence
        self._clock = clock
        self._last = ("", -1, False)
        self._due = 0.0

    def __call__(self, status: TournamentStatus) -> None:
        share, silence = int((status.progress or "0%").rstrip("%")), self._silence.words(status)
        now = (phase_text(status), share // 10, bool(silence))
        moment = self._clock()
        if now == self._last and moment < self._due:
            return
        self._last, self._due = now, moment + LINE_SECONDS
        own = [words for stage in status.stages if stage.name == status.phase for words in pace_of_stage(stage)[:1]]
        words = [f"{phase_text(status)} {status.progress}", *own, *pace_of(status), *silence]
        print(", ".join(words), file=sys.stderr, flush=True)


class _Bars:
    """A bar for each stage and for all, by records where a stage has them; the models that are up."""

    def __init__(self, bars: Progress, silence: _Silence) -> None:
        self._bars = bars
        self._silence = silence
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, status: TournamentStatus) -> None:
        names = shortened([model.name for model in status.models], _NAME_IN_BAR)
        up = [
            f"{name} {'' if model.activity is None else model.activity.lower()}".rstrip()
            for name, model in zip(names, status.models, strict=True)
            if model.state in ("Starting", "Ready")
        ]
        self._show_preflight(status)
        for stage in status.stages:
            counted = stage.records is not None and stage.records.total > 0
            total, completed = stage.shards.total, float(stage.shards.succeeded)
            if stage.records is not None and counted and stage.state != "Complete":
                total, completed = stage.records.total, stage.records.done
            task = self._task(stage.name)
            if stage.state != "Pending":
                self._bars.start_task(task)
            words = pace_of_stage(stage) if stage.state == "Running" else []
            words += [f"{stage.void} void"] if stage.void else []
            words += [", ".join(up)] if stage.name == status.phase and up else []
            done = done_text(stage.records) if stage.records is not None and counted else ""
            self._bars.update(task, total=total, completed=completed, done=done, note="  ".join(words))
            if stage.state == "Complete":
                self._bars.stop_task(task)
        if status.stages and status.phase != _PREFLIGHT:
            task = self._task(_ALL)
            self._bars.start_task(task)
            share = int((status.progress or "0%").rstrip("%"))
            note = "  ".join([*self._silence.words(status), *_speed_of(status)])
            self._bars.update(task, total=100, completed=share, done=records_text(status), note=note)

    def _task(self, name: str) -> TaskID:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=1, done="", note="", start=False)
        return self._tasks[name]

    def _show_preflight(self, status: TournamentStatus) -> None:
        """Preflight is no stage: it has a bar of no length while it lasts, and says what it checks."""
        if status.phase == _PREFLIGHT:
            if _PREFLIGHT not in self._tasks:
                self._tasks[_PREFLIGHT] = self._bars.add_task(_PREFLIGHT, total=None, done="", note="")
            note = "" if status.step is None else f"checks: {status.step.lower()}"
            self._bars.update(self._tasks[_PREFLIGHT], note=note)
        elif (task := self._tasks.pop(_PREFLIGHT, None)) is not None:
            self._bars.remove_task(task)
