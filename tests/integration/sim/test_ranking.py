"""A small tournament by hand: a noisy judge ranks two experts of different skill rightly."""

from __future__ import annotations

import asyncio
from typing import Any

from integration.sim.process import SimProcess
from tiltyard_jobs.prompts.judge import JudgePrompt
from tiltyard_jobs.prompts.verdicts import TOP_LOGPROBS, parse_logprobs

MATCHES = 200
CHAT = "/v1/chat/completions"
PROMPT = JudgePrompt("judge-v1/code-v1", "Logprobs", salt="ranking")


async def texts(sim: SimProcess, path: str, bodies: list[dict[str, Any]]) -> list[str]:
    replies = await asyncio.gather(*[sim.post(path, seed=row, **body) for row, body in enumerate(bodies)])
    choices = [reply["choices"][0] for _, reply in replies]
    return [choice["text"] if "text" in choice else choice["message"]["content"] for choice in choices]


async def votes(sim: SimProcess, instructions: list[str], first: list[str], second: list[str]) -> list[float]:
    async def vote(row: int) -> float:
        messages = PROMPT.messages(instructions[row], first[row], second[row])
        asked = {"logprobs": True, "top_logprobs": TOP_LOGPROBS, "max_tokens": 1, "temperature": 0}
        _, reply = await sim.post(CHAT, messages=messages, seed=row, **asked)
        choice = reply["choices"][0]
        top = choice["logprobs"]["content"][0]["top_logprobs"]
        tokens = {entry["token"]: entry["logprob"] for entry in top}
        return parse_logprobs(tokens, choice["message"]["content"]).vote

    return await asyncio.gather(*[vote(row) for row in range(len(instructions))])


async def test_a_noisy_judge_ranks_two_experts_rightly() -> None:
    strong_uri, weak_uri = "sim://strong?skill=0.72&spread=0", "sim://weak?skill=0.6&spread=0"
    async with SimProcess(strong_uri) as strong, SimProcess(weak_uri) as weak:
        miner: dict[str, Any] = {"prompt": "<|im_start|>user\n", "temperature": 0.8, "max_tokens": 600}
        instructions = [text or "Sort a list." for text in await texts(weak, "/v1/completions", [miner] * MATCHES)]
        bodies: list[dict[str, Any]] = [{"messages": [{"role": "user", "content": text}]} for text in instructions]
        by_strong, by_weak = await texts(strong, CHAT, bodies), await texts(weak, CHAT, bodies)
    async with SimProcess("sim://judge?judge.noise=0.4&judge.position_bias=0.15&judge.abstain=0") as judge:
        forward = await votes(judge, instructions, by_strong, by_weak)
        backward = await votes(judge, instructions, by_weak, by_strong)
    share = [(one + 1 - two) / 2 for one, two in zip(forward, backward, strict=True)]
    mean = sum(share) / MATCHES
    assert 0.54 < mean < 0.8
    # Order matters to this judge: shown first, either expert does better.
    assert sum(forward) / MATCHES > mean > 1 - sum(backward) / MATCHES
