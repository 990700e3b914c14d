"""From what was observed to the Tournament's status: the last observed state, never the desired one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tiltyard.api import (
    LeaderboardRow,
    ManifestError,
    ModelActivity,
    ModelStatus,
    Outputs,
    ShardCounts,
    StageState,
    StageStatus,
    Tournament,
    TournamentStatus,
    UsageStatus,
)
from tiltyard.plan.graph import Bundle, Graph
from tiltyard.plan.observed import JobPhase, ModelPhase, ModelSeen, Observed, PreflightPhase, Wait
from tiltyard.plan.planner import Plan, TournamentState
from tiltyard.plan.spending import spent
from tiltyard.plan.weights import downloaded
from tiltyard.status.conditions import (
    COMPLETE,
    FAILED,
    INVALID,
    SUSPENDED,
    Halt,
    Situation,
    conditions_of,
    conditions_of_invalid,
    find_true,
)
from tiltyard.status.held import with_halt, with_time_up
from tiltyard.status.rates import Rates, stage_seconds_left
from tiltyard.status.records import (
    COMPLETION,
    PROMPT,
    SHARE,
    AtWork,
    at_work,
    by_phase,
    queued,
    records_count,
    records_of,
    tokens_count,
    voids_of,
    whole,
)
from tiltyard.status.spending import nearly_same, planned_usage, priced
from tiltyard_jobs.contracts.summary import Standing

LEADERBOARD_ROWS = 10
NOTES = 32  # as many as the status may hold
YEAR_10000 = 253_402_300_800  # seconds since the epoch: a moment of a status is before
ETA_SLACK = 0.1  # of the time that is left: a smaller change is not worth a write


def build_status(
    tournament: Tournament,
    graph: Graph,
    observed: Observed,
    plan: Plan,
    now: float,
    *,
    rates: Rates | None = None,
    before: TournamentStatus | None = None,
    waits: Mapping[str, Wait] | None = None,
    warnings: Sequence[str] = (),
    retry: bool = False,
) -> TournamentStatus:
    """The status to show.

    Args:
        tournament: the manifest.
        graph: its graph.
        observed: what was seen.
        plan: what was decided upon it.
        now: seconds since the epoch.
        rates: of `counts_of`, this look included; None: nobody has counted.
        before: the status until now: the times of its conditions are kept where they did not change.
        waits: why something waits, by what it is: `waits_of`.
        warnings: what the author of a valid manifest should know.
        retry: a failure is left by an edit of the spec, and the status says so.
    """
    rates = rates if rates is not None and plan.state is TournamentState.RUNNING else Rates()
    known = before if before is not None and before.run == graph.run else None
    if known is not None:
        observed = replace(observed, models={**_gone(known, observed), **observed.models})
    complete = graph.complete_keys(observed.done)
    models = tuple(
        _model(model.name, seen, known).model_copy(update=_work_of(model.name, seen, graph, observed, complete, rates))
        for model in graph.models
        if (seen := observed.models.get(model.name)) is not None
    )
    models = tuple(with_time_up(models, known, observed, now))
    kept = {one.name for one in downloaded(tournament)} if tournament.spec.serving.weights is not None else set()
    situation = Situation(
        graph,
        observed,
        plan,
        waits or {},
        warnings,
        retry,
        weights=[one.weights_bytes for one in models if one.name in kept and one.weights_bytes is not None],
        kept=len(kept),
    )
    total = sum(bundle.shards for bundle in graph.bundles)
    made = sum(len(observed.done.get(ref.key, ())) for ref in graph.artifacts)
    told = at_work(graph.bundles, observed)
    share = min(1.0, (made + told.worth) / total)
    stages = tuple(_stages(graph, observed, rates))
    counted = [stage.records for stage in stages if stage.records is not None]
    return TournamentStatus(
        observed_generation=tournament.metadata.generation,
        phase=plan.phase,
        progress=f"{int(100 * share)}%",
        step=observed.preflight_step if observed.preflight is PreflightPhase.ACTIVE else None,
        records=f"{sum(one.done for one in counted)}/{sum(one.total for one in counted)}" if counted else None,
        eta=None if rates.stalled(SHARE) else _eta(graph, observed, plan, share, stages, now),
        run=graph.run,
        stages=stages,
        models=models,
        leaderboard=tuple(map(leaderboard_row, observed.leaderboard[:LEADERBOARD_ROWS])),
        instructions=observed.instructions or None,
        notes=observed.notes[:NOTES],
        usage=priced(
            _usage(observed, told, rates),
            spent(tournament, graph, observed),
            planned_usage(tournament, graph, observed, before),
        ),
        outputs=Outputs(
            manifest=observed.outputs.get("manifest"),
            dataset=observed.outputs.get("dataset"),
            report=observed.outputs.get("report"),
            model=observed.outputs.get("model"),
        ),
        conditions=conditions_of(situation, tournament.metadata.generation, now, before.conditions if before else ()),
    )


def _model(name: str, seen: ModelSeen, before: TournamentStatus | None) -> ModelStatus:
    """A model. What was measured of it stays when its pod is gone, in the status of the same run."""
    known = next((one for one in before.models if one.name == name), None) if before is not None else None
    measured: dict[str, Any] = {
        "weights_bytes": seen.weights,
        "download_seconds": None if seen.download_seconds is None else round(seen.download_seconds),
        "load_seconds": None if seen.load_seconds is None else round(seen.load_seconds),
    }
    if known is not None:
        measured = {field: getattr(known, field) if now is None else now for field, now in measured.items()}
    return ModelStatus(name=name, state=seen.phase.value, loads=whole(seen.loads), url=seen.url, **measured)


def _gone(known: TournamentStatus, observed: Observed) -> dict[str, ModelSeen]:
    """Models whose objects are gone: what they have cost is not."""
    had = (model for model in known.models if model.name in observed.held)
    return {model.name: ModelSeen(ModelPhase.STOPPED, loads=model.loads) for model in had}


def _work_of(
    name: str, seen: ModelSeen, graph: Graph, observed: Observed, complete: frozenset[str], rates: Rates
) -> dict[str, object]:
    """What a model is doing, and how many records it is asked for and wait for it.

    It is busy while it is asked, and for the seconds after a reply in which the next shard begins.
    """
    bundles = [bundle for bundle in graph.bundles if bundle.model == name]
    jobs = [job for bundle in bundles if (job := observed.jobs.get(bundle.name)) is not None]
    told = at_work(bundles, observed)
    reported = any(job.shards for job in jobs)
    active = any(job.active for job in jobs)
    busy = told.asking > 0 or rates.grew_just_now(tokens_count(name)) or (active and not reported)
    known = reported or (seen.phase is ModelPhase.READY and not active)
    doing: dict[ModelPhase, ModelActivity] = {
        ModelPhase.STARTING: "Loading",
        ModelPhase.READY: "Busy" if busy else "Idle",
    }
    return {
        "activity": doing.get(seen.phase),
        "asking": whole(told.asking) if known else None,
        "queued": whole(queued(bundles, complete, observed)),
    }


def invalid_status(
    before: TournamentStatus, generation: int, error: ManifestError, now: float, halt: Halt | None = None
) -> TournamentStatus:
    """The status of a manifest that cannot run: what is wrong with it, in the sentences of `tiltyard validate`.

    Args:
        before: the status until now.
        generation: of the spec.
        error: what is wrong with it.
        now: seconds since the epoch.
        halt: what `spec.suspend` has stopped all the same; None: it is not set.
    """
    models = (
        before.models if halt is None else (with_halt(one, halt.models.get(one.name), now) for one in before.models)
    )
    conditions = conditions_of_invalid(error.problems, generation, now, before.conditions, halt)
    return before.model_copy(
        update={
            "observed_generation": generation,
            "phase": INVALID,
            "eta": None,
            "models": tuple(models),
            "conditions": conditions,
        }
    )


def worth_writing(before: TournamentStatus, after: TournamentStatus, now: float) -> TournamentStatus | None:
    """The status to write; None where it says nothing new.

    An ETA that moved a little keeps its place, unless a running stage would end after it. What a run has cost keeps its
    place likewise, but only while models are up and the run goes on as before: what is written of its end is exact, and
    so is what is left once nothing is up.
    """
    if before.eta is not None and after.eta is not None:
        left = abs(after.eta.timestamp() - now)
        is_near = abs((after.eta - before.eta).total_seconds()) <= max(60.0, ETA_SLACK * left)
        if is_near and before.eta.timestamp() >= now + _slowest(after.stages):
            after = after.model_copy(update={"eta": before.eta})
    if any(model.up_since for model in after.models) and _end(before) == _end(after):
        after = after.model_copy(update={"usage": nearly_same(before.usage, after.usage)})
    return None if after == before else after


def _end(status: TournamentStatus) -> str | None:
    """How a run has ended; None: it goes on."""
    return next((end for end in (COMPLETE, FAILED, SUSPENDED) if find_true(status.conditions, end)), None)


def is_complete(status: TournamentStatus, run: str) -> bool:
    """Whether the run that the manifest asks for is complete. That is final: no child is ever made again for it."""
    return find_true(status.conditions, COMPLETE) is not None and status.run == run


def was_complete(status: TournamentStatus, generation: int | None) -> bool:
    """Whether the spec is as it was when its run was complete: no other release starts that run again by itself."""
    complete = find_true(status.conditions, COMPLETE)
    return complete is not None and generation is not None and status.observed_generation == generation


def of_earlier_release(status: TournamentStatus, run: str) -> TournamentStatus:
    """The status of a complete run that this release would call `run`: it says so, once."""
    told = (
        f"run {status.run} was made by an earlier release and stays as it is; this release would make it again as run"
        f" {run}: for that, edit the spec, or delete the Tournament and apply it again"
    )
    conditions = tuple(
        one.model_copy(update={"message": told}) if one.type == COMPLETE else one for one in status.conditions
    )
    others = tuple(note for note in status.notes if not note.startswith(f"run {status.run} was made by an earlier"))
    return status.model_copy(update={"conditions": conditions, "notes": (told, *others)[:NOTES]})


def waits_of(observed: Observed) -> dict[str, Wait]:
    """Why something that is under way waits, by what it is: a model, a bundle's Job, or preflight."""
    found = {
        **{f"model {name}": model.wait for name, model in observed.models.items()},
        **{name: job.wait for name, job in observed.jobs.items()},
        "preflight": observed.preflight_wait,
        "tournament": observed.gives_way,
    }
    return {what: wait for what, wait in sorted(found.items()) if wait is not None}


