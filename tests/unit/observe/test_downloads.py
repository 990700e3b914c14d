"""A model waits until each node of KServe's cache that is ready has its weights."""

from __future__ import annotations

from typing import Any

import pytest

from tiltyard.observe.waiting import download_wait
from tiltyard.plan.observed import WaitReason


def cache(**nodes: str) -> dict[str, Any]:
    meta = {"name": "c", "namespace": "arena"}
    return {"kind": "LocalModelNamespaceCache", "metadata": meta, "status": {"nodeStatus": nodes} if nodes else {}}


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (
            {},
            "names no node that is ready yet: enable localModel in KServe, and have at least one node",
        ),
        ({"a": "NodeNotReady"}, "names no node that is ready yet"),
        ({"a": "NodeDownloaded"}, None),
        ({"a": "NodeDownloaded", "b": "NodeNotReady"}, None),
        ({"b": "", "a": "NodeDownloadError", "c": "NodeDownloaded"}, "nodes yet (a: NodeDownloadError, b: unknown)"),
        ({"a": "NodeDownloaded", "b": "NodeDownloading"}, "to all nodes yet (b: NodeDownloading)"),
    ],
)
def test_of_what_it_waits_for(nodes: dict[str, str], words: str | None) -> None:
    wait = download_wait(cache(**nodes))
    if words is None:
        assert wait is None
        return
    assert wait is not None
    assert wait.reason is WaitReason.DOWNLOADING
    assert words in wait.message
    assert "`kubectl -n arena get localmodelnamespacecache c -o yaml` has its state" in wait.message


def test_a_cache_of_the_whole_cluster_has_no_namespace() -> None:
    wait = download_wait({"kind": "LocalModelCache", "metadata": {"name": "c"}})
    assert wait is not None
    assert "LocalModelCache c names no node" in wait.message
    assert "`kubectl get localmodelcache c -o yaml`" in wait.message
