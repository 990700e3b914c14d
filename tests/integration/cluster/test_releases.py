"""What an earlier release has left on a cluster.

Its complete Tournament stays so, its artifacts are reused, and what it has begun goes on.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from cluster.controlplane import ControlPlane
from envs import exclusive
from release_fixture import AT_WORK, ENDPOINT, MADE, PLACE, TIME
from support.arena import KEY, Arena, bundles
from support.local_runs import contents, differences
from support.releases import Release, releases
from support.s3server import s3_server
from support.waiting import until
from tiltyard.observe.kinds import CONFIG_MAPS, JOBS, SERVICES, TOURNAMENTS
from tiltyard.render.jobs import PREFLIGHT
from tiltyard.render.names import BUNDLE, LOADS
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.store import Store, open_store

pytestmark = [pytest.mark.xdist_group("cluster-3"), pytest.mark.timeout(240)]


def put_status(plane: ControlPlane, arena: Arena, name: str, status: dict[str, Any]) -> None:
    """As the release's operator has left it."""
    path = f"{TOURNAMENTS.path(arena.namespace, name)}/status"
    plane.request("PATCH", path, {"status": status}, "application/merge-patch+json")


def put_files(store: Store, release: Release, folder: str = "") -> None:
    """The files of a folder of the release's store."""
    left = release.folder / "store"
    for file in (left / folder).rglob("*"):
        if file.is_file():
            store.put(file.relative_to(left).as_posix(), file.read_bytes())


@pytest.mark.parametrize("release", releases(), ids=lambda release: str(release.version))
async def test_its_tournament_stays_complete_and_only_what_is_said_is_made_again(
    plane: ControlPlane, arena: Arena, credentials: Any, release: Release
) -> None:
    await arena.operator.stop()
    store = open_store(StoreRef(uri=arena.s3_uri, endpoint=arena.server.endpoint))
    put_files(store, release)
    before = contents(store)
    document = release.manifest
    document["spec"]["output"]["s3"] = {
        "uri": arena.s3_uri,
        "endpoint": arena.server.endpoint,
        "secretRef": {"name": KEY},
    }
    name = release.object["metadata"]["name"]
    document["metadata"]["namespace"] = arena.namespace
    await arena.apply(document)
    put_status(plane, arena, name, release.object["status"])
    await arena.operator.start()

    # An edit that changes no result is taken note of, and nothing is made.
    await arena.patch(name, ttlSecondsAfterFinished=86400)
    kept = await arena.wait(lambda one: one["status"]["observedGeneration"] == 2, name)
    assert (kept["status"]["phase"], kept["status"]["run"]) == ("Complete", release.run)
    assert await arena.children(JOBS) == []

    # Applied again, it makes what this version makes otherwise, and nothing else.
    await arena.kube.delete(TOURNAMENTS, arena.namespace, name)
    await arena.apply(document)
    done = await arena.wait_for_phase("Complete", "Failed", name=name, limit=150)
    assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])
    changed = {change.bundle for change in release.changes()}
    assert set((await bundles(arena)).values()) == {PREFLIGHT, *changed}
    after = contents(store)
    store.close()
    same = {key: body for key, body in after.items() if key in before}
    assert differences(before, same) == [], "what the release has made is as it was"
    if not changed:
        assert (done["status"]["run"], await arena.children(SERVICES)) == (release.run, [])
        assert differences(before, after) == []


def is_true(conditions: list[Any], kind: str) -> bool:
    return any(one["type"] == kind and one["status"] == "True" for one in conditions)


