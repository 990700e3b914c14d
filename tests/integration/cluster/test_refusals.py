"""What the real API server, its admission and the controllers refuse is told within 30 seconds, once, and passes."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cluster import managers
from cluster.controlplane import ControlPlane
from support.arena import SMALL, TOLD_SECONDS, Arena, condition
from support.refusers import Refuser, in_force, limits, model_pods, policy, quota, refused_calls, remove, stand, webhook
from support.waiting import until
from tiltyard.observe.kinds import EVENTS, JOBS, PODS, SERVICES

pytestmark = [pytest.mark.xdist_group("cluster-2"), pytest.mark.timeout(240)]

CASES: dict[str, tuple[Callable[[str], list[Refuser]], str]] = {
    "Jobs by quota": (
        lambda namespace: quota(namespace, **{"count/jobs.batch": "0"}),
        r"preflight: Job test-preflight-[\w-]+ is refused by the API server \(403, in a dry run\): "
        r".* exceeded quota: team, .*;"
        r" raise the namespace's ResourceQuota, or delete what uses it up; it is retried automatically",
    ),
    "ConfigMaps by quota": (
        lambda namespace: quota(namespace, **{"count/configmaps": "0"}),
        r"preflight: ConfigMap test-preflight-[\w-]+ is refused by the API server \(403, in a dry run\): "
        r".* exceeded quota: team, .*",
    ),
    "Jobs by policy": (
        lambda namespace: policy(namespace, "batch", "jobs"),
        r"preflight: Job test-preflight-[\w-]+ is refused by the API server \(422, in a dry run\): "
        r".*ValidatingAdmissionPolicy"
        r".* denied request: cost-center is missing; ask who manages the policy, or change what it names; .*",
    ),
    "Jobs by a webhook that is away": (
        webhook,
        r"preflight: Job test-preflight-[\w-]+ is refused by the API server \(500, in a dry run\): "
        r".* failed calling webhook"
        r" \"jobs.example.org\": .*; the webhook does not answer: repair its Service, or delete its configuration; .*",
    ),
    "pods of models by quota of Services": (
        lambda namespace: quota(namespace, services="0"),
        r"model m0: no pod of InferenceService test-m0-[\w-]+ can be created: .* exceeded quota: team, requested:"
        r" services=1, .*; raise the namespace's ResourceQuota, or delete what uses it up; .*",
    ),
    "pods by a LimitRange's ratio": (
        lambda namespace: limits(namespace, maxLimitRequestRatio={"cpu": "1"}),
        r"preflight: no pod of Job test-preflight-[\w-]+ can be created: .*cpu max limit to request ratio per Container"
        r" is 1, but provided ratio is 8.0.*; change the namespace's LimitRange, or spec.jobs.resources; .*",
    ),
    "models by policy": (
        lambda namespace: policy(namespace, "serving.kserve.io", "inferenceservices"),
        r"preflight: InferenceService test-m0-[\w-]+ is refused by the API server \(422, in a dry run\): "
        r".* cost-center is missing;"
        r" ask who manages the policy, or change what it names; .*",
    ),
    "pods by quota": (
        lambda namespace: quota(namespace, pods="0"),
        r"preflight: no pod of Job test-preflight-[\w-]+ can be created: exceeded quota: team, requested: pods=1,"
        r" used: pods=0, limited: pods=0; raise the namespace's ResourceQuota, or delete what uses it up; .*",
    ),
    "pods by a LimitRange's least": (
        lambda namespace: limits(namespace, min={"cpu": "64"}),
        r"preflight: no pod of Job test-preflight-[\w-]+ can be created: .*minimum cpu usage per Container is 64.*;"
        r" change the namespace's LimitRange, or spec.jobs.resources; .*",
    ),
    "pods by a LimitRange's most": (
        lambda namespace: limits(namespace, max={"cpu": "1m"}),
        r"preflight: no pod of Job test-preflight-[\w-]+ can be created: .*maximum cpu usage per Container is 1m.*;"
        r" change the namespace's LimitRange, or spec.jobs.resources; .*",
    ),
    "pods of models by quota of Deployments": (
        lambda namespace: quota(namespace, **{"count/deployments.apps": "0"}),
        r"model m0: no pod of InferenceService test-m0-[\w-]+ can be created: .* exceeded quota: team, requested:"
        r" count/deployments.apps=1, .*; raise the namespace's ResourceQuota, or delete what uses it up; .*",
    ),
    "pods of models by policy": (
        model_pods,
        r"model m0: no pod of InferenceService test-m0-[\w-]+ can be created: .* cost-center is missing; .*",
    ),
}  # fmt: skip


async def first_refusal(arena: Arena) -> float:
    """When the API server first refused a call of the operator's, or a controller a pod, by the loop's clock."""

    async def is_refused() -> bool:
        events, _ = await arena.kube.list(EVENTS, arena.namespace, "")
        said = {event["reason"] for event in events}
        return not said.isdisjoint(("FailedCreate", "InternalError")) or await refused_calls(arena) > 0

    await until(is_refused)
    return asyncio.get_running_loop().time()


async def check_pauses(arena: Arena, began: float) -> None:
    """Check that no call was tried again sooner than pauses allow of which each is twice as long: 0.2 to 60 seconds."""
    refused = await refused_calls(arena)
    passed, tries, pause = asyncio.get_running_loop().time() - began, 2, 0.2  # the first is seen a bit late
    while passed > pause:
        passed, tries, pause = passed - pause, tries + 1, min(60.0, 2 * pause)
    assert 1 <= refused <= tries


@pytest.mark.parametrize("case", CASES)
async def test_a_refusal_is_told_once_and_passes(
    case: str, arena: Arena, plane: ControlPlane, refusers: list[Refuser]
) -> None:
    make, sentence = CASES[case]
    wanted = make(arena.namespace)
    stand(plane, refusers, wanted)
    await in_force(arena, wanted[0].path)
    await arena.apply(arena.manifest(2, **SMALL))

    def says_it(one: Any) -> bool:  # of several models one may be told first
        return re.fullmatch(f"(.*; )?{sentence}(; .*)?", condition(one, "Waiting").get("message", "")) is not None

    began = await first_refusal(arena)
    told = await arena.wait(says_it, limit=TOLD_SECONDS)
    assert condition(told, "Waiting")["reason"] == "Refused"
    assert condition(told, "Waiting")["message"] in condition(told, "Ready")["message"]

    async def of_it() -> list[str]:
        return [note for note in await arena.notes("Refused") if re.fullmatch(sentence, note)]

    await until(of_it)  # events follow the status
    await asyncio.sleep(4)
    if not case.startswith("pods "):  # those are refused to controllers, and no call of the operator's is
        await check_pauses(arena, began)
    assert len(await of_it()) == 1
    events = await arena.notes("Refused")
    assert len(events) == len({note.partition(":")[0] for note in events})
    remove(plane, refusers)
    # KServe, too, tries again after longer and longer pauses.
    passed = await arena.wait(lambda one: condition(one, "Waiting")["reason"] == "NothingWaits", limit=120)
    assert condition(passed, "Failed")["status"] == "False"


NAMED: dict[str, tuple[dict[str, Any], str]] = {
    "PriorityClass": ({"priorityClassName": "nope"},
                      r"no PriorityClass with name nope was found; create the PriorityClass, or change"
                      r" pod.priorityClassName"),
    "RuntimeClass": ({"runtimeClassName": "nope"},
                     r"pod rejected: RuntimeClass \"nope\" not found; create the RuntimeClass, or change"
                     r" pod.runtimeClassName"),
    "ServiceAccount": ({"serviceAccountName": "nope"},
                       r".*service ?account .*nope.* not found; create the ServiceAccount"),
}  # fmt: skip


@pytest.mark.parametrize("kind", NAMED)
async def test_what_a_pod_names_and_is_not_there_is_told(arena: Arena, kind: str) -> None:
    pod, words = NAMED[kind]
    await arena.apply(arena.manifest(2, **{**SMALL, "jobs": {**SMALL["jobs"], "pod": pod}}))
    await first_refusal(arena)
    told = await arena.wait(lambda one: condition(one, "Waiting").get("reason") == "Refused", limit=TOLD_SECONDS)
    sentence = rf"preflight: no pod of Job test-preflight-[\w-]+ can be created: {words}; it is retried automatically"
    assert re.fullmatch(sentence, condition(told, "Waiting")["message"]), condition(told, "Waiting")["message"]
    assert condition(told, "Failed")["status"] == "False"


async def test_pods_that_pod_security_refuses_are_told(arena: Arena, plane: ControlPlane) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    path, content = f"/api/v1/namespaces/{arena.namespace}", "application/merge-patch+json"
    plane.request("PATCH", path, {"metadata": {"labels": labels}}, content)
    pod = {"volumes": [{"name": "host", "hostPath": {"path": "/data"}}]}
    await arena.apply(arena.manifest(2, **{**SMALL, "jobs": {**SMALL["jobs"], "pod": pod}}))
    told = await arena.wait(lambda one: condition(one, "Waiting").get("reason") == "Refused", limit=2 * TOLD_SECONDS)
    sentence = (
        r'preflight: no pod of Job test-preflight-[\w-]+ can be created: violates PodSecurity "restricted:latest":'
        r' .*"host" uses restricted volume type "hostPath".*;'
        r" allow it with the namespace's label pod-security.kubernetes.io/enforce; it is retried automatically"
    )
    assert re.fullmatch(sentence, condition(told, "Waiting")["message"])
    # An edit makes the Job anew; without that volume all pods of ours are as restricted as they can be.
    await arena.patch(jobs={**SMALL["jobs"], "pod": None})
    passed = await arena.wait(lambda one: condition(one, "Preflighted").get("status") == "True", limit=60)
    assert condition(passed, "Failed")["status"] == "False"
    await arena.wait(lambda one: any(m["state"] == "Ready" for m in one["status"].get("models", ())), limit=60)


class TooMany(BaseHTTPRequestHandler):
    """A webhook that says of everything that there are too many."""

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = {"code": 429, "reason": "TooManyRequests", "message": "come back later"}
        answer = {"uid": review["request"]["uid"], "allowed": False, "status": status}
        body = json.dumps({**review, "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Silent(BaseHTTPRequestHandler):
    """A webhook that answers nothing, for as long as it is waited for."""

    asked = threading.Event()

    def do_POST(self) -> None:
        self.asked.set()
        self.rfile.read()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def hooked(
    plane: ControlPlane, namespace: str, refusers: list[Refuser], handler: type[BaseHTTPRequestHandler]
) -> Iterator[None]:
    """A webhook for the Jobs of a namespace, for which the API server waits as long as it may."""
    scratch, certificate = managers.certify(plane, f"webhook-{namespace}", "127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(scratch / managers.SERVED / "tls.crt", scratch / managers.SERVED / "tls.key")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    (hook,) = webhook(namespace)
    bundle = base64.b64encode(certificate.encode()).decode()
    client = {"url": f"https://127.0.0.1:{server.server_port}/", "caBundle": bundle}
    hook.body["webhooks"][0] |= {"clientConfig": client, "timeoutSeconds": 30}
    stand(plane, refusers, [hook])
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def too_many(plane: ControlPlane, namespace: str, refusers: list[Refuser]) -> Iterator[None]:
    """It stands, for the Jobs of the test's namespace."""
    with hooked(plane, namespace, refusers, TooMany):
        yield


