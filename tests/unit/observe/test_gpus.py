"""GPUs that would be held in vain, and work without one."""

from __future__ import annotations

from typing import Any

import pytest

from support.cluster_objects import cluster_tournament
from tiltyard.api import Resources, Tournament
from tiltyard.observe.gpus import without_gpu, without_memory
from tiltyard.render.tasks import trainer_ref

KINDS = ("nvidia.com/gpu", "nvidia.com/mig-3g.40gb", "amd.com/gpu", "habana.ai/gaudi", "gpu.intel.com/i915",
         "gpu.intel.com/xe", "intel.com/gpu", "nvidia.com/gpu.shared")  # fmt: skip


def training(**resources: Any) -> Tournament:
    return cluster_tournament(3, training={"baseModel": {"uri": "hf://ORG/BASE"}, "resources": resources})


def served(runtime: str | None = None, **limits: str) -> Tournament:
    serving = {"resources": {"limits": limits}, **({"runtime": runtime} if runtime else {})}
    first = {"name": "a", "model": {"uri": "hf://ORG/A"}, "serving": serving}
    return cluster_tournament(3, players=[first, *({"name": n, "model": {"uri": f"hf://ORG/{n}"}} for n in "bc")])


@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_of_any_maker_is_one(kind: str) -> None:
    tournament = training(limits={kind: "8", "memory": "256Gi"})
    assert trainer_ref(tournament, None).devices == 8
    assert list(without_gpu(tournament)) == []


@pytest.mark.parametrize("name", ["cpu", "memory", "gpu.intel.com/i915_monitoring", "gpu.intel.com/millicores",
                                  "gpu.intel.com/memory.max", "gpu.intel.com/tiles", "example.com/gpu"])  # fmt: skip
def test_other_resources_are_none(name: str) -> None:
    assert Resources(limits={name: "8"}).gpus == {}


def test_training_on_the_cpu_is_told() -> None:
    (told,) = without_gpu(training(limits={"cpu": "4"}))
    assert told.startswith("spec.training.resources requests no GPU: the target model is trained on the CPU")


@pytest.mark.parametrize("name", ["google.com/tpu", "aws.amazon.com/neuron", "huawei.com/Ascend910", "example.com/npu"])
def test_a_device_that_is_no_gpu_is_not_passed_over_in_silence(name: str) -> None:
    (told,) = without_gpu(training(limits={name: "8"}))
    assert told.startswith(f"spec.training.resources requests 8 {name}, but no GPU: the target model is trained on the")
    (told,) = without_gpu(served(**{name: "8"}))
    assert told.startswith(
        f"spec.competitors[0].serving.resources requests 8 {name}, but kserve-vllmserver is for GPUs"
    )
    assert told.endswith("; name a runtime for these devices in spec.competitors[0].serving.runtime")
    assert list(without_gpu(served("vllm-of-mine", **{name: "8"}))) == []
    assert list(without_gpu(served(**{name: "8", "nvidia.com/gpu": "8"}))) == []  # such as a network's beside GPUs


def test_gpus_without_memory_are_told_with_a_number() -> None:
    (told,) = without_memory(training(limits={"amd.com/gpu": "8"}))
    assert told.startswith("spec.training.resources requests 8 amd.com/gpu and no memory: ")
    assert told.endswith("set requests and limits of memory, 32Gi for each GPU (256Gi) to begin with")
    (told,) = without_memory(served(**{"nvidia.com/gpu": "2"}))
    assert told.startswith("spec.competitors[0].serving.resources requests 2 nvidia.com/gpu and no memory: ")
    assert "kserve-vllmserver 2Gi" in told
    assert list(without_memory(served(**{"nvidia.com/gpu": "2", "memory": "64Gi"}))) == []


def test_a_runtime_that_serves_them_with_its_image_for_cpus_is_told() -> None:
    (told,) = without_gpu(served(**{"amd.com/gpu": "1"}))
    assert told.startswith("spec.competitors[0].serving.resources requests 1 amd.com/gpu, but kserve-vllmserver is for")
    assert told.endswith("name a runtime for these GPUs in spec.competitors[0].serving.runtime")
    assert list(without_gpu(served(**{"nvidia.com/mig-3g.40gb": "1"}))) == []
    assert list(without_gpu(served("vllm-rocm", **{"amd.com/gpu": "1"}))) == []
