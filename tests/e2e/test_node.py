"""The node itself: a pod as strict as ours are, and a model that another pod finds by its name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from e2e.conftest import Arena, kubectl
from support.benchmarks import small_benchmark
from support.manifests import manifest
from tiltyard.render.pods import CONTAINER_SECURITY, POD_SECURITY

pytestmark = pytest.mark.timeout(600)


def run_job(arena: Arena, name: str, *command: str, **user: int) -> str:
    """Run a command in a pod like a worker's, as another user where one is given; returns what it printed."""
    image = arena.cluster.images["worker"]
    container: dict[str, Any] = {"name": "worker", "image": image, "command": list(command)}
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {**POD_SECURITY, **user},
        "containers": [{**container, "securityContext": CONTAINER_SECURITY}],
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }
    kubectl("-n", arena.namespace, "create", "--filename=-", stdin=json.dumps(job))
    kubectl("-n", arena.namespace, "wait", "--for=condition=Complete", f"job/{name}", "--timeout=60s")
    return kubectl("-n", arena.namespace, "logs", f"job/{name}")


def test_a_pod_of_the_worker_runs_as_nobody_on_a_read_only_root(arena: Arena) -> None:
    script = "import os\ntry: open('/opt/tiltyard/x', 'w')\nexcept OSError as error: print(os.getuid(), error.strerror)"
    assert run_job(arena, "identity", "python", "-c", script).strip() == "65532 Read-only file system"
    assert "usage" in run_job(arena, "help", "python", "-m", "tiltyard_jobs", "--help")


def test_a_pod_of_the_worker_runs_as_any_user_of_the_root_group(arena: Arena) -> None:
    of_openshift = {"runAsUser": 1000700000, "runAsGroup": 0}
    assert "usage" in run_job(arena, "any-user", "python", "-m", "tiltyard_jobs", "--help", **of_openshift)


def test_the_image_holds_no_compiler_no_pip_and_nothing_of_its_builder(arena: Arena) -> None:
    script = (
        "import importlib.util, os, shutil, ssl\n"
        "assert importlib.util.find_spec('pip') is None\n"
        "assert not [name for name in ('gcc', 'cc', 'pip', 'pip3') if shutil.which(name)]\n"
        "assert not os.path.exists('/etc/pip.conf')\n"
        "assert open('/etc/apt/sources.list').read() == ''\n"
        "assert len(ssl.create_default_context().get_ca_certs()) > 50\n"
        "print('clean')"
    )
    assert run_job(arena, "contents", "python", "-c", script).strip() == "clean"


async def test_an_inference_service_of_somebody_else_judges_and_programs_run(arena: Arena) -> None:
    predictor = {
        "containers": [
            {
                "name": "kserve-container",
                "image": arena.cluster.images["worker"],
                "command": ["python", "-m", "tiltyard_jobs.sim"],
                "args": ["--uri=sim://expert", "--host=0.0.0.0", "--port=8080", "--served-model-name=expert"],
                "ports": [{"containerPort": 8080}],
                "readinessProbe": {"httpGet": {"path": "/v1/models", "port": 8080}, "periodSeconds": 1},
                "securityContext": CONTAINER_SECURITY,
            }
        ],
        "securityContext": POD_SECURITY,
    }
    annotations = {"serving.kserve.io/deploymentMode": "Standard", "serving.kserve.io/autoscalerClass": "none"}
    service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "expert", "annotations": annotations},
        "spec": {"predictor": predictor},
    }
    kubectl("-n", arena.namespace, "create", "--filename=-", stdin=json.dumps(service))
    kubectl("-n", arena.namespace, "wait", "--for=condition=Ready", "inferenceservice/expert", "--timeout=90s")
    url = f"http://expert-predictor.{arena.namespace}.svc.cluster.local/v1/models"
    # Ready is what the API server says; the node's rules for the Service follow within a second or two.
    script = (
        "import time, urllib.request as r\n"
        "for attempt in range(40):\n"
        f"    try: print(r.urlopen({url!r}, timeout=5).read().decode()); break\n"
        "    except OSError: time.sleep(0.5)"
    )
    answer = json.loads(run_job(arena, "ask", "python", "-c", script))
    assert [model["id"] for model in answer["data"]] == ["expert"]
    jobs = {"shardSize": 256, "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}}}
    document = manifest(2, per_competitor=6, judges=1, curation={"decontaminate": []}, jobs=jobs)
    store = arena.store()
    store.put("tasks.jsonl", small_benchmark(4).encode())
    document["spec"]["evaluation"] = {
        "benchmarks": ["humaneval_plus"],
        "files": [{"benchmark": "humaneval_plus", "uri": f"{arena.uri}/tasks.jsonl"}],
        "competitors": True,
        "allowCodeExecution": True,
    }
    document["spec"]["judges"] = [{"name": "judge", "endpoint": {"url": "kserve://expert", "model": "expert"}}]
    await arena.apply(document)
    done = await arena.complete("test")
    assert [model["name"] for model in done["status"]["models"]] == ["m0", "m1"]
    scores = json.loads(store.get(f"runs/{done['status']['run']}/benchmarks.json") or b"")["scores"]
    assert [(one["model"], one["outcomes"]) for one in scores] == [("m0", {"Failed": 4}), ("m1", {"Failed": 4})]
    store.close()
    kubectl("-n", arena.namespace, "delete", "tournament", "test")
    assert "expert" in kubectl("-n", arena.namespace, "get", "inferenceservices")
