"""What people see on a terminal: tables and lines."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from tiltyard.api import Tournament, TournamentStatus, UsageStatus
from tiltyard.cli.names import shortened
from tiltyard.cli.progress import done_text, pace_of, phase_text, rate_text
from tiltyard.cli.spending import note_lines, planned_table, spent_lines, usage_lines
from tiltyard.plan.estimate import Cost
from tiltyard.plan.graph import Bundle, Graph
from tiltyard.plan.weights import Loading, bytes_text
from tiltyard.sdk.status_document import Status
from tiltyard_jobs.contracts.comparison import Differences
from tiltyard_jobs.contracts.hiding import unhidden
from tiltyard_jobs.contracts.intervals import IN_SIGNS, interval_text
from tiltyard_jobs.contracts.licenses import asked, named
from tiltyard_jobs.contracts.located import readable
from tiltyard_jobs.contracts.solo_tasks import ShownPrompt
from tiltyard_jobs.contracts.spending import Spending
from tiltyard_jobs.contracts.summary import Agreement, Standing
from tiltyard_jobs.contracts.tasks import Limits

_WIDE = 1 << 14  # in a file or a pipe nothing is cut
_BESIDE_NAMES = 44  # columns of the leaderboard beside the names, at most


def _console() -> Console:
    return Console() if sys.stdout is not None and sys.stdout.isatty() else Console(width=_WIDE)


def _names(names: Sequence[str]) -> list[str]:
    """Names as a table has room for them."""
    return shortened(names, max(8, _console().width - _BESIDE_NAMES))


def existing_answers(tournament: Tournament) -> tuple[str, ...]:
    """A line for each competitor whose answers are in files of the user's."""
    players = tournament.spec.competitors
    return tuple(f"{one.name}: {one.identity().described}" for one in players if one.answers is not None)


def print_status(status: Status, existing: Sequence[str] = ()) -> None:
    """A run's status; `existing` are lines of `existing_answers`."""
    console = _console()
    console.print(f"{phase_text(status)} {status.progress}  run {status.run}", highlight=False)
    if pace := pace_of(status):
        console.print(", ".join(pace), highlight=False)
    if status.activity == "Interrupted":
        console.print("interrupted: `tiltyard run` continues from here", style="yellow", highlight=False)
    if status.written is not None and status.activity == "Running":
        console.print(f"written by the operator at {status.written:%Y-%m-%d %H:%M:%S} UTC", highlight=False)
    seen = status.observed_generation
    if status.generation is not None and seen is not None and seen < status.generation:
        console.print(
            f"the operator has not acted on the last edit (generation {status.generation}; this is the status of"
            f" {seen}): if this stays so, see whether it runs (kubectl -n tiltyard get pods)",
            style="yellow",
            highlight=False,
            soft_wrap=True,
        )
    table = Table("STAGE", "STATE", "SHARDS", "REUSED", "ACTIVE", "RECORDS", "RATE", "VOID", box=None)
    for stage in status.stages:
        shards = stage.shards
        done = f"{shards.succeeded}/{shards.total}"
        records = done_text(stage.records) if stage.records is not None else ""
        voids = ", ".join(f"{one.reason} {one.records}" for one in stage.voids)
        table.add_row(
            stage.name,
            stage.state,
            done,
            str(shards.reused),
            str(shards.active),
            records,
            rate_text(stage.records_per_second),
            f"{stage.void}{f' ({voids})' if voids else ''}",
        )
    console.print(table)
    if status.models:
        models = Table("MODEL", "STATE", "LOADS", "REQUESTS", "QUEUED", box=None)
        names = _names([model.name for model in status.models])
        for name, model in zip(names, status.models, strict=True):
            counts = ("" if count is None else f"{count:,}" for count in (model.asking, model.queued))
            models.add_row(name, model.activity or model.state, str(model.loads), *counts)
        console.print(models)
    for condition in status.conditions:
        if condition.type == "Failed" and condition.status == "True":
            console.print(condition.message, style="red", highlight=False, markup=False, soft_wrap=True)
    print_result(status, existing)


def print_result(status: TournamentStatus, existing: Sequence[str] = ()) -> None:
    """What became of the instructions, the leaderboard, where the results are, and what their reader should know."""
    print_instructions(status.instructions or "")
    print_leaderboard(
        [
            # Numbers are texts in a status.
            Standing.model_validate_json(json.dumps(row.model_dump(exclude_none=True, mode="json", by_alias=True)))
            for row in status.leaderboard
        ],
        existing,
    )
    if status.outputs is not None:
        print_outputs(status.outputs.model_dump(exclude_none=True))
    print_notes(status.notes)


