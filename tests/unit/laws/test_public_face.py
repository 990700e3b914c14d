"""Workflows, forms and settings that only the hosting service reads: what they name exists, and rights are least."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import version as version_script

ROOT = Path(__file__).resolve().parents[3]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yaml"))
FORMS = sorted(path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yaml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def load(path: Path) -> dict[Any, Any]:
    document = yaml.safe_load(path.read_text())
    assert isinstance(document, dict)
    return document


def jobs(workflow: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = load(workflow)["jobs"]
    return found


def steps(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(workflow).values() for step in job["steps"]]


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=name)
def test_a_workflow_may_read_and_a_job_says_what_more_it_may(workflow: Path) -> None:
    document = load(workflow)
    assert document["permissions"] == {"contents": "read"}
    assert True in document, "`on` is true in YAML 1.1"
    for job in jobs(workflow).values():
        assert job["runs-on"] == "ubuntu-24.04"
        assert 0 < job["timeout-minutes"] <= 360
        needs = job.get("needs", [])
        assert set([needs] if isinstance(needs, str) else needs) <= set(jobs(workflow))
    if workflow.name == "ci.yaml":
        assert not any("permissions" in job for job in jobs(workflow).values())
        assert "secrets." not in workflow.read_text()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=name)
def test_actions_are_pinned_and_keep_no_credential(workflow: Path) -> None:
    for step in steps(workflow):
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w./-]+@[0-9a-f]{40}", step["uses"])
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
    # The comment is what Dependabot reads and raises beside the commit.
    for line in re.findall(r"uses: .*", workflow.read_text()):
        assert re.search(r"@\S+ # v\d+\.\d+\.\d+$", line), line


def test_an_action_has_one_commit_wherever_it_is_used() -> None:
    used = [step["uses"] for workflow in WORKFLOWS for step in steps(workflow) if "uses" in step]
    assert len({each.partition("@")[0] for each in used}) == len(set(used))


def test_what_a_release_publishes_is_signed_by_its_digest() -> None:
    found = jobs(ROOT / ".github/workflows/release.yaml")
    for name in ("images", "chart"):
        assert found[name]["permissions"]["id-token"] == "write"
        assert any("cosign sign --yes" in step.get("run", "") for step in found[name]["steps"])
    (image,) = (step for step in found["images"]["steps"] if "build-push-action" in step.get("uses", ""))
    assert image["with"]["platforms"] == "linux/amd64,linux/arm64"
    assert (image["with"]["sbom"], image["with"]["provenance"]) == (True, "mode=max")


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=name)
def test_scripts_name_targets_and_files_that_exist_and_no_text_from_outside(workflow: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for script in (step["run"] for step in steps(workflow) if "run" in step):
        assert "${{" not in script, "values reach a script by its environment, where they are no code"
        assert set(re.findall(r"\bmake ([a-z][a-z0-9-]*)", script)) <= targets
        for file in re.findall(r"(?<![\w/.])((?:\.ci|hack|charts|requirements)/[\w./-]*\w)", script):
            assert (ROOT / file).exists(), file


def test_continuous_integration_runs_everything_and_the_unit_tests_on_each_python() -> None:
    found = jobs(ROOT / ".github/workflows/ci.yaml")
    promised = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", each)]
    assert found["unit"]["strategy"]["matrix"]["python"] == promised
    assert PROJECT["requires-python"] == f">={promised[0]}"
    scripts = " ".join(step.get("run", "") for job in found.values() for step in job["steps"])
    assert all(command in scripts for command in ("make test-unit", "make check", ".ci/run"))


def test_a_release_publishes_every_image_of_the_chart() -> None:
    images = jobs(ROOT / ".github/workflows/release.yaml")["images"]["strategy"]["matrix"]["target"]
    values = (ROOT / "charts/tiltyard/values.yaml").read_text()
    assert {*re.findall(r"repository: ghcr\.io/tiltyard/(\S+)", values), "worker-full"} == set(images)
    targets = re.findall(r"^FROM \S+ AS (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert set(images) <= set(targets)


@pytest.mark.parametrize("form", FORMS, ids=name)
def test_a_form_has_what_the_service_asks_of_it(form: Path) -> None:
    document = load(form)
    assert document.keys() <= {"name", "description", "title", "labels", "body", "assignees", "projects", "type"}
    assert {"name", "description", "body"} <= document.keys()
    fields = [field for field in document["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields) > 0
    for field in document["body"]:
        assert field["type"] in {"markdown", "input", "textarea", "dropdown", "checkboxes"}
        attributes = field["attributes"]
        assert "value" in attributes if field["type"] == "markdown" else "label" in attributes
        assert (field["type"] in {"dropdown", "checkboxes"}) == ("options" in attributes)


def test_dependencies_are_updated_where_they_stand() -> None:
    document = load(ROOT / ".github/dependabot.yml")
    assert document["version"] == 2
    updates = {each["package-ecosystem"]: each for each in document["updates"]}
    assert updates.keys() == {"github-actions", "pip", "docker", "gomod"}
    for ecosystem, each in updates.items():
        assert ecosystem == "gomod" or each["directory"] == "/"
        assert each["schedule"]["interval"] in {"daily", "weekly", "monthly"}


def test_tools_are_updated_but_the_oldest_kserve() -> None:
    document = load(ROOT / ".github/dependabot.yml")
    (updates,) = (each for each in document["updates"] if each["package-ecosystem"] == "gomod")
    files = {file.parent: file.read_text() for file in ROOT.glob("hack/tools/*/go.mod")}
    updated = {each: text for each, text in files.items() if "\nrequire " in text and each.name != "kserve-0.16"}
    assert updates["directories"] == sorted(f"/{folder.relative_to(ROOT)}" for folder in updated)
    named = {each["dependency-name"] for each in updates["allow"] if each["dependency-type"] == "all"}
    tools = {tool for text in updated.values() for tool in re.findall(r"^(?:tool |\t)([^\s()]+)$", text, re.MULTILINE)}
    modules = {tool: [name for name in named if f"{tool}/".startswith(f"{name}/")] for tool in tools}
    assert all(modules.values()), modules
    assert {name for names in modules.values() for name in names} == named


def test_owned_and_generated_paths_exist() -> None:
    owned = re.findall(r"^/(\S+)\s+@", (ROOT / ".github/CODEOWNERS").read_text(), re.MULTILINE)
    generated = re.findall(r"^(\S+)\s+linguist-generated$", (ROOT / ".gitattributes").read_text(), re.MULTILINE)
    assert owned
    assert generated
    assert [path for path in (*owned, *generated) if next(ROOT.glob(path), None) is None] == []


def test_the_development_container_sets_up_what_make_does() -> None:
    document = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert document["postCreateCommand"] == "make .venv/.dev"
    assert document["image"].rpartition(":")[2].partition("-")[0] in str(PROJECT["classifiers"])


def test_copies_of_the_version_are_that_of_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["version.py", "--check"])
    assert version_script.main() == 0, "run: python3 hack/version.py --write"
    chart = load(ROOT / "charts/tiltyard/Chart.yaml")
    assert chart["version"] == chart["appVersion"] == PROJECT["version"]


@pytest.mark.parametrize("file", sorted(version_script.COPIES))
def test_a_new_version_reaches_every_copy(file: str) -> None:
    pattern = version_script.COPIES[file]
    old = (ROOT / file).read_text()
    new = version_script.with_version(old, pattern, "9.8.7")
    found = re.findall(pattern, new, re.MULTILINE)
    assert found == ["9.8.7"] * len(found) != []
    assert version_script.with_version(new, pattern, PROJECT["version"]) == old