def leaderboard_row(row: Standing) -> LeaderboardRow:
    """A row of the leaderboard as the status has it: numbers as texts."""
    return LeaderboardRow(
        name=row.name,
        rating=_points(row.rating),
        low=_points(row.low),
        high=_points(row.high),
        best_rank=row.best_rank,
        worst_rank=row.worst_rank,
        gap=_points(row.gap),
        gap_low=_points(row.gap_low),
        gap_high=_points(row.gap_high),
        win_rate=_share(row.win_rate),
        answered=_share(row.answered),
    )


def _points(value: float | None) -> str | None:
    return None if value is None else f"{value:.0f}"


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"


def _eta(
    graph: Graph, observed: Observed, plan: Plan, share: float, stages: Sequence[StageStatus], now: float
) -> datetime | None:
    """When all is done, at the pace of this run so far; what it found complete took no time. None: nobody can say.

    The running stages take at least as long as the slowest of them does at its own rate; the others follow.
    """
    if plan.state is not TournamentState.RUNNING or not observed.elapsed:
        return None
    total = sum(bundle.shards for bundle in graph.bundles)
    reused = sum(len(parts) for parts in observed.reused.values()) / total
    if share - reused < 0.02:  # too little to tell
        return None
    waiting = sum(one.shards.total - one.shards.succeeded for one in stages if one.state == "Pending") / total
    pace = observed.elapsed / (share - reused)
    at_work = max(pace * max(0.0, 1 - share - waiting), _slowest(stages))
    moment = -(-(now + at_work + pace * waiting) // 1)  # no earlier than that
    return datetime.fromtimestamp(moment, UTC) if moment < YEAR_10000 else None


def _slowest(stages: Sequence[StageStatus]) -> float:
    """How many seconds the slowest of the running stages still takes at its rate, as it is shown."""
    return max((stage_seconds_left(one) or 0.0 for one in stages), default=0.0)


def _stages(graph: Graph, observed: Observed, rates: Rates) -> list[StageStatus]:
    """One row for each phase that the graph has, in order."""
    return [_stage(name, bundles, observed, rates) for name, bundles in by_phase(graph).items()]


def _stage(name: str, bundles: list[Bundle], observed: Observed, rates: Rates) -> StageStatus:
    refs = [ref for bundle in bundles for ref in bundle.makes]
    jobs = [job for bundle in bundles if (job := observed.jobs.get(bundle.name)) is not None]
    counts = ShardCounts(
        total=sum(ref.shards for ref in refs),
        succeeded=sum(len(observed.done.get(ref.key, ())) for ref in refs),
        active=sum(job.active for job in jobs),
        failed=sum(job.failed for job in jobs),
        reused=sum(len(observed.reused.get(ref.key, ())) for ref in refs),
    )
    told, stages = at_work(bundles, observed), {bundle.stage for bundle in bundles}
    if counts.succeeded == counts.total:
        state: StageState = "Complete"
    elif any(job.phase is JobPhase.FAILED for job in jobs):
        state = "Failed"
    else:
        state = "Running" if counts.succeeded > counts.reused or counts.active else "Pending"
    return StageStatus(
        name=name,
        state=state,
        shards=counts,
        records=records_of(bundles, observed, told),
        records_per_second=_rate(rates.of(records_count(name))) if state == "Running" else None,
        asking=whole(told.asking) or None,
        void=whole(sum(observed.voids.get(stage, 0) for stage in stages) + sum(told.voids.values())),
        voids=voids_of(stages, observed, told),
    )


def _usage(observed: Observed, told: AtWork, rates: Rates) -> UsageStatus:
    rows = observed.ledger
    return UsageStatus(
        prompt_tokens=whole(sum(row.prompt_tokens for row in rows) + told.prompt_tokens),
        cached_tokens=whole(sum(row.cached_tokens for row in rows) + told.cached_tokens),
        completion_tokens=whole(sum(row.completion_tokens for row in rows) + told.completion_tokens),
        prompt_tokens_per_second=_rate(rates.of(PROMPT)),
        completion_tokens_per_second=_rate(rates.of(COMPLETION)),
        model_seconds=whole(sum(row.seconds for row in rows)),
    )


def _rate(value: float | None) -> str | None:
    """A rate as a text: three digits say enough."""
    if value is None:
        return None
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.3f}"
