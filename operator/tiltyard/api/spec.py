"""What the user requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from tiltyard.api.base import MAP_BY_NAME, REQUIRED_IN_CLUSTER, ApiModel
from tiltyard.api.battles import Battles
from tiltyard.api.curation import Curation
from tiltyard.api.dataset import Dataset
from tiltyard.api.evaluation import Evaluation
from tiltyard.api.fields import Path, closest, did_you_mean, listed, walk
from tiltyard.api.instructions import Instructions
from tiltyard.api.jobs import Jobs
from tiltyard.api.judging import Judging
from tiltyard.api.jury import FIELD_RULES
from tiltyard.api.output import Output
from tiltyard.api.participant import Endpoint, ModelSource, Participant
from tiltyard.api.pods import KeyReference, secret_variable
from tiltyard.api.prices import Prices
from tiltyard.api.problems import path_text
from tiltyard.api.rating import Rating
from tiltyard.api.request import Header
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import Count, Seconds
from tiltyard.api.serving import LLM, ModelServing, Serving
from tiltyard.api.shapes import Whole
from tiltyard.api.training import Training
from tiltyard.api.weights import Weights
from tiltyard_jobs.contracts.benchmarks import BENCHMARKS


def _something_to_score(spec: TournamentSpec) -> Iterator[Violation]:
    evaluation, models = spec.evaluation, any(competitor.answers is None for competitor in spec.competitors)
    if evaluation is not None and spec.training is None and not (evaluation.competitors and models):
        yield Violation(("training",), "an evaluation alone")


SOMETHING_TO_SCORE: Rule[TournamentSpec] = Rule(
    sentence="must be set for an evaluation, unless evaluation.competitors is true and a competitor has a model",
    check=_something_to_score,
    cel="!has(self.evaluation) || has(self.training) || (self.evaluation.competitors"
    " && self.competitors.exists(c, !has(c.answers)))",
    field_path=".training",
)


def _known_benchmarks(spec: TournamentSpec) -> Iterator[Violation]:
    known = {*BENCHMARKS, *(task.name for task in (spec.evaluation.lm_eval if spec.evaluation is not None else ()))}
    for position, name in enumerate(spec.curation.decontaminate or ()):
        if name not in known:
            yield Violation(("curation", "decontaminate", position), f'"{name}"{did_you_mean(closest(name, known))}')


KNOWN_BENCHMARKS: Rule[TournamentSpec] = Rule(
    sentence=f"must be {', '.join(BENCHMARKS)} or a task of evaluation.lmEval",
    check=_known_benchmarks,
    cel=f"!has(self.curation.decontaminate) || self.curation.decontaminate.all(n, n in {list(BENCHMARKS)}"
    " || (has(self.evaluation) && has(self.evaluation.lmEval) && self.evaluation.lmEval.exists(t, t.name == n)))",
    field_path=".curation.decontaminate",
)


def _something_to_learn(spec: TournamentSpec) -> Iterator[Violation]:
    if spec.training is None:
        return
    needed = ("Sft", "Preference") if spec.training.method == "SftThenDpo" else ("Sft",)
    if missing := [name for name in needed if name not in spec.dataset.formats]:
        yield Violation(("dataset", "formats"), f"{spec.training.method} without {' and '.join(missing)}")


SOMETHING_TO_LEARN: Rule[TournamentSpec] = Rule(
    sentence="must contain Sft for training, and also Preference for SftThenDpo",
    check=_something_to_learn,
    cel="!has(self.training) || ('Sft' in self.dataset.formats"
    " && (self.training.method == 'Sft' || 'Preference' in self.dataset.formats))",
    field_path=".dataset.formats",
)


def _shared_variables(spec: TournamentSpec) -> Iterator[Violation]:
    first: dict[str, tuple[Path, KeyReference]] = {}
    for path, secret in _secrets(spec):
        variable = secret_variable(secret)
        place, other = first.setdefault(variable, (path, secret))
        if other != secret:
            given = f"{secret.name}/{secret.key}: {variable} holds {other.name}/{other.key} of spec.{path_text(place)}"
            yield Violation(path, given)


def _secrets(spec: TournamentSpec) -> Iterator[tuple[Path, KeyReference]]:
    for path, model in walk(spec):
        if isinstance(model, Endpoint) and model.api_key_secret_ref is not None:
            yield (*path, "apiKeySecretRef"), model.api_key_secret_ref
        if isinstance(model, Header) and model.value_secret_ref is not None:
            yield (*path, "valueSecretRef"), model.value_secret_ref
        if isinstance(model, Weights) and model.token_secret_ref is not None:
            yield (*path, "tokenSecretRef"), model.token_secret_ref


SHARED_VARIABLES: Rule[TournamentSpec] = Rule(
    sentence="must not share its environment variable with another API key or header: rename the Secret or its key",
    check=_shared_variables,  # CEL would compare every two of 65 references, text by text: left to Python
)


def _one_node_at_a_time(spec: TournamentSpec) -> Iterator[Violation]:
    claim = spec.serving.weights.claim if spec.serving.weights is not None else None
    if claim is None or claim.size is None or claim.access_mode == "ReadWriteMany":
        return
    served: list[tuple[Path, Weights | None, ModelServing | None]] = [
        ((*path, "serving"), one.model, one.serving) for path, one in walk(spec) if isinstance(one, Participant)
    ]
    if spec.training is not None and spec.evaluation is not None:
        served.append((("evaluation", "serving"), spec.training.base_model, spec.evaluation.serving))
    for path, model, serving in served:
        if model is not None and model.is_on_hub and serving is not None and serving.replicas * serving.nodes > 1:
            field = "replicas" if serving.replicas > 1 else "parallelism"
            nodes = f"{serving.replicas}" if serving.replicas > 1 else f"{serving.nodes} nodes"
            yield Violation((*path, field), f"{nodes} and accessMode {claim.access_mode}")


CLAIM_OF_REPLICAS: Rule[TournamentSpec] = Rule(
    "needs a weights claim that several nodes can mount: set serving.weights.claim.accessMode to ReadWriteMany, if the"
    " storage class has it",
    _one_node_at_a_time,
)


def _cached(spec: TournamentSpec) -> Iterator[tuple[Path, Weights]]:
    """The weights that KServe's cache downloads; the trainer downloads a base model that is not served by itself."""
    if spec.serving.weights is not None and spec.serving.weights.cache is not None:
        for path, model in walk(spec):
            if isinstance(model, Weights) and (isinstance(model, ModelSource) or spec.evaluation is not None):
                yield path, model


