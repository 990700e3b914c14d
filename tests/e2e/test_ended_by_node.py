"""What a real node does to the pods of workers and models is told within 30 seconds, with what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from e2e.conftest import Arena, kubectl
from e2e.test_cluster import SMALL, workers
from support.arena import condition
from support.manifests import manifest

pytestmark = pytest.mark.timeout(900)
REQUESTS = {"cpu": "100m", "memory": "256Mi"}


def document(resources: dict[str, Any]) -> Any:
    """A manifest whose workers take half a minute for each shard."""
    made = manifest(2, **{**SMALL, "jobs": {**SMALL["jobs"], "resources": resources}})
    for player in [*made["spec"]["competitors"], *made["spec"]["judges"]]:
        player["serving"] = {"args": ["--latency-ms=3000"]}
    return made


def says(kind: str, words: str) -> Any:
    return lambda one: words in condition(one, kind).get("message", "")


def seconds_since(time: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds()


async def test_a_worker_that_runs_out_of_memory(arena: Arena) -> None:
    memory = {"cpu": "100m", "memory": "24Mi"}
    await arena.apply(document({"requests": memory, "limits": {"memory": "24Mi"}}))
    words = "container worker ran out of memory and was killed: raise its memory limit (jobs.resources)"
    failed = await arena.wait("test", says("Failed", words), 240)
    ends = [one["state"]["terminated"] for pod in workers(arena) for one in pod["status"]["containerStatuses"]]
    assert {end["reason"] for end in ends} == {"OOMKilled"}
    assert seconds_since(max(end["finishedAt"] for end in ends)) <= 30  # the last of some tries
    assert condition(failed, "Failed")["status"] == "True"
    kubectl("-n", arena.namespace, "delete", "tournament", "test")


async def test_a_worker_that_its_node_evicts(arena: Arena) -> None:
    await arena.apply(document({"requests": REQUESTS, "limits": {"ephemeral-storage": "1Ki"}}))
    words = (
        "was ended by its node: Evicted: Pod ephemeral local storage usage exceeds the total limit of containers 1Ki;"
        " raise ephemeral-storage in jobs.resources, or give the node more of it"
    )
    told = await arena.wait("test", says("Waiting", words), 240)
    ended = [pod["status"] for pod in workers(arena) if pod["status"].get("reason") == "Evicted"]
    ends = [one["lastTransitionTime"] for status in ended for one in status["conditions"] if one["type"] == "Ready"]
    assert seconds_since(min(ends)) <= 30
    assert condition(told, "Waiting")["status"] == "True"
    failed = await arena.wait("test", says("Failed", words), 240)
    assert condition(failed, "Failed")["status"] == "True"
    # With more storage it goes on.
    await arena.apply(document({"requests": REQUESTS, "limits": {"ephemeral-storage": "1Gi"}}))
    await arena.wait("test", lambda one: one["status"].get("records", "0/").partition("/")[0] != "0", 300)
    kubectl("-n", arena.namespace, "delete", "tournament", "test")


@pytest.fixture
def nowhere(arena: Arena) -> Iterator[str]:
    """A runtime of which no registry has the image."""
    # What KServe puts into such a pod is not what the namespace wants of pods.
    label = "pod-security.kubernetes.io/enforce=privileged"
    kubectl("label", "--overwrite", "namespace", arena.namespace, label)
    container = {"name": "kserve-container", "image": "registry.invalid/nowhere:1", "args": ["{{.Name}}"]}
    body = {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ServingRuntime",
        "metadata": {"name": "nowhere"},
        "spec": {"supportedModelFormats": [{"name": "vLLM"}, {"name": "huggingface"}], "containers": [container]},
    }
    kubectl("-n", arena.namespace, "apply", "-f", "-", stdin=json.dumps(body))
    yield "nowhere"
    kubectl("-n", arena.namespace, "delete", "servingruntime", "nowhere", "--wait=false")


async def test_a_model_whose_image_no_registry_has(arena: Arena, nowhere: str) -> None:
    made = document({"requests": REQUESTS})
    for player in made["spec"]["competitors"]:
        player["model"] = {"uri": f"hf://org/{player['name']}"}
        player["serving"] = {"runtime": nowhere}
    await arena.apply(made)
    # Its own, or the one by which KServe loads weights: whether this node reaches a registry is not known.
    told = await arena.wait("test", says("Waiting", "cannot pull "), 240)
    message = condition(told, "Waiting")["message"]
    assert re.match(r"model m\d: pod test-m\d-\S+ cannot pull \S+: .*(pull|image).*; \w+", message), message
    assert condition(told, "Waiting")["reason"] == "NotStarting"
    kubectl("-n", arena.namespace, "delete", "tournament", "test")
