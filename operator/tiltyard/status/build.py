"""From what was observed to the Tournament's status: the last observed state, never the desired one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from tiltyard.api import (
    Condition,
    LeaderboardRow,
    ModelStatus,
    Outputs,
    ShardCounts,
    StageStatus,
    Tournament,
    TournamentStatus,
    Usage,
)
from tiltyard.plan.graph import Bundle, Graph
from tiltyard.plan.observed import JobPhase, Observed, PreflightPhase
from tiltyard.plan.planner import PHASES, Outcome, Plan

LEADERBOARD_ROWS = 10


def build_status(
    tournament: Tournament,
    graph: Graph,
    observed: Observed,
    plan: Plan,
    now: float,
    *,
    under_way: float = 0.0,
    before: TournamentStatus | None = None,
) -> TournamentStatus:
    """The status to show.

    Args:
        tournament: the manifest.
        graph: its graph.
        observed: what was seen.
        plan: what was decided upon it.
        now: seconds since the epoch.
        under_way: shards' worth of work inside shards that run, for a finer progress where it is known.
        before: the status until now: the times of its conditions are kept where they did not change.
    """
    total = sum(bundle.shards for bundle in graph.bundles)
    made = sum(len(observed.done.get(ref.key, ())) for ref in graph.artifacts)
    share = min(1.0, (made + under_way) / total)
    return TournamentStatus(
        observed_generation=tournament.metadata.generation,
        phase=plan.phase,
        progress=f"{int(100 * share)}%",
        eta=_eta(graph, observed, plan, share, now),
        run=graph.run,
        stages=tuple(_stages(graph, observed)),
        models=tuple(
            ModelStatus(name=model.name, state=seen.phase.value, loads=seen.loads, url=seen.url)
            for model in graph.models
            if (seen := observed.models.get(model.name)) is not None
        ),
        leaderboard=tuple(
            LeaderboardRow(
                name=row.name,
                rating=_points(row.rating),
                low=None if row.low is None else _points(row.low),
                high=None if row.high is None else _points(row.high),
                win_rate=None if row.win_rate is None else f"{row.win_rate:.2f}",
            )
            for row in observed.leaderboard[:LEADERBOARD_ROWS]
        ),
        usage=_usage(observed),
        outputs=Outputs(
            manifest=observed.outputs.get("manifest"),
            dataset=observed.outputs.get("dataset"),
            report=observed.outputs.get("report"),
            model=observed.outputs.get("model"),
        ),
        conditions=tuple(_conditions(graph, observed, plan, now, tournament.metadata.generation, before)),
    )


def _points(value: float) -> str:
    return f"{value:.0f}"


def _eta(graph: Graph, observed: Observed, plan: Plan, share: float, now: float) -> datetime | None:
    """At the pace of this run so far; what it found complete took no time."""
    if plan.outcome is not Outcome.RUNNING or not observed.elapsed:
        return None
    total = sum(bundle.shards for bundle in graph.bundles)
    reused = sum(len(parts) for parts in observed.reused.values()) / total
    if share - reused < 0.02:  # too little to tell
        return None
    left = observed.elapsed * (1 - share) / (share - reused)
    return datetime.fromtimestamp(round(now + left), UTC)


def _stages(graph: Graph, observed: Observed) -> list[StageStatus]:
    """One row for each phase that the graph has, in order."""
    by_phase: dict[str, list[Bundle]] = {}
    for bundle in graph.bundles:
        by_phase.setdefault(PHASES[bundle.stage], []).append(bundle)
    return [_stage(name, bundles, observed) for name, bundles in by_phase.items()]


def _stage(name: str, bundles: list[Bundle], observed: Observed) -> StageStatus:
    refs = [ref for bundle in bundles for ref in bundle.makes]
    jobs = [job for bundle in bundles if (job := observed.jobs.get(bundle.name)) is not None]
    counts = ShardCounts(
        total=sum(ref.shards for ref in refs),
        succeeded=sum(len(observed.done.get(ref.key, ())) for ref in refs),
        active=sum(job.active for job in jobs),
        failed=sum(job.failed for job in jobs),
        reused=sum(len(observed.reused.get(ref.key, ())) for ref in refs),
    )
    void = sum(observed.voids.get(stage, 0) for stage in {bundle.stage for bundle in bundles})
    if counts.succeeded == counts.total:
        return StageStatus(name=name, state="Complete", shards=counts, void=void)
    if any(job.phase is JobPhase.FAILED for job in jobs):
        return StageStatus(name=name, state="Failed", shards=counts, void=void)
    begun = counts.succeeded > counts.reused or counts.active
    return StageStatus(name=name, state="Running" if begun else "Pending", shards=counts, void=void)


def _usage(observed: Observed) -> Usage:
    rows = observed.ledger
    return Usage(
        prompt_tokens=sum(row.prompt_tokens for row in rows),
        cached_tokens=sum(row.cached_tokens for row in rows),
        completion_tokens=sum(row.completion_tokens for row in rows),
        model_seconds=round(sum(row.seconds for row in rows)),
    )


def _milestones(graph: Graph, observed: Observed) -> Mapping[str, tuple[bool, str, str]]:
    """Of the stages that a manifest asks for: what it says once all their artifacts are there."""
    facts = {}
    for kind, stage, words in (
        ("Trained", "train", "the target model is trained"),
        ("Evaluated", "score", "all models are scored"),
    ):
        bundles = [bundle for bundle in graph.bundles if bundle.stage == stage]
        if bundles:
            made = sum(bundle.complete(observed.done) for bundle in bundles)
            message = words if made == len(bundles) else f"{made} of {len(bundles)} are made"
            facts[kind] = (made == len(bundles), "Made" if made == len(bundles) else "NotYet", message)
    return facts


def _conditions(
    graph: Graph, observed: Observed, plan: Plan, now: float, generation: int | None, before: TournamentStatus | None
) -> list[Condition]:
    """Milestones with positive polarity; Complete, Failed and Suspended as a Job's; the rest as kstatus reads them."""
    preflight = observed.preflight
    running = plan.outcome is Outcome.RUNNING
    facts: Mapping[str, tuple[bool, str, str]] = {
        "Accepted": (True, "Valid", "the manifest is valid"),
        "Preflighted": (
            preflight is PreflightPhase.PASSED,
            f"Preflight{preflight.value}",
            observed.preflight_message or f"preflight is {preflight.value.lower()}",
        ),
        "DatasetReady": ("dataset" in observed.outputs, plan.phase, observed.outputs.get("dataset", plan.message)),
        **_milestones(graph, observed),
        "Complete": (plan.outcome is Outcome.COMPLETE, plan.phase, plan.message),
        "Failed": (plan.outcome is Outcome.FAILED, plan.phase, plan.message),
        "Suspended": (plan.outcome is Outcome.SUSPENDED, plan.phase, plan.message),
        "Ready": (plan.outcome is Outcome.COMPLETE, plan.phase, plan.message),
        "Reconciling": (running, plan.phase, plan.message),
        "Stalled": (plan.outcome is Outcome.FAILED, plan.phase, plan.message),
    }
    old = {condition.type: condition for condition in before.conditions} if before else {}
    moment = datetime.fromtimestamp(int(now), UTC)
    return [
        Condition(
            type=kind,
            status=(word := "True" if true else "False"),
            reason=reason,
            message=message[:32768],
            last_transition_time=(
                old[kind].last_transition_time if kind in old and old[kind].status == word else moment
            ),
            observed_generation=generation,
        )
        for kind, (true, reason, message) in facts.items()
    ]