def _tokens_of_cache(spec: TournamentSpec) -> Iterator[Violation]:
    for path, model in _cached(spec):
        if model.token_secret_ref is not None:
            yield Violation((*path, "tokenSecretRef"), model.token_secret_ref.name)


def _mirrors_of_cache(spec: TournamentSpec) -> Iterator[Violation]:
    for path, model in _cached(spec):
        if model.endpoint is not None:
            yield Violation((*path, "servedFrom"), f'"{model.served_from}"')


TOKEN_OF_CACHE: Rule[TournamentSpec] = Rule(
    "must not be set with serving.weights.cache, whose downloads are KServe's own: attach the Secret to the service"
    " account that cache.serviceAccountName names, or use serving.weights.claim",
    _tokens_of_cache,
)
MIRROR_OF_CACHE: Rule[TournamentSpec] = Rule(
    "must not name a mirror of the hub with serving.weights.cache, whose downloads are KServe's own: use"
    " serving.weights.claim",
    _mirrors_of_cache,
)


def _weights_of_llm(spec: TournamentSpec) -> Iterator[Violation]:
    kept = spec.serving.weights
    for one in (*spec.competitors, *spec.judges):
        if kept is None or not one.is_llm or one.model is None or not one.model.is_on_hub:
            continue
        if kept.cache is not None or one.serving_or_default.worker is not None:
            yield Violation(("serving", "weights"), f"for {one.name}")
            return


WEIGHTS_OF_LLM: Rule[TournamentSpec] = Rule(
    f"must be a claim where a model is an {LLM}, and must not be set where that has a worker of its own, whose weights"
    " KServe brings",
    _weights_of_llm,
)


