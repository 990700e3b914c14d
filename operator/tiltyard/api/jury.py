"""Rules about the whole field of competitors and judges: names, identities, and who is left to judge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tiltyard.api.participant import Participant
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import parse_quantity
from tiltyard.api.serving import ModelServing
from tiltyard.api.shapes import plain
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipes import TRAINED_MODEL

if TYPE_CHECKING:
    from tiltyard.api.spec import TournamentSpec

# How the CRD compares identities: by the arguments as they are written. Python leaves out those that only change speed,
# so it finds a few twins more.
_SAME = (
    "has(a.model) && has(b.model) ? a.model.uri == b.model.uri"
    " && (has(a.model.revision) ? a.model.revision : '') == (has(b.model.revision) ? b.model.revision : '')"
    " && (has(a.serving) && has(a.serving.args) ? a.serving.args : [])"
    " == (has(b.serving) && has(b.serving.args) ? b.serving.args : [])"
    " : has(a.endpoint) && has(b.endpoint) && a.endpoint.url == b.endpoint.url && a.endpoint.model == b.endpoint.model"
)


_TWINS = (
    "!(has(a.request) && (has(a.request.extraBody) || has(a.request.stop)))"
    " && !(has(b.request) && (has(b.request.extraBody) || has(b.request.stop)))"
    f" && !has(a.thoughtMarks) && !has(b.thoughtMarks) && ({_SAME})"
)


def _enough(spec: TournamentSpec) -> Iterator[Violation]:
    models = sum(competitor.answers is None for competitor in spec.competitors)
    if not spec.judges and models < 3:
        without = "" if models == len(spec.competitors) else f", {models} of them with a model,"
        yield Violation(("judges",), f"{len(spec.competitors)} competitors{without} and no judges")


def _models_judge(spec: TournamentSpec) -> Iterator[Violation]:
    for position, judge in enumerate(spec.judges):
        if judge.answers is not None:
            yield Violation(("judges", position, "answers"), "answers for a judge")


def _given_answers(spec: TournamentSpec) -> Iterator[Violation]:
    given = spec.instructions.given
    for position, competitor in enumerate(spec.competitors):
        answers, path = competitor.answers, ("competitors", position, "answers")
        if answers is None:
            continue
        if given is None:
            yield Violation(path, "mined instructions, which no file has answers to")
        elif answers.id_field is not None and given.id_field is None:
            yield Violation((*path, "idField"), f'"{answers.id_field}" without instructions.from.idField')
        elif answers.instruction_field is not None and (given.messages_field or given.system_field):
            field = "messagesField" if given.messages_field else "systemField"
            yield Violation(
                (*path, "instructionField"), f'"{answers.instruction_field}" with instructions.from.{field}'
            )


def _names(spec: TournamentSpec) -> Iterator[Violation]:
    first: dict[str, str] = {}
    for path, participant in _participants(spec):
        where = f"{path[0]}[{path[1]}]"
        if participant.name in first:
            yield Violation((*path, "name"), f'"{participant.name}", which is {first[participant.name]} already')
        first.setdefault(participant.name, where)


def _twin_competitors(spec: TournamentSpec) -> Iterator[Violation]:
    yield from _twins("competitors", spec.competitors)


def _twin_judges(spec: TournamentSpec) -> Iterator[Violation]:
    yield from _twins("judges", spec.judges)


def _twins(field: str, participants: tuple[Participant, ...]) -> Iterator[Violation]:
    first: dict[ModelIdentity, str] = {}
    for position, participant in enumerate(participants):
        identity = _identity(participant)
        if identity is not None and identity in first:
            given = f'"{identity.described}" for {first[identity]} and {participant.name}'
            yield Violation((field, position), given)
        elif identity is not None:
            first[identity] = participant.name


def _self_judging(spec: TournamentSpec) -> Iterator[Violation]:
    # However it is asked, it is the same model.
    players = {identity.bare: c.name for c in spec.competitors if (identity := _identity(c)) is not None}
    for position, judge in enumerate(spec.judges):
        identity = of_judge.bare if (of_judge := _identity(judge)) is not None else None
        if identity is not None and identity in players:
            yield Violation(("judges", position), f'"{identity.uri}", which competes as {players[identity]}')


def _graders(spec: TournamentSpec) -> Iterator[Violation]:
    difficulty = spec.curation.difficulty
    if not (spec.instructions.mine is not None if difficulty.keep is None else difficulty.keep):
        return  # nothing is graded
    models = sum(competitor.answers is None for competitor in spec.competitors)
    there = max(0, models - (not difficulty.self_grading))
    if difficulty.judges > there:
        yield Violation(("curation", "difficulty", "judges"), f"{difficulty.judges} where {there} may grade")


def _budget(spec: TournamentSpec) -> Iterator[Violation]:
    served: list[tuple[tuple[str | int, ...], str, ModelServing]] = [
        ((*path, "serving"), participant.name, participant.serving_or_default)
        for path, participant in _participants(spec)
        if participant.model is not None
    ]
    if spec.training is not None and spec.evaluation is not None:
        served.append((("evaluation", "serving"), TRAINED_MODEL, spec.evaluation.serving))
    for path, name, serving in served:
        for resource, amount in sorted(serving.demand().items()):
            room = spec.serving.budget.get(resource)
            if room is not None and amount > parse_quantity(room):
                yield Violation(path, f"{plain(amount)} {resource} for {name} with room for {room}")


def _participants(spec: TournamentSpec) -> Iterator[tuple[tuple[str, int], Participant]]:
    yield from ((("competitors", position), c) for position, c in enumerate(spec.competitors))
    yield from ((("judges", position), j) for position, j in enumerate(spec.judges))


def _identity(participant: Participant) -> ModelIdentity | None:
    """None where a participant is broken itself: another rule says so."""
    if participant.model is None and participant.endpoint is None and participant.answers is None:
        return None
    return participant.identity()


ENOUGH_MODELS: Rule[TournamentSpec] = Rule(
    sentence="must name a judge if there are fewer than three competitors with a model: no model judges its own"
    " battles",
    check=_enough,
    cel="(has(self.judges) && self.judges.size() > 0) || self.competitors.filter(c, !has(c.answers)).size() >= 3",
    field_path=".judges",
)
# Within one list the CRD has listType=map for it.
UNIQUE_NAMES: Rule[TournamentSpec] = Rule(
    sentence="must be unique among competitors and judges",
    check=_names,
    cel="!has(self.judges) || self.judges.all(j, !self.competitors.exists(c, c.name == j.name))",
    field_path=".judges",
)
TWIN_COMPETITORS: Rule[TournamentSpec] = Rule(
    sentence="must differ from every other competitor in uri, revision, request.extraBody, request.stop,"
    " thoughtMarks or arguments that change replies",
    check=_twin_competitors,
    cel=f"self.competitors.all(a, !self.competitors.exists(b, a.name != b.name && {_TWINS}))",
    field_path=".competitors",
)
TWIN_JUDGES: Rule[TournamentSpec] = Rule(
    sentence="must differ from every other judge in uri, revision, request.extraBody, request.stop,"
    " thoughtMarks or arguments that change replies",
    check=_twin_judges,
    cel=f"!has(self.judges) || self.judges.all(a, !self.judges.exists(b, a.name != b.name && {_TWINS}))",
    field_path=".judges",
)
NO_SELF_JUDGING: Rule[TournamentSpec] = Rule(
    sentence="must not be the model of a competitor: it would judge its own battles",
    check=_self_judging,
    cel=f"!has(self.judges) || self.judges.all(a, !self.competitors.exists(b, {_SAME}))",
    field_path=".judges",
)
MODELS_JUDGE: Rule[TournamentSpec] = Rule(
    sentence="must not be set for a judge: a judge is a model that is asked",
    check=_models_judge,
    cel="!has(self.judges) || self.judges.all(j, !has(j.answers))",
    field_path=".judges",
)
GIVEN_ANSWERS: Rule[TournamentSpec] = Rule(
    sentence="must answer instructions of a file (instructions.from) that has their ids (idField); by the instruction's"
    " text (instructionField) only where there are no turns before it",
    check=_given_answers,
    cel="self.competitors.all(c, !has(c.answers) || (has(self.instructions.from)"
    " && (!has(c.answers.idField) || has(self.instructions.from.idField))"
    " && (!has(c.answers.instructionField)"
    " || !(has(self.instructions.from.messagesField) || has(self.instructions.from.systemField)))))",
    field_path=".competitors",
)
ENOUGH_GRADERS: Rule[TournamentSpec] = Rule(
    sentence="must be at most the number of competitors with a model that may grade an instruction: all but its"
    " attacker, or all if selfGrading is true",
    check=_graders,
    cel="!(has(self.curation.difficulty.keep) ? size(self.curation.difficulty.keep) > 0 : has(self.instructions.mine))"
    " || self.curation.difficulty.judges <= self.competitors.filter(c, !has(c.answers)).size()"
    " - (self.curation.difficulty.selfGrading ? 0 : 1)",
    field_path=".curation.difficulty.judges",
)
FITS_BUDGET: Rule[TournamentSpec] = Rule(
    sentence="must fit into spec.serving.budget on its own, or the model can never start",
    check=_budget,  # CEL would have to add quantities of every replica: left to Python
)
FIELD_RULES = (
    ENOUGH_MODELS,
    UNIQUE_NAMES,
    TWIN_COMPETITORS,
    TWIN_JUDGES,
    NO_SELF_JUDGING,
    MODELS_JUDGE,
    GIVEN_ANSWERS,
    ENOUGH_GRADERS,
    FITS_BUDGET,
)
