"""Manifests that ask for what an administrator may forbid (`tenants` of the chart): refused, and allowed."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from support.manifests import manifest
from tiltyard.render.tenants import TenantSettings

STRICT: dict[str, Any] = {
    "trustRemoteCode": False,
    "hostPath": False,
    "environmentImages": ["ghcr.io/team/*", "python:3.12"],
    "externalEndpoints": ["*.example.com", "10.0.0.7"],
    "serviceAccounts": ["tournaments-*"],
}
"""Without codeExecution: images of environments are for code."""
NO_CODE: dict[str, Any] = {"codeExecution": False}
HOST_PATH = {"volumes": [{"name": "disk", "hostPath": {"path": "/", "type": "Directory"}}]}
BY = "the administrator of this cluster has set tenants."


class Case(NamedTuple):
    """What a manifest asks for.

    Attributes:
        spec: merged into a valid spec.
        path: the field that is refused; empty: none is.
        value: the chart's value that refuses it.
        admission: the API server refuses it, too.
    """

    spec: dict[str, Any]
    path: str = ""
    value: str = ""
    admission: bool = True

    @property
    def limits(self) -> dict[str, Any]:
        """The chart's values under which it is tried."""
        return NO_CODE if self.value in NO_CODE else STRICT


def served(**serving: Any) -> dict[str, Any]:
    """A first competitor that is served so."""
    return {"competitors": [{"name": "m0", "model": {"uri": "hf://org/model"}, "serving": serving}]}


def asked(url: str) -> dict[str, Any]:
    """A first competitor with this endpoint."""
    return {"competitors": [{"name": "m0", "endpoint": {"url": url, "model": "m"}}]}


def variable(name: str, value: str) -> dict[str, Any]:
    return {"pod": {"env": [{"name": name, "value": value}]}}


def evaluated(**evaluation: Any) -> dict[str, Any]:
    """With an evaluation of the competitors."""
    return {"evaluation": {"benchmarks": [], "lmEval": [{"name": "gsm8k"}], "competitors": True, **evaluation}}


def embedded(url: str) -> dict[str, Any]:
    endpoint = {"url": url, "model": "m"}
    return {"curation": {"diversity": {"embedder": {"method": "Endpoint", "endpoint": endpoint}}}}


def environment(image: str) -> dict[str, Any]:
    environments = [{"benchmark": "ds1000", "image": image}]
    return evaluated(benchmarks=["ds1000"], allowCodeExecution=True, environments=environments)