def _priced_endpoints(spec: TournamentSpec) -> Iterator[Violation]:
    known = [one.name for one in (*spec.competitors, *spec.judges) if one.endpoint is not None]
    for position, price in enumerate(spec.prices.endpoints if spec.prices is not None else ()):
        if price.name not in known:
            given = f'"{price.name}" where {listed(known) if known else "no participant"} has an endpoint'
            yield Violation(("prices", "endpoints", position, "name"), given)


PRICED_ENDPOINTS: Rule[TournamentSpec] = Rule(
    "must be the name of a competitor or judge with an endpoint; the price of a served model is that of its GPU-hours",
    _priced_endpoints,
    cel="!has(self.prices) || !has(self.prices.endpoints) || self.prices.endpoints.all(e,"
    " self.competitors.exists(p, has(p.endpoint) && p.name == e.name)"
    " || (has(self.judges) && self.judges.exists(p, has(p.endpoint) && p.name == e.name)))",
    field_path=".prices.endpoints",
)


class TournamentSpec(ApiModel):
    """What the user requests."""

    RULES = (
        *FIELD_RULES,
        SOMETHING_TO_SCORE,
        KNOWN_BENCHMARKS,
        SOMETHING_TO_LEARN,
        SHARED_VARIABLES,
        CLAIM_OF_REPLICAS,
        TOKEN_OF_CACHE,
        MIRROR_OF_CACHE,
        PRICED_ENDPOINTS,
    )
    CLUSTER_RULES = (WEIGHTS_OF_LLM,)

    suspend: bool = False
    """Whether the tournament is suspended: Jobs are suspended, models are stopped, artifacts are kept. Set it to
    false to continue. Default: false."""
    seed: Count = 0
    """The seed. Every random choice derives from it and from record ids. Default: 0."""
    competitors: Annotated[tuple[Participant, ...], Field(min_length=2, max_length=32, json_schema_extra=MAP_BY_NAME)]
    """The competitors, 2 to 32: models, and existing answers."""
    judges: Annotated[tuple[Participant, ...], Field(max_length=32, json_schema_extra=MAP_BY_NAME)] = ()
    """Neutral judges. Empty: each competitor judges the battles of the others, as in the paper, which takes at least
    three competitors. No model ever judges its own battles."""
    instructions: Instructions
    """Where the instructions come from."""
    curation: Curation = Curation()
    """How raw instructions are reduced to those that are answered."""
    battles: Battles = Battles()
    """Which answers are compared, how they are requested and how battles are judged."""
    judging: Judging = Judging()
    """What is known of the judges besides what they say in this tournament."""
    rating: Rating = Rating()
    """How votes become ratings and gold answers."""
    dataset: Dataset = Dataset()
    """Training data built from the winning answers."""
    training: Training | None = None
    """Fine-tuning of a target model on the training data. Absent: the tournament ends with the training data."""
    evaluation: Evaluation | None = None
    """Evaluation of the base model and the trained model, and of the competitors if asked, on benchmarks. Absent:
    none."""
    serving: Serving = Serving()
    """How many models run at once, and how long one may take to start."""
    jobs: Jobs = Jobs()
    """How the work is divided into Jobs."""
    prices: Prices | None = None
    """What GPUs and endpoints cost, so that plans, statuses and the report say what the tournament costs. Absent: they
    show only tokens and GPU-hours."""
    output: Annotated[Output | None, Field(json_schema_extra=REQUIRED_IN_CLUSTER)] = None
    """Where artifacts are kept. On one machine a folder (`--out DIR`) may replace it."""
    active_deadline_seconds: Annotated[int, Whole(1, 2**31 - 1)] | None = None
    """The time in seconds after which the tournament has failed: time spent waiting counts, time suspended does not.
    Absent: no limit."""
    ttl_seconds_after_finished: Seconds | None = None
    """The time in seconds after which the Jobs and models of a finished tournament are deleted. The Tournament
    itself and its artifacts are never deleted. Absent: Jobs and models stay."""
