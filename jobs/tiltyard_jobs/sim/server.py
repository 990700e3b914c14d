"""The HTTP side: paths, the request log, latency, faults, counters. One model to a process, as vLLM has it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from base64 import b64encode
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from tiltyard_jobs.sim import protocol
from tiltyard_jobs.sim.embedding import embed
from tiltyard_jobs.sim.expert import Expert, Reply, TokenLogprobs
from tiltyard_jobs.sim.faults import Fault, FaultPlan
from tiltyard_jobs.sim.metrics import Metrics
from tiltyard_jobs.sim.parameters import SimParameters
from tiltyard_jobs.sim.prefix_cache import BLOCK, PrefixCache
from tiltyard_jobs.sim.protocol import Generation, RequestError
from tiltyard_jobs.sim.refusals import RefusedMember, refuse
from tiltyard_jobs.sim.request_log import CLIENT_GONE, RequestLogWriter
from tiltyard_jobs.sim.thinking import message_of
from tiltyard_jobs.sim.tokenizer import count_tokens, encode, token_bytes

_LARGEST_BODY = 64 * 2**20  # bytes
_LARGEST_BATCH = 2_048  # texts of one embeddings request
_OVERLONG = 2**20  # characters
_TOKEN_BLOCK = 16  # vLLM counts cached tokens by whole blocks of its cache
_GARBAGE = (
    b"<html><body><h1>502 Bad Gateway</h1></body></html>",
    b'{"id": "cmpl-0", "choices": [{"index": 0, "te',
    b"\xff\xfe\x00 not UTF-8 \xc3\x28",
    b'{"choices": []}',
    b"",
)

_EVERYWHERE = frozenset({Fault.TOO_MANY, Fault.INTERNAL, Fault.HANG, Fault.CUT})
_FAULTS = {
    protocol.COMPLETIONS: frozenset(Fault),
    protocol.CHAT: frozenset(Fault),
    protocol.EMBEDDINGS: _EVERYWHERE | {Fault.GARBAGE},
    protocol.TOKENIZE: _EVERYWHERE,
    protocol.DETOKENIZE: _EVERYWHERE,
}
"""The faults that can meet a request to each path; the paths that are not here never fail."""
_WORK = frozenset(_FAULTS)

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the server behaves; nothing here changes what a good reply says.

    Attributes:
        model: the served name.
        faults: what goes wrong.
        latency_s: seconds before a reply.
        latency_per_token_s: more seconds for each token written.
        max_running: requests served at once; the others wait.
        retry_after_s: the Retry-After of a 429, whole seconds.
        log: where requests are logged.
        headers: without any one of these a request is answered with 401.
    """

    model: str
    faults: FaultPlan = field(default_factory=lambda: FaultPlan({}))
    latency_s: float = 0.0
    latency_per_token_s: float = 0.0
    max_running: int = 256
    retry_after_s: int = 1
    log: RequestLogWriter | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Work:
    """A reply that is ready, and what it cost."""

    body: Document
    completion_tokens: int = 0


