"""What cannot be stopped, changed or deleted is told, also where a tournament is to end."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cluster.controlplane import ControlPlane
from support.arena import SMALL, TOLD_SECONDS, Arena, answering_late, begun, condition, pods_ended
from support.refusers import Refuser, in_force, policy, quota, refused_calls, remove, stand, stops, suspensions
from tiltyard.observe.kinds import JOBS, SERVICES
from tiltyard.render.names import STOP

pytestmark = [pytest.mark.xdist_group("cluster-2"), pytest.mark.timeout(240)]


async def test_a_model_that_cannot_be_stopped_is_told_also_where_the_tournament_is_to_end(
    arena: Arena, plane: ControlPlane, refusers: list[Refuser]
) -> None:
    stand(plane, refusers, stops(arena.namespace))
    await in_force(arena, refusers[0].path)
    await arena.apply(arena.manifest(2, serving={"maxActive": 1}, **SMALL))

    async def is_refused() -> bool:
        return await refused_calls(arena) > 0

    sentence = (
        r"stop of model \w+: InferenceService test-[\w-]+ is refused by the API server \(422\): .*"
        r" cost-center is missing; ask who manages the policy, or change what it names; it is retried automatically"
    )

    def says_it(one: Any) -> bool:
        return re.fullmatch(sentence, condition(one, "Waiting").get("message", "")) is not None

    told = await arena.told(is_refused, says_it, "Refused")
    assert condition(told, "Waiting")["reason"] == "Refused"
    assert len(await arena.notes("Refused")) == 1
    await arena.patch(suspend=True)
    words = "not everything could be stopped yet"
    told = await arena.wait(lambda one: words in condition(one, "Reconciling").get("message", ""), limit=TOLD_SECONDS)
    assert says_it(told)
    assert condition(told, "Suspended")["status"] == "False"
    remove(plane, refusers)
    told = await arena.wait(lambda one: condition(one, "Suspended").get("status") == "True", limit=60)
    assert condition(told, "Waiting")["reason"] == "NothingWaits"
    await pods_ended(arena)


async def test_what_is_out_of_date_and_cannot_be_deleted_is_told(
    arena: Arena, plane: ControlPlane, refusers: list[Refuser]
) -> None:
    await arena.apply(answering_late(arena.manifest(2, **SMALL)))
    await begun(arena, "mine")
    stand(plane, refusers, policy(arena.namespace, "batch", "jobs", "DELETE"))
    await in_force(arena, refusers[0].path)
    await arena.patch(seed=7)
    sentence = (
        r"deletion of what is out of date: Job test-[\w-]+ is refused by the API server \(422\): .* cost-center .*"
    )

    def says_it(one: Any) -> bool:
        return re.fullmatch(sentence, condition(one, "Waiting").get("message", "")) is not None

    told = await arena.wait(says_it, limit=TOLD_SECONDS)
    assert told["status"]["observedGeneration"] == 2
    assert condition(told, "Waiting")["reason"] == "Refused"
    remove(plane, refusers)
    await arena.wait(lambda one: condition(one, "Waiting").get("reason") == "NothingWaits", limit=90)


async def test_a_failure_is_reported_although_its_models_cannot_be_stopped(
    arena: Arena, plane: ControlPlane, refusers: list[Refuser]
) -> None:
    stand(plane, refusers, stops(arena.namespace))
    await in_force(arena, refusers[0].path)
    await arena.apply(answering_late(arena.manifest(2, activeDeadlineSeconds=20, **SMALL)))
    failed = await arena.wait_for_phase("Failed", limit=20 + TOLD_SECONDS)
    assert "spec.activeDeadlineSeconds" in condition(failed, "Failed")["message"]
    told = await arena.wait(lambda one: condition(one, "Waiting").get("reason") == "Refused", limit=TOLD_SECONDS)
    assert "stop of model" in condition(told, "Waiting")["message"]
    assert condition(told, "Failed")["status"] == "True"
    remove(plane, refusers)
    await pods_ended(arena)


INVALID: dict[str, Any] = {"battles": {"schedule": {"type": "Pruned"}}}  # which two competitors do not take


async def test_a_job_that_cannot_be_stopped_keeps_no_model_of_an_invalid_tournament(
    arena: Arena, plane: ControlPlane, refusers: list[Refuser]
) -> None:
    stand(plane, refusers, suspensions(arena.namespace))
    await in_force(arena, refusers[0].path)
    await arena.apply(answering_late(arena.manifest(2, **SMALL)))
    await begun(arena, "mine")
    await arena.patch(**INVALID, suspend=True)
    refusal = r".*spec\.suspend is true, and not everything could be stopped: Job test-[\w-]+ is refused .*"
    told = await arena.wait(lambda one: re.match(refusal, condition(one, "Suspended").get("message", "")) is not None)
    assert condition(told, "Suspended")["status"] == "False"
    assert {one["metadata"]["annotations"][STOP] for one in await arena.children(SERVICES)} == {"true"}
    remove(plane, refusers)
    await arena.wait(lambda one: condition(one, "Suspended").get("status") == "True")
    await pods_ended(arena)


async def test_an_invalid_tournament_that_is_suspended_has_no_preflight_and_waits_for_nothing(
    arena: Arena, plane: ControlPlane, refusers: list[Refuser]
) -> None:
    stand(plane, refusers, quota(arena.namespace, pods="0"))
    await in_force(arena, refusers[0].path)
    await arena.apply(arena.manifest(2, **SMALL))
    await arena.wait(lambda one: condition(one, "Waiting").get("reason") == "Refused")
    assert await arena.children(JOBS)
    await arena.patch(**INVALID, suspend=True)
    told = await arena.wait(lambda one: condition(one, "Suspended").get("status") == "True")
    assert condition(told, "Waiting")["reason"] == "NothingWaits"
    await arena.gone(JOBS)
    (note,) = await arena.notes("Suspended")
    assert note.endswith("spec.suspend is true: its Jobs and models are stopped")
    remove(plane, refusers)
    await arena.patch(battles=None, suspend=False)
    await arena.wait(lambda one: condition(one, "Preflighted").get("status") == "True")
