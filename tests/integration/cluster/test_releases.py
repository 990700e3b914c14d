"""What an earlier release has left on a cluster: its complete Tournament stays so, and its artifacts are reused."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from cluster.controlplane import ControlPlane
from support.arena import KEY, Arena, bundles
from support.local_runs import contents
from support.releases import Release, releases
from tiltyard.observe.kinds import JOBS, SERVICES, TOURNAMENTS
from tiltyard.render.jobs import PREFLIGHT
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.store import open_store

pytestmark = [pytest.mark.xdist_group("cluster-2"), pytest.mark.timeout(240)]


def put_status(plane: ControlPlane, arena: Arena, name: str, status: dict[str, Any]) -> None:
    """As the release's operator has left it."""
    path = f"{TOURNAMENTS.path(arena.namespace, name)}/status"
    plane.request("PATCH", path, {"status": status}, "application/merge-patch+json")


@pytest.mark.parametrize("release", releases(), ids=lambda release: str(release.version))
async def test_its_tournament_stays_complete_and_only_what_is_said_is_made_again(
    plane: ControlPlane, arena: Arena, credentials: Any, release: Release
) -> None:
    await arena.operator.stop()
    store = open_store(StoreRef(uri=arena.s3_uri, endpoint=arena.server.endpoint))
    left = release.folder / "store"
    for file in left.rglob("*"):
        if file.is_file():
            store.put(file.relative_to(left).as_posix(), file.read_bytes())
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
    assert before.items() <= after.items(), "what the release has made is as it was"
    if not changed:
        assert (done["status"]["run"], await arena.children(SERVICES)) == (release.run, [])
        assert before == after