class SimServer:
    """Answers the requests to one simulated expert.

    Args:
        parameters: the expert's.
        options: the server's.
    """

    def __init__(self, parameters: SimParameters, options: ServerOptions) -> None:
        self._options = options
        self._expert = Expert(parameters)
        self._longest = parameters.max_model_len
        self._thoughts = parameters.thoughts.form
        self._refuses = parameters.refuses
        self._cache = PrefixCache()
        self._metrics = Metrics()
        self._places = asyncio.Semaphore(options.max_running)
        self._stopping = asyncio.Event()
        self._started = int(time.time())

    def stop(self) -> None:
        """Let go of the requests that hang, so that the server can end."""
        self._stopping.set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request; the handler of `aiohttp.web.Server`."""
        path = request.path
        if (request.content_length or 0) > _LARGEST_BODY:
            return _json(protocol.error_body(413, f"The body must not exceed {_LARGEST_BODY} bytes.", None), 413)
        raw = await request.content.read()
        document, digest = _read_body(raw)
        generation, error = self._read_generation(path, document)
        fault = self._fault_for(path, digest)
        log, sequence, status = self._options.log, 0, CLIENT_GONE
        if log is not None:
            sequence = log.arrived(path, digest, protocol.kind_of(path, generation), fault)
        try:
            response = self._barred(request) or await self._respond(request, document, generation, error, fault)
            if not response.prepared:
                await response.prepare(request)
                await response.write_eof()
            status = response.status
        finally:
            if log is not None:
                log.replied(sequence, status)
        return response

    async def _respond(
        self,
        request: web.BaseRequest,
        document: Document | None,
        generation: Generation | None,
        error: RequestError | None,
        fault: Fault | None,
    ) -> web.StreamResponse:
        if request.path not in _WORK:
            return self._plain(request)
        match fault:
            case Fault.TOO_MANY:
                after = {"Retry-After": str(self._options.retry_after_s)}
                return _json(protocol.error_body(429, "Too many requests, try again later.", None), 429, after)
            case Fault.INTERNAL:
                return _json(protocol.error_body(500, "Something went wrong on purpose.", None), 500)
            case Fault.EXIT:
                os._exit(0)
            case Fault.HANG:
                await self._stopping.wait()
                return _json(protocol.error_body(503, "The server is stopping.", None), 503)
        try:
            if request.method != "POST":
                raise RequestError(405, "Method Not Allowed")
            if error is not None:
                raise error
            if document is None:
                raise RequestError(400, "The body must be a JSON object.")
            done = await self._serve(request.path, document, generation, overlong=fault is Fault.OVERLONG)
        except RequestError as refusal:
            return _json(protocol.error_body(refusal.status, str(refusal), refusal.param, refusal.code), refusal.status)
        body = orjson.dumps(done.body)
        if fault is Fault.GARBAGE:
            return web.Response(body=_GARBAGE[len(body) % len(_GARBAGE)], content_type="application/json")
        if fault is Fault.CUT:
            return await _cut(request, body)
        return web.Response(body=body, content_type="application/json")

    def _barred(self, request: web.BaseRequest) -> web.StreamResponse | None:
        for name, value in self._options.headers:
            if request.headers.get(name) != value and request.path != "/health":
                return _json(protocol.error_body(401, f"The header {name} is missing or wrong.", None), 401)
        return None

    def _plain(self, request: web.BaseRequest) -> web.Response:
        match request.path:
            case "/health" | "/ping":
                return web.Response()
            case "/version":
                return _json({"version": "tiltyard-sim"})
            case "/metrics":
                return web.Response(text=self._metrics.text(self._options.model))
            case "/v1/models":
                card = {"id": self._options.model, "object": "model", "created": self._started, "owned_by": "tiltyard"}
                return _json({"object": "list", "data": [card | {"max_model_len": self._longest}]})
        return _json({"detail": "Not Found"}, 404)

    def _fault_for(self, path: str, digest: str) -> Fault | None:
        possible = _FAULTS.get(path)
        fault = self._options.faults.next_fault(digest) if possible else None
        return fault if possible and fault in possible else None

    def _read_generation(self, path: str, document: Document | None) -> tuple[Generation | None, RequestError | None]:
        """The request's meaning, or why it is refused; read before anything else since the log names its kind."""
        if document is None or path not in _WORK:
            return None, None
        try:
            model = document.get("model")
            if model is not None and model != self._options.model:
                raise RequestError(404, f"The model `{model}` does not exist.", "model")
            refuse(self._refuses, document)
            if path == protocol.COMPLETIONS:
                return protocol.completion_request(document), None
            if path == protocol.CHAT:
                return protocol.chat_request(document), None
        except RequestError as error:
            return None, error
        except RefusedMember as error:
            return None, RequestError(400, str(error), error.param, error.code)
        return None, None

    async def _serve(self, path: str, document: Document, generation: Generation | None, *, overlong: bool) -> _Work:
        """Do the work in one of the places, after the wait that a model of this latency would ask for."""
        metrics, options = self._metrics, self._options
        metrics.waiting += 1
        try:
            await self._places.acquire()
        finally:
            metrics.waiting -= 1
        metrics.running += 1
        try:
            if generation is not None:
                done = self._generate(generation, chat=path == protocol.CHAT, overlong=overlong)
            elif path == protocol.EMBEDDINGS:
                done = self._embed(document)
            else:
                done = self._tokenize(document) if path == protocol.TOKENIZE else _detokenize(document)
            delay = options.latency_s + options.latency_per_token_s * done.completion_tokens
            if delay > 0:
                await asyncio.sleep(delay)
            return done
        finally:
            metrics.running -= 1
            self._places.release()

    def _generate(self, generation: Generation, *, chat: bool, overlong: bool) -> _Work:
        reply = self._expert.reply(generation)
        if overlong:
            reply = _overlong(reply)
        cached = self._cached_tokens(generation.prompt, reply.prompt_tokens)
        self._metrics.count(reply.prompt_tokens, cached, reply.completion_tokens)
        content: Document
        if chat:
            entries = reply.logprobs and {"content": [_logprob_entry(entry) for entry in reply.logprobs]}
            form = self._thoughts if generation.thinks else "none"
            content = {"message": message_of(form, reply.text), "logprobs": entries}
        else:
            content = {"text": reply.text, "logprobs": None}
        body = {
            "id": f"{'chatcmpl' if chat else 'cmpl'}-{self._metrics.successes}",
            "object": "chat.completion" if chat else "text_completion",
            "created": int(time.time()),
            "model": self._options.model,
            "choices": [
                {"index": 0, **content, "finish_reason": reply.finish_reason, "stop_reason": reply.stop_reason}
            ],
            "usage": {
                "prompt_tokens": reply.prompt_tokens,
                "completion_tokens": reply.completion_tokens,
                "total_tokens": reply.prompt_tokens + reply.completion_tokens,
                "prompt_tokens_details": {"cached_tokens": cached},
            },
        }
        return _Work(body, reply.completion_tokens)

    def _cached_tokens(self, prompt: str, tokens: int) -> int:
        """Tokens of the prompt that the prefix cache holds: whole blocks, and never the last token of the prompt."""
        known = self._cache.visit(prompt)
        cached = count_tokens(prompt[:known]) if known >= BLOCK else 0
        return min(cached, tokens - 1) // _TOKEN_BLOCK * _TOKEN_BLOCK

    def _embed(self, document: Document) -> _Work:
        texts = document.get("input")
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list) or not 1 <= len(texts) <= _LARGEST_BATCH:
            raise RequestError(400, f"input must be a text or a list of 1 to {_LARGEST_BATCH} texts.", "input")
        if not all(isinstance(text, str) for text in texts):
            raise RequestError(400, "each input must be a text.", "input")
        encoding = document.get("encoding_format") or "float"
        if encoding not in ("float", "base64"):
            raise RequestError(400, "encoding_format must be float or base64.", "encoding_format")
        tokens = sum(map(count_tokens, texts))
        vectors = map(embed, texts)
        data = [
            {
                "object": "embedding",
                "index": place,
                "embedding": b64encode(vector.tobytes()).decode() if encoding == "base64" else vector.tolist(),
            }
            for place, vector in enumerate(vectors)
        ]
        self._metrics.count(tokens, 0, 0)
        usage = {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}
        return _Work({"object": "list", "model": self._options.model, "data": data, "usage": usage})

    def _tokenize(self, document: Document) -> _Work:
        if "messages" in document:
            # vLLM's default: a conversation is rendered up to where the reply begins.
            ahead = document.get("add_generation_prompt", True) is True
            text = protocol.rendered(protocol.turns_of_messages(document), add_generation_prompt=ahead)
        elif isinstance(document.get("prompt"), str):
            text = document["prompt"]
        else:
            raise RequestError(400, "give a prompt of text, or messages.", "prompt")
        ids = encode(text)
        strings = None
        if document.get("return_token_strs"):
            strings = [token_bytes(ident).decode("utf-8", "replace") for ident in ids]
        return _Work({"count": len(ids), "max_model_len": self._longest, "tokens": ids, "token_strs": strings})


