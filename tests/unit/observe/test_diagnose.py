"""Why a pod does not come up."""

from __future__ import annotations

from typing import Any

import pytest

from tiltyard.observe.diagnose import UNSCHEDULABLE, diagnose, last_words
from tiltyard.render.names import MODEL, STAGE


def pod(phase: str = "Pending", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "status": {"phase": phase, **status}}


def container(**fields: Any) -> dict[str, Any]:
    return pod(containerStatuses=[{"name": "kserve-container", "image": "img:1", **fields}])


GATED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
}


def no_node(words: str, label: str, value: str) -> dict[str, Any]:
    unschedulable = pod(conditions=[{"type": "PodScheduled", "status": "False", "message": words}])
    unschedulable["metadata"]["labels"] = {label: value}
    return unschedulable


def crashed(message: str = "", *, code: int = 1, reason: str = "Error") -> dict[str, Any]:
    terminated = {"exitCode": code, "reason": reason, "message": message}
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 10s"}
    return container(state={"waiting": waiting}, lastState={"terminated": terminated}, restartCount=2)


def test_a_pod_at_work_has_no_trouble() -> None:
    assert diagnose(pod("Running", containerStatuses=[{"name": "c", "state": {"running": {}}, "ready": True}])) is None
    assert diagnose(pod()) is None
    assert diagnose(container(state={"waiting": {"reason": "ContainerCreating"}})) is None


def test_a_container_that_came_back_is_no_trouble() -> None:
    last = {"terminated": {"exitCode": 1}}
    assert diagnose(container(state={"running": {}}, ready=True, lastState=last, restartCount=1)) is None


BACK_OFF = 'Back-off pulling image "img:1": ErrImagePull: failed to resolve reference "img:1":'
# As containerd says it.
PULLS = (
    ("dial tcp: lookup r.example on 10.0.0.1:53: no such host", "the node does not reach the registry: see to its"),
    ("dial tcp: lookup r.example on 10.0.0.1:53: read udp 10.0.0.2:7->10.0.0.1:53: i/o timeout", "the node does not"),
    ("dial tcp: lookup r.example on 10.0.0.1:53: server misbehaving", "the node does not reach the registry: see to"),
    ("dial tcp [::1]:1: connect: connection refused", "the node does not reach the registry: see to its network"),
    ("tls: failed to verify certificate: x509: certificate signed by unknown authority", "the node does not trust"),
    ("pull access denied, repository does not exist or may require authorization", "check its name and pull secrets"),
    ("unexpected status from HEAD request: 401 Unauthorized", "check its name and pull secrets"),
    ("r.example/img:1: not found", "check its name and pull secrets"),
    ("429 Too Many Requests - toomanyrequests: You have reached your pull rate limit", "the registry limits how much"),
    ("write /var/lib/containerd/x: no space left on device", "the node's disk is full"),
)


