"""What the administrator of a cluster lets Tournaments ask for: the chart's value `tenants`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field

from tiltyard.api import Problem, Tournament
from tiltyard.api.base import ApiModel
from tiltyard.api.evaluation import Evaluation, ProgramEnvironment
from tiltyard.api.fields import Path, walk
from tiltyard.api.participant import Endpoint
from tiltyard.api.pods import PodPatch
from tiltyard.api.problems import given_text, path_text
from tiltyard.api.scalars import INFERENCE_SERVICE_SCHEME, Line
from tiltyard.api.serving import ModelServing

Patterns = Annotated[tuple[Line, ...], Field(max_length=64)]
ANY: tuple[str, ...] = ("*",)

_BY = "the administrator of this cluster has set tenants."
NO_CODE = f"must be false: {_BY}codeExecution"
NO_REMOTE_CODE = (
    "must not let a server run code of a model's repository (trust-remote-code, --config, a plug-in, a class or module"
    f" by name, $(VARIABLE), VLLM_ADDITIONAL_ARGS, PYTHONPATH): {_BY}trustRemoteCode"
)
NO_HOST_PATH = f"must not be a hostPath: {_BY}hostPath"
REMOTE_CODE = (
    r"(?i)trust[-_]?remote[-_]?code|[$][(]|[\\]u00|module_path|cache_manager_cls|custom_class|parser_plugin"
    r'|class_overrides|inductor_passes|backend"?[\s:=]+"?[^/"\s]*[.]|"policy"[\s:]+"[^/"]*[.][^/"]*"',
    r"(?i)(^|\s)--(tr(u(s(t.*)?)?)?|conf(ig?)?|tool[-_]p.*|reasoning[-_]parser[-_].*|mi(d.*)?|worker[-_][ce].*"
    r"|scheduler[-_]c.*|log(i|gi|[-_]c).*|io([-_].*)?|model[-_]c.*)(=|\s|$)"
    r"|(^|\s)-(-distributed[-_]e[^=\s]*|-spec[-_]mo[^=\s]*|[^=\s]*[.](model|policy))[=\s]\s*[^/\s]*[.]"
    r'|(^|\s)-(-spec|s)[^=\s]*[=\s]\W*[{].*"model"[\s:]+"[^/"]*[.][^/"]*"',
    r"(?i)^(VLLM_(ADDITIONAL_ARGS|PLUGINS|CACHE_ROOT|[A-Z_]*(SO|FRONTEND|CONFIG)_PATH|[A-Z_]*CUDA_COMPATIBILITY[A-Z_]*)"
    r"|PYTHON[A-Z]+|LD_[A-Z_]+|CUDA_INJECTION[A-Z0-9_]*|NCCL_[A-Z_]*PLUGIN|(TRITON|TORCHINDUCTOR)_[A-Z0-9_]+)$",
)
"""In an argument, or the name or value of a variable: what lets vLLM run code that a file or the manifest names.

