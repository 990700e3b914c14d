"""The chart's value `tenants`: told to the operator, and an admission policy in the operator's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integration.chart.helm import Refused, Render, pod_of
from support.tenancy import NO_CODE, STRICT, tenants
from tiltyard.render import tenants as sentences
from tiltyard.render.tenants import TenantSettings

ALL = {**STRICT, **NO_CODE, "serviceAccounts": []}


def told(render: Render, **values: Any) -> TenantSettings:
    (option,) = (one for one in pod_of(render(**values).one("Deployment"))[1]["args"] if one.startswith("--tenants="))
    return TenantSettings.model_validate_json(option.removeprefix("--tenants="), by_name=False)


def test_the_operator_is_told(render: Render) -> None:
    assert told(render) == TenantSettings()
    assert told(render, tenants=ALL) == tenants(**ALL)


def test_there_is_an_admission_policy_if_it_is_asked_for(render: Render) -> None:
    assert render(tenants=ALL).of("ValidatingAdmissionPolicy") == []
    made = render(tenants={**ALL, "admissionPolicy": {"enabled": True}}, watchNamespaces=["red", "blue"])
    policy, binding = made.one("ValidatingAdmissionPolicy"), made.one("ValidatingAdmissionPolicyBinding")
    assert binding["spec"]["policyName"] == policy["metadata"]["name"] == "arena-tiltyard-tenants"
    (expression,) = binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
    assert expression["values"] == ["red", "blue"]
    everywhere = render(tenants={"admissionPolicy": {"enabled": True}})
    assert "matchResources" not in everywhere.one("ValidatingAdmissionPolicyBinding")["spec"]


def test_the_policy_says_what_the_operator_says(render: Render) -> None:
    made = render(tenants={**ALL, "admissionPolicy": {"enabled": True}})
    validations = made.one("ValidatingAdmissionPolicy")["spec"]["validations"]
    assert [one["message"].partition(": ")[2] for one in validations] == [
        sentences.NO_CODE,
        *[sentences.NO_REMOTE_CODE] * len(sentences.REMOTE_CODE),
        sentences.NO_HOST_PATH,
        sentences.image_sentence(tuple(ALL["environmentImages"])),
        sentences.endpoint_sentence(tuple(ALL["externalEndpoints"])),
        sentences.account_sentence(()),
    ]
    remote = [one["expression"] for one in validations if "trust-remote-code" in one["message"]]
    for expression, pattern in zip(remote, sentences.REMOTE_CODE, strict=True):
        assert expression.count(json.dumps(pattern)) == 3


def test_a_null_does_not_allow_everything(render: Render) -> None:
    with pytest.raises(Refused, match="externalEndpoints"):
        render(tenants={"externalEndpoints": None})
