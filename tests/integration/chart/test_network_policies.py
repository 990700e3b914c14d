"""What the chart's NetworkPolicies let through between the pods that are rendered."""

from __future__ import annotations

from typing import Any

import pytest

from integration.chart.helm import Render
from support.cluster_objects import SETTINGS, cluster_tournament
from support.network_policy import End, connects
from tiltyard.render.children import in_order, prepare
from tiltyard_jobs.contracts.progress import PORT

TRAIN = {
    "baseModel": {"uri": "hf://org/base"},
    "trainer": {"kind": "TrainJob", "runtimeRef": {"name": "torch-distributed"}, "numNodes": 2},
}
INTERNET, INTERNET_6 = End("93.184.216.34"), End("2606:2800:220:1::1")
METADATA, POD_IDENTITY = End("169.254.169.254"), End("169.254.170.23")
BUCKET = End("10.0.9.1", "minio", {"app": "minio"})
DNS = End("10.0.0.10", "kube-system", {"k8s-app": "kube-dns"})
PROMETHEUS = End("10.0.8.1", "monitoring", {"app": "prometheus"})
STRANGER = End("10.0.7.1", "red", {"app": "other"})
SCRAPERS = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]


@pytest.fixture(scope="module")
def ends() -> dict[str, End]:
    """A pod of each kind that a tournament has, in its namespace."""
    tournament = cluster_tournament(3, players=[{"name": n, "model": {"uri": f"hf://org/{n}"}} for n in "abc"],
                                    training=TRAIN)  # fmt: skip
    labels: dict[str, dict[str, str]] = {}
    for _, body in in_order(prepare(tournament, SETTINGS, ""), SETTINGS):
        match body["kind"]:
            case "Job":
                labels["worker"] = body["spec"]["template"]["metadata"]["labels"]
            case "InferenceService":
                labels["model"] = body["spec"]["predictor"]["labels"]
            case "TrainJob":
                labels["node"] = body["spec"]["podTemplateOverrides"][0]["metadata"]["labels"]
    found = {name: End(f"10.0.1.{place}", "red", of) for place, (name, of) in enumerate(sorted(labels.items()))}
    llm = {**found["model"].labels, "app.kubernetes.io/part-of": "llminferenceservice"}  # which KServe adds
    return found | {
        "other node": End("10.0.1.9", "red", found["node"].labels),
        "llm": End("10.0.1.10", "red", llm),
        "other llm": End("10.0.1.11", "red", llm),
    }


def policies(render: Render, **values: Any) -> list[dict[str, Any]]:
    return render(networkPolicy={"tournamentNamespaces": ["red"], **values}).of("NetworkPolicy")


def test_only_workers_and_scrapers_reach_models(render: Render, ends: dict[str, End]) -> None:
    made = policies(render, scrapers=SCRAPERS)
    model = ends["model"]
    assert connects(made, ends["worker"], model, 8080)
    assert connects(made, PROMETHEUS, model, 8080)
    assert not connects(made, PROMETHEUS, model, 22)
    assert not connects(policies(render), PROMETHEUS, model, 8080)
    for other in (STRANGER, INTERNET, model, BUCKET):
        assert not connects(made, other, model, 8080)


def test_an_llm_inference_service_is_reached_at_its_own_port_and_by_its_own_pods(
    render: Render, ends: dict[str, End]
) -> None:
    for values in ({}, {"egress": {"enabled": True}}):
        made = policies(render, scrapers=SCRAPERS, **values)
        assert connects(made, ends["worker"], ends["llm"], 8000)
        assert connects(made, PROMETHEUS, ends["llm"], 8000)
        for port in (8000, 29500):
            assert connects(made, ends["other llm"], ends["llm"], port)
        for other in (STRANGER, INTERNET, ends["model"]):
            assert not connects(made, other, ends["llm"], 8000)
        assert not connects(made, ends["worker"], ends["llm"], 22)


