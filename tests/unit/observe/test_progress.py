"""What the pods of shards have told, and what a status makes of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from support.cluster_objects import SETTINGS, T0, Cluster, cluster_tournament, finish
from tiltyard.observe.observation import observe
from tiltyard.observe.progress import within
from tiltyard.observe.snapshot import PodTold
from tiltyard.plan.costs import Costs
from tiltyard.plan.observed import Observed
from tiltyard.plan.planner import plan
from tiltyard.plan.policy import policy_of
from tiltyard.render.names import RESULT
from tiltyard.status.build import build_status
from tiltyard_jobs.contracts.progress import WorkerProgress
from tiltyard_jobs.contracts.reported import MOST
from tiltyard_jobs.contracts.summary import Summary

NOW = T0 + 100
NAME = "mine/m0"


class World:
    """A cluster with a Job of two shards, and what its pods have told."""

    def __init__(self) -> None:
        self.cluster = Cluster(cluster_tournament(3, per_competitor=8, jobs={"shardSize": 4}))
        self.cluster.preflight()
        self.job = self.cluster.job(NAME)
        self.told: dict[str, PodTold] = {}

    def runs(self, index: int = 0, **told: Any) -> str:
        """A pod that is at work, and tells something."""
        pod = self.cluster.worker_pod(self.job, index, phase="Running")
        name = f"{pod['metadata']['name']}-{len(self.told)}"
        self.cluster.pods[name] = self.cluster.pods.pop(pod["metadata"]["name"])
        pod["metadata"]["name"] = name
        return self.tells(name, index, **told)

    def tells(self, name: str, index: int = 0, **told: Any) -> str:
        progress = WorkerProgress(**{"total": 4, "records": True, **told})
        self.told[name] = PodTold(self.job["metadata"]["name"], "", index, progress)
        return name

    def ends(self, name: str, summary: Summary | None, code: int = 0) -> None:
        """A pod's worker has ended; None: without a word."""
        message = summary.to_message() if summary is not None else ""
        terminated = {"exitCode": summary.exit_code if summary else code, "message": message,
                      "finishedAt": "2026-01-01T00:00:00Z"}  # fmt: skip
        status = {"phase": "Failed" if terminated["exitCode"] else "Succeeded"}
        container = {"name": "worker", "state": {"terminated": terminated}}
        self.cluster.pods[name]["status"] = {**status, "containerStatuses": [container]}

    def seen(self) -> Observed:
        return observe(replace(self.cluster.snapshot(), told=self.told), SETTINGS, NOW)

    def looks(self) -> tuple[str | None, int, int, str | None]:
        """Records, prompt tokens, voids and progress of the status."""
        tournament, graph, observed = self.cluster.tournament, self.cluster.graph, self.seen()
        decided = plan(graph, policy_of(tournament), observed)
        status = build_status(tournament, graph, observed, decided, NOW)
        assert status.usage is not None
        return status.records, status.usage.prompt_tokens, sum(one.void for one in status.stages), status.progress


@pytest.fixture
def world() -> World:
    return World()


def done(world: World) -> int:
    return int(str(world.looks()[0]).partition("/")[0])


def test_shards_at_work_count_in_the_status(world: World) -> None:
    nothing = world.looks()
    world.runs(0, done=3, asking=1, voids={"Empty": 1}, prompt_tokens=50)
    world.runs(1, done=1, prompt_tokens=10)
    records, tokens, voids, progress = world.looks()
    assert (records, tokens, voids) == (f"4/{str(nothing[0]).partition('/')[2]}", 60, 1)
    assert progress != nothing[3]
    assert sum(shard.told.asking for shard in world.seen().jobs[NAME].shards) == 1


def test_a_pod_that_is_lost_takes_nothing_back(world: World) -> None:
    first = world.runs(0, done=3, prompt_tokens=50)
    before = world.looks()
    del world.cluster.pods[first]
    assert world.looks() == before
    assert world.seen().fresh == {"mine": 3}
    world.runs(0, done=1, recalled=1, prompt_tokens=0)
    assert world.looks() == before, "its next pod begins with less"
    world.runs(0, done=4, recalled=1, prompt_tokens=30)
    assert (done(world), world.looks()[1]) == (4, 80)
    assert [shard.told.fresh for shard in world.seen().jobs[NAME].shards] == [3]


@pytest.mark.parametrize(
    ("summary", "tokens"),
    [(Summary(exit_code=75, prompt_tokens=70, fresh=4), 70), (None, 50)],
    ids=["reported", "killed"],
)
def test_what_a_failed_pod_cost_counts_once(world: World, summary: Summary | None, tokens: int) -> None:
    name = world.runs(0, done=3, prompt_tokens=50)
    world.ends(name, summary, 137)
    assert (done(world), world.looks()[1]) == (3, tokens)
    assert world.seen().jobs[NAME].shards[0].told.fresh == 0