async def leave_half_way(arena: Arena, plane: ControlPlane, release: Release) -> None:
    """All that the release has on a cluster in the middle of a run, its worker at work and held there."""
    left = release.half_way
    now = datetime.now(UTC).isoformat(timespec="seconds")
    document, objects = json.loads(json.dumps([left["tournament"], left["objects"]]).replace(TIME, now))
    status, name = document.pop("status"), document["metadata"]["name"]
    del document["metadata"]["generation"]
    await arena.apply(document)
    put_status(plane, arena, name, status)
    uid = (await arena.get(name))["metadata"]["uid"]
    ended = (PREFLIGHT, *MADE)
    arena.player.runs(
        lambda pod: any(f"-{one.replace('/', '-')}-" in pod["metadata"]["name"] for one in ended), ["true"]
    )
    kinds = {kind.kind: kind for kind in (CONFIG_MAPS, JOBS, SERVICES)}
    for body in objects:
        body["metadata"]["ownerReferences"][0]["uid"] = uid
        await arena.kube.apply(kinds[body["kind"]], body)

    async def held() -> bool:
        return arena.player.pause(f"-{AT_WORK.replace('/', '-')}-") is not None

    async def stand_there() -> bool:
        jobs = {job["metadata"]["annotations"][BUNDLE]: job.get("status", {}) for job in await arena.children(JOBS)}
        models = [one.get("status", {}).get("conditions", []) for one in await arena.children(SERVICES)]
        return all(is_true(jobs[one].get("conditions", []), "Complete") for one in ended) and all(
            is_true(conditions, "Ready") for conditions in models
        )

    await until(held, 60)
    await until(stand_there, 90)


async def uids(arena: Arena) -> dict[str, str]:
    """Of Jobs and models, by name."""
    return {
        one["metadata"]["name"]: one["metadata"]["uid"]
        for kind in (JOBS, SERVICES)
        for one in await arena.children(kind)
    }


@pytest.fixture
def fixed_port() -> Iterator[int]:
    """The port that the releases' objects name: one test on this machine has it at a time."""
    port = urlsplit(ENDPOINT).port
    assert port is not None
    with exclusive(Path(tempfile.gettempdir()) / f"tiltyard-port-{port}.lock"):
        yield port


@pytest.mark.timeout(420)
@pytest.mark.parametrize(
    ("release", "namespace"),
    [(release, release.half_way["tournament"]["metadata"]["namespace"]) for release in releases()],
    indirect=["namespace"],
    ids=lambda value: getattr(value, "version", None),
)
async def test_what_it_has_begun_goes_on_and_nothing_is_paid_twice(
    fixed_port: int, plane: ControlPlane, arena: Arena, credentials: Any, release: Release, tmp_path: Path
) -> None:
    changed = {change.bundle for change in release.changes()}
    bucket = urlsplit(PLACE).netloc
    await arena.operator.stop()
    with s3_server(tmp_path / "releases", bucket, port=fixed_port):
        store = open_store(StoreRef(uri=PLACE, endpoint=ENDPOINT))
        for bundle in MADE:
            for key in release.plan[bundle]:
                put_files(store, release, f"{bundle.partition('/')[0]}/{key}")
        before = contents(store)
        await leave_half_way(arena, plane, release)
        begun = await uids(arena)
        assert len(begun) == 1 + len(MADE) + 1 + 3

        await arena.operator.start()
        name = release.object["metadata"]["name"]
        await arena.patch(name, ttlSecondsAfterFinished=86400)  # once it is taken note of, all has been looked at
        seen = await arena.wait(lambda one: one["status"]["observedGeneration"] == 2, name)
        assert seen["status"]["phase"] == release.half_way["tournament"]["status"]["phase"]
        if not changed:
            assert begun.items() <= (await uids(arena)).items()
        arena.player.go_on(f"-{AT_WORK.replace('/', '-')}-")
        done = await arena.wait_for_phase("Complete", "Failed", name=name, limit=150)
        assert done["status"]["phase"] == "Complete", yaml.safe_dump(done["status"])
        after = contents(store)
        store.close()
    same = {key: body for key, body in after.items() if key in before}
    assert differences(before, same) == [], "what the release has made is as it was"
    shards = [pod.rpartition("-")[0] for pod in arena.player.started if "predictor" not in pod]
    assert len(shards) == len(set(shards))
    if not changed:
        assert begun.items() <= (await uids(arena)).items()
        assert [one["metadata"]["annotations"][LOADS] for one in await arena.children(SERVICES)] == ["1"] * 3
        tokens, all_at_once = (one["status"]["usage"]["promptTokens"] for one in (done, release.object))
        assert abs(tokens - all_at_once) < 0.05 * all_at_once  # indices that begin side by side each probe their model
        left = contents(open_store(StoreRef(uri=(release.folder / "store").as_uri())))
        # What a model has passed is no result: it is written by the Jobs that ask it, of which some ran before.
        results, made = (
            {key: body for key, body in found.items() if not key.startswith("models/")} for found in (left, after)
        )
        assert differences(results, made) == []
