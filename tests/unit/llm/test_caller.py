"""What becomes of a record under each kind of failure, in virtual time."""

from __future__ import annotations

import asyncio
import math
import random
from typing import Any

import pytest

from support import virtual_time
from support.simulated_llm import SAMPLING, Answer, MortalServer, SimulatedServer, client_of, completion
from tiltyard_jobs.errors import ConfigurationError, RecordVoidError, TransientError, VoidReason
from tiltyard_jobs.llm.client import ModelClient
from tiltyard_jobs.llm.retry import RetryPolicy
from tiltyard_jobs.llm.transport import ConnectFailed, ConnectionCut, Reply, ReplyTooLarge, TimedOut, TransportError
from tiltyard_jobs.llm.usage import Usage

SECRET = "the prompt that nobody may see"


async def ask(client: ModelClient, prompt: str = SECRET) -> str:
    return (await client.complete(prompt, sampling=SAMPLING, seed=1)).answer


def void_of(answer: Answer) -> RecordVoidError:
    async def main() -> None:
        await ask(client_of(SimulatedServer(answer)))

    with pytest.raises(RecordVoidError) as caught:
        virtual_time.run(main())
    assert SECRET not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("status", [400, 413, 422, 418])
def test_a_request_refused_for_itself_is_void_at_once(status: int) -> None:
    body = b'{"error": {"message": "cannot read: the prompt that nobody may see", "type": "BadRequestError"}}'
    error = void_of(lambda *_: Reply(status, body))
    assert error.reason is VoidReason.REFUSED_BY_SERVER
    assert error.detail == f"HTTP {status} BadRequestError"


def test_a_prompt_too_long_is_said_so() -> None:
    body = b'{"error": {"message": "This model\'s maximum context length is 4096 tokens.", "code": 400}}'
    assert "too long" in void_of(lambda *_: Reply(400, body)).detail


def test_a_reply_over_the_cap_is_void() -> None:
    error = void_of(lambda *_: ReplyTooLarge("the reply is larger than 10 bytes"))
    assert error.reason is VoidReason.MALFORMED


def test_a_prompt_that_no_json_can_carry_is_void() -> None:
    async def main() -> None:
        await ask(client_of(SimulatedServer(lambda *_: completion())), "lone \ud800 surrogate")

    with pytest.raises(RecordVoidError) as caught:
        virtual_time.run(main())
    assert caught.value.reason is VoidReason.INPUT_VOID


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(401, b""), "API key"),
        (Reply(403, b""), "API key"),
        (
            Reply(404, b'{"error": {"message": "The model `m` does not exist.", "param": "model"}}'),
            "lists under /models",
        ),
        (Reply(404, b'{"detail": "Not Found"}'), "/v1/completions"),
        (Reply(405, b""), "check the URL"),
        (Reply(301, b""), "redirects"),
    ],
)
def test_an_endpoint_that_is_configured_wrong_ends_the_shard(reply: Reply, words: str) -> None:
    async def main() -> None:
        await ask(client_of(SimulatedServer(lambda *_: reply)))

    with pytest.raises(ConfigurationError, match=words) as caught:
        virtual_time.run(main())
    assert "http://model.test/v1" in str(caught.value)
    assert "'m'" in str(caught.value)


@pytest.mark.parametrize(
    "failure",
    [
        Reply(429, b""),
        Reply(498, b""),
        Reply(500, b""),
        Reply(502, b""),
        Reply(408, b""),
        ConnectionCut(""),
        TimedOut(""),
        ConnectFailed(""),
    ],
)
def test_a_failure_that_passes_is_retried(failure: Reply | TransportError) -> None:
    answers = iter([failure, failure, completion(prompt_tokens=5, completion_tokens=2)])

    async def main() -> tuple[Usage, Usage]:
        client = client_of(SimulatedServer(lambda *_: next(answers)))
        done = await client.complete("x", sampling=SAMPLING, seed=1)
        return done.usage, client.usage

    assert virtual_time.run(main()) == (Usage(3, 2, 5, 0, 2), Usage(3, 2, 5, 0, 2))


