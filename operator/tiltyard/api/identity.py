"""What makes two models the same model: where the weights are, and the serving arguments that can change replies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_REASONS: Mapping[str, str] = {
    "the model is laid out over devices and machines otherwise, and computes the same": """
        --tensor-parallel-size -tp --pipeline-parallel-size -pp --data-parallel-size -dp --data-parallel-size-local -dpl
        --data-parallel-address -dpa --data-parallel-rpc-port -dpp --data-parallel-backend -dpb --data-parallel-rank
        -dpn --data-parallel-start-rank -dpr --data-parallel-hybrid-lb --data-parallel-external-lb
        --prefill-context-parallel-size -pcp --decode-context-parallel-size -dcp --enable-expert-parallel -ep
        --enable-eplb --eplb-config --expert-placement-strategy --all2all-backend --distributed-executor-backend
        --disable-custom-all-reduce --nnodes -n --node-rank -r --master-addr --master-port --device-ids
        --numa-bind --numa-bind-nodes --numa-bind-cpus --distributed-timeout-seconds --ray-workers-use-nsight
    """,
    "the same weights come into memory another way": """
        --load-format --model-loader-extra-config --safetensors-load-strategy --safetensors-prefetch-num-threads
        --safetensors-prefetch-block-size --max-parallel-loading-workers --use-tqdm-on-load --pt-load-map-location
        --download-dir --weight-transfer-config --hf-token
    """,
    "weights wait elsewhere while nobody asks": """
        --enable-sleep-mode --sleep-mode-offload-cudagraph --enable-cumem-allocator
    """,
    "keys and values of tokens, which are the same, are kept, moved or dropped elsewhere": """
        --kv-offloading-size --kv-offloading-backend --kv-transfer-config --kv-events-config --kv-cache-metrics
        --kv-cache-metrics-sample --kv-cache-memory-bytes --swap-space --block-size --num-gpu-blocks-override
        --enable-prefix-caching --prefix-caching-hash-algo --disable-hybrid-kv-cache-manager
    """,
    "memory is shared out otherwise": """
        --gpu-memory-utilization --cpu-offload-gb --cpu-offload-params --offload-backend --offload-params
        --offload-group-size --offload-num-in-group --offload-prefetch-step
    """,
    "requests are put into batches otherwise": """
        --max-num-seqs --max-num-batched-tokens --max-num-scheduled-tokens --max-num-queued-reqs
        --max-num-queued-tokens --enable-chunked-prefill --long-prefill-token-threshold --max-num-partial-prefills
        --max-long-partial-prefills --scheduling-policy --async-scheduling --stream-interval --enable-dbo
        --dbo-decode-token-threshold --dbo-prefill-token-threshold --ubatch-size --performance-mode
    """,
    "the same operations are compiled and launched otherwise": """
        --enforce-eager --compilation-config -cc -O --optimization-level --cudagraph-capture-sizes
        --max-cudagraph-capture-size --enable-flashinfer-autotune
    """,
    "processes before the model take requests apart and put replies together": """
        --api-server-count -asc --renderer-num-workers --api-key --root-path --shutdown-timeout
        --enable-server-load-tracking --h11-max-incomplete-event-size --h11-max-header-count
    """,
    "it is about logs, metrics and traces": """
        --uvicorn-log-level --disable-uvicorn-access-log --log-config-file --log-level --enable-log-requests
        --disable-log-requests --enable-log-outputs --enable-log-deltas --disable-log-stats --max-log-len
        --aggregate-engine-logging --enable-logging-iteration-details --cudagraph-metrics --enable-mfu-metrics
        --otlp-traces-endpoint --collect-detailed-traces --show-hidden-metrics-for-version --profiler-config
        --enable-layerwise-nvtx-tracing --enable-prompt-tokens-details --enable-force-include-usage --request-log
    """,
    "a simulated expert says when to ask again": "--retry-after",
}

PERFORMANCE_ARGUMENTS: Mapping[str, str] = {flag: why for why, flags in _REASONS.items() for flag in flags.split()}
"""Server arguments that change how fast a model replies and not what it says, with the reason: no part of its identity.
Each stands for its `--no-` form too. An argument that is not here is part of it."""

CHANGES_REPLIES = frozenset({("--load-format", "dummy")})
"""Values that make one of them part of it all the same: weights that are made up."""

SIM_GROUPS = ("--latency", "--fault")
"""Groups of the same for simulated experts, `--latency-ms` for instance: how slow and how faulty they are."""


def identity_options(args: Iterable[str]) -> tuple[str, ...]:
    """The arguments that belong to a model's identity, as sorted `--flag=value` texts.

    `--flag value`, `--flag=value` and `--flag_` spelt with underscores are one. A flag that is given more than once
    keeps the order of its values, since for most of them the last one counts.
    """
    options: list[tuple[str, str | None]] = []
    for arg in args:
        if arg.startswith("-") and not arg[1:2].isdigit():
            flag, equals, value = arg.partition("=")
            options.append((flag.replace("_", "-"), value if equals else None))
        elif options:
            flag, before = options[-1]
            options[-1] = (flag, arg if before is None else f"{before} {arg}")
        else:
            options.append((arg, None))
    kept = sorted(
        (option for option in options if not _only_performance(*option)),
        key=lambda option: option[0],  # stable: values of a repeated flag stay in order
    )
    return tuple(flag if value is None else f"{flag}={value}" for flag, value in kept)


def _only_performance(flag: str, value: str | None) -> bool:
    positive = f"--{flag.removeprefix('--no-')}" if flag.startswith("--no-") else flag
    if positive in PERFORMANCE_ARGUMENTS:
        return (positive, value) not in CHANGES_REPLIES
    return any(flag == group or flag.startswith(f"{group}-") for group in SIM_GROUPS)
