"""What an object was refused for, and what to do: the words are those of Kubernetes 1.37."""

from __future__ import annotations

from typing import Any

import pytest

from tiltyard.observe.refusal import latest_failure, pods_refused, refused

T0 = 1767225600.0  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("words", "said", "advice"),
    [
        ('pods "j-0-x2x9c" is forbidden: exceeded quota: team, requested: pods=1, used: pods=3, limited: pods=3',
         "exceeded quota: team, requested: pods=1, used: pods=3, limited: pods=3",
         "raise the namespace's ResourceQuota, or delete what takes it up"),
        ('pods "j-0-x2x9c" is forbidden: exceeded quota: team, requested: requests.cpu=1, used: requests.cpu=0',
         "exceeded quota: team, requested: requests.cpu=1, used: requests.cpu=0",
         "raise the namespace's ResourceQuota, or lower spec.jobs.resources"),
        ('pods "j-0-x2x9c" is forbidden: failed quota: team: must specify limits.cpu for: worker',
         "failed quota: team: must specify limits.cpu for: worker",
         "set these in spec.jobs.resources: the namespace's ResourceQuota requires them"),
        ('pods "j-0-x2x9c" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true (…)',
         'violates PodSecurity "restricted:latest": runAsNonRoot != true ( )',
         "allow it by the namespace's label pod-security.kubernetes.io/enforce"),
        ('pods "j-0-x2x9c" is forbidden: maximum cpu usage per Container is 1m, but request is 250m',
         "maximum cpu usage per Container is 1m, but request is 250m",
         "change the namespace's LimitRange, or spec.jobs.resources"),
        ('Pod "j-0-x2x9c" is invalid: spec.containers[0].resources.requests: Invalid value: "250m": must be less than'
         " or equal to cpu limit of 1m",
         'spec.containers[0].resources.requests: Invalid value: "250m": must be less than or equal to cpu limit of 1m',
         "change the namespace's LimitRange, or spec.jobs.resources"),
        ('admission webhook "v.kyverno.svc" denied the request: labels are missing',
         'admission webhook "v.kyverno.svc" denied the request: labels are missing',
         "ask who keeps the webhook, or change what it names"),
        ('pods "j-0-x2x9c" is forbidden: error looking up service account arena/worker: serviceaccount "worker" not'
         " found",
         'error looking up service account arena/worker: serviceaccount "worker" not found',
         "create the ServiceAccount"),
        ('pods "j-0-x2x9c" is forbidden: no PriorityClass with name high was found',
         "no PriorityClass with name high was found", "create the PriorityClass, or change pod.priorityClassName"),
        ("something else", "something else", "change what it names; the operator's log has the whole answer"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", ["Error creating: ", "(combined from similar events): Error creating: "])
def test_pods_that_are_refused(before: str, words: str, said: str, advice: str) -> None:
    expected = f"no pod of Job j can be created: {said}; {advice}; it is tried again by itself"
    assert pods_refused("Job", "j", before + words) == expected


def test_two_pods_that_are_refused_alike_give_one_sentence() -> None:
    words = 'Error creating: pods "j-0-{}" is forbidden: exceeded quota: team'
    assert pods_refused("Job", "j", words.format("x2x9c")) == pods_refused("Job", "j", words.format("qqqqq"))


@pytest.mark.parametrize(
    ("status", "words", "advice"),
    [
        (403, 'jobs.batch "j" is forbidden: exceeded quota: team', "raise the namespace's ResourceQuota, or lower"),
        (422, 'jobs.batch "j" is invalid: spec.completions: too large', "change what it names"),
        (422, "ValidatingAdmissionPolicy 'p' with binding 'p' denied request: no", "ask who keeps the policy"),
        (403, 'User "system:serviceaccount:t:t" cannot create resource "jobs"', "install the chart's RBAC"),
        (403, "unable to create new content in namespace a because it is being terminated", "in another one"),
        (429, "the server has received too many requests", "nothing is to do here"),
        (500, "etcdserver: request timed out", "nothing is to do here"),
        (500, 'Internal error occurred: failed calling webhook "w": connection refused', "the webhook does not answer"),
    ],
)
def test_objects_that_the_api_server_refuses(status: int, words: str, advice: str) -> None:
    sentence = refused("Job", "j", status, words)
    assert sentence.startswith(f"Job j is refused by the API server ({status}): {words}; ")
    assert advice in sentence
    tried = refused("Job", "j", status, words, dry_run=True)
    assert tried == sentence.replace(f"({status})", f"({status}, in a dry run)")


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