def test_a_record_that_always_fails_is_void_while_others_are_answered() -> None:
    def answer(_: str, document: dict[str, Any]) -> Reply:
        return Reply(500, b"") if document["prompt"] == "poison" else completion()

    async def main() -> tuple[list[str | BaseException], int]:
        server = SimulatedServer(answer)
        client = client_of(server)
        prompts = ["poison", *("fine" for _ in range(2000))]
        waiting = iter(prompts)
        results: list[str | BaseException] = []

        async def work() -> None:
            for prompt in waiting:
                try:
                    results.append(await ask(client, prompt))
                except RecordVoidError as error:
                    results.append(error)

        await asyncio.gather(*(work() for _ in range(16)))
        return results, sum(document["prompt"] == "poison" for _, _, document in server.asked)

    results, tries = virtual_time.run(main())
    voids = [result for result in results if isinstance(result, RecordVoidError)]
    assert len(results) == 2001
    assert [void.reason for void in voids] == [VoidReason.UNAVAILABLE]
    assert tries == RetryPolicy().tries


def test_the_last_record_is_void_when_the_canary_is_answered() -> None:
    error = void_of(lambda _, document: completion() if document["prompt"] == "1" else ConnectionCut("cut"))
    assert error.reason is VoidReason.UNAVAILABLE
    assert error.detail == "cut after 10 tries"


