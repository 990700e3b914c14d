"""GPUs that would be held in vain, and work that would be done without one: its author is warned beforehand."""

from __future__ import annotations

from collections.abc import Iterator

from tiltyard.api import LLM, Resources, Tournament
from tiltyard.api.resources import GPU_NAMES, is_gpu
from tiltyard.api.serving import KSERVE_RUNTIME
from tiltyard.observe.capacity import pods_of
from tiltyard.plan.participants import TARGETS, participations

GIB_A_GPU = 32
"""Memory with which a server or a trainer begins well, for each of its GPUs."""
NVIDIA = "nvidia.com/"


def without_memory(tournament: Tournament) -> Iterator[str]:
    """A sentence for each kind of pod that asks for GPUs and for no memory."""
    for place, resources in pods_of(tournament):
        count = sum(resources.gpus.values())
        if count and "memory" not in resources.demand():
            given = (
                f"then its runtime's own default applies ({KSERVE_RUNTIME} 2Gi, an LLMInferenceService none),"
                if "serving" in place
                else "then it has what is left on its node, is the first to be evicted,"
            )
            yield (
                f"{place} requests {_named(resources)} and no memory: {given} and it may be killed while it loads its"
                f" weights; set requests and limits of memory, {GIB_A_GPU}Gi for each GPU"
                f" ({GIB_A_GPU * count}Gi) to begin with"
            )


def without_gpu(tournament: Tournament, runtime: str = KSERVE_RUNTIME) -> Iterator[str]:
    """A sentence for training on the CPU, and for each model that would be served on it by a pod that holds GPUs.

    Args:
        tournament: the manifest.
        runtime: of models that name none.
    """
    training = tournament.spec.training
    if training is not None and not training.gpus:
        others = _other_devices(training.resources)
        requested = f"requests {others}, but no GPU" if others else "requests no GPU"
        yield (
            f"spec.training.resources {requested}: the target model is trained on the CPU, which is slow; request"
            " one, for example limits of nvidia.com/gpu, or do nothing if that is intended"
        )
    served = {
        "spec.evaluation" if one.participant.name in TARGETS else one.field: one.participant.serving
        for one in participations(tournament).values()
    }
    for place, serving in served.items():
        if serving is None or serving.kind == LLM:
            continue
        its, gpus = serving.runtime or runtime, serving.resources.gpus
        others = _other_devices(serving.resources)
        if others and not gpus and its in (KSERVE_RUNTIME, runtime) and not serving.pod.resource_claims:
            yield (
                f"{place}.serving.resources requests {others}, but {its} is for GPUs ({GPU_NAMES}): its server may"
                f" run on the CPU, or end; name a runtime for these devices in {place}.serving.runtime"
            )
        if its in (KSERVE_RUNTIME, runtime) and gpus and not any(name.startswith(NVIDIA) for name in gpus):
            takes = ": for others KServe uses its image for CPUs" if its == KSERVE_RUNTIME else ""
            yield (
                f"{place}.serving.resources requests {_named(serving.resources)}, but {its} is for"
                f" NVIDIA's GPUs{takes}; name a runtime for these GPUs in {place}.serving.runtime"
            )


def _named(resources: Resources) -> str:
    return " and ".join(f"{count} {name}" for name, count in resources.gpus.items())


def _other_devices(resources: Resources) -> str:
    """The devices that are no GPU as far as is known: their names have a domain, Kubernetes' own have none."""
    demand = sorted(resources.demand().items())
    return " and ".join(f"{amount:f} {name}" for name, amount in demand if "/" in name and amount and not is_gpu(name))
