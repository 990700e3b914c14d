"""Who takes part: a competitor or a neutral judge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import Field

from tiltyard.api.answers import ExistingAnswers
from tiltyard.api.base import ApiModel
from tiltyard.api.fields import closest, did_you_mean
from tiltyard.api.identity import identity_options
from tiltyard.api.pods import KeyReference
from tiltyard.api.problems import given_text
from tiltyard.api.request import ParticipantRequest, authorizations
from tiltyard.api.rules import Rule, Violation, no_file_uri
from tiltyard.api.scalars import (
    EndpointUrl,
    Line,
    ModelUri,
    ParticipantName,
    Prefix,
    Stop,
    TokenizerUri,
    Word,
)
from tiltyard.api.serving import LLM, ModelServing
from tiltyard.api.shapes import Distinct
from tiltyard.api.thoughts import ThoughtMarks
from tiltyard.api.weights import Weights
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipes import BASE_MODEL, TRAINED_MODEL
from tiltyard_jobs.contracts.simulated import RANGES, parameters_of


def _simulated(source: ModelSource) -> Iterator[Violation]:
    if not source.uri.startswith("sim://"):
        return
    for parameter in parameters_of(source.uri):
        meant = closest(parameter.key, RANGES) if parameter.unknown else None
        if meant is not None:
            yield Violation(("uri",), f"{given_text(parameter.key)}{did_you_mean(meant)}")
        elif parameter.problem:
            yield Violation(("uri",), f'"{source.uri}": {parameter.problem}')


# A name with an escape (%) in it is left to Python, and so are values.
_PARAMETER = "|".join([*(name.replace(".", "[.]") for name in RANGES), "[^=&]*%[^=&]*"])
KNOWN_PARAMETERS: Rule[ModelSource] = Rule(
    "must have only parameters that a simulated expert takes, each once and with a value that it takes",
    _simulated,
    cel=f"!self.uri.startsWith('sim://') || self.uri.matches('^[^?]*([?](({_PARAMETER})=[^&]*(&|$))+)?$')",
    field_path=".uri",
)


class ModelSource(Weights):
    """A model that is served for the tournament."""

    RULES: ClassVar[tuple[Rule[Any], ...]] = (*Weights.RULES, KNOWN_PARAMETERS)

    uri: ModelUri
    """Where the model is: hf://ORG/NAME, s3://, pvc://, gs://, oci:// or https://; sim://NAME?PARAMETERS for a
    simulated expert; on one machine also file:///PATH."""


class Tokenizer(ApiModel):
    """Where a model's tokenizer is, with its chat template."""

    CLUSTER_RULES = (no_file_uri("must not be file:// on a cluster; use hf://"),)

    uri: TokenizerUri
    """The repository of the Hugging Face hub, hf://ORG/NAME; on one machine also a folder: file:///PATH, or
    file://./PATH from the manifest's folder. Its chat template is read, from chat_template.jinja,
    tokenizer_config.json or chat_template.json; no weights are."""
    revision: Word | None = None
    """The revision of the repository, for example a commit. Absent: the newest one."""


