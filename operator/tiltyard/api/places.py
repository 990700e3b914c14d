"""What a manifest asks for that its place cannot do: this release, a cluster, one machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tiltyard.api.fields import broken_rules, walk
from tiltyard.api.participant import Endpoint, ModelSource
from tiltyard.api.problems import Problem, given_text, path_text
from tiltyard.api.request import CaBundle
from tiltyard.api.scalars import INFERENCE_SERVICE_SCHEME
from tiltyard.api.serving import LLM, ModelServing
from tiltyard.api.tournament import Tournament

MACHINE_SCHEMES = ("hf", "file", "sim")
"""Models that one machine can start itself."""


class NotYet(NamedTuple):
    """Something that the API has and this release has not.

    Attributes:
        path: the field.
        sentence: what is there instead.
        ending: what a refusal adds to the sentence (what was given, where the sentence does not say so); None where a
            tournament does not ask for it.
    """

    path: str
    sentence: str
    ending: Callable[[Tournament], str | None]

    def problems(self, tournament: Tournament) -> list[Problem]:
        """The problem of a tournament that asks for it."""
        ending = self.ending(tournament)
        return [] if ending is None else [Problem(self.path, self.sentence + ending)]


def _pruned(tournament: Tournament) -> str | None:
    return "" if tournament.spec.battles.schedule.type == "Pruned" else None


def _loaded_from_elsewhere(tournament: Tournament) -> str | None:
    training = tournament.spec.training
    if training is None or training.base_model.source.partition("://")[0] in ("hf", "pvc"):
        return None
    base = training.base_model
    return f", given {'servedFrom ' if base.served_from is not None else ''}{given_text(base.source)}"


def _target_by_llm(tournament: Tournament) -> str | None:
    training, evaluation = tournament.spec.training, tournament.spec.evaluation
    return "" if training is not None and evaluation is not None and evaluation.serving.kind == LLM else None


NOT_YET = (
    NotYet("spec.battles.schedule.type", "must be RoundRobin: Pruned is not supported in this release", _pruned),
)
"""What validate, plan, run and the operator refuse."""

NOT_YET_ON_CLUSTER = (
    NotYet(
        "spec.evaluation.serving.kind",
        f"must be InferenceService: the target model is not served by an {LLM} yet",
        _target_by_llm,
    ),
    NotYet("spec.training.baseModel.uri", "must be hf:// or pvc:// on a cluster", _loaded_from_elsewhere),
)
"""What one machine does, and the operator refuses."""


def unsupported(tournament: Tournament) -> list[Problem]:
    """What the API has and this release has not: validate, plan and run refuse it."""
    return [problem for limit in NOT_YET for problem in limit.problems(tournament)]


def unsupported_on_cluster(tournament: Tournament) -> list[Problem]:
    """What this release has on one machine and not yet on a cluster: the operator refuses it."""
    return [problem for limit in NOT_YET_ON_CLUSTER for problem in limit.problems(tournament)]


def problems_on_cluster(tournament: Tournament) -> list[Problem]:
    """What keeps a manifest from a cluster: no bucket, or files of the machine where it was written."""
    problems = [broken.problem for broken in broken_rules(tournament, cluster=True)]
    if tournament.spec.output is None:
        problems.append(Problem("spec.output", "is missing; on a cluster set output.s3.uri to a bucket"))
    return problems


def problems_on_machine(tournament: Tournament, *, folder_given: bool) -> list[Problem]:
    """What keeps a manifest from one machine: models that only a cluster can load, or nowhere to put the results.

    Args:
        tournament: a valid one.
        folder_given: a folder stands in for `spec.output` (`--out DIR`).
    """
    problems = [*_cluster_models(tournament), *_cluster_endpoints(tournament), *_cluster_training(tournament)]
    problems += [*_cluster_authorities(tournament), *_cluster_serving(tournament)]
    if tournament.spec.output is None and not folder_given:
        problems.append(Problem("spec.output", "is missing; set output.s3.uri, or give a folder with --out DIR"))
    return problems


def _cluster_training(tournament: Tournament) -> Iterator[Problem]:
    training = tournament.spec.training
    if training is None:
        return
    if training.trainer.kind != "Job":
        yield Problem("spec.training.trainer.kind", "must be Job on one machine, given TrainJob")
    if training.base_model.source.partition("://")[0] not in ("hf", "file"):
        yield Problem(
            f"spec.training.baseModel.{training.base_model.source_field}",
            f"must be hf:// or file:// on one machine, given {given_text(training.base_model.source)}",
        )


def _cluster_models(tournament: Tournament) -> Iterator[Problem]:
    for path, model in walk(tournament):
        if isinstance(model, ModelSource) and model.source.partition("://")[0] not in MACHINE_SCHEMES:
            yield Problem(
                path_text((*path, model.source_field)),
                "must be hf://, file:// or sim:// on one machine (or use an endpoint), given"
                f" {given_text(model.source)}",
            )


def _cluster_serving(tournament: Tournament) -> Iterator[Problem]:
    for path, serving in walk(tournament):
        if isinstance(serving, ModelServing) and serving.kind == LLM:
            yield Problem(
                path_text((*path, "kind")),
                f"must be InferenceService on one machine, where vLLM's own options in args do what parallelism does,"
                f" given {LLM}",
            )


def _cluster_authorities(tournament: Tournament) -> Iterator[Problem]:
    for path, bundle in walk(tournament):
        if isinstance(bundle, CaBundle) and bundle.file is None:
            yield Problem(path_text(path), "must be a file on one machine: give caBundle.file")


def _cluster_endpoints(tournament: Tournament) -> Iterator[Problem]:
    for path, endpoint in walk(tournament):
        if isinstance(endpoint, Endpoint) and endpoint.url.startswith(INFERENCE_SERVICE_SCHEME):
            yield Problem(
                path_text((*path, "url")),
                "an InferenceService is found by its name inside its cluster; on one machine give its http:// or"
                f" https:// URL, given {given_text(endpoint.url)}",
            )
