"""What makes two models the same model: where the weights are, and the serving arguments that can change replies."""

from __future__ import annotations

from collections.abc import Iterable

PERFORMANCE_ARGUMENTS = frozenset(
    {
        # how the model is laid out over devices
        "--tensor-parallel-size", "-tp", "--pipeline-parallel-size", "-pp", "--data-parallel-size", "-dp",
        "--enable-expert-parallel", "--distributed-executor-backend", "--max-parallel-loading-workers",
        # memory
        "--gpu-memory-utilization", "--kv-cache-memory-bytes", "--swap-space", "--cpu-offload-gb", "--block-size",
        "--num-gpu-blocks-override", "--enable-prefix-caching", "--no-enable-prefix-caching",
        # batches and compilation
        "--max-num-seqs", "--max-num-batched-tokens", "--enable-chunked-prefill", "--no-enable-chunked-prefill",
        "--async-scheduling", "--enforce-eager", "--no-enforce-eager", "--compilation-config", "-O",
        # logs
        "--uvicorn-log-level", "--download-dir", "--enable-log-requests", "--disable-log-requests",
        "--disable-log-stats", "--max-log-len", "--request-log",
        # a simulated expert's 429
        "--retry-after",
    }
)  # fmt: skip
"""Server arguments that change how fast a model replies and not what it says: no part of its identity."""

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
        (option for option in options if not _only_performance(option[0])),
        key=lambda option: option[0],  # stable: values of a repeated flag stay in order
    )
    return tuple(flag if value is None else f"{flag}={value}" for flag, value in kept)


def _only_performance(flag: str) -> bool:
    return flag in PERFORMANCE_ARGUMENTS or any(flag == group or flag.startswith(f"{group}-") for group in SIM_GROUPS)