class Endpoint(ApiModel):
    """An OpenAI-compatible server that is already running. Tiltyard neither starts nor stops it."""

    url: EndpointUrl
    """The base URL of the API, including /v1; where it has another ending, such as /v1beta/openai, with
    /chat/completions behind it; or kserve://[NAMESPACE/]NAME for an InferenceService of the cluster,
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
    given = [name for name in ("model", "endpoint", "answers") if getattr(participant, name) is not None]
    if len(given) != 1:
        yield Violation((), " and ".join(given) or "none")


def _nothing_to_serve(participant: Participant) -> Iterator[Violation]:
    if participant.endpoint is not None and participant.serving is not None:
        yield Violation(("serving",), "both endpoint and serving")


def _never_asked(participant: Participant) -> Iterator[Violation]:
    if participant.answers is None:
        return
    for name in _OF_A_MODEL:
        if getattr(participant, name) is not None:
            yield Violation((type(participant).model_fields[name].alias or name,), "one beside answers")


def _own_name(participant: Participant) -> Iterator[Violation]:
    if participant.name in (BASE_MODEL, TRAINED_MODEL):
        yield Violation(("name",), f'"{participant.name}"')


ONE_SOURCE: Rule[Participant] = Rule(
    sentence="must have exactly one of model (served for the tournament), endpoint (already running) and answers (that"
    " exist already)",
    check=_one_source,
    cel="[has(self.model), has(self.endpoint), has(self.answers)].filter(given, given).size() == 1",
)
NOTHING_TO_SERVE: Rule[Participant] = Rule(
    sentence="must not be set with an endpoint, which is already running; remove one of the two",
    check=_nothing_to_serve,
    cel="!(has(self.endpoint) && has(self.serving))",
    field_path=".serving",
)


_OF_A_MODEL = ("serving", "request", "chat_template_prefix", "chat_template_stops")
NEVER_ASKED: Rule[Participant] = Rule(
    sentence="must not be set with answers, which exist already: nothing is asked; remove one of the two",
    check=_never_asked,
    cel="!has(self.answers) || !(has(self.serving) || has(self.request) || has(self.chatTemplatePrefix)"
    " || has(self.chatTemplateStops))",
    field_path=".answers",
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


def _downloaded_by_kserve(participant: Participant) -> Iterator[Violation]:
    model = participant.model
    if not participant.is_llm or model is None or participant.serving_or_default.worker is None:
        return
    if model.token_secret_ref is not None:
        yield Violation(("model", "tokenSecretRef"), f'"{model.token_secret_ref.name}"')
    if model.endpoint is not None:
        yield Violation(("model", "servedFrom"), f'"{model.served_from}"')


DOWNLOADED_BY_KSERVE: Rule[Participant] = Rule(
    "must not be a token or a mirror of the hub with serving.worker, whose pods KServe brings the weights: attach the"
    " Secret to their service account, or leave out serving.worker",
    _downloaded_by_kserve,
)


class Participant(ApiModel):
    """A competitor or a neutral judge."""

    RULES = (ONE_SOURCE, NOTHING_TO_SERVE, NEVER_ASKED, OWN_NAME, HEADERS_OF_ENDPOINT, ONE_AUTHORIZATION)
    CLUSTER_RULES = (DOWNLOADED_BY_KSERVE,)

    name: ParticipantName
    """The participant's name in this tournament: a DNS label of at most 32 characters."""
    model: ModelSource | None = None
    """The model to serve."""
    family: Word | None = None
    """The model family that it belongs to: the report card says whether a judge favours its own family. Absent: the
    first word of the model's name without its version, such as qwen for Qwen2.5-7B-Instruct-AWQ; of existing answers
    and of a model in a folder of this machine the first word of `name`."""
    serving: ModelServing | None = None
    """How `model` is served. Absent: all defaults."""
    endpoint: Endpoint | None = None
    """A server that is already running, instead of `model`."""
    answers: ExistingAnswers | None = None
    """Answers that exist already, instead of a model: such a competitor is judged and does nothing else. Only for
    competitors, and only with `instructions.from`."""
    request: ParticipantRequest | None = None
    """What is added to the requests to the model."""
    chat_template_prefix: Prefix | None = None
    """The text before the user's words in the model's chat template; instructions are mined by completing it.
    Absent: it is derived from the served model's own chat template, checked and recorded."""
    chat_template_stops: Annotated[tuple[Stop, ...], Field(min_length=1, max_length=4), Distinct()] | None = None
    """The texts at which a mined instruction ends, such as <|im_end|>. Absent: what the served model's own chat
    template puts after the user's words, and the tokens that open the next turn."""
    tokenizer: Tokenizer | None = None
    """The model's tokenizer, where its server does not provide the chat template: the text before the user's words and
    its ends are taken from the tokenizer's template instead of from the server. Absent: the server is asked."""
    thought_marks: ThoughtMarks | None = None
    """The marks around the model's thoughts, where they are none of the usual ones and its server, or the file of
    `answers`, leaves them in the text. They are part of the model's identity."""

    @property
    def license(self) -> str | None:
        """The licence of what it writes, as the manifest states it."""
        source = self.model or self.answers
        return source.license if source is not None else None

    @property
    def is_llm(self) -> bool:
        """Whether an LLMInferenceService serves it."""
        return self.serving_or_default.kind == LLM

    @property
    def serving_or_default(self) -> ModelServing:
        """How the model is served, defaults filled in."""
        return self.serving or ModelServing()

    def identity(self) -> ModelIdentity:
        """What its replies depend on: never its name, its licence, its resources or the number of replicas.

        For a model the uri, the revision and the arguments of `serving.args` that can change replies (see
        `tiltyard.api.identity`); for an endpoint `URL#model`; for both what is added to requests, where
        its replies end, and the marks of its thoughts. For existing answers the digest of their file and
        where in it they are.
        """
        extra = self.request.identity if self.request is not None else ""
        stop = (self.request.stop or ()) if self.request is not None else ()
        marks = self.thought_marks.identity if self.thought_marks is not None else ()
        if self.endpoint is not None:
            return ModelIdentity(uri=self.endpoint.identity_uri, extra_body=extra, thought_marks=marks, stop=stop)
        if self.answers is not None:
            return ModelIdentity(uri="", thought_marks=marks, answers=self.answers.described())
        if self.model is None:
            raise ValueError(f"{self.name} has no model, endpoint or answers")  # no valid manifest holds one
        options = identity_options(self.serving.args) if self.serving is not None else ()
        return ModelIdentity(
            uri=self.model.uri,
            revision=self.model.revision,
            options=options,
            extra_body=extra,
            thought_marks=marks,
            stop=stop,
        )