@pytest.fixture
def silent(plane: ControlPlane, namespace: str, refusers: list[Refuser]) -> Iterator[None]:
    """Likewise."""
    Silent.asked.clear()
    with hooked(plane, namespace, refusers, Silent):
        yield


async def test_a_webhook_that_does_not_answer_is_told_once_the_api_server_gives_up(arena: Arena, silent: None) -> None:
    await in_force(arena, "")
    await arena.apply(arena.manifest(2, **SMALL))
    # The API server waits for it as long as it may, and for all Jobs at once.
    told = await arena.wait(lambda one: condition(one, "Waiting").get("reason") == "Refused", limit=30 + TOLD_SECONDS)
    message = condition(told, "Waiting")["message"]
    words = r"preflight: Job test-preflight-[\w-]+ is refused by the API server \(500, in a dry run\): .*"
    assert re.match(rf"{words}failed calling webhook", message), message
    assert "repair its Service, or delete its configuration" in message


async def test_an_operator_that_waits_for_such_a_webhook_ends_within_the_grace_of_its_pod(
    arena: Arena, silent: None
) -> None:
    await in_force(arena, "")
    await arena.apply(arena.manifest(2, **SMALL))
    await until(Silent.asked.is_set)
    assert await arena.operator.stop() == 0
    assert "stopped in the middle" in arena.operator.log.read_text()


