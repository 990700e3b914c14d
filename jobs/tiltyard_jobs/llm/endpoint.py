"""An endpoint as a shard is told of it, and the client that is connected to it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tiltyard_jobs.contracts.tasks import EndpointRef
from tiltyard_jobs.llm.address import root_and_version
from tiltyard_jobs.llm.caller import Sleep
from tiltyard_jobs.llm.client import ModelClient
from tiltyard_jobs.llm.retry import RetryPolicy
from tiltyard_jobs.llm.thoughts import with_own_pair
from tiltyard_jobs.llm.transport import HttpTransport, TimeOuts


@dataclass(frozen=True, slots=True)
class ModelEndpoint:
    """An OpenAI-compatible server and one of its models.

    Attributes:
        url: with the API's version (`https://models.example/v1`), as OpenAI's clients want it, or without, as KServe
            reports it; without means `/v1`. With `/chat/completions`, `/completions` or `/embeddings` at its
            end it is what is asked, version or not.
        model: the name that requests carry.
        api_key_env: the environment variable that holds the bearer token; None where none is needed.
        ca_bundle: a PEM file of the authorities to trust; None trusts the system's.
        max_concurrency: the most requests under way at once.
        headers: sent with each request.
        header_env: likewise; by header the environment variable that holds its value.
        extra_body: members that are added to each request for text.
        thought_marks: the opening and the closing mark of its thoughts, where they are the user's own.
        stop: texts at which its replies end.
    """

    url: str
    model: str
    api_key_env: str | None = None
    ca_bundle: Path | None = None
    max_concurrency: int = 64
    headers: Mapping[str, str] = field(default_factory=dict)
    header_env: Mapping[str, str] = field(default_factory=dict)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    thought_marks: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()

    @classmethod
    def of(cls, ref: EndpointRef) -> Self:
        """The endpoint that a task names."""
        return cls(
            url=ref.url,
            model=ref.model,
            api_key_env=ref.api_key_env,
            ca_bundle=Path(ref.ca_bundle) if ref.ca_bundle else None,
            max_concurrency=ref.max_concurrency,
            headers=ref.headers,
            header_env=ref.header_env,
            extra_body=ref.extra_body,
            thought_marks=ref.thought_marks,
            stop=ref.stop,
        )

    @property
    def root(self) -> str:
        """The server's root, above the API's version; vLLM's `/tokenize` lies there."""
        return root_and_version(self.url)[0]

    @property
    def version(self) -> str:
        """The API's version, a path segment such as `v1`; empty where it has none."""
        return root_and_version(self.url)[1]


@asynccontextmanager
async def connect(
    endpoint: ModelEndpoint,
    *,
    rng: random.Random,
    policy: RetryPolicy | None = None,
    time_outs: TimeOuts | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Sleep = asyncio.sleep,
) -> AsyncIterator[ModelClient]:
    """A client of the endpoint, closed at the end; nothing is sent before the first call.

    Args:
        endpoint: where to, and which model.
        rng: the source of jitter.
        policy: when to retry and when to give up.
        time_outs: when one request is given up.
        clock: monotonic seconds.
        sleep: waits.

    Raises:
        ConfigurationError: the URL, the key's variable or the CA bundle cannot be used.
    """
    transport = HttpTransport(
        endpoint.root,
        max_connections=endpoint.max_concurrency,
        api_key_env=endpoint.api_key_env,
        ca_bundle=endpoint.ca_bundle,
        headers=endpoint.headers,
        header_env=endpoint.header_env,
        time_outs=time_outs,
    )
    try:
        yield ModelClient(
            transport,
            url=endpoint.url,
            model=endpoint.model,
            max_concurrency=endpoint.max_concurrency,
            rng=rng,
            policy=policy,
            version=endpoint.version,
            extra_body=endpoint.extra_body,
            stop=endpoint.stop,
            pairs=with_own_pair(endpoint.thought_marks),
            clock=clock,
            sleep=sleep,
        )
    finally:
        await transport.aclose()