def print_instructions(line: str) -> None:
    """How many instructions there are, how many are used, and why the others are not; nothing where nobody knows."""
    if line:
        print(f"Instructions: {line}")


def print_licenses(tournament: Tournament) -> None:
    """How many competitors, whose answers become training rows, have which licence, and what it asks for."""
    stated = [one.license for one in tournament.spec.competitors]
    given = tournament.spec.instructions.given
    sources = [] if given is None else [f"the instructions are {named(given.license)}"]
    counts = sorted(Counter(map(named, stated)).items())
    line = [f"{name} for {count} of {len(stated)} competitors ({_asks(name)})" for name, count in counts]
    print(f"Licences: {', '.join([*line, *sources])}")


def _asks(name: str) -> str:
    return ", ".join(asked([name])) or "asks for nothing"


def print_allowed_voids(tournament: Tournament) -> None:
    """How many records of a shard may fail: few are always allowed, so a small run is held to less than the share."""
    jobs = tournament.spec.jobs
    limits, field = Limits(max_void_fraction=jobs.max_void_fraction), "spec.jobs.maxVoidFraction"
    few, most = Limits.FEWEST_FAILURES, limits.max_failures(jobs.shard_size)
    line = f"Voids: {field} ({jobs.max_void_fraction}) allows {most} in a shard of {jobs.shard_size} records"
    if 0 < few < most:
        line += f"; {few} may always fail, unless that is all of a shard's records"
    _console().print(line, highlight=False)


def print_leaderboard(rows: Sequence[Standing], existing: Sequence[str] = ()) -> None:
    """The leaderboard, where there is one; below it, whose answers existed before."""
    if not rows:
        return
    table = Table("RANK", "NAME", "RATING", "95%", "WIN RATE", "RANKS", "GAP", "ANSWERED", box=None)
    rated = [row.rating for row in rows if row.rating is not None]
    for name, row in zip(_names([row.name for row in rows]), rows, strict=True):
        # Equal ratings share a rank; those without one are last.
        rank = 1 + (len(rated) if row.rating is None else sum(other > row.rating for other in rated))
        ranks = "" if row.best_rank is None or row.worst_rank is None else f"{row.best_rank} … {row.worst_rank}"
        table.add_row(
            str(rank),
            name,
            _whole(row.rating) or "–",
            interval_text(row.low, row.high, _whole, IN_SIGNS),
            "" if row.win_rate is None else f"{row.win_rate:.2f}",
            f"{row.best_rank}" if row.best_rank == row.worst_rank and row.best_rank else ranks,
            " ".join((_whole(row.gap), _in_brackets(interval_text(row.gap_low, row.gap_high, _whole, IN_SIGNS)))),
            "" if row.answered is None else f"{100 * row.answered:.0f}%",
        )
    _console().print(table)
    for line in existing:
        print(line)


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def _in_brackets(text: str) -> str:
    return f"({text})" if text else ""


def print_agreement(agreement: Agreement) -> None:
    """How far two runs agree."""

    def share(value: float | None) -> str:
        return "undefined: one of the runs rates all players alike" if value is None else f"{value:.3f}"

    print(f"players in both      {agreement.players}")
    print(f"same leader          {'yes' if agreement.same_leader else 'no'}")
    print(f"Kendall's tau-b      {share(agreement.kendall)}")
    print(f"Spearman's rho       {share(agreement.spearman)}")
    print(f"same gold answers    {agreement.gold_same} of {agreement.gold_compared}")


def print_differences(found: Differences) -> None:
    """What moved between two runs, by player, and in how many battles."""
    print(f"battles that differ  {found.differing:,} of {found.shared_battles:,}")
    print(found.why)
    table = Table("PLAYER", "RANK", "RATING", "CHANGE", box=None)
    names = _names([player.name for player in found.players])
    for name, player in zip(names, found.players, strict=True):
        one, other = player.first, player.second
        change = ""
        if one is not None and other is not None and one.rating is not None and other.rating is not None:
            change = f"{other.rating - one.rating:+.0f}"
        ranks = _moved("" if run is None else str(run.rank) for run in (one, other))
        ratings = _moved("" if run is None else _whole(run.rating) for run in (one, other))
        table.add_row(name, ranks, ratings, change)
    _console().print(table)