async def test_a_server_that_has_too_many_requests_is_asked_more_and_more_rarely(
    arena: Arena, plane: ControlPlane, too_many: None, refusers: list[Refuser]
) -> None:
    await in_force(arena, "")
    await arena.apply(arena.manifest(2, **SMALL))
    began = await first_refusal(arena)
    told = await arena.wait(lambda one: condition(one, "Waiting").get("reason") == "Refused", limit=TOLD_SECONDS)
    pattern = (
        r"preflight: Job test-preflight-[\w-]+ is refused by the API server \(429, in a dry run\): .*come back later.*"
    )
    assert re.fullmatch(pattern, condition(told, "Waiting")["message"])
    await asyncio.sleep(10)
    await check_pauses(arena, began)
    remove(plane, refusers)
    passed = await arena.wait(lambda one: condition(one, "Waiting")["reason"] == "NothingWaits", limit=60)
    assert condition(passed, "Failed")["status"] == "False"


async def test_a_refused_object_is_not_tried_again_and_again(
    arena: Arena, plane: ControlPlane, refusers: list[Refuser]
) -> None:
    stand(plane, refusers, policy(arena.namespace, "batch", "jobs"))
    await in_force(arena, "")
    await arena.apply(arena.manifest(2, **SMALL))
    began = await first_refusal(arena)
    await arena.wait(lambda one: condition(one, "Waiting").get("reason") == "Refused", limit=TOLD_SECONDS)
    await asyncio.sleep(15)
    await check_pauses(arena, began)
    # An edit is tried at once.
    remove(plane, refusers)
    await asyncio.sleep(2)
    await arena.patch(jobs={**SMALL["jobs"], "parallelism": 2})
    await arena.wait(lambda one: condition(one, "Waiting")["reason"] == "NothingWaits", limit=5)


