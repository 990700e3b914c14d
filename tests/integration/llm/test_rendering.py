"""The mining prefix from servers that tell their model's chat template in other ways than vLLM.

llama.cpp's replies are as a real server of it gave them (build of October 2026, `xllamacpp` on a CPU, with
Qwen2.5-Coder-0.5B-Instruct). SGLang's and TGI's have the form that their sources and OpenAPI document describe.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from support.stub_llm import Handler, serving
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.llm.chat_template import ChatTemplate
from tiltyard_jobs.llm.client import ModelClient, Sampling
from tiltyard_jobs.llm.endpoint import ModelEndpoint, connect
from tiltyard_jobs.llm.template import find_prefix

SAMPLING = Sampling(temperature=0.8, top_p=0.95, max_tokens=16)
CHATML = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are Qwen.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA = (
    "{{ bos_token }}{% for m in messages %}"
    "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content }}<|eot_id|>"
    "{% endfor %}<|start_header_id|>assistant<|end_header_id|>\n\n"
)
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<start_of_turn>user\n{{ messages[0].content }}<end_of_turn>\n<start_of_turn>model\n"
)
SPECIAL = ("<|begin_of_text|>", "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")


class Server:
    """A stand-in that speaks as one server does.

    Attributes:
        asked: the documents that came, by path.
    """

    def __init__(self, template: str, bos: str = "") -> None:
        self.bos = bos
        special = {"bos_token": bos or "<|endoftext|>"}
        self.source, self.template = template, ChatTemplate(template, special_tokens=special, origin="the model")
        self.asked: dict[str, list[dict[str, Any]]] = {}

    def render(self, document: Mapping[str, Any]) -> str:
        return self.template.render(document["messages"])

    def encode(self, text: str) -> list[tuple[int, str]]:
        """Special tokens, and one token for each other character."""
        found: list[tuple[int, str]] = []
        while text:
            token = next((token for token in SPECIAL if text.startswith(token)), text[0])
            found.append((SPECIAL.index(token) if token in SPECIAL else 100 + ord(token), token))
            text = text[len(token) :]
        return found

    def handlers(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        return {"/v1/completions": self.complete}

    def complete(self, document: dict[str, Any]) -> Any:
        return {"choices": [{"text": "Sort a list.", "finish_reason": "stop"}]}

    @asynccontextmanager
    async def client(self) -> AsyncIterator[ModelClient]:
        def handler(answer: Callable[[dict[str, Any]], Any]) -> Handler:
            async def handle(request: web.Request) -> web.StreamResponse:
                document = await request.json() if request.method == "POST" else {}
                self.asked.setdefault(request.path, []).append(document)
                try:
                    return web.json_response(answer(document))
                except NotImplementedError:
                    return web.Response(status=404, text="404 page not found")
                except (ConfigurationError, KeyError) as error:
                    body = {"error": {"code": 400, "message": str(error), "type": "invalid_request_error"}}
                    return web.json_response(body, status=422 if isinstance(error, KeyError) else 400)

            return handle

        async with (
            serving({path: handler(answer) for path, answer in self.handlers().items()}) as url,
            connect(ModelEndpoint(f"{url}/v1", "m"), rng=random.Random(0)) as client,
        ):
            yield client


class LlamaCpp(Server):
    """Its `/tokenize` takes `content`, and finds nothing in a document without it."""

    def handlers(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        others = {"/apply-template": self.apply, "/tokenize": self.tokenize, "/props": self.props}
        return super().handlers() | others

    def apply(self, document: dict[str, Any]) -> Any:
        return {"prompt": self.render(document).removeprefix(self.bos)}

    def tokenize(self, document: dict[str, Any]) -> Any:
        return {"tokens": [token for token, _ in self.encode(document.get("content", ""))]}

    def props(self, document: dict[str, Any]) -> Any:
        return {
            "total_slots": 2,
            "chat_template": self.source,
            "bos_token": self.bos or "<|endoftext|>",
            "eos_token": "<|im_end|>",
            "build_info": "b0-unknown",
        }


class OldLlamaCpp(LlamaCpp):
    """Before February 2025."""

    def handlers(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        return {path: answer for path, answer in super().handlers().items() if path != "/apply-template"}


class Sglang(Server):
    """`/tokenize` takes a prompt or messages; `/detokenize` replies with `text`, without special tokens by default."""

    def handlers(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        return super().handlers() | {"/tokenize": self.tokenize, "/detokenize": self.detokenize}

    def tokenize(self, document: dict[str, Any]) -> Any:
        text = self.render(document) if "messages" in document else document["prompt"]
        if "prompt" in document and document["add_special_tokens"]:
            text = self.bos + text
        tokens = [token for token, _ in self.encode(text)]
        return {"tokens": tokens, "count": len(tokens), "max_model_len": 4096}

    def detokenize(self, document: dict[str, Any]) -> Any:
        texts = [chr(token - 100) if token >= 100 else SPECIAL[token] for token in document["tokens"]]
        if document.get("skip_special_tokens", True):
            texts = [text for text in texts if text not in SPECIAL]
        return {"text": "".join(texts)}


class Tgi(Server):
    """`/chat_tokenize` takes messages, `/tokenize` takes `inputs` and replies with a bare list."""

    def handlers(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        return super().handlers() | {"/chat_tokenize": self.chat_tokenize, "/tokenize": self.tokenize}

    def chat_tokenize(self, document: dict[str, Any]) -> Any:
        text = self.render(document)
        return {"tokenize_response": self.simple_tokens(text), "templated_text": text}

    def tokenize(self, document: dict[str, Any]) -> Any:
        added = [{"id": SPECIAL.index(self.bos), "text": "", "start": 0, "stop": 0}] if self.bos else []
        return [*added, *self.simple_tokens(document["inputs"])]

    def simple_tokens(self, text: str) -> list[dict[str, Any]]:
        found, at = [], 0
        for token, piece in self.encode(text):
            found.append({"id": token, "text": piece, "start": at, "stop": at + len(piece)})
            at += len(piece)
        return found


SERVERS = {"apply-template": LlamaCpp, "props": OldLlamaCpp, "tokenize": Sglang, "chat_tokenize": Tgi}


@pytest.mark.parametrize("source", SERVERS)
async def test_the_prefix_and_its_ends_are_as_the_server_renders_them(source: str) -> None:
    server = SERVERS[source](CHATML)
    async with server.client() as client:
        prefix = await find_prefix(client)
        told = await find_prefix(client, system="You write Rust.")
        given = await find_prefix(client, explicit="<|im_start|>user\n")
        await client.complete(
            list(prefix.token_ids) if prefix.token_ids else prefix.text,
            sampling=SAMPLING,
            seed=1,
            turn_ends=prefix.stop,
            stop_token_ids=prefix.stop_token_ids,
            preserved_tokens=prefix.preserved_tokens,
        )
    assert prefix.text == "<|im_start|>system\nYou are Qwen.<|im_end|>\n<|im_start|>user\n"
    assert told.text == "<|im_start|>system\nYou write Rust.<|im_end|>\n<|im_start|>user\n"
    assert (prefix.stop, prefix.source) == (("<|im_end|>", "<|im_start|>"), source)
    assert (given.stop, given.stop_source) == (("<|im_end|>", "<|im_start|>"), source)
    (sent,) = server.asked["/v1/completions"]
    # llama.cpp shows special tokens only where they are named: else no stop would be found.
    llama_cpp = source in ("apply-template", "props")
    assert sent.get("preserved_tokens") == (["<|im_end|>", "<|im_start|>"] if llama_cpp else None)
    assert (prefix.token_ids is not None) == (source == "tokenize")


@pytest.mark.parametrize("source", SERVERS)
async def test_a_raw_prompt_begins_once(source: str) -> None:
    server = SERVERS[source](LLAMA, bos="<|begin_of_text|>")
    async with server.client() as client:
        prefix = await find_prefix(client)
    header = "<|start_header_id|>user<|end_header_id|>\n\n"
    # Tokens are sent as they are; before a text these servers put the beginning themselves.
    assert prefix.text == (f"<|begin_of_text|>{header}" if source == "tokenize" else header)
    assert prefix.stop == ("<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>")


async def test_tgi_puts_no_beginning_before_a_prompt_of_a_model_without_one() -> None:
    async with Tgi(LLAMA).client() as client:
        prefix = await find_prefix(client)
    assert prefix.text.startswith("<|endoftext|><|start_header_id|>user")


@pytest.mark.parametrize("source", SERVERS)
async def test_a_template_that_refuses_a_system_message_is_told(source: str) -> None:
    async with SERVERS[source](NO_SYSTEM).client() as client:
        assert (await find_prefix(client)).text == "<start_of_turn>user\n"
        with pytest.raises(ConfigurationError, match=r"(cannot render a system and a user|give chatTemplatePrefix)"):
            await find_prefix(client, system="You write Rust.")


class Silent(Server):
    """It has none of the paths."""

    def handlers(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        return {"/{path:.*}": self.not_found}

    def not_found(self, document: dict[str, Any]) -> Any:
        raise NotImplementedError


async def test_a_server_that_tells_nothing_is_asked_each_path_once() -> None:
    server = Silent(CHATML)
    async with server.client() as client:
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="does not provide the chat template of model 'm'"):
                await find_prefix(client)
    assert {path: len(asked) for path, asked in server.asked.items()} == dict.fromkeys(
        ["/tokenize", "/apply-template", "/chat_tokenize", "/props"], 1
    )