def _moved(texts: Iterable[str]) -> str:
    return " → ".join(text or "–" for text in texts)


def print_outputs(outputs: Mapping[str, str]) -> None:
    """URIs by name; a folder on this machine as its path, and how `datasets` loads it."""
    for name, uri in outputs.items():
        print(f"{name:<9} {readable(uri)}")
    dataset = readable(outputs.get("dataset", ""))
    if dataset.startswith("/"):
        print(f"load      datasets.load_dataset({json.dumps(dataset, ensure_ascii=False)})")


def print_notes(notes: Sequence[str]) -> None:
    """What a reader of the results should know, a line each."""
    for note in notes:
        _console().print(note, style="yellow", highlight=False, markup=False, soft_wrap=True)


def print_prompts(prompts: Sequence[ShownPrompt]) -> None:
    """What models would be asked, word for word; what a server or a template tells cannot move a terminal's cursor."""
    for prompt in prompts:
        about = "" if prompt.about in (None, prompt.model) else f", on what {prompt.about} wrote"
        print(f"=== {prompt.stage}: {prompt.model}{about}")
        for message in prompt.messages:
            print(f"--- {message['role']}\n{unhidden(message['content'])}")
        if prompt.text is not None:
            print(f"--- raw prompt\n{unhidden(prompt.text)}")
        if prompt.note is not None:
            print(f"({unhidden(prompt.note)})")
        print()


def _exist(bundle: Bundle, done: Mapping[str, frozenset[int]]) -> int:
    return sum(len(done.get(ref.key, ())) for ref in bundle.makes)


def print_plan(
    graph: Graph,
    done: Mapping[str, frozenset[int]],
    costs: Mapping[str, Cost],
    loads: Mapping[str, int],
    training: float | None,
    loading: Loading,
) -> None:
    """A plan as a table, a row for each phase."""
    console = _console()
    console.print(f"{graph.tournament}  run {graph.run}", highlight=False)
    table = Table(box=None)
    for title in ("PHASE", "BUNDLES", "SHARDS", "EXIST", "CALLS", "TOKENS READ", "TOKENS WRITTEN"):
        table.add_column(title, justify="left" if title == "PHASE" else "right")
    total = Cost()
    for phase in dict.fromkeys(bundle.phase for bundle in graph.bundles):
        bundles = [bundle for bundle in graph.bundles if bundle.phase == phase]
        cost = sum((costs[bundle.name] for bundle in bundles), Cost())
        total += cost
        shards = sum(bundle.shards for bundle in bundles)
        exist = sum(_exist(bundle, done) for bundle in bundles)
        table.add_row(phase, str(len(bundles)), str(shards), str(exist), *(f"{number:,}" for number in cost))
    table.add_row("total", "", "", "", *(f"{number:,}" for number in total))
    console.print(table)
    console.print("Calls are an upper bound: what curation drops costs nothing. Tokens are estimates.", style="dim")
    by_model = ", ".join(f"{name} {count}" for name, count in loads.items())
    took = ""
    if loading.seconds is not None:
        of = "" if loading.measured == sum(loads.values()) else f" for {loading.measured} of them"
        took = f", about {loading.seconds / 60:.1f} minutes{of} as measured before"
    console.print(f"Model loads: {sum(loads.values())}{f' ({by_model})' if by_model else ''}{took}", highlight=False)
    if loading.sizes:
        sizes = ", ".join(f"{name} {bytes_text(size)}" for name, size in loading.sizes.items())
        line = f"Weights: {bytes_text(loading.total)} ({sizes})"
        if loading.by_load > loading.total:
            line += (
                f"; on a cluster without spec.serving.weights each load downloads them: {bytes_text(loading.by_load)}"
            )
        console.print(line, highlight=False)
    if training is not None:
        console.print(f"Training: at most about {training:.3g} GPU-hours, on A100s", highlight=False)


def print_planned_spending(spending: Spending) -> None:
    """What a run is expected to cost, by model."""
    _console().print(planned_table(spending))
    _print_plain(note_lines(spending))


def print_spending(spending: Spending | None) -> None:
    """What a run has cost, beside what was planned."""
    if spending is not None:
        _print_plain(spent_lines(spending))


def print_usage(usage: UsageStatus | None) -> None:
    """What a Tournament on a cluster has cost, beside what was planned."""
    _print_plain(usage_lines(usage) if usage is not None else [])


def _print_plain(lines: Iterable[str]) -> None:
    for line in lines:
        _console().print(line, highlight=False, markup=False, soft_wrap=True)
