"""What KServe says of an LLMInferenceService: where it is asked, and why it has no pods."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from tiltyard.observe.kinds import Object
from tiltyard.render.llm import PORT

WAITING: Final = frozenset(
    {"MinimumReplicasUnavailable", "Progressing", "ProgressDeadlineExceeded", "GroupsProgressing", "Stopped", "Unknown"}
)
"""Reasons of conditions that pods tell better, or that nobody has to act upon."""
OF_ROUTER: Final = ("GatewaysReady", "HTTPRoutesReady", "InferencePoolReady", "SchedulerWorkloadReady")


def llm_address(service: Object) -> str | None:
    """Where an LLMInferenceService is asked, without the API's path; None: KServe has not said it.

    Of several addresses one inside of the cluster comes first. Without a route KServe gives its Service's name and not
    its port.
    """
    status = service.get("status", {})
    urls = [one["url"] for one in status.get("addresses", ()) if one.get("url")]
    urls += [status["url"]] if status.get("url") else []
    if not urls:
        return None
    meta = service["metadata"]
    own = f"/{meta['namespace']}/{meta['name']}"
    url = urlsplit(min(urls, key=lambda one: (not _in_cluster(one), not urlsplit(one).path.startswith(own))))
    has_route = "route" in service.get("spec", {}).get("router", {})
    port = "" if has_route or url.port is not None else f":{PORT}"
    return f"{url.scheme}://{url.netloc}{port}{url.path.rstrip('/')}"


def llm_refusal(service: Object) -> str:
    """KServe's words of an LLMInferenceService that it makes no pods of, or that no request reaches; else empty."""
    conditions = {one["type"]: one for one in service.get("status", {}).get("conditions", ())}
    if conditions.get("Ready", {}).get("status") == "True":
        return ""
    name = service["metadata"]["name"]
    return next((words for words in _words(conditions) if not _is_passing(words, name)), "")


def _words(conditions: Object) -> Iterator[str]:
    for kind in ("PresetsCombined", "WorkloadsReady", *OF_ROUTER):
        condition = conditions.get(kind, {})
        reason = condition.get("reason", "")
        if condition.get("status") == "False" and reason not in WAITING:
            yield f"{reason}: {condition.get('message', '')}" if reason else str(condition.get("message", ""))


def _is_passing(words: str, name: str) -> bool:
    """Whether KServe's next attempt may succeed: it read what it has just made, or changed, before its cache had it."""
    return (
        "the object has been modified; please apply your changes" in words
        or re.search(rf'"{re.escape(name)}-kserve[\w-]*" not found', words) is not None
    )


def _in_cluster(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return ".svc." in f"{host}."