@pytest.mark.parametrize(
    ("document", "reason", "words"),
    [
        (
            pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "1 Insufficient nvidia.com/gpu."}]),
            "Unschedulable",
            "pod p fits no node: 1 Insufficient nvidia.com/gpu; it starts automatically once it fits a node: add nodes",
        ),
        (
            no_node(
                "0/9 nodes are available: 4 Too many pods, 5 node(s) had untolerated taint {gpu: }.", STAGE, "mine"
            ),
            "Unschedulable",
            "node: add nodes, or lower jobs.resources, and tolerate the taint by jobs.pod.tolerations",
        ),
        (
            no_node("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.", STAGE, "train"),
            "Unschedulable",
            "node: label nodes as training.pod requires, or change it",
        ),
        (
            no_node('persistentvolumeclaim "models" not found. not found', MODEL, "m"),
            "Unschedulable",
            "node: check the volume claim that it mounts",
        ),
        (
            no_node("0/1 nodes are available: 1 node(s) had volume node affinity conflict.", MODEL, "m"),
            "Unschedulable",
            "node: check the volume claim that it mounts",
        ),
        (
            no_node(
                "0/3 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }, 2 node(s)"
                " were unschedulable.",
                STAGE,
                "mine",
            ),
            "Unschedulable",
            "node: see why nodes are not ready, or uncordon them",
        ),
        (
            no_node(
                "0/3 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }, 2"
                " node(s) had untolerated taint {gpu: }.",
                STAGE,
                "mine",
            ),
            "Unschedulable",
            "node: see why nodes are not ready, or uncordon them, and tolerate the taint by jobs.pod.tolerations",
        ),
        (
            no_node("0/1 nodes are available: 1 node(s) had untolerated taint(s).", MODEL, "m"),
            "Unschedulable",
            "node: see the taints in `kubectl describe nodes`: tolerate them by serving.pod.tolerations, or have the",
        ),
        (
            no_node("0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.", MODEL, "m"),
            "Unschedulable",
            "node: change serving.pod.affinity, or see to the pods that it is about",
        ),
        (
            no_node("0/2 nodes are available: 2 cannot allocate all claims.", MODEL, "m"),
            "Unschedulable",
            "node: check the resource claims of serving.pod.resourceClaims",
        ),
        (no_node("0/0 nodes are available", MODEL, "m"), "Unschedulable", "node: add such a node"),
        (
            {**pod(conditions=[GATED]), "spec": {"schedulingGates": [{"name": "example.com/budget"}]}},
            "Unschedulable",
            "pod p waits until its scheduling gates are removed: example.com/budget; ask who set them",
        ),
        (
            container(state={"waiting": {"reason": "ErrImagePull", "message": "manifest unknown"}}),
            "ImagePull",
            "pod p cannot pull img:1: manifest unknown; check its name and pull secrets",
        ),
        *(
            (
                container(state={"waiting": {"reason": "ImagePullBackOff", "message": f"{BACK_OFF} {words}"}}),
                "ImagePull",
                f"pod p cannot pull img:1: {BACK_OFF} {words}; {advice}",
            )
            for words, advice in PULLS
        ),
        (
            container(state={"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "x" not found'}}),
            "PodConfiguration",
            'pod p cannot start container kserve-container: secret "x" not found; create what it names, or change the',
        ),
        (
            container(
                state={
                    "waiting": {
                        "reason": "CreateContainerConfigError",
                        "message": "couldn't find key token in Secret team/hub",
                    }
                }
            ),
            "PodConfiguration",
            "couldn't find key token in Secret team/hub; add the key, or change the manifest's field that names it",
        ),
        (
            container(
                state={
                    "waiting": {
                        "reason": "CreateContainerConfigError",
                        "message": "container has runAsNonRoot and image will run as root (pod: p, container: c)",
                    }
                }
            ),
            "PodConfiguration",
            "; set jobs.pod.securityContext.runAsUser, or another image",
        ),
        (
            container(
                state={
                    "waiting": {
                        "reason": "ErrImagePull",
                        "message": "no match for platform in manifest: not found",
                    }
                }
            ),
            "ImagePull",
            "; its image is for another CPU: use one for the node's, or choose such nodes by pod.nodeSelector",
        ),
        (
            crashed('failed to create containerd task: exec: "serve": executable file not found in $PATH', code=128),
            "CrashLoop",
            "ended with exit code 128: its image has no such command: check the image",
        ),
        (crashed("exec /usr/bin/python3: exec format error", code=255), "CrashLoop", "its image is for another CPU"),
        (
            pod("Failed", reason="Evicted", message="The node was low on resource: memory. Threshold quantity: 100Mi."),
            "EndedByNode",
            "pod p was ended by its node: Evicted: The node was low on resource: memory. Threshold quantity: 100Mi;"
            " request as much memory as it uses in jobs.resources",
        ),
        (
            pod(
                "Failed", reason="Evicted", message="Pod ephemeral local storage usage exceeds the total limit of 1Gi."
            ),
            "EndedByNode",
            "; raise ephemeral-storage in jobs.resources, or give the node more of it",
        ),
        (
            pod("Failed", reason="UnexpectedAdmissionError", message="Allocate failed due to no healthy devices"),
            "EndedByNode",
            "; see what `kubectl describe node` says of what it can give",
        ),
        (
            pod("Failed", reason="Terminated", message="Pod was terminated in response to imminent node shutdown."),
            "EndedByNode",
            "imminent node shutdown; another one takes its place",
        ),
        (crashed(code=137, reason="OOMKilled"), "CrashLoop", "raise its memory limit"),
        (crashed("torch.OutOfMemoryError: CUDA out of memory"), "CrashLoop", "GPU memory"),
        (crashed("huggingface_hub.errors.GatedRepoError: 403"), "CrashLoop", "refused access"),
        (crashed("RepositoryNotFoundError: 404"), "CrashLoop", "the model was not found"),
        (crashed("api_server.py: error: unrecognized arguments: --nope"), "CrashLoop", "check serving.args"),
        (crashed(), "CrashLoop", "ended with exit code 1: see its log"),
    ],
)
def test_each_trouble_is_told(document: dict[str, Any], reason: str, words: str) -> None:
    trouble = diagnose(document)
    assert trouble is not None
    assert trouble.reason == reason
    assert words in trouble.message