def test_a_complete_shard_counts_from_one_moment_on(world: World) -> None:
    name = world.runs(0, done=3, prompt_tokens=50, voids={"Empty": 1})
    looks = [world.looks()]
    world.ends(name, Summary(exit_code=0, rows=4, fresh=4, prompt_tokens=70, voids={"Empty": 1}))
    assert world.looks() == looks[0], "its Job does not say so yet"
    world.job["status"] = {"active": 1, "completedIndexes": "0"}
    looks.append(world.looks())
    assert looks[1][:3] == (str(looks[0][0]).replace("3/", "4/"), 70, 1)
    finish(world.job, "Complete", completed="0-1")
    assert done(world) == 4


def test_a_jobs_end_takes_nothing_back_before_its_pods_have_reported(world: World) -> None:
    world.runs(0, done=3, prompt_tokens=50, voids={"Empty": 1})
    before = world.looks()
    finish(world.job, "Complete", completed="0-1")
    world.job["status"]["conditions"][0]["lastTransitionTime"] = "2026-01-01T00:01:39Z"
    assert world.looks()[:3] == before[:3]


def test_a_status_holds_sums_of_absurd_numbers(world: World) -> None:
    world.runs(0, done=3, prompt_tokens=MOST)
    world.job["metadata"]["annotations"][RESULT] = Costs(
        records=Counter(mine=2**60), voids=Counter(mine=2**60), reasons=Counter({"mine/Empty": 2**60})
    ).model_dump_json()
    for number in range(2, 260):
        world.runs(0, done=number, prompt_tokens=MOST)
    tournament, graph, observed = world.cluster.tournament, world.cluster.graph, world.seen()
    status = build_status(tournament, graph, observed, plan(graph, policy_of(tournament), observed), NOW)
    assert status.usage is not None
    (mining,) = (stage for stage in status.stages if stage.name == "Mining")
    assert mining.records is not None
    limits = [status.usage.prompt_tokens, mining.records.done, mining.void, mining.voids[0].records]
    assert limits == [2**53 - 1] * 4


@pytest.mark.parametrize(
    "words", ['{"rows": -1}', '{"prompt_tokens": 1e30}', '{"seconds": NaN}', '{"voids": {"a": -1}}']
)
def test_a_termination_message_of_absurd_numbers_is_none(words: str) -> None:
    with pytest.raises(ValidationError):
        Summary.model_validate_json(words.replace("{", '{"exit_code": 0, ', 1))


def test_what_was_told_of_another_job_is_nothing(world: World) -> None:
    nothing = world.looks()
    world.tells("stranger", 0, done=3)
    world.told["stranger"] = replace(world.told["stranger"], job="other")
    world.tells("beyond", 7, done=3)
    assert world.seen().jobs[NAME].shards == ()
    assert world.looks()[0] == nothing[0]


def test_preflights_step_is_seen_while_it_is_at_work() -> None:
    cluster = Cluster(cluster_tournament(3))
    job = cluster.preflight()
    cluster.pods.clear()
    job["status"] = {"active": 1}
    pod = cluster.worker_pod(job, 0, phase="Running")
    told = {pod["metadata"]["name"]: PodTold(job["metadata"]["name"], "", 0, WorkerProgress(step="Endpoints"))}
    assert observe(replace(cluster.snapshot(), told=told), SETTINGS, NOW).preflight_step == "Endpoints"
    cluster.pods.clear()
    assert observe(replace(cluster.snapshot(), told=told), SETTINGS, NOW).preflight_step is None


NUMBERS = st.integers(0, 100)


@given(
    st.builds(
        WorkerProgress,
        done=NUMBERS, total=NUMBERS, recalled=NUMBERS, asking=NUMBERS, records=st.booleans(),
        voids=st.dictionaries(st.sampled_from(["Empty", "Truncated", "Malformed"]), NUMBERS),
        prompt_tokens=NUMBERS, cached_tokens=NUMBERS,
    ),
    st.integers(0, 50),
)  # fmt: skip
def test_no_shard_has_more_records_than_the_plan_gives_it(told: WorkerProgress, most: int) -> None:
    found = within(told, most)
    assert found.done <= found.total
    assert found.total <= most or not found.records
    assert found.recalled <= found.done
    assert found.asking <= found.total - found.done
    assert sum(found.voids.values()) <= found.done
    assert found.cached_tokens <= found.prompt_tokens
    assert within(found, most) == found
