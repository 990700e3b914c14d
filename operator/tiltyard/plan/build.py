"""From a Tournament to its graph: who makes what of what."""

from __future__ import annotations

from tiltyard.api import Participant, Tournament
from tiltyard.api.serving import KSERVE_RUNTIME
from tiltyard.plan.graph import Graph, ModelNode, bundle
from tiltyard.plan.participants import participations
from tiltyard.plan.probes import with_probes
from tiltyard.plan.recipes.battles import BattleRecipes
from tiltyard.plan.recipes.calibration import CalibrationRecipes
from tiltyard.plan.recipes.evaluation import EvaluationRecipes
from tiltyard.plan.recipes.instructions import InstructionRecipes
from tiltyard.plan.recipes.results import ResultRecipes
from tiltyard.plan.recipes.training import train_recipe
from tiltyard_jobs.contracts.frozen import digest
from tiltyard_jobs.contracts.recipes import TRAINED_MODEL, TrainRecipe

RUN_LENGTH = 12


def build_graph(tournament: Tournament) -> Graph:
    """The graph of a valid tournament."""
    instructions = InstructionRecipes(tournament)
    battles = BattleRecipes(tournament, instructions)
    calibration = CalibrationRecipes(tournament, battles)
    results = ResultRecipes(tournament, battles, calibration)
    trained = train_recipe(tournament, results.dataset.ref)
    evaluation = EvaluationRecipes(tournament, trained)
    made = {
        **instructions.artifacts,
        **battles.artifacts,
        **calibration.artifacts,
        **results.artifacts,
        **({TrainRecipe.STAGE: trained.ref} if trained is not None else {}),
        **evaluation.artifacts,
    }
    report = results.report(made, trained, evaluation.scores)
    models = tuple(
        _model_node(one.participant, trained if one.participant.name == TRAINED_MODEL else None)
        for one in participations(tournament).values()
        if one.participant.answers is None
    )
    return Graph(
        tournament=tournament.metadata.name,
        run=report.ref.key[:RUN_LENGTH],
        bundles=with_probes(
            (
                *instructions.bundles(),
                *battles.bundles(),
                *calibration.bundles(),
                *results.bundles(),
                *([bundle(trained)] if trained is not None else []),
                *evaluation.bundles(),
                bundle(report),
            ),
            {model.name for model in models if model.served},
        ),
        models=models,
    )


def _without_default_runtime(participant: Participant) -> Participant:
    """KServe's own runtime was written into each manifest once, as the default: whether it is restarts no model."""
    serving = participant.serving
    if serving is None or serving.runtime != KSERVE_RUNTIME:
        return participant
    return participant.model_copy(update={"serving": serving.model_copy(update={"runtime": None})})


def _model_node(participant: Participant, made_by: TrainRecipe | None = None) -> ModelNode:
    served = participant.endpoint is None
    # A field of a later release that is left at its default restarts no model.
    given = _without_default_runtime(participant)
    plain = given.model_dump_json(exclude={"request", "thought_marks", "tokenizer"}, exclude_defaults=True)
    described = plain + (made_by.ref.key if made_by else "")
    return ModelNode(
        name=participant.name,
        served=served,
        resources=participant.serving_or_default.demand() if served else {},
        version=digest(described.encode())[:12],
        artifact=made_by.ref if made_by is not None else None,
    )