vLLM takes options that are cut short, too, and JSON whose letters are written as numbers; the kubelet puts variables
together; a file that an option names may be one of the model's, and so may a module by its dotted name, a library, or
a folder of compiled code. An option's value may be the next item, so arguments are looked through item by item and
joined by line breaks. They are several, since the API server bounds the cost of each.
"""


def image_sentence(patterns: Patterns) -> str:
    """What images may be."""
    return f"must {_one_of(patterns)}: {_BY}environmentImages"


def endpoint_sentence(patterns: Patterns) -> str:
    """What hosts may be."""
    hosts = f", or its host must {_one_of(patterns)}" if patterns else ""
    return f"must be kserve://NAME or a Service of this cluster, NAME.NAMESPACE.svc{hosts}: {_BY}externalEndpoints"


def account_sentence(patterns: Patterns) -> str:
    """What service accounts may be."""
    return f"must {_one_of(patterns)}: {_BY}serviceAccounts"


def _one_of(patterns: Patterns) -> str:
    return f"match one of {', '.join(patterns)}, where * is any text" if patterns else "be absent"


class TenantSettings(ApiModel):
    """What Tournaments may ask for. In a pattern, `*` stands for any text."""

    code_execution: bool = True
    """Code that models wrote runs, in the sandbox of an evaluation."""
    trust_remote_code: bool = True
    """A model server runs code from a model's repository."""
    host_path: bool = True
    """Pods mount folders of their nodes."""
    environment_images: Patterns = ANY
    """The images of an evaluation's environments."""
    external_endpoints: Patterns = ANY
    """The hosts of endpoints that are no Service of the cluster."""
    service_accounts: Patterns = ANY
    """The service accounts of pods."""

    def problems(self, tournament: Tournament, domain: str) -> Iterator[Problem]:
        """All that a manifest asks for and may not.

        Args:
            tournament: a valid one, without the administrator's own defaults for pods.
            domain: the cluster's DNS domain.
        """
        for path, model in walk(tournament.spec, ("spec",)):
            for place, sentence, given in self._refused(path, model, domain):
                yield Problem(path_text(place), f"{sentence}, given {given_text(given, place)}")

    def _refused(self, path: Path, model: ApiModel, domain: str) -> Iterator[tuple[Path, str, Any]]:
        if isinstance(model, Evaluation) and model.allow_code_execution and not self.code_execution:
            yield (*path, "allowCodeExecution"), NO_CODE, True
        if isinstance(model, ProgramEnvironment) and not _matches(model.image, self.environment_images):
            yield (*path, "image"), image_sentence(self.environment_images), model.image
        if isinstance(model, Endpoint) and not self._is_reached(model.url, domain):
            yield (*path, "url"), endpoint_sentence(self.external_endpoints), model.url
        if isinstance(account := getattr(model, "service_account_name", None), str):
            yield from self._account((*path, "serviceAccountName"), account)
        if isinstance(model, ModelServing | PodPatch):
            yield from self._pod(path, model)

    def _pod(self, path: Path, model: ModelServing | PodPatch) -> Iterator[tuple[Path, str, Any]]:
        """A patch of pods; or how a model is served, whose patch is a model of its own."""
        of_its_own = {"pod"} if isinstance(model, ModelServing) else None
        document = model.model_dump(mode="json", by_alias=True, exclude=of_its_own)
        if not self.trust_remote_code:
            yield from (((*path, *inner), NO_REMOTE_CODE, value) for inner, value in _remote_code(document))
        folders = set()
        for inner, value in _leaves(document):
            if not self.host_path and "hostPath" in inner:
                folder = inner[: inner.index("hostPath") + 1]
                if folder not in folders:
                    folders.add(folder)
                    yield (*path, *folder), NO_HOST_PATH, value
            if inner[-1] == "serviceAccountName" and len(inner) > 1:  # of a PodSpec in Kubernetes' own words
                yield from self._account((*path, *inner), str(value))

    def _account(self, path: Path, name: str) -> Iterator[tuple[Path, str, Any]]:
        if not _matches(name, self.service_accounts):
            yield path, account_sentence(self.service_accounts), name

    def _is_reached(self, url: str, domain: str) -> bool:
        if url.startswith(INFERENCE_SERVICE_SCHEME):
            return True
        try:
            host = (urlsplit(url).hostname or "").rstrip(".")
        except ValueError:  # no address in its brackets
            host = ""
        return host.endswith((".svc", f".svc.{domain}")) or _matches(host, self.external_endpoints)


def _matches(text: str, patterns: Patterns) -> bool:
    return any(re.fullmatch(re.escape(one).replace(r"\*", ".*"), text) for one in patterns)


def _remote_code(document: Any) -> Iterator[tuple[Path, str]]:
    """Texts that may bring code: each by itself, or with the item behind it in its list, which may be its value."""
    texts = [(path, str(value).replace("\n", " ")) for path, value in _leaves(document)]
    alone = {path for path, text in texts if _brings_code(text)}
    yield from ((path, text) for path, text in texts if path in alone)
    for (path, text), (following, behind) in pairwise(texts):
        in_one_list = path[:-1] == following[:-1] and isinstance(path[-1], int)
        if in_one_list and alone.isdisjoint((path, following)) and _brings_code(f"{text}\n{behind}"):
            yield path, f"{text} {behind}"


def _brings_code(text: str) -> bool:
    return any(re.search(pattern, text) for pattern in REMOTE_CODE)


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """What is no mapping and no list in a document of plain JSON values, or an empty one; each with its path."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list) and value:
        for position, item in enumerate(value):
            yield from _leaves(item, (*path, position))
    elif value is not None:
        yield path, value