@pytest.mark.parametrize(
    ("last_words", "down"),
    [
        *((ConnectionCut("cut"), down) for down in (0.01, 2.0, 300.0)),
        *((Reply(500, b"engine dead"), down) for down in (2.0, 300.0)),
    ],
)
@pytest.mark.parametrize("killers", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_what_kills_its_server_twice_is_void_and_nothing_else(
    last_words: Reply | TransportError, killers: int, down: float, seed: int
) -> None:
    prompts = [f"fine {number}" for number in range(200)]
    fatal = frozenset(random.Random(seed).sample(prompts, killers))

    async def main() -> tuple[dict[str, str], MortalServer]:
        server = MortalServer(fatal, down=down, last_words=last_words)
        client = client_of(server)
        waiting, voids = iter(prompts), dict[str, str]()

        async def work() -> None:
            for prompt in waiting:
                try:
                    await ask(client, prompt)
                except RecordVoidError as error:
                    voids[prompt] = error.reason

        await asyncio.gather(*(work() for _ in range(16)))
        return voids, server

    voids, server = virtual_time.run(main())
    assert voids == dict.fromkeys(fatal, VoidReason.KILLED_SERVER)
    assert killers + 1 <= server.deaths <= 2 * killers
    for prompt in fatal:
        assert sum(document["prompt"] == prompt for _, _, document in server.asked) == 2


def test_the_last_record_is_void_where_it_kills_its_server() -> None:
    async def main() -> None:
        await ask(client_of(MortalServer(frozenset({SECRET}), down=60.0, last_words=ConnectionCut("cut"))))

    with pytest.raises(RecordVoidError, match="the second time with nothing else") as caught:
        virtual_time.run(main())
    assert caught.value.reason is VoidReason.KILLED_SERVER


def test_a_server_whose_socket_outlives_it_for_a_moment_is_seen_to_die() -> None:
    server = MortalServer(frozenset({SECRET}), down=0.12, last_words=ConnectionCut("cut"), closing=0.06)

    async def main() -> None:
        await ask(client_of(server))

    with pytest.raises(RecordVoidError, match="the second time with nothing else") as caught:
        virtual_time.run(main())
    assert caught.value.reason is VoidReason.KILLED_SERVER
    assert server.deaths == 2


def test_a_server_that_does_not_come_back_was_not_killed_by_a_request() -> None:
    async def main() -> None:
        server = MortalServer(frozenset({SECRET}), down=2.0, last_words=ConnectionCut("cut"))
        asking = asyncio.ensure_future(ask(client_of(server)))
        await asyncio.sleep(1.0)
        assert server.deaths == 1
        server.down = math.inf
        await asking

    with pytest.raises(TransientError, match="has answered nothing for"):
        virtual_time.run(main())


def test_a_dead_endpoint_voids_nothing_and_ends_the_shard() -> None:
    policy = RetryPolicy(endpoint_deadline=300.0)

    async def main() -> tuple[list[BaseException | str], float, int]:
        server = SimulatedServer(lambda *_: ConnectFailed("no connection"))
        client = client_of(server, policy=policy)
        results = await asyncio.gather(*(ask(client) for _ in range(8)), return_exceptions=True)
        return results, virtual_time.now(), len(server.asked)

    results, elapsed, asked = virtual_time.run(main())
    assert all(isinstance(result, TransientError) for result in results)
    assert "has answered nothing for" in str(results[0])
    assert 300.0 < elapsed < 300.0 + 2 * policy.max_delay
    assert asked < 8 * 60  # it is left alone more and more


def test_records_survive_an_outage_and_what_goes_wrong_right_after() -> None:
    faults = random.Random(0)

    def answer(*_: object) -> Reply | TransportError:
        now = virtual_time.now()
        return ConnectionCut("") if 10 < now < 200 or (now > 200 and faults.random() < 0.3) else completion()

    async def main() -> int:
        client = client_of(SimulatedServer(answer), policy=RetryPolicy(deadline=120))
        waiting = iter(range(3000))
        done = 0

        async def work() -> None:
            nonlocal done
            for _ in waiting:
                await ask(client)
                done += 1

        await asyncio.gather(*(work() for _ in range(16)))
        return done

    assert virtual_time.run(main()) == 3000


def test_a_failure_of_long_ago_is_no_outage() -> None:
    answers = iter([Reply(500, b""), completion(), Reply(500, b""), Reply(500, b"")])

    async def main() -> str:
        client = client_of(SimulatedServer(lambda *_: next(answers, completion())))
        await ask(client)
        await asyncio.sleep(10 * RetryPolicy().endpoint_deadline)
        return await ask(client)

    assert virtual_time.run(main()) == "fine"


def test_being_told_to_wait_is_bounded_by_the_deadline_and_not_by_tries() -> None:
    def answer(_: str, document: dict[str, Any]) -> Reply:
        return completion() if document["prompt"] == "1" or virtual_time.now() > 400 else Reply(429, b"")

    async def main() -> str:
        return await ask(client_of(SimulatedServer(answer), policy=RetryPolicy(tries=2, deadline=500)))

    assert virtual_time.run(main()) == "fine"


def test_retry_after_is_honoured_by_every_request() -> None:
    answers = iter([Reply(429, b"", 7.0)])

    async def main() -> list[float]:
        server = SimulatedServer(lambda *_: next(answers, completion()))
        client = client_of(server)
        await asyncio.gather(ask(client), asyncio.sleep(1))
        return [when for when, _, _ in server.asked]

    first, second = virtual_time.run(main())
    assert second - first >= 7.0

    async def another() -> list[float]:
        nonlocal answers
        answers = iter([Reply(503, b"", 7.0)])
        server = SimulatedServer(lambda *_: next(answers, completion()))
        client = client_of(server)

        async def later() -> None:
            await asyncio.sleep(1)
            await ask(client)

        await asyncio.gather(ask(client), later())
        return [when for when, _, _ in server.asked]

    assert min(virtual_time.run(another())[1:]) >= 7.1


def test_retries_of_all_records_stay_within_the_budget() -> None:
    policy = RetryPolicy(budget_ratio=0.1, budget_floor=2.0, base_delay=0.001, max_delay=0.001, endpoint_deadline=60.0)

    async def main() -> int:
        server = SimulatedServer(lambda *_: Reply(500, b""), latency=0.001)
        client = client_of(server, policy=policy)
        await asyncio.gather(*(ask(client) for _ in range(50)), return_exceptions=True)
        return sum(document["prompt"] != "1" for _, _, document in server.asked)

    # 50 first tries, 20 saved up, 2 a second for 60 s, and one more of each at the end.
    assert virtual_time.run(main()) <= 50 + 20 + 2 * 60 + 50


def test_a_cancelled_request_gives_its_slot_back() -> None:
    async def main() -> str:
        client = client_of(SimulatedServer(lambda *_: completion(), latency=5.0), max_concurrency=1)
        task = asyncio.create_task(ask(client))
        await asyncio.sleep(1)
        task.cancel()
        return await ask(client)

    assert virtual_time.run(main()) == "fine"


def test_the_same_seed_waits_the_same_times() -> None:
    def times(seed: int) -> list[float]:
        faults = random.Random(seed)

        async def main() -> list[float]:
            server = SimulatedServer(lambda *_: Reply(500, b"") if faults.random() < 0.3 else completion())
            client = client_of(server)
            await asyncio.gather(*(ask(client) for _ in range(100)))
            return [when for when, _, _ in server.asked]

        return virtual_time.run(main())

    assert times(1) == times(1)
    assert times(1) != times(2)
