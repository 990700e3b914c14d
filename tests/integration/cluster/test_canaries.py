"""Every credential and every prompt is planted: none is found where it has no business, whatever a server says back."""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from aiohttp import web

from cluster.controlplane import ControlPlane
from support.arena import SMALL, Arena
from support.certificates import self_signed, tls_of
from support.s3server import S3Server
from support.stub_llm import serving
from tiltyard.observe.kinds import CLAIMS, CONFIG_MAPS, EVENTS, JOBS, PODS, SERVICES, Object
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.store import Store, open_store

pytestmark = [pytest.mark.xdist_group("cluster-3"), pytest.mark.timeout(400)]

KEY, HEADER, VARIABLE = "canary-api-key-7f3a91", "canary-header-c04e55", "canary-variable-e81d"
TOKEN, MODEL = "hf_canaryToken31c6", "canary-model-b210"
EMBEDDER, AUTHORITY = "canary-embedder-key-96ab", "canary-authority-0d83"
SECRET = "canaries"
PROMPT, ANSWER = "canary prompt 52b8", "canary answer 9d17"
ROWS = 6


def careless(failed: list[str]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Answers, or refuses or fails and says back all that it was told, as careless gateways do.

    Args:
        failed: gets the request that it fails at: once, with 500.
    """

    async def chat(request: web.Request) -> web.Response:
        body = await request.json()
        asked = body["messages"][-1]["content"]
        told = f"{request.headers['Authorization']} {request.headers['X-Team']} asked: {asked}"
        if "seed" in body:
            error = {"message": f"seed is not supported: {told}", "param": "seed"}
            return web.json_response({"error": error}, status=400)
        if PROMPT in asked and not failed:
            failed.append(asked)
            return web.json_response({"error": {"message": f"internal error: {told}"}}, status=500)
        if f"{PROMPT} 3" in asked:
            return web.json_response({"error": {"message": f"cannot do this: {told}"}}, status=400)
        if f"{PROMPT} 4" in asked:
            return web.Response(status=400, text=f"<html>{told}</html>")
        choice = {"message": {"role": "assistant", "content": f"{ANSWER}: {asked[-40:]}"}, "finish_reason": "stop"}
        return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 9}})

    return chat


def careless_embedder(failed: list[str]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Embeds each prompt apart from the others, or fails once and says back all that it was told.

    Args:
        failed: gets the texts that it fails at, with 500.
    """

    async def embed(request: web.Request) -> web.Response:
        texts = (await request.json())["input"]
        asked = " ".join(texts)
        if PROMPT in asked and not failed:
            failed.append(asked)
            told = f"internal error: {request.headers['Authorization']} {request.headers['X-Team']} asked: {asked}"
            return web.json_response({"error": {"message": told}}, status=500)
        vectors = [[*(float(f"{PROMPT} {place}:" in text) for place in range(ROWS)), 0.1] for text in texts]
        data = [{"index": place, "embedding": vector} for place, vector in enumerate(vectors)]
        return web.json_response({"data": data, "usage": {"prompt_tokens": 9, "total_tokens": 9}})

    return embed


def texts_of(store: Store) -> dict[str, str]:
    """Each object of a store as text; a parquet's cells."""
    found = {}
    for info in store.list(""):
        data = store.get(info.key) or b""
        rows = data.startswith(b"PAR1")
        found[info.key] = str(pq.read_table(io.BytesIO(data)).to_pylist()) if rows else data.decode(errors="replace")
    return found


def variable(key: str, name: str = "TEAM_TOKEN") -> dict[str, object]:
    """An environment variable of a pod that has a planted text."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": SECRET, "key": key}}}


def plant(plane: ControlPlane, arena: Arena, **texts: str) -> None:
    """A Secret with these texts."""
    encoded = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "data": encoded}
    plane.apply(f"/api/v1/namespaces/{arena.namespace}/secrets/{SECRET}", secret)


async def said_in(arena: Arena, told: Object) -> dict[str, str]:
    """All that is said to people, and what objects hold, by the place."""
    said = {
        "the operator's log": arena.operator.log.read_text(),
        "the status": json.dumps(told),
        "events": json.dumps((await arena.kube.list(EVENTS, arena.namespace, ""))[0]),
        "metrics": await arena.operator.metrics(),
    }
    for kind in (PODS, JOBS, CONFIG_MAPS, SERVICES, CLAIMS):
        said[kind.plural] = json.dumps(await arena.children(kind))
    containers = [file for pattern in ("log", "*.log") for file in arena.player.folder.glob(f"*/{pattern}")]
    assert containers
    said |= {f"{file.name} of {file.parent.name}": file.read_text(errors="replace") for file in containers}
    return said


async def test_nothing_that_was_planted_is_found(
    arena: Arena, plane: ControlPlane, credentials: S3Server, tmp_path: Path
) -> None:
    certificate = self_signed(tmp_path)
    authority = f"{AUTHORITY}\n{certificate[0].read_text()}"
    texts = {"key": KEY, "header": HEADER, "variable": VARIABLE, "model": MODEL, "embedder": EMBEDDER}
    plant(plane, arena, **texts, authority=authority)
    store = open_store(StoreRef(uri=arena.s3_uri, endpoint=arena.server.endpoint))
    prompts = [{"prompt": f"{PROMPT} {number}: sort a list"} for number in range(ROWS)]
    store.put("p.jsonl", "".join(json.dumps(row) + "\n" for row in prompts).encode())
    instructions = {"from": {"uri": f"{arena.s3_uri}/p.jsonl", "perCompetitor": ROWS}}
    curation = {"decontaminate": [], "dedup": {"method": "Semantic"}, "diversity": {"perCompetitor": ROWS}}
    document = arena.manifest(2, **{**SMALL, "instructions": instructions, "curation": curation})
    spec = document["spec"]
    spec["jobs"] = {**spec["jobs"], "maxVoidFraction": "1", "pod": {"env": [variable("variable")]}}
    spec["competitors"][0]["serving"] = {"pod": {"env": [variable("model")]}}
    failed, not_embedded = list[str](), list[str]()
    headers = [{"name": "X-Team", "valueSecretRef": {"name": SECRET, "key": "header"}}]
    async with (
        serving({"/v1/chat/completions": careless(failed)}) as url,
        serving({"/v1/embeddings": careless_embedder(not_embedded)}, tls=tls_of(certificate)) as embeddings,
    ):
        spec["competitors"][1] = {
            "name": "m1",
            "endpoint": {"url": f"{url}/v1", "model": "m", "apiKeySecretRef": {"name": SECRET, "key": "key"}},
            "request": {"headers": headers},
        }
        key = {"name": SECRET, "key": "embedder"}
        spec["curation"]["diversity"]["embedder"] = {
            "method": "Endpoint",
            "endpoint": {"url": f"{embeddings}/v1", "model": "e", "apiKeySecretRef": key},
            "request": {"headers": headers, "caBundle": {"secretRef": {"name": SECRET, "key": "authority"}}},
        }
        await arena.apply(document)
        told = await arena.wait_for_phase("Complete", "Failed", limit=240)
    assert told["status"]["phase"] == "Complete", yaml.safe_dump(told["status"])

    artifacts = texts_of(store)
    store.close()
    answers = "".join(text for key, text in artifacts.items() if key.startswith("answer/"))
    assert ANSWER in answers
    assert "RefusedByServer" in answers
    assert failed
    assert not_embedded
    said = await said_in(arena, told)
    account = [credentials.env["AWS_ACCESS_KEY_ID"], credentials.env["AWS_SECRET_ACCESS_KEY"]]
    secrets = [*texts.values(), AUTHORITY, *account]
    for place, text in {**said, **artifacts}.items():
        assert [canary for canary in secrets if canary in text] == [], place
    for place, text in said.items():
        assert [canary for canary in (PROMPT, ANSWER) if canary in text] == [], place


async def test_a_hub_that_says_back_the_token_is_not_quoted(arena: Arena, plane: ControlPlane) -> None:
    plant(plane, arena, token=TOKEN, variable=VARIABLE)
    asked = list[str]()

    async def refuse(request: web.Request) -> web.Response:
        asked.append(request.headers.get("Authorization", ""))
        return web.Response(status=403, reason=f"no access for {asked[-1]}", text=f"<html>{asked[-1]}</html>")

    document = arena.manifest(2, **SMALL)
    spec = document["spec"]
    spec["jobs"] = {**spec["jobs"], "pod": {"env": [variable("variable")]}}
    spec["serving"] = {"weights": {"claim": {"size": "1Gi"}}}
    async with serving({"/{path:.*}": refuse}) as url:
        token = {"name": SECRET, "key": "token"}
        model = {"uri": "hf://org/m", "servedFrom": f"hf://org/m?endpoint={url}", "tokenSecretRef": token}
        spec["competitors"][1] = {"name": "m1", "model": model}
        base = {"uri": "hf://org/base", "servedFrom": f"hf://org/base?endpoint={url}", "tokenSecretRef": token}
        spec["training"] = {"baseModel": base}
        await arena.apply(document)
        told = await arena.wait(lambda one: "the hub answers 403" in json.dumps(one.get("status", {})), limit=120)
    assert f"Bearer {TOKEN}" in asked
    for place, text in (await said_in(arena, told)).items():
        assert [canary for canary in (TOKEN, VARIABLE) if canary in text] == [], place


async def test_a_harness_that_says_back_the_token_is_quoted_without_it(
    arena: Arena, plane: ControlPlane, tmp_path: Path
) -> None:
    plant(plane, arena, token=TOKEN, variable=VARIABLE)
    harness = tmp_path / "harness"
    words = "f\"no access with {os.environ['HF_TOKEN']}, {os.environ.get('TEAM_TOKEN')}\""
    harness.write_text(f"#!{sys.executable}\nimport os, sys\nsys.exit({words})\n")
    harness.chmod(0o755)
    arena.operator.arguments = (f"--lm-eval-python={harness}",)
    await arena.operator.stop()
    await arena.operator.start()
    document = arena.manifest(2, **SMALL)
    spec = document["spec"]
    spec["jobs"] = {**spec["jobs"], "pod": {"env": [variable("variable"), variable("token", "HF_TOKEN")]}}
    spec["evaluation"] = {"benchmarks": [], "lmEval": [{"name": "gsm8k"}], "competitors": True}
    await arena.apply(document)
    quoted = "its last output is 'no access with (not shown), None'"
    told = await arena.wait(lambda one: quoted in json.dumps(one.get("status", {})), limit=120)
    said = await said_in(arena, told)
    assert any(place.startswith("lm-eval.log of ") for place in said)
    for place, text in said.items():
        assert [canary for canary in (TOKEN, VARIABLE) if canary in text] == [], place
