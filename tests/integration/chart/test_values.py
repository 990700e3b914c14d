"""`tiltyard render` reads the chart's values as the chart itself turns them into the operator's options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from integration.chart.helm import Render
from tiltyard.cli.main import parser
from tiltyard.cli.values import settings_of
from tiltyard.render.cluster import ChildrenSettings, ClusterSettings

DIGEST = f"sha256:{'0123456789abcdef' * 4}"


@pytest.mark.parametrize(
    "values",
    [
        {},
        {
            "worker": {
                "image": {"repository": "r/w", "tag": "1", "pullPolicy": "Always"},
                "imagePullSecrets": ["a", "b"],
            },
            "trainer": {"image": {"repository": "r/t", "digest": DIGEST, "tag": "2"}, "python": "/t"},
            "lmEval": {"image": {"tag": "3"}, "python": ""},
            "children": {
                "pods": {"workers": {"labels": {"a": "b"}}},
                "copiedAnnotations": ["team"],
                "assignedUsers": True,
            },
            "clusterDomain": "arena.example",
            "logLevel": "debug",
            "runtimes": {"vllm": {"install": True, "name": "ours", "gpu": {"image": "r/v:1"}}},
            "watchNamespaces": ["red"],
        },
        {"trainer": {"image": {"repository": ""}}, "lmEval": {"image": {"repository": None}, "python": None}},
        {"worker": {"image": {"digest": DIGEST}, "imagePullSecrets": None}},
    ],
    ids=["the chart's own", "all", "no images", "a digest"],
)
def test_the_chart_says_the_same_to_the_operator(values: dict[str, Any], render: Render, tmp_path: Path) -> None:
    (container,) = render(**values).one("Deployment")["spec"]["template"]["spec"]["containers"]
    options = parser().parse_args(["operator", *container["args"]])
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(values))
    assert settings_of([file]) == ClusterSettings(
        worker_image=options.worker_image,
        pull_policy=options.worker_image_pull_policy,
        pull_secrets=tuple(options.worker_image_pull_secret),
        domain=options.cluster_domain,
        trainer_image=options.trainer_image,
        trainer_python=options.trainer_python,
        lm_eval_image=options.lm_eval_image,
        lm_eval_python=options.lm_eval_python,
        runtime=options.serving_runtime,
        cpu_runtime=options.serving_runtime_cpu,
        children=ChildrenSettings.model_validate_json(options.children),
    )
