"""Counters under vLLM's names, in Prometheus' text format."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Metrics:
    """What the server has done so far, and what it has to do.

    Attributes:
        running: requests being served.
        waiting: requests that wait for a place among the `--max-num-seqs`.
        prompt_tokens: tokens read.
        cached_tokens: of those, the ones found in the prefix cache.
        generation_tokens: tokens written.
        successes: requests served well.
    """

    running: int = 0
    waiting: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generation_tokens: int = 0
    successes: int = 0

    def count(self, prompt: int, cached: int, generated: int) -> None:
        """Add one request's tokens."""
        self.prompt_tokens += prompt
        self.cached_tokens += cached
        self.generation_tokens += generated
        self.successes += 1

    def text(self, model: str) -> str:
        """The exposition. `model` is the served name, which must hold neither quotes nor line breaks."""
        label = f'{{engine="0",model_name="{model}"}}'
        gauges = {"num_requests_running": self.running, "num_requests_waiting": self.waiting}
        counters = {
            "prompt_tokens_total": self.prompt_tokens,
            "prompt_tokens_cached_total": self.cached_tokens,
            "generation_tokens_total": self.generation_tokens,
            "prefix_cache_queries_total": self.prompt_tokens,
            "prefix_cache_hits_total": self.cached_tokens,
            "request_success_total": self.successes,
        }
        lines = []
        for kind, values in (("gauge", gauges), ("counter", counters)):
            for name, value in values.items():
                # Prometheus names a counter's family without `_total`.
                lines += [f"# TYPE vllm:{name.removesuffix('_total')} {kind}", f"vllm:{name}{label} {float(value)}"]
        return "\n".join(lines) + "\n"
