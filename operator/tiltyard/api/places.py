"""What a manifest asks for that its place cannot do: this release, a cluster, one machine."""

from __future__ import annotations

from collections.abc import Iterator

from tiltyard.api.fields import broken_rules, walk
from tiltyard.api.participant import Endpoint, ModelSource
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
            Problem("spec.battles.schedule.type", "Pruned comes with a later release; take RoundRobin until then")
        )
    return problems


def unsupported_on_cluster(tournament: Tournament) -> list[Problem]:
    """What this release has on one machine and not yet on a cluster: the operator refuses it."""
    training, problems = tournament.spec.training, []
    if training is not None and training.base_model.uri.partition("://")[0] not in ("hf", "pvc"):
        given = given_text(training.base_model.uri)
        problems.append(
            Problem("spec.training.baseModel.uri", f"a cluster trains hf:// and pvc:// models so far, given {given}")
        )
    return problems


def problems_on_cluster(tournament: Tournament) -> list[Problem]:
    """What keeps a manifest from a cluster: no bucket, or files of the machine where it was written."""
    problems = [broken.problem for broken in broken_rules(tournament, cluster=True)]
    if tournament.spec.output is None:
        problems.append(Problem("spec.output", "is missing; a cluster needs a bucket: output.s3.uri"))
    return problems


def problems_on_machine(tournament: Tournament, *, folder_given: bool) -> list[Problem]:
    """What keeps a manifest from one machine: models that only a cluster can load, or nowhere to put the results.

    Args:
        tournament: a valid one.
        folder_given: a folder stands in for `spec.output` (`--out DIR`).
    """
    problems = [*_cluster_models(tournament), *_cluster_endpoints(tournament), *_cluster_training(tournament)]
    if tournament.spec.output is None and not folder_given:
        problems.append(Problem("spec.output", "is missing; name output.s3.uri, or a folder with --out DIR"))
    return problems


def _cluster_training(tournament: Tournament) -> Iterator[Problem]:
    training = tournament.spec.training
    if training is None:
        return
    if training.trainer.kind != "Job":
        yield Problem("spec.training.trainer.kind", "one machine trains in a process of its own; take Job")
    if training.base_model.uri.partition("://")[0] not in ("hf", "file"):
        yield Problem(
            "spec.training.baseModel.uri",
            f"one machine trains hf:// and file:// models, given {given_text(training.base_model.uri)}",
        )


def _cluster_models(tournament: Tournament) -> Iterator[Problem]:
    for path, model in walk(tournament):
        if isinstance(model, ModelSource) and model.uri.partition("://")[0] not in MACHINE_SCHEMES:
            yield Problem(
                path_text((*path, "uri")),
                "one machine starts hf://, file:// and sim:// models (or take an endpoint that runs already),"
                f" given {given_text(model.uri)}",
            )


def _cluster_endpoints(tournament: Tournament) -> Iterator[Problem]:
    for path, endpoint in walk(tournament):
        if isinstance(endpoint, Endpoint) and endpoint.url.startswith(INFERENCE_SERVICE_SCHEME):
            yield Problem(
                path_text((*path, "url")),
                "an InferenceService is found by its name inside its cluster; on one machine give its http:// or"
                f" https:// URL, given {given_text(endpoint.url)}",
            )