def _detokenize(document: Document) -> _Work:
    ids = document.get("tokens")
    if not isinstance(ids, list) or not all(type(ident) is int for ident in ids):
        raise RequestError(400, "tokens must be a list of token ids.", "tokens")
    return _Work({"prompt": protocol.decoded(ids)})


def _overlong(reply: Reply) -> Reply:
    text = (f"{reply.text}\n\n" * (_OVERLONG // (len(reply.text) + 2) + 1))[:_OVERLONG]
    return reply._replace(text=text, finish_reason="length", completion_tokens=count_tokens(text))


def _read_body(raw: bytes) -> tuple[Document | None, str]:
    """The body's JSON object (None where it is none) and its digest: of its canonical form, or of its bytes."""
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None, hashlib.sha256(raw).hexdigest()
    canonical = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    return document if isinstance(document, dict) else None, hashlib.sha256(canonical).hexdigest()


def _logprob_entry(entry: TokenLogprobs) -> Document:
    top = [{"token": token, "logprob": value, "bytes": list(token.encode())} for token, value in entry.top]
    return {"token": entry.token, "logprob": entry.logprob, "bytes": list(entry.token.encode()), "top_logprobs": top}


def _json(document: Document, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=status, headers=headers, content_type="application/json")


async def _cut(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
    """Promise the whole body, send half of it, close the connection."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
