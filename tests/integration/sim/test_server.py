"""The server's paths, errors and life, over HTTP."""

from __future__ import annotations

import asyncio
import base64
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from integration.sim.process import SimProcess
from tiltyard_jobs.contracts.simulated import RANGES
from tiltyard_jobs.sim.domains import Domain

PREFIX = "<|im_start|>user\n"


@pytest.fixture
async def sim() -> AsyncIterator[SimProcess]:
    async with SimProcess("sim://alpha?skill=0.7&max_model_len=2000") as process:
        yield process


async def test_it_says_who_and_how_it_is(sim: SimProcess) -> None:
    assert sim.announced.startswith("listening on http://127.0.0.1:")
    assert await sim.get_text("/health") == (200, "")
    async with sim.session.get("/v1/models") as response:
        (card,) = (await response.json())["data"]
    assert (card["id"], card["max_model_len"]) == ("alpha", 2000)
    assert (await sim.get_text("/v1/nothing"))[0] == 404


async def test_completions_take_text_and_token_ids(sim: SimProcess) -> None:
    status, tokens = await sim.post("/tokenize", prompt=PREFIX, return_token_strs=True)
    assert (status, tokens["token_strs"]) == (200, ["<|im_start|>", "use", "r", "\n"])
    assert tokens["count"] == len(tokens["tokens"]) == 4
    settings = {"seed": 1, "temperature": 0.8, "max_tokens": 500}
    _, by_text = await sim.post("/v1/completions", prompt=PREFIX, **settings)
    _, by_ids = await sim.post("/v1/completions", prompt=tokens["tokens"], **settings)
    assert by_text["choices"] == by_ids["choices"]
    assert by_text["usage"]["prompt_tokens"] == 4


async def test_a_marked_message_shows_the_template(sim: SimProcess) -> None:
    messages = [{"role": "user", "content": "MARK\u00e9"}]
    _, with_prompt = await sim.post("/tokenize", messages=messages, add_generation_prompt=True)
    _, without = await sim.post("/tokenize", messages=messages, add_generation_prompt=False)
    _, text = await sim.post("/detokenize", tokens=with_prompt["tokens"])
    assert text == {"prompt": "<|im_start|>user\nMARK\u00e9<|im_end|>\n<|im_start|>assistant\n"}
    assert with_prompt["tokens"][: without["count"]] == without["tokens"]


