"""From the chart's values to how the operator makes children: as the chart's templates turn them into its options."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ConfigDict, ValidationError

from tiltyard.api.base import ApiModel
from tiltyard.api.fields import closest, did_you_mean, listed
from tiltyard.api.problems import given_text
from tiltyard.api.scalars import Line, LooseLine, ObjectName
from tiltyard.api.sentences import to_problem
from tiltyard.api.serving import KSERVE_RUNTIME
from tiltyard.release import release
from tiltyard.render.cluster import ChildrenSettings, ClusterSettings
from tiltyard.render.tenants import TenantSettings
from tiltyard.sdk.errors import UserError

DEFAULTS: Mapping[str, Any] = {
    "worker": {
        "image": {"repository": "ghcr.io/tiltyard/worker", "tag": "", "digest": "", "pullPolicy": "IfNotPresent"},
        "imagePullSecrets": [],
    },
    "trainer": {
        "image": {"repository": "ghcr.io/tiltyard/trainer", "tag": "", "digest": ""},
        "python": "/opt/train/bin/python",
    },
    "lmEval": {
        "image": {"repository": "ghcr.io/tiltyard/lm-eval", "tag": "", "digest": ""},
        "python": "/opt/lm-eval/bin/python",
    },
    "children": {
        "pods": {"models": {}, "workers": {}, "training": {}},
        "copiedLabels": [],
        "copiedAnnotations": [],
        "assignedUsers": False,
    },
    "tenants": {
        "codeExecution": True,
        "trustRemoteCode": True,
        "hostPath": True,
        "environmentImages": ["*"],
        "externalEndpoints": ["*"],
        "serviceAccounts": ["*"],
        "admissionPolicy": {"enabled": False},
    },
    "clusterDomain": "cluster.local",
    "runtimes": {"vllm": {"install": False, "name": "tiltyard-vllm"}},
}
"""Of `charts/tiltyard/values.yaml`, what the children depend on."""

WITHOUT_EFFECT = (
    "affinity", "crds", "global", "image", "imagePullSecrets", "logLevel", "metrics", "networkPolicy", "nodeSelector",
    "podAnnotations", "podDisruptionBudget", "podLabels", "priorityClassName", "queues", "rbac", "replicas",
    "resources", "serviceAccount", "tolerations", "watchNamespaces",
)  # fmt: skip
"""The chart's other values: they are of the operator's own objects."""

_TO_SAY = {
    list: "[] allows none, and ['*'] any",
    bool: "true allows it, false does not",
    dict: "must be a mapping, such as {enabled: false}",
}
"""What a value of `tenants` may be, by the type of its default."""


class _Image(ApiModel):
    repository: LooseLine = ""
    tag: LooseLine = ""
    digest: LooseLine = ""

    @property
    def reference(self) -> str:
        """By digest, else by tag, whose default is the chart's release: this one. Empty: there is no repository."""
        if not self.repository:
            return ""
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag or _release()}"


class _WorkerImage(_Image):
    repository: Line
    pull_policy: Literal["Always", "IfNotPresent", "Never"]


class _Worker(ApiModel):
    image: _WorkerImage
    image_pull_secrets: tuple[ObjectName, ...] = ()


class _Engine(ApiModel):
    image: _Image
    python: LooseLine = ""


class _Runtime(ApiModel):
    model_config = ConfigDict(extra="ignore")  # its pods are KServe's affair

    install: bool
    name: ObjectName


class _Runtimes(ApiModel):
    vllm: _Runtime


class _AdmissionPolicy(ApiModel):
    enabled: bool


class _Tenants(TenantSettings):
    admission_policy: _AdmissionPolicy

    @property
    def settings(self) -> TenantSettings:
        """Without what is the API server's affair."""
        text = self.model_dump_json(by_alias=True, exclude={"admission_policy"})
        return TenantSettings.model_validate_json(text, by_name=False)


class _Values(ApiModel):
    """What is missing here was taken away by a null: defaults are in `DEFAULTS`."""

    worker: _Worker
    trainer: _Engine
    lm_eval: _Engine
    children: ChildrenSettings
    tenants: _Tenants
    cluster_domain: Line
    runtimes: _Runtimes


def settings_of(files: Sequence[Path]) -> ClusterSettings:
    """The settings that the operator gets from a chart that is installed with these values.

    Args:
        files: of values, a later one before an earlier one, as `helm --values` takes them; `-` is standard input.

    Raises:
        UserError: a file that cannot be read, or a value that the chart would refuse.
    """
    values: Any = DEFAULTS
    for file in files:
        values = _merged(values, _read(file))
    for name, default in DEFAULTS["tenants"].items():  # none of them by a null: the defaults allow everything
        if isinstance(values.get("tenants"), Mapping) and name not in values["tenants"]:
            raise UserError(
                f"{', '.join(map(str, files))}: tenants.{name}: must not be null (it is empty in the file);"
                f" {_TO_SAY[type(default)]}"
            )
    try:
        known = _Values.model_validate_json(json.dumps(values), by_name=False)
    except ValidationError as error:
        problems = (to_problem(_Values, detail) for detail in error.errors(include_url=False))
        raise UserError("\n".join(f"{', '.join(map(str, files))}: {problem}" for problem in problems)) from None
    vllm = known.runtimes.vllm
    return ClusterSettings(
        worker_image=known.worker.image.reference,
        pull_policy=known.worker.image.pull_policy,
        pull_secrets=known.worker.image_pull_secrets,
        domain=known.cluster_domain,
        trainer_image=known.trainer.image.reference,
        trainer_python=known.trainer.python or None,
        lm_eval_image=known.lm_eval.image.reference,
        lm_eval_python=known.lm_eval.python or None,
        children=known.children,
        tenants=known.tenants.settings,
        runtime=vllm.name if vllm.install else KSERVE_RUNTIME,
        cpu_runtime=f"{vllm.name}-cpu" if vllm.install else "",
    )


def _read(file: Path) -> dict[str, Any]:
    """Those values of a file that children depend on."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        values = yaml.safe_load(text)
        json.dumps(values)
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise UserError(f"{file}: is not valid YAML with JSON's types: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(f"{file}: must be a mapping of the chart's values, given {given_text(values)}")
    names = sorted({*DEFAULTS, *WITHOUT_EFFECT})
    for name in values:
        if name not in names:
            meant = did_you_mean(closest(str(name), names))
            raise UserError(f"{file}: {name}: is not a value of the chart{meant}; allowed: {listed(names)}")
    return {name: value for name, value in values.items() if name in DEFAULTS}


def _merged(below: Any, above: Any) -> Any:
    """As Helm lays values over others: mappings are merged, a null takes a value away, all else is replaced."""
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return above
    names = [*below, *(name for name in above if name not in below)]
    merged = {name: _merged(below.get(name), above[name]) if name in above else below[name] for name in names}
    return {name: value for name, value in merged.items() if value is not None}


def _release() -> str:
    if (known := release()) is None:
        raise UserError(
            "--values: must set worker.image.tag, trainer.image.tag and lmEval.image.tag: Tiltyard is not installed, so"
            " its release is unknown"
        )
    return known
