"""What is added to the requests to a model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import Field, JsonValue

from tiltyard.api.base import MAP_BY_NAME, ApiModel
from tiltyard.api.pods import KeyReference
from tiltyard.api.problems import given_text
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import FileUri, HeaderName, HeaderText, Stop
from tiltyard.api.shapes import Distinct, JsonObject

_SAMPLING = "spec.battles.answer and spec.instructions.mine"
_INSTEAD = {
    "model": "endpoint.model or model.uri",
    **dict.fromkeys(("messages", "prompt", "suffix"), "system messages and criteria of the stages"),
    **dict.fromkeys(("n", "best_of", "use_beam_search"), "spec.instructions.mine.perCompetitor for more instructions"),
    **dict.fromkeys(("stream", "stream_options", "echo"), "nothing: each reply is read as a whole"),
    **dict.fromkeys(("tools", "tool_choice", "functions", "function_call"), "nothing: a reply is text"),
    "seed": "spec.seed",
    "temperature": f"temperature of {_SAMPLING}",
    "top_p": f"topP of {_SAMPLING}",
    **dict.fromkeys(("max_tokens", "max_completion_tokens"), "maxTokens of the stage"),
    "stop": "request.stop for replies, chatTemplateStops for mined instructions",
    **dict.fromkeys(("stop_token_ids", "skip_special_tokens"), "chatTemplateStops"),
    **dict.fromkeys(("response_format", "logprobs", "top_logprobs"), "spec.battles.verdict.method"),
}
"""What Tiltyard sets in a request itself, or could not do with; and what to use in its place."""


def _set_by_us(request: ExtraRequest) -> Iterator[Violation]:
    for name, value in (request.extra_body or {}).items():
        if name in _INSTEAD:
            yield Violation(("extraBody", name), f"{given_text(value)}; use {_INSTEAD[name]}")


SET_BY_US: Rule[ExtraRequest] = Rule(
    sentence="must not be here, since Tiltyard sets it",
    check=_set_by_us,  # CEL does not see into an object that the CRD leaves open: left to Python
)


class ExtraRequest(ApiModel):
    """What is added to the requests to a model."""

    RULES: ClassVar[tuple[Rule[Any], ...]] = (SET_BY_US,)

    extra_body: Annotated[dict[str, JsonValue], JsonObject(4096)] | None = None
    """Members that are added to each request for text, for example `chat_template_kwargs: {enable_thinking: false}` or
    `reasoning_effort: low`. They are part of the model's identity. What Tiltyard sets itself (the model, the messages,
    the sampling, the token limit) is refused here."""
    stop: Annotated[tuple[Stop, ...], Field(min_length=1, max_length=4), Distinct()] | None = None
    """The texts at which the model's answers, grades and verdicts end, for example `["\\nUser:"]` for a base model that
    goes on to write the next question. They are part of the model's identity. Absent: a reply ends where the model ends
    it. Mined instructions end at `chatTemplateStops`."""

    @property
    def identity(self) -> str:
        """The added members in one form; empty where there are none."""
        body = self.extra_body
        return json.dumps(body, sort_keys=True, separators=(",", ":")) if body else ""


# What HTTP and Tiltyard set; and what opens doors, which a manifest would show to all who may read it.
_OUR_HEADERS = "^(?i)(host|connection|expect|trailer|upgrade|user-agent|accept-encoding|content-.*|transfer-.*)$"
_CREDENTIALS = "^(?i)(authorization|proxy-authorization|cookie|(.*-)?(api-?key|token|secret))$"


def _one_value(header: Header) -> Iterator[Violation]:
    given = [name for name in ("value", "value_secret_ref") if getattr(header, name) is not None]
    if len(given) != 1:
        yield Violation((), "both" if given else "neither")


def _our_header(header: Header) -> Iterator[Violation]:
    if _matches(_OUR_HEADERS, header.name):
        yield Violation(("name",), f'"{header.name}"')


def _shown_credential(header: Header) -> Iterator[Violation]:
    if header.value is not None and _matches(_CREDENTIALS, header.name):
        yield Violation(("value",), f"a value of {header.name}")


def _matches(pattern: str, name: str) -> bool:
    return re.search(pattern.replace("(?i)", ""), name, re.IGNORECASE) is not None


ONE_VALUE: Rule[Header] = Rule(
    sentence="must have exactly one of value and valueSecretRef",
    check=_one_value,
    cel="has(self.value) != has(self.valueSecretRef)",
)
OUR_HEADER: Rule[Header] = Rule(
    sentence="must not be a header that HTTP or Tiltyard sets: remove it",
    check=_our_header,
    cel=f"!self.name.matches('{_OUR_HEADERS}')",
    field_path=".name",
)
SHOWN_CREDENTIAL: Rule[Header] = Rule(
    sentence="must come from a Secret: use valueSecretRef in place of value",
    check=_shown_credential,
    cel=f"!has(self.value) || !self.name.matches('{_CREDENTIALS}')",
    field_path=".value",
)


class Header(ApiModel):
    """A header that is sent with each request. No value is logged, nor written into a status or an artifact."""

    RULES = (ONE_VALUE, OUR_HEADER, SHOWN_CREDENTIAL)

    name: HeaderName
    """The header's name."""
    value: HeaderText | None = None
    """The header's value. For a credential use `valueSecretRef`."""
    value_secret_ref: KeyReference | None = None
    """The Secret entry that holds the header's value. On one machine it comes from the environment variable
    TILTYARD_SECRET_NAME_KEY, as an API key does."""


