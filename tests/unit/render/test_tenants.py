"""What an administrator does not let Tournaments ask for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.tenancy import BY, CASES, HOST_PATH, STRICT, Case, asked, document_of
from support.tenancy import tenants as allowed
from tiltyard.api import ManifestError, tournament_from_object
from tiltyard.api.fields import wire_fields
from tiltyard.render.children import prepare
from tiltyard.render.cluster import ChildrenSettings, ClusterSettings
from tiltyard.render.tenants import TenantSettings

SECURITY = Path(__file__).resolve().parents[3] / "docs" / "security.md"


def problems(case: Case, **tenants: object) -> list[str]:
    settings = ClusterSettings("worker", tenants=allowed(**tenants))
    try:
        prepare(tournament_from_object(document_of(case)), settings, "it")
    except ManifestError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize("name", CASES)
def test_what_is_refused_names_field_value_and_what_is_allowed(name: str) -> None:
    case = CASES[name]
    found = problems(case, **case.limits)
    if not case.path:
        assert found == []
        return
    (problem,) = found
    assert problem.startswith(f"{case.path}: must ")
    assert f": {BY}{case.value}, given " in problem
    # Its value alone refuses it, and no other does.
    assert problems(case, **{case.value: case.limits[case.value]}) == found
    assert problems(case, **{key: value for key, value in case.limits.items() if key != case.value}) == []


@pytest.mark.parametrize("name", CASES)
def test_everything_is_allowed_where_nothing_is_said(name: str) -> None:
    assert problems(CASES[name]) == []


def test_sentences() -> None:
    def told(name: str) -> str:
        return problems(CASES[name], **CASES[name].limits)[0]

    assert told("code") == f"spec.evaluation.allowCodeExecution: must be false: {BY}codeExecution, given true"
    assert told("an image") == (
        "spec.evaluation.environments[0].image: must match one of ghcr.io/team/*, python:3.12, where * is any text:"
        f' {BY}environmentImages, given "evil.io/team/ds1000"'
    )
    assert told("an endpoint") == (
        "spec.competitors[0].endpoint.url: must be kserve://NAME or a Service of this cluster, NAME.NAMESPACE.svc, or"
        f" its host must match one of *.example.com, 10.0.0.7, where * is any text: {BY}externalEndpoints,"
        ' given "https://api.openai.com/v1"'
    )
    assert problems(CASES["accounts"], serviceAccounts=[]) == [
        f'spec.jobs.pod.serviceAccountName: must be absent: {BY}serviceAccounts, given "tournaments-1"'
    ]


def test_what_is_no_address_is_no_host_that_is_allowed() -> None:
    case = Case(asked("http://[1:2]/v1"))
    (problem,) = problems(case, **STRICT)
    assert problem.startswith("spec.competitors[0].endpoint.url: must be kserve://NAME or")
    assert problems(case) == []


def test_the_administrators_own_defaults_are_not_asked() -> None:
    pods = json.dumps({"pods": {"workers": {**HOST_PATH, "serviceAccountName": "admin"}}})
    children = ChildrenSettings.model_validate_json(pods, by_name=False)
    settings = ClusterSettings("worker", children=children, tenants=allowed(**STRICT))
    assert prepare(tournament_from_object(document_of(CASES["nothing"])), settings, "it").source == "it"


def test_the_security_model_has_a_row_for_each_value() -> None:
    rows = [line.split("`")[1] for line in SECURITY.read_text().splitlines() if line.startswith("| `tenants.")]
    assert [row.partition(":")[0] for row in rows] == [f"tenants.{name}" for name in wire_fields(TenantSettings)]
