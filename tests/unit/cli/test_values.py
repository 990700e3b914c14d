"""The chart's values, as `tiltyard render` reads them."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tiltyard.api import PodPatch
from tiltyard.cli.values import DEFAULTS, WITHOUT_EFFECT, settings_of
from tiltyard.render.cluster import ChildrenSettings, ClusterSettings, PodDefaults
from tiltyard.sdk.errors import UserError

CHART = Path(__file__).resolve().parents[3] / "charts/tiltyard"
DIGEST = f"sha256:{'0123456789abcdef' * 4}"


def settings(tmp_path: Path, *values: Any) -> ClusterSettings:
    files = [tmp_path / f"{number}.yaml" for number in range(len(values))]
    for file, content in zip(files, values, strict=True):
        file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return settings_of(files)


def test_the_defaults_are_the_charts() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    vllm = values["runtimes"]["vllm"]
    values["runtimes"]["vllm"] = {name: vllm[name] for name in ("install", "name")}  # its pods are KServe's affair
    assert {name: values[name] for name in DEFAULTS} == DEFAULTS


def test_every_value_of_the_chart_is_known() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert {*DEFAULTS, *WITHOUT_EFFECT} == set(schema["properties"])


def test_images_are_of_the_charts_release() -> None:
    release = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert settings_of([]) == ClusterSettings(
        worker_image=f"ghcr.io/tiltyard/worker:{release}",
        trainer_image=f"ghcr.io/tiltyard/trainer:{release}",
        trainer_python="/opt/train/bin/python",
        lm_eval_image=f"ghcr.io/tiltyard/lm-eval:{release}",
        lm_eval_python="/opt/lm-eval/bin/python",
    )


def test_everything_that_children_depend_on(tmp_path: Path) -> None:
    given = {
        "worker": {
            "image": {"repository": "r/w", "digest": DIGEST, "tag": "1", "pullPolicy": "Always"},
            "imagePullSecrets": ["a", "b"],
        },
        "trainer": {"image": {"repository": "r/t", "tag": "2"}, "python": "/t"},
        "lmEval": {"image": {"repository": "r/l", "tag": "3"}, "python": "/l"},
        "children": {"pods": {"models": {"schedulerName": "volcano"}}, "copiedLabels": ["team"]},
        "clusterDomain": "arena.example",
        "logLevel": "debug",
    }
    expected = ClusterSettings(f"r/w@{DIGEST}", "Always", ("a", "b"), "arena.example", "r/t:2", "/t", "r/l:3", "/l")
    pods = PodDefaults(models=PodPatch(scheduler_name="volcano"))
    expected = replace(expected, children=ChildrenSettings(pods=pods, copied_labels=("team",)))
    assert settings(tmp_path, given) == expected


def test_a_later_file_goes_before_an_earlier_one(tmp_path: Path) -> None:
    first = {"worker": {"image": {"repository": "r/w", "tag": "1"}, "imagePullSecrets": ["a"]}}
    second = {"worker": {"image": {"tag": "2"}, "imagePullSecrets": ["b"]}}
    made = settings(tmp_path, first, second)
    assert (made.worker_image, made.pull_secrets) == ("r/w:2", ("b",))


def test_a_null_takes_a_default_away(tmp_path: Path) -> None:
    made = settings(tmp_path, {"trainer": {"image": {"repository": None}, "python": None}})
    assert (made.trainer_image, made.trainer_python) == ("", None)
    with pytest.raises(UserError, match=r"worker\.image\.repository: is missing"):
        settings(tmp_path, {"worker": {"image": {"repository": None}}})


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert settings(tmp_path, "# nothing\n") == settings_of([])


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("worker: {image: {repository: r/w, tag: '1'}}"))
    assert settings_of([Path("-")]).worker_image == "r/w:1"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"wroker": {}},
            'wroker: is not a value of the chart, did you mean "worker"; allowed: affinity, children',
        ),
        ({"worker": {"imge": {}}}, 'worker.imge: is not a field here, did you mean "image"'),
        (
            {"worker": {"image": {"tag": 1.5}}},
            "worker.image.tag: must be one line of at most 253 characters, or empty, given 1.5",
        ),
        ({"worker": {"image": {"pullPolicy": "never"}}}, "worker.image.pullPolicy: must be Always, IfNotPresent or"),
        ({"worker": {"imagePullSecrets": "mirror"}}, "worker.imagePullSecrets: must be a list, given a"),
        (
            {"children": {"pods": {"models": {"schedulerNam": "volcano"}}}},
            'children.pods.models.schedulerNam: is not a field here, did you mean "schedulerName"',
        ),
        ({"clusterDomain": ""}, 'clusterDomain: must be one line of at most 253 characters, given ""'),
        ("- a\n", "must be a mapping of the chart's values, given a list of 1"),
        ("a: [", "is not valid YAML with JSON's types: "),
        ("worker: 2026-01-01", "is not valid YAML with JSON's types: "),
    ],
)
def test_a_wrong_value_is_told_by_its_path(values: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        settings(tmp_path, values)
    assert f"{tmp_path / '0.yaml'}: {sentence}" in str(refused.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file or directory"):
        settings_of([tmp_path / "none.yaml"])


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("externalEndpoints", "[] allows none, and ['*'] any"),
        ("trustRemoteCode", "true allows it, false does not"),
        ("admissionPolicy", "must be a mapping, such as {enabled: false}"),
    ],
)
def test_a_null_does_not_allow_everything(tmp_path: Path, name: str, allowed: str) -> None:
    with pytest.raises(UserError) as refused:
        settings(tmp_path, f"tenants:\n  {name}:\n")
    sentence = f"tenants.{name}: must not be null (it is empty in the file); {allowed}"
    assert str(refused.value) == f"{tmp_path / '0.yaml'}: {sentence}"