FIRST = "spec.competitors[0]"
KEY = {"name": "arguments", "key": "all"}
ACCOUNT = {"serviceAccountName": "admin"}
CASES: dict[str, Case] = {
    "nothing": Case({}),
    "code": Case(
        evaluated(benchmarks=["humaneval"], allowCodeExecution=True),
        "spec.evaluation.allowCodeExecution",
        "codeExecution",
    ),
    "no code": Case(evaluated(allowCodeExecution=False)),
    "remote code": Case(served(args=["--trust-remote-code"]), f"{FIRST}.serving.args[0]", "trustRemoteCode"),
    "remote code, underscores": Case(
        served(args=["--max-model-len=8", "--trust_remote_code"]), f"{FIRST}.serving.args[1]", "trustRemoteCode"
    ),
    "remote code, cut short": Case(served(args=["--trust"]), f"{FIRST}.serving.args[0]", "trustRemoteCode"),
    "remote code in a file": Case(served(args=["--config", "/a.yaml"]), f"{FIRST}.serving.args[0]", "trustRemoteCode"),
    "other options": Case(served(args=["--config-format=hf", "--trace-modules=model", "--tokenizer-mode=auto"])),
    "remote code in a variable": Case(
        served(**variable("MORE", "--seed 1 --trust-remote-code")),
        f"{FIRST}.serving.pod.env[0].value",
        "trustRemoteCode",
    ),
    "remote code, put together": Case(
        served(args=["$(A)$(B)"], **variable("A", "--t")),
        f"{FIRST}.serving.args[0]",
        "trustRemoteCode",
    ),
    "arguments from elsewhere": Case(
        served(pod={"env": [{"name": "VLLM_ADDITIONAL_ARGS", "valueFrom": {"configMapKeyRef": KEY}}]}),
        f"{FIRST}.serving.pod.env[0].name",
        "trustRemoteCode",
    ),
    "modules from elsewhere": Case(
        served(**variable("PYTHONPATH", "/mnt/models")), f"{FIRST}.serving.pod.env[0].name", "trustRemoteCode"
    ),
    "a plug-in": Case(
        served(args=["--tool-parser-plugin=/mnt/models/p.py"]), f"{FIRST}.serving.args[0]", "trustRemoteCode"
    ),
    **{
        f"code by {args[-1]}": Case(
            served(args=args), f"{FIRST}.serving.args[{len(args) - 1}]", "trustRemoteCode"
        )
        for args in (  # the last one by itself
            ["--trust_remote_code=True"],
            ["--tool-p=/mnt/models/p.py"],
            ["--reasoning-parser-p=/mnt/models/p.py"],
            ['--structured-outputs-config={"reasoning_parser_plugin": "/mnt/models/p.py"}'],
            ["--structured-outputs-config.reasoning_parser_plugin=/mnt/models/p.py"],
            ["--mi=mnt.models.p.Layer"],
            ["--worker-c=mnt.models.p.Worker"],
            ["--worker_e=mnt.models.p.Worker"],
            ["--scheduler-c=mnt.models.p.Scheduler"],
            ["--logits-p=mnt.models.p:Processor"],
            ["--io=p"],
            ["--log-config-file=/mnt/models/log.json"],
            ['--model-class-overrides={"A": "mnt.models.p:Model"}'],
            ["--model-c.A=mnt.models.p:Model"],
            ["--distributed-executor-backend=mnt.models.p.Executor"],
            ["--kv-transfer-config", '{"kv_connector": "C", "kv_connector_module_path": "mnt.models.p"}'],
            ["--kv-transfer-config", r'{"kv_connector_m\u006fdule_path": "mnt.models.p"}'],
            ['--ec-manager-config={"encoder_cache_manager_cls": "mnt.models.p.Manager"}'],
            ["--speculative-config", '{"method": "custom_class", "model": "p"}'],
            ['--speculative-config={"model":\t"mnt.models.p.Proposer"}'],
            ['-sc={"num_speculative_tokens": 2, "model": "my-x.Proposer"}'],
            ["--speculative-config.model=mnt.models.p.Proposer"],
            ["--spec-model=mnt.models.p.Proposer"],
            ["-cc.backend=mnt.models.p.compile"],
            ["--compilation-config", '{"mode": 1, "backend": "mnt.models.p.compile"}'],
            ['--compilation-config={"mode":1,"backend":\t"mnt.models.p.compile"}'],
            ['--compilation-config={"mode": 1, "backend": "my-x.p.compile"}'],
            ['--ec-manager-config={"policy": "mnt.models.p.Policy"}'],
            ["--ec-manager-config.policy=mnt.models.p.Policy"],
            ['--compilation-config={"inductor_passes": {"post_grad_custom_post_pass": "mnt.models.p.f"}}'],
        )
    },
    **{
        f"code by two items, {args[0]}": Case(
            served(args=["--seed=1", *args, "--enforce-eager"]), f"{FIRST}.serving.args[1]", "trustRemoteCode"
        )
        for args in (
            ["--distributed-e", "mnt.models.p.Executor"],
            ["--spec-model", "mnt.models.p.Proposer"],
            ["--speculative-config", '{"model": "mnt.models.p.Proposer"}'],
            ["--speculative-config.model", "mnt.models.p.Proposer"],
            ["-cc.backend", "mnt.models.p.compile"],
        )
    },
    "options that name no code, in two items": Case(
        served(
            args=[
                "--distributed-executor-backend", "mp", "--spec-model", "org/draft-1.5",
                "--structured-outputs-config.backend", "xgrammar", "--attention-config.backend", "FLASH_ATTN",
                "--speculative-config", '{"model": "org/draft-1.5"}', "--gpu-memory-utilization", "0.9",
                "--default-chat-template-kwargs", '{"model": "v1.0"}',
            ]
        )
    ),
    "options that name no code": Case(
        served(
            args=[
                "--distributed-executor-backend=mp", "--spec-model=org/draft-1.5", "--logprobs-mode=raw_logprobs",
                '--speculative-config={"model": "org/draft-1.5", "method": "eagle3"}', "--attention-backend=FLASH_ATTN",
                '--compilation-config={"mode": 3, "backend": "inductor"}', "--model-impl=vllm", "--seed=1",
                "--tool-call-parser=hermes", "--structured-outputs-config.backend=xgrammar", "--reasoning-parser=qwen3",
                "--gpu-memory-utilization=0.9", "--max-lora-cls-labels=2", "--scheduling-policy=fcfs",
                '--default-chat-template-kwargs={"model":"v1.0"}', "--spec-model=/mnt/models/draft-1.5",
            ]
        )
    ),
    **{
        f"code by the variable {name}": Case(
            served(**variable(name, "/mnt/models/x")), f"{FIRST}.serving.pod.env[0].name", "trustRemoteCode"
        )
        for name in (
            "LD_LIBRARY_PATH", "VLLM_NCCL_SO_PATH", "VLLM_RUST_FRONTEND_PATH", "VLLM_LOGGING_CONFIG_PATH",
            "VLLM_CACHE_ROOT", "VLLM_CUDA_COMPATIBILITY_PATH", "VLLM_ENABLE_CUDA_COMPATIBILITY",
            "CUDA_INJECTION64_PATH", "NCCL_NET_PLUGIN", "NCCL_PROFILER_PLUGIN", "TRITON_CACHE_MANAGER",
            "TRITON_PLUGIN_PATHS", "TORCHINDUCTOR_CACHE_DIR",
        )
    },
    "variables that name no code": Case(
        served(pod={"env": [{"name": name, "value": "1"} for name in ("NCCL_DEBUG", "VLLM_USE_V1", "CUDA_VISIBLE")]})
    ),
    "32 models with many variables": Case(
        {
            "competitors": [
                {
                    "name": f"m{number}",
                    "model": {"uri": f"hf://org/model{number}"},
                    "serving": {"pod": {"env": [{"name": f"V{n}", "value": "x" * 100} for n in range(16)]}},
                }
                for number in range(32)
            ]
        }
    ),
    "remote code of data sets": Case(
        {"jobs": variable("HF_DATASETS_TRUST_REMOTE_CODE", "1")}, "spec.jobs.pod.env[0].name", "trustRemoteCode"
    ),
    "remote code of what is evaluated": Case(
        evaluated(serving={"args": ["--trust-remote-code"]}), "spec.evaluation.serving.args[0]", "trustRemoteCode"
    ),
    "a node's folder, models": Case(
        served(pod=HOST_PATH), f"{FIRST}.serving.pod.volumes[0].hostPath", "hostPath"
    ),
    "a node's folder, workers": Case({"jobs": {"pod": HOST_PATH}}, "spec.jobs.pod.volumes[0].hostPath", "hostPath"),
    "a node's folder, nodes of a model": Case(
        served(kind="LLMInferenceService", parallelism={"pipeline": 2}, worker={"containers": [], **HOST_PATH}),
        f"{FIRST}.serving.worker.volumes[0].hostPath",
        "hostPath",
        admission=False,
    ),
    "other volumes": Case({"jobs": {"pod": {"volumes": [{"name": "disk", "emptyDir": {}}]}}}),
    "an image": Case(environment("evil.io/team/ds1000"), "spec.evaluation.environments[0].image", "environmentImages"),
    "an image that begins so": Case(
        environment("python:3.12-slim"), "spec.evaluation.environments[0].image", "environmentImages"
    ),
    "images": Case(environment("ghcr.io/team/ds1000:1")),
    "an endpoint": Case(asked("https://api.openai.com/v1"), f"{FIRST}.endpoint.url", "externalEndpoints"),
    "an endpoint that ends so": Case(
        asked("https://evilexample.com/v1"), f"{FIRST}.endpoint.url", "externalEndpoints"
    ),
    "an endpoint with such a path": Case(
        asked("https://evil.org/x.svc"), f"{FIRST}.endpoint.url", "externalEndpoints"
    ),
    "an embedder's endpoint": Case(
        embedded("http://169.254.169.254/v1"),
        "spec.curation.diversity.embedder.endpoint.url",
        "externalEndpoints",
    ),
    "endpoints by pattern": Case(asked("https://LLM.Example.com:8443/v1")),
    "endpoints with a dot": Case(asked("https://llm.example.com./v1")),
    "endpoints by address": Case(asked("http://10.0.0.7/v1")),
    "endpoints of the cluster": Case(asked("http://vllm.models.svc.cluster.local:8000/v1")),
    "endpoints of the cluster, short": Case(asked("http://vllm.models.svc/v1")),
    "endpoints of KServe": Case(asked("kserve://models/vllm")),
    "an account of workers": Case({"jobs": {"pod": ACCOUNT}}, "spec.jobs.pod.serviceAccountName", "serviceAccounts"),
    "an account of models": Case(
        served(pod=ACCOUNT), f"{FIRST}.serving.pod.serviceAccountName", "serviceAccounts"
    ),
    "an account of the bucket": Case(
        {"output": {"s3": {"uri": "s3://bucket", **ACCOUNT}}}, "spec.output.s3.serviceAccountName", "serviceAccounts"
    ),
    "an account of a model's nodes": Case(
        served(kind="LLMInferenceService", parallelism={"pipeline": 2}, worker={"containers": [], **ACCOUNT}),
        f"{FIRST}.serving.worker.serviceAccountName",
        "serviceAccounts",
        admission=False,
    ),
    "accounts": Case({"jobs": {"pod": {"serviceAccountName": "tournaments-1"}}}),
}  # fmt: skip


def tenants(**values: object) -> TenantSettings:
    """Of the chart's values."""
    return TenantSettings.model_validate_json(json.dumps(values), by_name=False)


def document_of(case: Case) -> dict[str, Any]:
    """The whole manifest."""
    document = manifest(3, output={"s3": {"uri": "s3://bucket"}})
    spec = document["spec"]
    for name, value in case.spec.items():
        rest = spec["competitors"][len(value) :] if name == "competitors" else []
        spec[name] = [*value, *rest] if name == "competitors" else value
    return document