def test_a_model_that_could_not_be_fetched() -> None:
    terminated = {"exitCode": 1, "message": "INFO starting\nFileNotFoundError: no such model\ncleaning up"}
    init = {
        "name": "storage-initializer",
        "state": {"waiting": {"reason": "x"}},
        "lastState": {"terminated": terminated},
    }
    trouble = diagnose(pod(initContainerStatuses=[init]))
    assert trouble is not None
    assert "storage-initializer" in trouble.message
    assert "the model was not found" in trouble.message
    assert '"FileNotFoundError: no such model"' in trouble.message


def test_an_init_container_that_is_done_is_no_trouble() -> None:
    init = {"name": "storage-initializer", "state": {"terminated": {"exitCode": 0}}}
    assert diagnose(pod(initContainerStatuses=[init])) is None


def test_a_pod_that_goes_has_no_trouble() -> None:
    document = crashed()
    document["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert diagnose(document) is None


def test_last_words_are_one_printable_line() -> None:
    assert last_words("Error: \x1b[31mred\x1b[0m\tü\n\n") == "Error: [31mred [0m"
    assert last_words("") == ""
    assert len(last_words("error " + "x" * 9999)) < 600


@pytest.mark.parametrize(("restarts", "found_out"), [(0, False), (1, True)])
def test_a_server_that_ends_well_again_and_again_has_a_diagnosis(restarts: int, found_out: bool) -> None:
    ended = {"terminated": {"exitCode": 0}}
    found = diagnose(
        container(state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=ended, restartCount=restarts)
    )
    assert (found is not None) == found_out
    assert found is None or (found.reason == "CrashLoop" and "ended with exit code 0" in found.message)


def test_a_pod_that_no_scheduler_has_looked_at_waits_for_it() -> None:
    document = {**pod(), "spec": {"schedulerName": "gang"}}
    assert diagnose(document) == (UNSCHEDULABLE, "pod p waits for the scheduler gang: check that it is running")
    document["spec"]["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": "nowhere"}]
    words = "check that it is running, and that what jobs.pod.resourceClaims names is there (gpu)"
    assert diagnose(document) == (UNSCHEDULABLE, f"pod p waits for the scheduler gang: {words}")
    document["spec"]["volumes"] = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}, {"name": "e"}]
    words += ", and that the volume claims that the pod mounts get a volume (data): `kubectl describe pvc` says more"
    assert diagnose(document) == (UNSCHEDULABLE, f"pod p waits for the scheduler gang: {words}")
    document["spec"]["nodeName"] = "n"
    assert diagnose(document) is None
