"""What a manifest asks for that its place cannot do: this release, a cluster, one machine."""

from __future__ import annotations

from collections.abc import Iterator

from tiltyard.api.fields import broken_rules, walk
from tiltyard.api.participant import Endpoint
from tiltyard.api.problems import Problem, given_text, path_text
from tiltyard.api.scalars import INFERENCE_SERVICE_SCHEME
from tiltyard.api.tournament import Tournament

MACHINE_SCHEMES = ("hf", "file", "sim")
"""Models that one machine can start itself."""


def unsupported(tournament: Tournament) -> list[Problem]:
    """What the API has and this release has not: validate, plan and run refuse it."""
    spec = tournament.spec
    problems = []
    if spec.battles.schedule.type == "Pruned":
        problems.append(
            Problem("spec.battles.schedule.type", "must be RoundRobin: Pruned is not supported in this release")
        )
    return problems


def unsupported_on_cluster(tournament: Tournament) -> list[Problem]:
    """What this release has on one machine and not yet on a cluster: the operator refuses it."""
    training, problems = tournament.spec.training, []
    if training is not None and training.base_model.uri.partition("://")[0] not in ("hf", "pvc"):
        given = given_text(training.base_model.uri)
        problems.append(Problem("spec.training.baseModel.uri", f"must be hf:// or pvc:// on a cluster, given {given}"))
    return problems


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
    if tournament.spec.output is None and not folder_given:
        problems.append(Problem("spec.output", "is missing; set output.s3.uri, or give a folder with --out DIR"))
    return problems


def _cluster_training(tournament: Tournament) -> Iterator[Problem]:
    training = tournament.spec.training
    if training is None:
        return
    if training.trainer.kind != "Job":
        yield Problem("spec.training.trainer.kind", "must be Job on one machine, given TrainJob")
    if training.base_model.uri.partition("://")[0] not in ("hf", "file"):
        yield Problem(
            "spec.training.baseModel.uri",
            f"must be hf:// or file:// on one machine, given {given_text(training.base_model.uri)}",
        )


def _cluster_models(tournament: Tournament) -> Iterator[Problem]:
    for field in ("competitors", "judges"):
        for position, participant in enumerate(getattr(tournament.spec, field)):
            if participant.model is None or participant.model.uri.partition("://")[0] in MACHINE_SCHEMES:
                continue
            yield Problem(
                f"spec.{field}[{position}].model.uri",
                "must be hf://, file:// or sim:// on one machine (or use an endpoint),"
                f" given {given_text(participant.model.uri)}",
            )


def _cluster_endpoints(tournament: Tournament) -> Iterator[Problem]:
    for path, endpoint in walk(tournament):
        if isinstance(endpoint, Endpoint) and endpoint.url.startswith(INFERENCE_SERVICE_SCHEME):
            yield Problem(
                path_text((*path, "url")),
                "an InferenceService is found by its name inside its cluster; on one machine give its http:// or"
                f" https:// URL, given {given_text(endpoint.url)}",
            )
