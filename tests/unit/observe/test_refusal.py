"""What an object was refused for, and what to do: the words are those of Kubernetes 1.37."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.cluster_objects import SETTINGS, T0, Cluster, cluster_tournament
from tiltyard.observe.observation import observe, requeue_after
from tiltyard.observe.refusal import latest_failure, of_service, pods_refused, refused
from tiltyard.observe.snapshot import models_without_pods, without_pods
from tiltyard.plan.observed import JobPhase, JobSeen, ModelPhase, ModelSeen, Observed, WaitReason


@pytest.mark.parametrize(
    ("words", "said", "advice"),
    [
        ('pods "j-0-x2x9c" is forbidden: exceeded quota: team, requested: pods=1, used: pods=3, limited: pods=3',
         "exceeded quota: team, requested: pods=1, used: pods=3, limited: pods=3",
         "raise the namespace's ResourceQuota, or delete what uses it up"),
        ('pods "j-0-x2x9c" is forbidden: exceeded quota: team, requested: requests.cpu=1, used: requests.cpu=0',
         "exceeded quota: team, requested: requests.cpu=1, used: requests.cpu=0",
         "raise the namespace's ResourceQuota, or lower spec.jobs.resources"),
        ('pods "j-0-x2x9c" is forbidden: failed quota: team: must specify limits.cpu for: worker',
         "failed quota: team: must specify limits.cpu for: worker",
         "set these in spec.jobs.resources: the namespace's ResourceQuota requires them"),
        ('pods "j-0-x2x9c" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true (…)',
         'violates PodSecurity "restricted:latest": runAsNonRoot != true ( )',
         "allow it with the namespace's label pod-security.kubernetes.io/enforce"),
        ('pods "j-0-x2x9c" is forbidden: maximum cpu usage per Container is 1m, but request is 250m',
         "maximum cpu usage per Container is 1m, but request is 250m",
         "change the namespace's LimitRange, or spec.jobs.resources"),
        ('Pod "j-0-x2x9c" is invalid: spec.containers[0].resources.requests: Invalid value: "250m": must be less than'
         " or equal to cpu limit of 1m",
         'spec.containers[0].resources.requests: Invalid value: "250m": must be less than or equal to cpu limit of 1m',
         "change the namespace's LimitRange, or spec.jobs.resources"),
        ('admission webhook "v.kyverno.svc" denied the request: labels are missing',
         'admission webhook "v.kyverno.svc" denied the request: labels are missing',
         "ask who manages the webhook, or change what it names"),
        ('pods "j-0-x2x9c" is forbidden: error looking up service account arena/worker: serviceaccount "worker" not'
         " found",
         'error looking up service account arena/worker: serviceaccount "worker" not found',
         "create the ServiceAccount"),
        ('pods "j-0-x2x9c" is forbidden: no PriorityClass with name high was found',
         "no PriorityClass with name high was found", "create the PriorityClass, or change pod.priorityClassName"),
        ('pods "j-0-x2x9c" is forbidden: cpu max limit to request ratio per Container is 2, but provided ratio is 4',
         "cpu max limit to request ratio per Container is 2, but provided ratio is 4",
         "change the namespace's LimitRange, or spec.jobs.resources"),
        ('pods "j-0-x2x9c" is forbidden: insufficient quota to match these scopes: [{PriorityClass In [high]}]',
         "insufficient quota to match these scopes: [{PriorityClass In [high]}]",
         "create a ResourceQuota with this scope, or change what the scope names"),
        ('pods "j-0-x2x9c" is forbidden: pod rejected: RuntimeClass "gvisor" not found',
         'pod rejected: RuntimeClass "gvisor" not found', "create the RuntimeClass, or change pod.runtimeClassName"),
        ('pods "j-0-x2x9c" is forbidden: pod node label selector conflicts with its namespace node label selector',
         "pod node label selector conflicts with its namespace node label selector",
         "change pod.nodeSelector, or the namespace's annotation scheduler.alpha.kubernetes.io/node-selector"),
        ('pods "j-0-x2x9c" is forbidden: unable to validate against any security context constraint: [provider'
         ' "anyuid": Forbidden: not usable by user or serviceaccount]',
         'unable to validate against any security context constraint: [provider "anyuid": Forbidden: not usable by user'
         " or serviceaccount]",
         "allow the pod's ServiceAccount a SecurityContextConstraints that admits it, or change pod.securityContext"),
        ("something else", "something else", "change what it names; the operator's log has the full response"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", ["Error creating: ", "(combined from similar events): Error creating: "])
def test_pods_that_are_refused(before: str, words: str, said: str, advice: str) -> None:
    expected = f"no pod of Job j can be created: {said}; {advice}; it is retried automatically"
    assert pods_refused("Job", "j", before + words) == expected


def test_two_pods_that_are_refused_alike_give_one_sentence() -> None:
    words = 'Error creating: pods "j-0-{}" is forbidden: exceeded quota: team'
    assert pods_refused("Job", "j", words.format("x2x9c")) == pods_refused("Job", "j", words.format("qqqqq"))


@pytest.mark.parametrize(
    ("status", "words", "advice"),
    [
        (403, 'jobs.batch "j" is forbidden: exceeded quota: team', "raise the namespace's ResourceQuota, or lower"),
        (422, 'jobs.batch "j" is invalid: spec.completions: too large', "change what it names"),
        (422, "ValidatingAdmissionPolicy 'p' with binding 'p' denied request: no", "ask who manages the policy"),
        (403, 'User "system:serviceaccount:t:t" cannot create resource "jobs"', "install the chart's RBAC"),
        (403, "unable to create new content in namespace a because it is being terminated", "in another one"),
        (429, "the server has received too many requests", "no action is needed here"),
        (500, "etcdserver: request timed out", "no action is needed here"),
        (500, 'Internal error occurred: failed calling webhook "w": connection refused', "the webhook does not answer"),
    ],
)
def test_objects_that_the_api_server_refuses(status: int, words: str, advice: str) -> None:
    sentence = refused("Job", "j", status, words)
    assert sentence.startswith(f"Job j is refused by the API server ({status}): {words}; ")
    assert advice in sentence
    tried = refused("Job", "j", status, words, dry_run=True)
    assert tried == sentence.replace(f"({status})", f"({status}, in a dry run)")


def test_a_claim_that_is_larger_than_a_namespace_allows_names_the_field_of_its_size() -> None:
    words = "maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 10Gi"
    assert "or serving.weights.claim.size; " in refused("PersistentVolumeClaim", "c", 403, words)


def event(note: str, **times: Any) -> dict[str, Any]:
    created = {"creationTimestamp": "2025-12-31T23:00:00Z"}
    return {"metadata": created, "eventTime": None, "note": note, **times}


def test_the_latest_event_counts_unless_it_is_older_than_the_last_pod() -> None:
    events = [
        event("second", deprecatedLastTimestamp="2026-01-01T00:00:20Z"),
        event("third", eventTime="2026-01-01T00:00:01.000000Z", series={"lastObservedTime": "2026-01-01T00:00:30Z"}),
        event("first", deprecatedLastTimestamp="2026-01-01T00:00:10Z"),
        event("oldest"),
    ]
    assert latest_failure(events, T0) == "third"
    assert latest_failure(events[:1], T0 + 20) == "second"
    assert latest_failure(events, T0 + 31) is None
    assert latest_failure([], 0) is None


def seen(cluster: Cluster, now: float = T0 + 1) -> Observed:
    return observe(cluster.snapshot(), SETTINGS, now)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(cluster_tournament(3, per_competitor=8))


def test_a_model_whose_pods_are_refused_says_so_at_once(cluster: Cluster) -> None:
    words = "spec.containers[0].volumeMounts[4].mountPath: must be unique"
    service = cluster.service("m1")
    service["status"]["conditions"][0] |= {"reason": "FailedCreate", "message": f'Pod "m1-pod" is invalid: {words}'}
    early = seen(cluster, T0 + 11).models["m1"]
    assert (early.phase, refusal_of(early)) == (
        ModelPhase.STARTING,
        f"no pod of InferenceService {service['metadata']['name']} can be created: {words};"
        " change what it names; the operator's log has the full response; it is retried automatically",
    )


def refusal_of(waiting: JobSeen | ModelSeen) -> str:
    assert waiting.wait is not None
    assert waiting.wait.reason is WaitReason.REFUSED
    return waiting.wait.message


def test_a_model_whose_pods_are_refused_waits_and_one_of_which_nothing_is_known_does_not(cluster: Cluster) -> None:
    service = cluster.service("m1")
    assert seen(cluster, T0 + 1801).models["m1"].phase is ModelPhase.FAILED
    service["status"]["conditions"][0] |= {"reason": "FailedCreate", "message": "exceeded quota: gpus"}
    assert "exceeded quota: gpus" in refusal_of(seen(cluster, T0 + 86400).models["m1"])


def test_a_model_that_kserve_makes_no_pods_of_says_why(cluster: Cluster) -> None:
    service = cluster.service("m1")
    failure = {"reason": "RuntimeNotRecognized", "message": "No ServingRuntimes with the name: nope"}
    service["status"]["modelStatus"] = {"lastFailureInfo": failure}
    told = refusal_of(seen(cluster).models["m1"])
    assert "RuntimeNotRecognized: No ServingRuntimes with the name: nope; install the ServingRuntime or " in told
    service["status"]["modelStatus"]["lastFailureInfo"]["reason"] = "ModelLoadFailed"
    assert seen(cluster).models["m1"].wait is None  # its pod says more


def test_a_model_of_which_kserve_may_not_make_the_objects_says_why(cluster: Cluster) -> None:
    name = cluster.service("m1")["metadata"]["name"]
    snapshot = cluster.snapshot()
    assert models_without_pods(snapshot, T0 + 9) == []
    assert [one.name for one in models_without_pods(snapshot, T0 + 10)] == [name]
    assert requeue_after(snapshot, observe(snapshot, SETTINGS, T0 + 1), T0 + 1) == 9
    words = 'deployments.apps "d" is forbidden: exceeded quota: team, requested: count/deployments.apps=1'
    refused = observe(replace(snapshot, refusals={name: words}), SETTINGS, T0 + 86400)
    assert f"{words}; raise the namespace's ResourceQuota" in refusal_of(refused.models["m1"])


@pytest.mark.parametrize(
    ("note", "counts"),
    [
        ('fails to reconcile predictor: deployments.apps "d" is forbidden: exceeded quota: team', True),
        ('fails to reconcile predictor: Deployment.apps "d" is invalid: spec.template.spec.volumes[0]: Required', True),
        ('admission webhook "v" denied the request: no', True),
        ('Operation cannot be fulfilled on deployments.apps "d": the object has been modified', False),
    ],
)
def test_errors_of_kserve_that_pass_by_themselves_are_not_reported(note: str, counts: bool) -> None:
    assert of_service(event(note)) is counts


def test_a_job_whose_pods_are_refused_waits_and_says_why(cluster: Cluster) -> None:
    cluster.preflight()
    job = cluster.job("mine/m1")
    name = job["metadata"]["name"]
    words = 'Error creating: pods "x-0-abcde" is forbidden: exceeded quota: team, requested: pods=1'
    for now, missing in ((T0 + 9, []), (T0 + 10, [name])):
        assert [one.name for one in without_pods(cluster.snapshot(), now)] == missing
    assert requeue_after(cluster.snapshot(), Observed(), T0 + 1) == 9
    assert requeue_after(cluster.snapshot(), Observed(), T0 + 11) == 15
    snapshot = replace(cluster.snapshot(), refusals={name: words})
    for now in (T0 + 11, T0 + 86400):
        refused = observe(snapshot, SETTINGS, now).jobs["mine/m1"]
        assert (refused.phase, refusal_of(refused)) == (
            JobPhase.ACTIVE,
            f"no pod of Job {name} can be created: exceeded quota: team, requested: pods=1; raise the namespace's"
            " ResourceQuota, or delete what uses it up; it is retried automatically",
        )
    cluster.worker_pod(job, phase="Pending")
    assert without_pods(cluster.snapshot(), T0 + 11) == []
