"""Argo CD's and Flux's own engines judge every status that the operator makes."""

from __future__ import annotations

from typing import Any

from support.gitops import COMPLETE, DELETED, EXPECTED, FAILED, RUNNING, SUSPENDED, judged
from support.manifests import tournament
from tiltyard.api import ManifestError, Problem, TournamentStatus
from tiltyard.api.crd import custom_resource_definition
from tiltyard.plan.build import build_graph
from tiltyard.plan.observed import Observed, PreflightPhase, Wait, WaitReason
from tiltyard.plan.planner import Policy, plan
from tiltyard.status.build import build_status, invalid_status
from tiltyard.status.conditions import CONDITIONS

NOW = 1_800_000_000.0
GENERATION = 2
BARE = tournament(
    3,
    per_competitor=4,
    training={"baseModel": {"uri": "hf://org/base"}},
    evaluation={"benchmarks": ["humaneval"], "allowCodeExecution": True},
)
TOURNAMENT = BARE.model_copy(update={"metadata": BARE.metadata.model_copy(update={"generation": GENERATION})})
GRAPH = build_graph(TOURNAMENT)
PARTS = [(ref.key, shard) for ref in GRAPH.artifacts for shard in range(ref.shards)]
WAITS = {"model m0": Wait(WaitReason.UNSCHEDULABLE, "0/3 nodes have a GPU")}


def passed(made: int = 0, **known: Any) -> Observed:
    """Preflight is over, and so many parts are there."""
    done = {ref.key: frozenset(s for key, s in PARTS[:made] if key == ref.key) for ref in GRAPH.artifacts}
    return Observed(PreflightPhase.PASSED, done=done, **known)


def status(observed: Observed, *, suspend: bool = False, **options: Any) -> TournamentStatus:
    decided = plan(GRAPH, Policy(suspend=suspend), observed)
    return build_status(TOURNAMENT, GRAPH, observed, decided, NOW, **options)


def document(of: TournamentStatus | None, **metadata: Any) -> dict[str, Any]:
    """A Tournament as the API server gives it."""
    made: dict[str, Any] = TOURNAMENT.model_dump(mode="json", exclude_none=True)
    made["metadata"] |= {"namespace": "arena", "uid": "1", **metadata}
    return made if of is None else {**made, "status": of.model_dump(mode="json", exclude_none=True)}


def statuses() -> list[TournamentStatus]:
    """Of each phase and condition, each as it is, suspended and waiting."""
    seen = [
        *(Observed(phase, "it is so") for phase in PreflightPhase),
        *(passed(made) for made in range(len(PARTS) + 1)),
        passed(3, failure="it broke"),
    ]
    made = [
        status(one, suspend=suspend, waits=waits, retry=True)
        for one in seen
        for suspend in (False, True)
        for waits in ({}, WAITS)
    ]
    invalid = ManifestError("cluster", [Problem("spec.judges", "must have an item")])
    return [*made, *(invalid_status(one, GENERATION, invalid, NOW) for one in (TournamentStatus(), *made[::4]))]


def test_every_phase_and_condition_is_judged_rightly() -> None:
    every = statuses()
    phases = {str(one.phase) for one in every}
    assert phases == {"Preflight", *(bundle.phase for bundle in GRAPH.bundles), *EXPECTED}
    true = {condition.type for one in every for condition in one.conditions if condition.status == "True"}
    assert true == set(CONDITIONS) - {"DatasetReady"}  # which follows from the outputs
    for one, verdict in zip(every, judged([document(one) for one in every]), strict=True):
        assert verdict.words == EXPECTED.get(str(one.phase), RUNNING), one
        assert verdict.message, one


def test_a_tournament_that_the_operator_has_not_seen_is_never_current() -> None:
    schema = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    unseen = document(None, generation=1) | {"status": schema["properties"]["status"]["default"]}
    (verdict,) = judged([unseen])
    assert verdict == (*RUNNING, "waiting for the operator")
    # Without the default kstatus knows no better.
    (verdict,) = judged([document(None, generation=1)])
    assert verdict.kstatus == "Current"


def test_what_was_true_before_an_edit_is_not_true_of_the_edit() -> None:
    edited = [document(one, generation=GENERATION + 1) for one in statuses()]
    assert {verdict.words for verdict in judged(edited)} == {RUNNING}


def test_what_is_being_deleted_is_neither_healthy_nor_degraded() -> None:
    deleted = [document(one, deletionTimestamp="2026-01-01T00:00:00Z") for one in [None, *statuses()]]
    assert {verdict.words for verdict in judged(deleted)} == {DELETED}


def test_what_people_read_is_the_operators_own_sentence() -> None:
    waiting, suspended, failed, complete = judged(
        [
            document(one)
            for one in (
                status(passed(2), waits=WAITS),
                status(passed(2), suspend=True),
                status(passed(2, failure="it broke"), retry=True),
                status(passed(len(PARTS))),
            )
        ]
    )
    assert waiting.words == RUNNING
    assert waiting.message.endswith("; waiting: model m0: 0/3 nodes have a GPU")
    assert suspended == (*SUSPENDED, "suspended: set spec.suspend to false to continue")
    assert failed.words == FAILED
    assert failed.message.startswith("it broke. To retry after fixing the cause, edit the spec")
    assert complete == (*COMPLETE, "all artifacts are complete")