async def test_usage_counts_cached_tokens_and_metrics_add_up(sim: SimProcess) -> None:
    messages = [{"role": "user", "content": "Explain why floats do not add up. " * 12}]
    _, first = await sim.post("/v1/chat/completions", messages=messages, seed=1)
    _, second = await sim.post("/v1/chat/completions", messages=messages, seed=2)
    assert first["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    cached = second["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert 0 < cached < second["usage"]["prompt_tokens"]
    assert cached % 16 == 0
    _, text = await sim.get_text("/metrics")
    values = {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}
    assert values["vllm:prompt_tokens_total"] == 2 * first["usage"]["prompt_tokens"]
    assert values["vllm:prompt_tokens_cached_total"] == values["vllm:prefix_cache_hits_total"] == cached
    generated = sum(reply["usage"]["completion_tokens"] for reply in (first, second))
    assert values["vllm:generation_tokens_total"] == generated
    assert values["vllm:num_requests_waiting"] == values["vllm:num_requests_running"] == 0


async def test_embeddings_come_as_numbers_and_as_base64(sim: SimProcess) -> None:
    texts = ["sort a list", "sort the list", "\ud83d\ude00"]
    _, plain = await sim.post("/v1/embeddings", input=texts)
    _, packed = await sim.post("/v1/embeddings", input=texts, encoding_format="base64")
    assert [row["index"] for row in plain["data"]] == [0, 1, 2]
    for one, two in zip(plain["data"], packed["data"], strict=True):
        numbers = base64.b64decode(two["embedding"])
        assert list(struct.unpack(f"<{len(numbers) // 4}f", numbers)) == one["embedding"]


async def test_errors_are_worded_as_vllm_words_them(sim: SimProcess) -> None:
    user = [{"role": "user", "content": "word " * 1500}]
    status, reply = await sim.post("/v1/chat/completions", messages=user)
    assert status == 400
    assert "maximum context length is 2000 tokens" in reply["error"]["message"]
    status, reply = await sim.post("/v1/chat/completions", messages=user, model="other")
    assert (status, reply["error"]["type"], reply["error"]["param"]) == (404, "NotFoundError", "model")
    assert reply["error"]["message"] == "The model `other` does not exist."
    for body in (b"", b"not JSON", b"\xff\xfe", b"[1]", b'{"model": "alpha"', b"null"):
        async with sim.session.post("/v1/completions", data=body) as response:
            assert response.status == 400
            assert (await response.json())["error"]["code"] == 400
    assert (await sim.post("/detokenize", tokens=[-1]))[0] == 400
    assert (await sim.post("/v1/embeddings", input=[]))[0] == 400
    assert (await sim.get_text("/v1/completions"))[0] == 405


async def test_another_process_gives_the_same_bytes() -> None:
    replies: list[object] = []
    for _ in range(2):
        async with SimProcess("sim://alpha?skill=0.7", "--latency-ms", str(5 * len(replies))) as sim:
            _, mined = await sim.post("/v1/completions", prompt=PREFIX, seed=5, max_tokens=400)
            messages = [{"role": "user", "content": mined["choices"][0]["text"] or "Sort a list."}]
            _, answer = await sim.post("/v1/chat/completions", messages=messages, seed=6, logprobs=True, top_logprobs=2)
            replies.append((mined["choices"], answer["choices"]))
    assert replies[0] == replies[1]


async def test_latency_and_the_number_of_places_make_requests_wait() -> None:
    async with SimProcess("sim://slow", "--latency-ms", "400", "--max-num-seqs", "2") as sim:
        start = time.monotonic()
        requests = [sim.post("/v1/completions", prompt=PREFIX, seed=row, max_tokens=9) for row in range(6)]
        group = asyncio.gather(*requests)
        await sim.until_metric("vllm:num_requests_waiting", 4.0)
        await group
        assert time.monotonic() - start >= 1.19


async def test_sigterm_lets_requests_finish_and_ends_well() -> None:
    async with SimProcess("sim://slow", "--latency-ms", "600") as sim:
        request = asyncio.ensure_future(sim.post("/v1/completions", prompt=PREFIX, seed=1, max_tokens=9))
        await sim.until_metric("vllm:num_requests_running", 1.0)
        sim.send(signal.SIGTERM)
        status, _ = await request
        assert status == 200
        assert await asyncio.to_thread(sim.wait) == (0, "")


def test_the_page_names_every_parameter_kind_of_task_and_option() -> None:
    root = Path(__file__).resolve().parents[3]
    page = (root / "docs" / "simulated-experts.md").read_text()
    rows = {line.split("`")[1].split()[0] for line in page.splitlines() if line.startswith("| `")}
    assert {name for name in RANGES if not name.startswith("skill.")} <= rows
    assert all(f"`{domain}`" in page for domain in Domain)
    command = [sys.executable, "-m", "tiltyard_jobs.sim", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(root / "jobs")}, timeout=30)
    options = set(re.findall(r"--[a-z0-9-]+", shown.stdout)) - {"--help"}
    assert "--fault-cut" in options
    assert all(f"`{option}" in page for option in options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--uri", "sim://a?skil=1"], "error: 'sim://a?skil=1': unknown parameter 'skil'; known are"),
        (
            ["--uri", "sim://a", "--fault-429", "1.5"],
            "error: --fault-429 is 1.5, but must be a probability from 0 to 1",
        ),
        (["--uri", "sim://a", "--served-model-name", 'a"b'], "error: --served-model-name is"),
        (["--uri", "sim://a", "--request-log", "/nowhere/log"], "error: --request-log /nowhere/log: No such file"),
        (["--uri", "sim://a", "--latency-ms", "-1"], "must be a number of at least 0"),
        (["--uri", "sim://a", "--prot", "1"], "unrecognized arguments: --prot 1"),
        (["--uri", "sim://a", "--host", "192.0.2.1", "--port", "0"], "error: cannot listen on 192.0.2.1 port 0:"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(options: list[str], words: str) -> None:
    jobs = Path(__file__).resolve().parents[3] / "jobs"
    command = [sys.executable, "-m", "tiltyard_jobs.sim", "--port", "0", *options]
    done = subprocess.run(
        command, capture_output=True, text=True, env={"PYTHONPATH": str(jobs)}, timeout=30, check=False
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


async def test_it_listens_on_all_addresses() -> None:
    """As it does in a pod, whose address may be of either kind."""
    async with SimProcess("sim://a", "--host", "*") as server:
        port = server.url.rpartition(":")[2]
        for host in ("127.0.0.1", *(["[::1]"] if socket.has_dualstack_ipv6() else [])):
            async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}/v1/models") as response:
                assert response.status == 200
