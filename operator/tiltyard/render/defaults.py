"""What a cluster adds to the pods of every manifest: the chart's defaults, below the manifest's own."""

from __future__ import annotations

from typing import Any

from tiltyard.api import Participant, PodPatch, Tournament
from tiltyard.api.pods import VolumeMount
from tiltyard.render.cluster import PodDefaults


def with_pod_defaults(tournament: Tournament, defaults: PodDefaults) -> Tournament:
    """The manifest with these defaults in each `pod`; only for what is applied: no result depends on them."""
    spec = tournament.spec
    update: dict[str, Any] = {
        "jobs": spec.jobs.model_copy(update={"pod": merged(defaults.workers, spec.jobs.pod)}),
        "competitors": tuple(_served(player, defaults.models) for player in spec.competitors),
        "judges": tuple(_served(judge, defaults.models) for judge in spec.judges),
    }
    if spec.training is not None:
        update["training"] = spec.training.model_copy(update={"pod": merged(defaults.training, spec.training.pod)})
    if spec.evaluation is not None:
        serving = spec.evaluation.serving
        serving = serving.model_copy(update={"pod": merged(defaults.models, serving.pod)})
        update["evaluation"] = spec.evaluation.model_copy(update={"serving": serving})
    return tournament.model_copy(update={"spec": spec.model_copy(update=update)})


def merged(below: PodPatch, above: PodPatch) -> PodPatch:
    """One patch over another: maps by key, lists by the name of what they hold, all else as a whole."""
    update = {name: _merged(getattr(below, name), getattr(above, name)) for name in PodPatch.model_fields}
    return above.model_copy(update=update)


def _served(participant: Participant, pod: PodPatch) -> Participant:
    if participant.model is None:
        return participant
    serving = participant.serving_or_default
    return participant.model_copy(update={"serving": serving.model_copy(update={"pod": merged(pod, serving.pod)})})


def _merged(below: Any, above: Any) -> Any:
    if not above or not below:
        return above or below
    if isinstance(above, dict):
        return {**below, **above}
    if isinstance(above, tuple):
        taken = {name for one in above if (name := _name(one)) is not None}
        return (*(one for one in below if _name(one) not in taken), *above)
    return above


def _name(one: Any) -> str | None:
    """What tells an entry of a list from its siblings; None: nothing does."""
    if isinstance(one, VolumeMount):
        return one.mount_path
    name = one.get("name") if isinstance(one, dict) else getattr(one, "name", None)
    return None if name is None else str(name)
