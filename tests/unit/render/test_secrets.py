"""What pods get of Secrets, headers and authorities: what they need and no more."""

from __future__ import annotations

from typing import Any

from support.cluster_objects import SETTINGS, Cluster, cluster_tournament
from support.rendered import all_objects, objects_of, pod_of, variables
from tiltyard.render.jobs import (
    preflight_objects,
)
from tiltyard.render.serving import inference_service
from tiltyard_jobs.contracts.tasks import BundleTask


def with_secrets() -> Cluster:
    def endpoint(name: str) -> dict[str, Any]:
        url = f"https://{name}.example/v1"
        return {"name": name, "endpoint": {"url": url, "model": "m", "apiKeySecretRef": {"name": name, "key": "key"}}}

    players = [{"name": "m0", "model": {"uri": "sim://m0"}}, endpoint("athene"), endpoint("hera")]
    return Cluster(cluster_tournament(3, players=players, per_competitor=20))


BUCKET = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}


def test_a_pod_gets_the_secrets_that_it_needs_and_no_other() -> None:
    cluster = with_secrets()
    _, preflight = preflight_objects(cluster.tournament, cluster.task, SETTINGS)
    assert variables(preflight) == BUCKET | {"TILTYARD_SECRET_ATHENE_KEY", "TILTYARD_SECRET_HERA_KEY"}
    assert variables(objects_of(cluster, "mine/m0")[1]) == BUCKET
    assert variables(objects_of(cluster, "mine/hera")[1]) == BUCKET | {"TILTYARD_SECRET_HERA_KEY"}
    model = inference_service(cluster.tournament, cluster.graph.model["m0"], SETTINGS, loads=1, started="x")
    assert "secretKeyRef" not in str(model)


def with_requests() -> Cluster:
    def endpoint(name: str, **request: Any) -> dict[str, Any]:
        return {"name": name, "endpoint": {"url": f"https://{name}.example/v1", "model": "m"}, "request": request}

    players = [
        {
            "name": "m0",
            "model": {"uri": "sim://m0"},
            "request": {"extraBody": {"chat_template_kwargs": {"enable_thinking": False}}},
        },
        endpoint(
            "athene",
            headers=[
                {"name": "X-Ticket", "valueSecretRef": {"name": "gate", "key": "ticket"}},
                {"name": "X-Team", "value": "blue"},
            ],
            caBundle={"configMapRef": {"name": "authorities", "key": "ca.crt"}},
        ),
        endpoint("hera", caBundle={"secretRef": {"name": "authorities", "key": "ca.crt"}}),
        endpoint("ares", caBundle={"configMapRef": {"name": "authorities", "key": "other.crt"}}),
    ]
    return Cluster(cluster_tournament(4, players=players, per_competitor=20))


def task_of(config_map: dict[str, Any]) -> BundleTask:
    return BundleTask.model_validate_json(config_map["data"]["task.json"])


def authorities(job: dict[str, Any]) -> dict[str, Any]:
    """What a pod mounts of them, by the path of the file."""
    pod = pod_of(job)
    by_name = {volume["name"]: volume for volume in pod["volumes"] if volume["name"].startswith("endpoint-ca-")}
    mounts = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] in by_name]
    assert all(mount["readOnly"] for mount in mounts)
    assert len({mount["mountPath"] for mount in mounts}) == len(mounts) == len(by_name)
    found = {}
    for mount in mounts:
        source = {key: value for key, value in by_name[mount["name"]].items() if key != "name"}
        ((kind, volume),) = source.items()
        (item,) = volume["items"]
        assert volume["optional"] is True
        name = volume["secretName" if kind == "secret" else "name"]
        found[f"{mount['mountPath']}/{item['path']}"] = (kind, name, item["key"])
    return found


def test_a_worker_is_told_what_its_endpoint_is_sent_and_finds_the_secrets_and_authorities() -> None:
    cluster = with_requests()
    config_map, job = objects_of(cluster, "mine/athene")
    endpoint = task_of(config_map).endpoint
    assert endpoint is not None
    assert endpoint.headers == {"X-Team": "blue"}
    assert endpoint.header_env == {"X-Ticket": "TILTYARD_SECRET_GATE_TICKET"}
    assert variables(job) == BUCKET | {"TILTYARD_SECRET_GATE_TICKET"}
    assert authorities(job) == {endpoint.ca_bundle: ("configMap", "authorities", "ca.crt")}
    for name, source in {
        "hera": ("secret", "authorities", "ca.crt"),
        "ares": ("configMap", "authorities", "other.crt"),
    }.items():
        config_map, job = objects_of(cluster, f"mine/{name}")
        endpoint = task_of(config_map).endpoint
        assert endpoint is not None
        assert authorities(job) == {endpoint.ca_bundle: source}
        assert variables(job) == BUCKET


def test_a_served_model_is_asked_with_what_is_added() -> None:
    cluster = with_requests()
    config_map, job = objects_of(cluster, "mine/m0")
    endpoint = task_of(config_map).endpoint
    assert endpoint is not None
    assert endpoint.extra_body == {"chat_template_kwargs": {"enable_thinking": False}}
    assert authorities(job) == {}
    model = inference_service(cluster.tournament, cluster.graph.model["m0"], SETTINGS, loads=1, started="x")
    assert "enable_thinking" not in str(model)


def test_preflight_has_all_of_it() -> None:
    cluster = with_requests()
    _, job = preflight_objects(cluster.tournament, cluster.task, SETTINGS)
    assert variables(job) == BUCKET | {"TILTYARD_SECRET_GATE_TICKET"}
    assert len(authorities(job)) == 3
    assert authorities(job).keys() == {named.endpoint.ca_bundle for named in cluster.task.endpoints}
    field = "spec.competitors[1].request.headers[0].valueSecretRef"
    assert cluster.task.secrets[field] == "TILTYARD_SECRET_GATE_TICKET"
    place = cluster.task.secret_places["TILTYARD_SECRET_GATE_TICKET"]
    assert place == "the key ticket of the Secret gate in this namespace"


def test_secrets_go_by_reference() -> None:
    cluster = with_secrets()
    for document in all_objects(cluster):
        if document["kind"] == "ConfigMap" and "-preflight-" not in document["metadata"]["name"]:
            task = document["data"]["task.json"]
            assert "AWS_" not in task
            assert "bucket-key" not in task
