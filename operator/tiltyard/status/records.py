"""How many records a run has done, and how many it has.

These are the records that complete shards have reported, those that running shards have reported, and the most that the
others can have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tiltyard.api import RecordCounts, VoidCount
from tiltyard.api.shapes import MAX_COUNT
from tiltyard.plan.graph import Bundle, Graph
from tiltyard.plan.observed import Observed, PreflightPhase, ShardSeen

VOID_REASONS = 32  # as many as the status may hold
SHARE = "share"
"""Of `counts_of`: shards' worth of work."""
PROMPT, COMPLETION = "prompt tokens", "completion tokens"
"""Of `counts_of`."""


def whole(number: float) -> int:
    """A number as a status holds it: pods report numbers, and a sum of absurd ones stops no tournament."""
    return round(max(0, min(number, MAX_COUNT)))


def tokens_count(model: str) -> str:
    """The name of a model's tokens in `counts_of`."""
    return f"tokens of {model}"


def records_count(phase: str) -> str:
    """The name of a phase's records in `counts_of`."""
    return f"{phase} records"


@dataclass(frozen=True)
class AtWork:
    """What running shards have reported, of some bundles.

    Attributes:
        worth: shards' worth of work that they have done.
        done: records, likewise `total` and `asking`.
        parts: the parts that they make, by artifact key.
        voids: void records by reason.
    """

    worth: float = 0.0
    done: int = 0
    total: int = 0
    asking: int = 0
    fresh: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    parts: Mapping[str, frozenset[int]] = field(default_factory=dict)
    voids: Mapping[str, int] = field(default_factory=dict)


def at_work(bundles: Iterable[Bundle], observed: Observed) -> AtWork:
    """What the shards of these bundles have told."""
    jobs = (observed.jobs.get(bundle.name) for bundle in bundles)
    shards: list[ShardSeen] = [shard for job in jobs if job is not None for shard in job.shards]
    told = [shard.told for shard in shards]
    asked = [one for one in told if one.records]
    voids: Counter[str] = Counter()
    for one in asked:
        voids.update(one.voids)
    parts: dict[str, set[int]] = {}
    for key, number in (part for shard in shards if shard.told.records for part in shard.parts):
        parts.setdefault(key, set()).add(number)
    return AtWork(
        worth=sum(shard.told.share * len(shard.parts) for shard in shards),
        done=sum(one.done for one in asked),
        total=sum(one.total for one in asked),
        asking=sum(one.asking for one in asked),
        fresh=sum(one.fresh for one in asked),
        prompt_tokens=sum(one.prompt_tokens for one in told),
        cached_tokens=sum(one.cached_tokens for one in told),
        completion_tokens=sum(one.completion_tokens for one in told),
        parts={key: frozenset(numbers) for key, numbers in parts.items()},
        voids=voids,
    )


def records_of(bundles: Iterable[Bundle], observed: Observed, told: AtWork) -> RecordCounts | None:
    """The records of a phase's bundles; None where no model is asked for any."""
    bundles = [bundle for bundle in bundles if any(most.last for most in bundle.records)]
    if not bundles:
        return None
    made = sum(observed.records.get(stage, 0) for stage in {bundle.stage for bundle in bundles})
    left = _not_begun(bundles, observed, told)
    # Until preflight has passed nobody knows which parts are there: what is made is among those that are left.
    known = observed.preflight is PreflightPhase.PASSED
    total = told.total + (made + left if known else max(made, left))
    return RecordCounts(total=whole(total), done=whole(made + told.done))


def _not_begun(bundles: Iterable[Bundle], observed: Observed, told: AtWork) -> int:
    """Records of the parts that nobody has made or told of, at most."""
    left = 0
    for bundle in bundles:
        for ref, most in zip(bundle.makes, bundle.records, strict=True):
            seen = observed.done.get(ref.key, frozenset()) | told.parts.get(ref.key, frozenset())
            missing = ref.shards - len(seen)
            left += missing * most.full + (most.last - most.full if ref.shards - 1 not in seen else 0)
    return left


def queued(bundles: Iterable[Bundle], complete: frozenset[str], observed: Observed) -> int:
    """Records that bundles of a model could make now: those whose inputs are complete."""
    ready = [bundle for bundle in bundles if bundle.needs <= complete]
    told = at_work(ready, observed)
    return max(0, told.total - told.done - told.asking) + _not_begun(ready, observed, told)


def voids_of(stages: Iterable[str], observed: Observed, told: AtWork) -> tuple[VoidCount, ...]:
    """The void records of stages by reason, the most first."""
    found: Counter[str] = Counter(told.voids)
    for stage in stages:
        for name, count in observed.reasons.items():
            if name.startswith(f"{stage}/"):
                found[name.removeprefix(f"{stage}/")] += count
    order = sorted(found.items(), key=lambda each: (-each[1], each[0]))
    return tuple(VoidCount(reason=reason, records=whole(count)) for reason, count in order if count > 0)[:VOID_REASONS]


def counts_of(graph: Graph, observed: Observed) -> dict[str, float]:
    """What rates are made of: counts that only grow while a run is running. Records are by phase, tokens by model."""
    told = at_work(graph.bundles, observed)
    made = sum(len(observed.done.get(ref.key, ())) for ref in graph.artifacts)
    counts: dict[str, float] = {
        SHARE: made + told.worth,
        PROMPT: told.prompt_tokens + sum(row.prompt_tokens for row in observed.ledger),
        COMPLETION: told.completion_tokens + sum(row.completion_tokens for row in observed.ledger),
    }
    for phase, bundles in by_phase(graph).items():
        ended = sum(observed.fresh.get(stage, 0) for stage in {bundle.stage for bundle in bundles})
        counts[records_count(phase)] = ended + at_work(bundles, observed).fresh
    for model in graph.models:
        own = at_work((bundle for bundle in graph.bundles if bundle.model == model.name), observed)
        ended = sum(row.prompt_tokens + row.completion_tokens for row in observed.ledger if row.model == model.name)
        counts[tokens_count(model.name)] = ended + own.prompt_tokens + own.completion_tokens
    return counts


def by_phase(graph: Graph) -> dict[str, list[Bundle]]:
    """Bundles by phase, in order."""
    found: dict[str, list[Bundle]] = {}
    for bundle in graph.bundles:
        found.setdefault(bundle.phase, []).append(bundle)
    return found