async def test_nothing_starts_before_a_dry_run_of_each_kind_was_accepted(
    arena: Arena, plane: ControlPlane, refusers: list[Refuser]
) -> None:
    stand(plane, refusers, policy(arena.namespace, "serving.kserve.io", "inferenceservices"))
    await in_force(arena, "")
    await arena.apply(arena.manifest(2, **SMALL))
    await arena.wait(lambda one: condition(one, "Waiting").get("reason") == "Refused", limit=2 * TOLD_SECONDS)
    for kind in (JOBS, SERVICES, PODS):
        assert await arena.children(kind) == []
    remove(plane, refusers)
    await arena.wait_for_phase("Probing", "Mining", limit=60)


async def test_a_model_that_is_refused_later_delays_no_other(
    arena: Arena, plane: ControlPlane, refusers: list[Refuser]
) -> None:
    await arena.apply(arena.manifest(2, **SMALL))
    await arena.wait_for_phase("Preflight")
    await until(lambda: arena.children(JOBS))
    first, binding = policy(arena.namespace, "serving.kserve.io", "inferenceservices")
    first.body["spec"]["validations"][0]["expression"] = "!object.metadata.name.contains('-m0-')"
    stand(plane, refusers, [first, binding])
    await in_force(arena, binding.path)
    arena.player.rules.clear()  # only now: what is made before the policy is in force is not refused
    told = await arena.wait(lambda one: condition(one, "Waiting").get("reason") == "Refused", limit=2 * TOLD_SECONDS)
    pattern = r"model m0: InferenceService test-m0-[\w-]+ is refused by the API server \(422\): .* cost-center .*"
    assert re.fullmatch(pattern, condition(told, "Waiting")["message"])
    await arena.wait(lambda one: any(model["name"] == "m1" for model in one["status"].get("models", ())), limit=30)
    remove(plane, refusers)
    await arena.wait(lambda one: any(model["name"] == "m0" for model in one["status"]["models"]), limit=60)