def test_the_nodes_of_a_training_talk_on_any_port_and_nobody_else_does(render: Render, ends: dict[str, End]) -> None:
    for values in ({}, {"egress": {"enabled": True}}):
        made = policies(render, **values)
        for port, protocol in ((29500, "TCP"), (45123, "TCP"), (4791, "UDP")):
            assert connects(made, ends["node"], ends["other node"], port, protocol)
        for other in (STRANGER, INTERNET, ends["model"], ends["worker"], PROMETHEUS):
            assert not connects(made, other, ends["node"], 29500)
            assert not connects(made, other, ends["worker"], 8080)


def test_only_the_operator_asks_workers_for_their_progress(render: Render, ends: dict[str, End]) -> None:
    for egress in (False, True):
        rendered = render(networkPolicy={"tournamentNamespaces": ["red"], "egress": {"enabled": egress}})
        made = rendered.of("NetworkPolicy")
        labels = rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"]
        operator = End("10.0.6.1", rendered.one("Deployment")["metadata"]["namespace"], labels)
        impostor = End("10.0.6.2", "red", labels)
        for pod in (ends["worker"], ends["node"]):
            assert connects(made, operator, pod, PORT)
            assert not connects(made, operator, pod, 22)
            for other in (impostor, STRANGER, INTERNET, PROMETHEUS, ends["model"]):
                assert not connects(made, other, pod, PORT)
        assert not connects(made, ends["other node"], ends["worker"], PORT)
        assert not connects(made, operator, ends["model"], PORT)


def test_prometheus_scrapes_the_operator(render: Render) -> None:
    made = render(networkPolicy={"tournamentNamespaces": ["red"], "egress": {"enabled": True}})
    pod = made.one("Deployment")["spec"]["template"]
    ports = {(port["name"], "TCP"): port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
    operator = End("10.0.6.1", "tiltyard-system", pod["metadata"]["labels"], ports=ports)
    assert connects(made.of("NetworkPolicy"), PROMETHEUS, operator, ports[("http", "TCP")])
    assert not connects(made.of("NetworkPolicy"), PROMETHEUS, operator, 22)
    assert connects(made.of("NetworkPolicy"), operator, End("10.0.0.1"), 6443), "the API server"


def test_without_egress_all_goes_out(render: Render, ends: dict[str, End]) -> None:
    made = policies(render)
    for name, place in ((name, place) for name in ends for place in (INTERNET, BUCKET, METADATA, DNS)):
        assert connects(made, ends[name], place, 443)


def test_egress_is_dns_the_internet_and_what_is_named(render: Render, ends: dict[str, End]) -> None:
    made = policies(render, egress={"enabled": True})
    for name in ends:
        assert connects(made, ends[name], DNS, 53, "UDP")
        assert connects(made, ends[name], DNS, 5353, "TCP")
        assert connects(made, ends[name], INTERNET, 443)
        assert connects(made, ends[name], INTERNET_6, 443)
        for place in (METADATA, POD_IDENTITY, BUCKET, STRANGER, End("fd00:ec2::254")):
            assert not connects(made, ends[name], place, 443)
    assert connects(made, ends["worker"], ends["model"], 8080)
    assert not connects(made, ends["model"], ends["worker"], 8080)
    to = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "minio"}}},
          {"ipBlock": {"cidr": "169.254.170.23/32"}}]  # fmt: skip
    made = policies(render, egress={"enabled": True, "to": to})
    assert connects(made, ends["worker"], BUCKET, 9000)
    assert connects(made, ends["worker"], POD_IDENTITY, 80)
    assert not connects(made, ends["worker"], INTERNET, 443), "what is named stands in the default's place"


def test_other_namespaces_are_left_alone(render: Render) -> None:
    made = policies(render, egress={"enabled": True})
    one, other = End("10.3.0.1", "blue", {}), End("10.3.0.2", "blue", {})
    assert connects(made, one, other, 1)
    assert connects(made, STRANGER, INTERNET, 1)
