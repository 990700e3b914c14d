"""Who takes part, and what a manifest names outside of itself: every endpoint, its secret, every folder of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Self

from tiltyard.api import (
    CaBundle,
    Endpoint,
    EndpointRequest,
    Header,
    KeyReference,
    ModelSource,
    Participant,
    ParticipantRequest,
    Tournament,
    Weights,
)
from tiltyard.api.fields import walk
from tiltyard.api.problems import path_text
from tiltyard.plan.curation import curation_rules
from tiltyard_jobs.contracts.recipes import BASE_MODEL, TRAINED_MODEL

TARGETS = (BASE_MODEL, TRAINED_MODEL)


class Participation(NamedTuple):
    """A model's part in a tournament.

    Attributes:
        participant: as in the manifest; the target before and after its training has none of its own there.
        field: the manifest's field: `spec.competitors[2]`.
        mines: it writes instructions.
        judges: it votes.
    """

    participant: Participant
    field: str
    mines: bool = False
    judges: bool = False

    @property
    def weights_field(self) -> str:
        """The field that names its weights."""
        source = "baseModel" if self.participant.name in TARGETS else "model"
        weights = self.participant.model
        return f"{self.field}.{source}.{'uri' if weights is None else weights.source_field}"


class UsedEndpoint(NamedTuple):
    """A server that runs already, and whom it is for.

    Attributes:
        name: the participant's; `EMBEDDER` for the embedder.
        field: the manifest's field.
        used_by: the participant; None: the embedder.
        request: what requests to it need.
    """

    name: str
    field: str
    endpoint: Endpoint
    used_by: Participation | None
    request: EndpointRequest | None

    @property
    def headers(self) -> tuple[Header, ...]:
        """What is sent with each request to it."""
        return self.request.headers if self.request is not None else ()

    @property
    def ca_bundle(self) -> CaBundle | None:
        """By which its certificate is checked; None: by the system's."""
        return self.request.ca_bundle if self.request is not None else None

    @property
    def secrets(self) -> Iterator[tuple[str, KeyReference]]:
        """What of it is secret, by field."""
        if self.endpoint.api_key_secret_ref is not None:
            yield f"{self.field}.apiKeySecretRef", self.endpoint.api_key_secret_ref
        for place, header in enumerate(self.headers):
            if header.value_secret_ref is not None:
                of = self.field.removesuffix(".endpoint")
                yield f"{of}.request.headers[{place}].valueSecretRef", header.value_secret_ref

    @classmethod
    def of(cls, one: Participation, endpoint: Endpoint) -> Self:
        """The endpoint of a participant."""
        return cls(one.participant.name, f"{one.field}.endpoint", endpoint, one, one.participant.request)


EMBEDDER = "embedder"


def participations(tournament: Tournament) -> Mapping[str, Participation]:
    """Competitors, judges, and the target model before and after its training, by name."""
    spec = tournament.spec
    mines, players_judge = spec.instructions.mine is not None, not spec.judges
    found = [
        *(
            Participation(player, f"spec.competitors[{place}]", mines, players_judge and player.answers is None)
            for place, player in enumerate(spec.competitors)
        ),
        *(Participation(judge, f"spec.judges[{place}]", judges=True) for place, judge in enumerate(spec.judges)),
        *(Participation(target, "spec.training") for target in _targets(tournament)),
    ]
    return {one.participant.name: one for one in found}


def participants(tournament: Tournament) -> Mapping[str, Participant]:
    """As `participations`, without their parts."""
    return {name: one.participant for name, one in participations(tournament).items()}


def used_endpoints(tournament: Tournament) -> Iterator[UsedEndpoint]:
    """Every endpoint that the tournament asks, in the manifest's order."""
    for one in participations(tournament).values():
        if one.participant.endpoint is not None:
            yield UsedEndpoint.of(one, one.participant.endpoint)
    embedder, rules = tournament.spec.curation.diversity.embedder, curation_rules(tournament)
    if embedder.endpoint is not None and (rules.dedup == "Semantic" or rules.diversity == "KCenterGreedy"):
        field = "spec.curation.diversity.embedder.endpoint"
        yield UsedEndpoint(EMBEDDER, field, embedder.endpoint, None, embedder.request)


def token_references(tournament: Tournament) -> Iterator[tuple[str, KeyReference]]:
    """The tokens with which weights are downloaded, by field."""
    for path, weights in walk(tournament):
        if isinstance(weights, Weights) and weights.token_secret_ref is not None:
            yield path_text((*path, "tokenSecretRef")), weights.token_secret_ref


def _targets(tournament: Tournament) -> tuple[Participant, ...]:
    """The base and the trained model, where they are to be scored; else none.

    The trained model has the base's uri here, for its size: what it is served from is an artifact.
    """
    training, evaluation = tournament.spec.training, tournament.spec.evaluation
    if training is None or evaluation is None:
        return ()
    base = training.base_model
    source = ModelSource.model_construct(**dict(base))
    serving = evaluation.serving
    asked = evaluation.request
    request = ParticipantRequest(extra_body=asked.extra_body, stop=asked.stop) if asked is not None else None
    return tuple(
        Participant.model_construct(
            name=name, model=source, serving=serving, request=request, thought_marks=evaluation.thought_marks
        )
        for name in TARGETS
    )