def _one_source(bundle: CaBundle) -> Iterator[Violation]:
    given = [name for name in ("config_map_ref", "secret_ref", "file") if getattr(bundle, name) is not None]
    if len(given) != 1:
        yield Violation((), f"{len(given)} of them")


def _file(bundle: CaBundle) -> Iterator[Violation]:
    if bundle.file is not None:
        yield Violation(("file",), f'"{bundle.file}"')


ONE_CA_SOURCE: Rule[CaBundle] = Rule(
    sentence="must have exactly one of configMapRef, secretRef and file",
    check=_one_source,
    cel="(has(self.configMapRef) ? 1 : 0) + (has(self.secretRef) ? 1 : 0) + (has(self.file) ? 1 : 0) == 1",
)
NO_CA_FILE: Rule[CaBundle] = Rule(
    sentence="must not be set on a cluster, which does not see it; use configMapRef or secretRef",
    check=_file,
    cel="!has(self.file)",
    field_path=".file",
)


class CaBundle(ApiModel):
    """The CA certificates (PEM) that are trusted instead of the system's."""

    RULES = (ONE_CA_SOURCE,)
    CLUSTER_RULES = (NO_CA_FILE,)

    config_map_ref: KeyReference | None = None
    """The entry of a ConfigMap, on a cluster."""
    secret_ref: KeyReference | None = None
    """The entry of a Secret, on a cluster."""
    file: FileUri | None = None
    """The file, on one machine: file:///PATH, or file://./PATH from the manifest's folder."""


def _same_header(request: EndpointRequest) -> Iterator[Violation]:
    seen = set[str]()
    for place, header in enumerate(request.headers):
        if header.name.lower() in seen:
            yield Violation(("headers", place, "name"), f'"{header.name}"')
        seen.add(header.name.lower())


EACH_HEADER_ONCE: Rule[EndpointRequest] = Rule(
    sentence="must be unique: header names are case-insensitive",
    check=_same_header,  # the CRD has the list's keys, which tell capitals apart
)


class EndpointRequest(ApiModel):
    """What the requests to an endpoint need besides a key."""

    RULES: ClassVar[tuple[Rule[Any], ...]] = (EACH_HEADER_ONCE,)

    headers: Annotated[tuple[Header, ...], Field(max_length=16, json_schema_extra=MAP_BY_NAME)] = ()
    """Headers that are sent with each request to the endpoint. They are not part of the model's identity."""
    ca_bundle: CaBundle | None = None
    """The CA certificates (PEM) by which the endpoint's certificate is checked, instead of the system's."""


def authorizations(request: EndpointRequest) -> Iterator[Violation]:
    """A header that an API key sets."""
    for place, header in enumerate(request.headers):
        if header.name.lower() == "authorization":
            yield Violation(("request", "headers", place), f"{header.name} and apiKeySecretRef")


class ParticipantRequest(EndpointRequest, ExtraRequest):
    """What is added to the requests to a participant."""

    RULES: ClassVar[tuple[Rule[Any], ...]] = (*ExtraRequest.RULES, *EndpointRequest.RULES)
