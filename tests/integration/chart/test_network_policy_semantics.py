"""The evaluator of NetworkPolicies that the chart's tests use says what the API's documentation says."""

from __future__ import annotations

from typing import Any

import pytest

from support.network_policy import End, connects, matches

DB = End("10.0.0.1", "default", {"role": "db"}, ports={("sql", "TCP"): 6379})
WEB = End("10.0.0.2", "default", {"role": "frontend"})
OTHER = End("10.0.0.3", "default", {"role": "other"})
MINE = End("10.1.0.1", "mine", {"role": "frontend"}, {"project": "myproject"})
FAR = End("172.17.2.1")
NEAR = End("172.17.1.1")
PLACE = End("10.0.0.1")


def policy(namespace: str = "default", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace}, "spec": {"podSelector": {}, **spec}}


# The example of https://kubernetes.io/docs/concepts/services-networking/network-policies/
EXAMPLE = policy(
    podSelector={"matchLabels": {"role": "db"}},
    policyTypes=["Ingress", "Egress"],
    ingress=[
        {
            "from": [
                {"ipBlock": {"cidr": "172.17.0.0/16", "except": ["172.17.1.0/24"]}},
                {"namespaceSelector": {"matchLabels": {"project": "myproject"}}},
                {"podSelector": {"matchLabels": {"role": "frontend"}}},
            ],
            "ports": [{"protocol": "TCP", "port": 6379}],
        }
    ],
    egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/24"}}], "ports": [{"protocol": "TCP", "port": 5978}]}],
)


@pytest.mark.parametrize(
    ("source", "target", "port", "allowed"),
    [
        (WEB, DB, 6379, True), (WEB, DB, 6380, False), (OTHER, DB, 6379, False), (MINE, DB, 6379, True),
        (FAR, DB, 6379, True), (NEAR, DB, 6379, False), (DB, PLACE, 5978, True), (DB, PLACE, 80, False),
        (DB, FAR, 5978, False), (WEB, OTHER, 1, True), (OTHER, WEB, 1, True),
    ],
)  # fmt: skip
def test_the_documented_example(source: End, target: End, port: int, allowed: bool) -> None:
    assert connects([EXAMPLE], source, target, port) is allowed


@pytest.mark.parametrize(
    ("spec", "open_to"),
    [
        ({"policyTypes": ["Ingress"]}, set()),  # deny all
        ({}, set()),  # without policyTypes it is an ingress policy
        ({"ingress": [{}]}, {"web", "mine", "far"}),
        ({"ingress": [{"from": []}]}, {"web", "mine", "far"}),
        ({"ingress": [{"from": [{"podSelector": {}}]}]}, {"web"}),  # of the policy's own namespace
        ({"ingress": [{"from": [{"namespaceSelector": {}}]}]}, {"web", "mine"}),
        ({"ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "mine"}},
                                 "podSelector": {"matchLabels": {"role": "frontend"}}}]}]}, {"mine"}),
        ({"ingress": [{"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"role": "x"}}}]}]}, set()),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "::/0"}}]}]}, set()),
    ],
)  # fmt: skip
def test_peers(spec: dict[str, Any], open_to: set[str]) -> None:
    sources = {"web": WEB, "mine": MINE, "far": FAR}
    assert {name for name, end in sources.items() if connects([policy(**spec)], end, DB, 6379)} == open_to


@pytest.mark.parametrize(
    ("ports", "open_on"),
    [
        ([], {("TCP", 6379), ("UDP", 6379), ("TCP", 80)}),
        ([{"port": 6379}], {("TCP", 6379)}),
        ([{"protocol": "UDP"}], {("UDP", 6379)}),
        ([{"port": "sql"}], {("TCP", 6379)}),
        ([{"port": "sql", "protocol": "UDP"}], set()),
        ([{"port": 80, "endPort": 7000}], {("TCP", 80), ("TCP", 6379)}),
    ],
)
def test_ports(ports: list[dict[str, Any]], open_on: set[tuple[str, int]]) -> None:
    tried = [("TCP", 6379), ("UDP", 6379), ("TCP", 80)]
    rules = [policy(ingress=[{"ports": ports}])]
    assert {one for one in tried if connects(rules, WEB, DB, one[1], one[0])} == open_on


def test_policies_add_up_and_both_ends_must_agree() -> None:
    closed, opened = policy(), policy(ingress=[{"from": [{"podSelector": {"matchLabels": {"role": "frontend"}}}]}])
    assert not connects([closed], WEB, DB, 1)
    assert connects([closed, opened], WEB, DB, 1)
    no_way_out = policy(podSelector={"matchLabels": {"role": "frontend"}}, policyTypes=["Egress"])
    assert not connects([closed, opened, no_way_out], WEB, DB, 1)
    assert connects([policy("mine")], WEB, DB, 1), "of another namespace"
    egress = policy(egress=[{"to": [{"podSelector": {}}]}])
    assert not connects([egress], WEB, FAR, 1), "an egress rule makes it an egress policy"


@pytest.mark.parametrize(
    ("operator", "values", "matched"),
    [("In", ["db"], True), ("In", ["x"], False), ("NotIn", ["x"], True), ("NotIn", ["db"], False),
     ("Exists", [], True), ("DoesNotExist", [], False)],
)  # fmt: skip
def test_expressions(operator: str, values: list[str], matched: bool) -> None:
    selector = {"matchExpressions": [{"key": "role", "operator": operator, "values": values}]}
    assert matches(selector, {"role": "db"}) is matched
    assert matches(selector, {}) is (operator in ("NotIn", "DoesNotExist"))
