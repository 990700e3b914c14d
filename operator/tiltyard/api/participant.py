"""A model that takes part: a competitor or a neutral judge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from tiltyard.api.base import ApiModel
from tiltyard.api.identity import identity_options
from tiltyard.api.pods import KeyReference
from tiltyard.api.request import ParticipantRequest, authorizations
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import EndpointUrl, Line, ModelUri, ParticipantName, Prefix, Stop, Word
from tiltyard.api.serving import ModelServing
from tiltyard.api.shapes import Distinct
from tiltyard.api.thoughts import ThoughtMarks
from tiltyard.api.weights import Weights
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipes import BASE_MODEL, TRAINED_MODEL


class ModelSource(Weights):
    """A model that is served for the tournament."""

    uri: ModelUri
    """Where the model is: hf://ORG/NAME, s3://, pvc://, gs://, oci:// or https://; sim://NAME?PARAMETERS for a
    simulated expert; on one machine also file:///PATH."""


class Endpoint(ApiModel):
    """An OpenAI-compatible server that is already running. Tiltyard neither starts nor stops it."""

    url: EndpointUrl
    """The base URL of the API, including /v1; or kserve://[NAMESPACE/]NAME for an InferenceService of the cluster,
    with ?path=/openai/v1 if that is where it serves."""
    model: Line
    """The name under which the server offers the model."""
    api_key_secret_ref: KeyReference | None = None
    """The Secret entry that holds the API key. Absent: no key is sent."""

    @property
    def identity_uri(self) -> str:
        """`URL#model`, without a slash at the URL's end."""
        return f"{self.url.rstrip('/')}#{self.model}"


def _one_source(participant: Participant) -> Iterator[Violation]:
    given = [name for name in ("model", "endpoint") if getattr(participant, name) is not None]
    if len(given) != 1:
        yield Violation((), " and ".join(given) or "neither")


def _nothing_to_serve(participant: Participant) -> Iterator[Violation]:
    if participant.endpoint is not None and participant.serving is not None:
        yield Violation(("serving",), "both endpoint and serving")


def _own_name(participant: Participant) -> Iterator[Violation]:
    if participant.name in (BASE_MODEL, TRAINED_MODEL):
        yield Violation(("name",), f'"{participant.name}"')


ONE_SOURCE: Rule[Participant] = Rule(
    sentence="must have exactly one of model (served for the tournament) and endpoint (already running)",
    check=_one_source,
    cel="has(self.model) != has(self.endpoint)",
)
NOTHING_TO_SERVE: Rule[Participant] = Rule(
    sentence="must not be set with an endpoint, which is already running; remove one of the two",
    check=_nothing_to_serve,
    cel="!(has(self.endpoint) && has(self.serving))",
    field_path=".serving",
)


OWN_NAME: Rule[Participant] = Rule(
    sentence=f"must not be {BASE_MODEL} or {TRAINED_MODEL}: these names are reserved for training",
    check=_own_name,
    cel=f"self.name != '{BASE_MODEL}' && self.name != '{TRAINED_MODEL}'",
    field_path=".name",
)


def _headers_of_endpoint(participant: Participant) -> Iterator[Violation]:
    request = participant.request
    if request is None or participant.endpoint is not None:
        return
    if request.headers:
        yield Violation(("request", "headers"), f"{len(request.headers)} for a model")
    if request.ca_bundle is not None:
        yield Violation(("request", "caBundle"), "one for a model")


def _key_and_authorization(participant: Participant) -> Iterator[Violation]:
    endpoint, request = participant.endpoint, participant.request
    if endpoint is None or endpoint.api_key_secret_ref is None or request is None:
        return
    yield from authorizations(request)


HEADERS_OF_ENDPOINT: Rule[Participant] = Rule(
    sentence="must not be set without an endpoint: a model that Tiltyard serves needs none",
    check=_headers_of_endpoint,
    cel="has(self.endpoint) || !has(self.request) || !(has(self.request.caBundle)"
    " || (has(self.request.headers) && size(self.request.headers) > 0))",
    field_path=".request",
)
ONE_AUTHORIZATION: Rule[Participant] = Rule(
    sentence="must not be Authorization where endpoint.apiKeySecretRef sets it: remove one of the two",
    check=_key_and_authorization,
    cel="!has(self.endpoint) || !has(self.endpoint.apiKeySecretRef) || !has(self.request)"
    " || !has(self.request.headers) || !self.request.headers.exists(h, h.name.matches('^(?i)authorization$'))",
    field_path=".request.headers",
)


class Participant(ApiModel):
    """A competitor or a neutral judge."""

    RULES = (ONE_SOURCE, NOTHING_TO_SERVE, OWN_NAME, HEADERS_OF_ENDPOINT, ONE_AUTHORIZATION)

    name: ParticipantName
    """The participant's name in this tournament: a DNS label of at most 32 characters."""
    model: ModelSource | None = None
    """The model to serve."""
    family: Word | None = None
    """What makes it kin to other models: the report card says whether a judge favours its own family. Absent: the
    first word of the model's name without its version, such as qwen for Qwen2.5-7B-Instruct-AWQ."""
    serving: ModelServing | None = None
    """How `model` is served. Absent: all defaults."""
    endpoint: Endpoint | None = None
    """A server that is already running, instead of `model`."""
    request: ParticipantRequest | None = None
    """What is added to the requests to the model."""
    chat_template_prefix: Prefix | None = None
    """The text before the user's words in the model's chat template; instructions are mined by completing it.
    Absent: it is derived from the served model's own chat template, checked and recorded."""
    chat_template_stops: Annotated[tuple[Stop, ...], Field(min_length=1, max_length=4), Distinct()] | None = None
    """The texts at which a mined instruction ends, such as <|im_end|>. Absent: what the served model's own chat
    template puts after the user's words, and the tokens that open the next turn."""
    thought_marks: ThoughtMarks | None = None
    """The marks around the model's thoughts, where they are none of the usual ones and its server leaves them in the
    text. They are part of the model's identity."""

    @property
    def serving_or_default(self) -> ModelServing:
        """How the model is served, defaults filled in."""
        return self.serving or ModelServing()

    def identity(self) -> ModelIdentity:
        """What its replies depend on: never its name, its licence, its resources or the number of replicas.

        For a model the uri, the revision and the arguments of `serving.args` that can change replies (see
        `tiltyard.api.identity`); for an endpoint `URL#model`; for both what is added to requests, and
        the marks of its thoughts.
        """
        extra = self.request.identity if self.request is not None else ""
        marks = self.thought_marks.identity if self.thought_marks is not None else ()
        if self.endpoint is not None:
            return ModelIdentity(uri=self.endpoint.identity_uri, extra_body=extra, thought_marks=marks)
        if self.model is None:
            raise ValueError(f"{self.name} has neither model nor endpoint")  # no valid manifest holds one
        options = identity_options(self.serving.args) if self.serving is not None else ()
        return ModelIdentity(
            uri=self.model.uri,
            revision=self.model.revision,
            options=options,
            extra_body=extra,
            thought_marks=marks,
        )
