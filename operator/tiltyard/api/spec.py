"""What a user asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from tiltyard.api.base import MAP_BY_NAME, REQUIRED_IN_CLUSTER, ApiModel
from tiltyard.api.battles import Battles
from tiltyard.api.curation import Curation
from tiltyard.api.dataset import Dataset
from tiltyard.api.evaluation import Evaluation
from tiltyard.api.fields import Path, walk
from tiltyard.api.instructions import Instructions
from tiltyard.api.jobs import Jobs
from tiltyard.api.jury import FIELD_RULES
from tiltyard.api.output import Output
from tiltyard.api.participant import Endpoint, Participant
from tiltyard.api.pods import KeyReference, secret_variable
from tiltyard.api.problems import path_text
from tiltyard.api.rating import Rating
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import Count, Seconds
from tiltyard.api.serving import Serving
from tiltyard.api.shapes import Whole
from tiltyard.api.training import Training


def _something_to_score(spec: TournamentSpec) -> Iterator[Violation]:
    if spec.evaluation is not None and spec.training is None and not spec.evaluation.competitors:
        yield Violation(("training",), "an evaluation alone")


SOMETHING_TO_SCORE: Rule[TournamentSpec] = Rule(
    sentence="without training there is nothing to evaluate; set evaluation.competitors to true, or remove evaluation",
    check=_something_to_score,
    cel="!has(self.evaluation) || has(self.training) || self.evaluation.competitors",
    field_path=".training",
)


def _something_to_learn(spec: TournamentSpec) -> Iterator[Violation]:
    if spec.training is None:
        return
    needed = ("Sft", "Preference") if spec.training.method == "SftThenDpo" else ("Sft",)
    if missing := [name for name in needed if name not in spec.dataset.formats]:
        yield Violation(("dataset", "formats"), f"{spec.training.method} without {' and '.join(missing)}")


SOMETHING_TO_LEARN: Rule[TournamentSpec] = Rule(
    sentence="training learns from the dataset: formats must have Sft, and for SftThenDpo also Preference",
    check=_something_to_learn,
    cel="!has(self.training) || ('Sft' in self.dataset.formats"
    " && (self.training.method == 'Sft' || 'Preference' in self.dataset.formats))",
    field_path=".dataset.formats",
)


def _shared_variables(spec: TournamentSpec) -> Iterator[Violation]:
    first: dict[str, tuple[Path, KeyReference]] = {}
    for path, secret in _api_keys(spec):
        variable = secret_variable(secret)
        place, other = first.setdefault(variable, (path, secret))
        if other != secret:
            given = f"{secret.name}/{secret.key}: {variable} holds {other.name}/{other.key} of spec.{path_text(place)}"
            yield Violation(path, given)


def _api_keys(spec: TournamentSpec) -> Iterator[tuple[Path, KeyReference]]:
    for path, endpoint in walk(spec):
        if isinstance(endpoint, Endpoint) and endpoint.api_key_secret_ref is not None:
            yield (*path, "apiKeySecretRef"), endpoint.api_key_secret_ref


OWN_VARIABLES: Rule[TournamentSpec] = Rule(
    sentence="an API key must not share its environment variable with another one: rename the secret or its key",
    check=_shared_variables,  # CEL would compare every two of 65 references, text by text: left to Python
)


class TournamentSpec(ApiModel):
    """What a user asks for."""

    RULES = (*FIELD_RULES, SOMETHING_TO_SCORE, SOMETHING_TO_LEARN, OWN_VARIABLES)

    suspend: bool = False
    """True: Jobs are suspended and models stopped, artifacts are kept; false again: it goes on. Default: false."""
    seed: Count = 0
    """Every random choice derives from it and from record ids. Default: 0."""
    competitors: Annotated[tuple[Participant, ...], Field(min_length=2, max_length=32, json_schema_extra=MAP_BY_NAME)]
    """The models that play, 2 to 32."""
    judges: Annotated[tuple[Participant, ...], Field(max_length=32, json_schema_extra=MAP_BY_NAME)] = ()
    """Neutral judges. Empty: each competitor judges the matches of the others (the paper's rule), which takes three
    competitors. Always: nobody judges a match that it plays in."""
    instructions: Instructions
    """Where the instructions come from."""
    curation: Curation = Curation()
    """From raw instructions to those that battles are fought over."""
    battles: Battles = Battles()
    """Who meets whom, how they answer and how a match is judged."""
    rating: Rating = Rating()
    """From votes to ratings and gold answers."""
    dataset: Dataset = Dataset()
    """Training data made of the winners' answers."""
    training: Training | None = None
    """Fine-tuning a target model on the data; absent: stop at the dataset."""
    evaluation: Evaluation | None = None
    """Benchmarks of the base and the trained model; absent: none."""
    serving: Serving = Serving()
    """How many models are up at once."""
    jobs: Jobs = Jobs()
    """How the work is cut into Jobs."""
    output: Annotated[Output | None, Field(json_schema_extra=REQUIRED_IN_CLUSTER)] = None
    """Where artifacts are kept. On one machine a folder may stand in for it."""
    active_deadline_seconds: Annotated[int, Whole(1, 2**31 - 1)] | None = None
    """A tournament that is at work for longer has failed; absent: no limit."""
    ttl_seconds_after_finished: Seconds | None = None
    """The children of a finished tournament are deleted after this time, never the Tournament itself and never an
    artifact; absent: they stay."""
