"""What a server says of a request that it does not answer, in whichever form it says it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PARAMETER = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")
_NAME = re.compile(r"\b[A-Za-z]\w*\b", re.ASCII)
TOO_LONG = "the prompt is too long for the model"
_SHOWN = 200  # characters of a server's own words
_READ = 4096  # bytes of a body that is no JSON
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
# What servers say of one request, by their words (vLLM, llama.cpp, Ollama, OpenAI), and ours for it.
_MEANINGS = (
    (
        re.compile(
            r"context[ _](?:length|size|window)|max_model_len|too (?:long|many tokens)|longer than", re.IGNORECASE
        ),
        TOO_LONG,
    ),
    (re.compile(r"system role|roles? must alternate", re.IGNORECASE), "the chat template refuses these roles"),
    (re.compile(r"chat[ _]template", re.IGNORECASE), "the model has no chat template that works"),
    (re.compile(r"does not support (?:chat|generate|completion)", re.IGNORECASE), "the model does not offer this"),
    (re.compile(r"max(?:imum)? (?:allowed|logprobs)", re.IGNORECASE), "a value is above the server's maximum"),
)
_NO_CREDIT = re.compile(
    r"insufficient[ _](?:quota|funds|credits?|balance)|(?:out of|have any|no) credits?", re.IGNORECASE
)
# Anthropic's, with HTTP 400. At the beginning alone: such a message may quote a prompt.
_TOO_LITTLE_CREDIT = re.compile(r"your credit balance is too low", re.IGNORECASE)
_DAILY = re.compile(r"per[ _-]?day|daily|\b[TR]PD\b|今日|每日|每天", re.IGNORECASE)
_SOON = re.compile(r"per[ _-]?(?:minute|second|hour)|\b[TR]P[MSH]\b|每分钟|每秒", re.IGNORECASE)
# What llama.cpp and LM Studio say with HTTP 500 of messages that a chat template refuses.
_TEMPLATE_REFUSES = re.compile(r"system role (?:is )?not supported|roles must alternate", re.IGNORECASE)
# OpenAI's, of a model that thinks: a reply without an answer is an error there.
_NO_ROOM = re.compile(r"could not finish the message because max_tokens", re.IGNORECASE)
_LOADING = re.compile(r"\bloading|being loaded", re.IGNORECASE)


class ServerError(NamedTuple):
    """What an error's body says, in the form of whichever server; empty where it says nothing.

    Attributes:
        message: the server's words, which may quote the prompt.
        code: a short code, else the error's type.
        param: the member of the request that is at fault.
        title: of a web page, of a gateway perhaps: it is shown, and nothing follows from it.
    """

    message: str = ""
    code: str = ""
    param: str = ""
    title: str = ""

    @property
    def names_the_model(self) -> bool:
        """Whether a 404 is about the model's name (vLLM: `param`; OpenAI: `code`) and not about the path."""
        return (
            self.param == "model"
            or self.code in ("model_not_found", "DeploymentNotFound")
            or "model" in self.message.lower()
        )

    @property
    def is_about_credit(self) -> bool:
        """Whether the account is empty, which waiting does not fill."""
        return _NO_CREDIT.search(f"{self.code} {self.message}") is not None

    @property
    def says_that_credit_is_low(self) -> bool:
        """Whether a refused request is no matter of the request: these words can be nothing else."""
        return _TOO_LITTLE_CREDIT.match(self.message) is not None

    @property
    def is_about_the_template(self) -> bool:
        """Whether the chat template refuses the messages, whatever the status."""
        return _TEMPLATE_REFUSES.search(self.message) is not None

    @property
    def is_about_the_day(self) -> bool:
        """Whether it is the day's limit that is reached, and no other one's words stand beside it."""
        text = f"{self.code} {self.message}"
        return _DAILY.search(text) is not None and _SOON.search(text) is None

    @property
    def is_loading(self) -> bool:
        """Whether the model will be there soon (llama.cpp, the Hugging Face hub)."""
        return _LOADING.search(self.message) is not None

    @property
    def is_about_room(self) -> bool:
        """Whether the token limit ended the thought of a model that thinks."""
        return _NO_ROOM.search(self.message) is not None

    @property
    def members(self) -> frozenset[str]:
        """Members of a request that may be at fault: `param`, and whatever names stand in it and in the message."""
        return frozenset({self.param, *_NAME.findall(self.param), *_NAME.findall(self.message)}) - {""}

    @property
    def words(self) -> str:
        """The beginning of the message or title in one line, to be shown where the prompt is ours."""
        line = " ".join((self.message or self.title).split())
        shown = line if len(line) <= _SHOWN else f"{line[:_SHOWN].rstrip()}…"
        return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in shown)

    def detail(self, status: int) -> str:
        """What is wrong with a request, without the words of the server."""
        what = f"HTTP {status}"
        meaning = next((ours for words, ours in _MEANINGS if words.search(f"{self.code} {self.message}")), None)
        if meaning is not None:
            what += f": {meaning}"
        elif self.code:
            what += f" {self.code}"
        return f"{what} (parameter {self.param})" if self.param else what


_BROKEN_OFF = re.compile(rb'"finish_reason"\s*:\s*"(error|abort|network_error|insufficient_system_resource)"')


def broken_off(body: bytes) -> str:
    """The finish reason of a reply that its server did not end (OpenRouter, vLLM, DeepSeek, Zhipu); else empty."""
    found = _BROKEN_OFF.search(body)
    return found[1].decode() if found is not None else ""


_ANSWERED = frozenset({201, 203})  # what some gateways make of 200
_STATUSES = frozenset({401, 402, 403, 408, 424, 429, *range(500, 600)})
_IS_REPLY = re.compile(rb'"(?:choices|data)"\s*:\s*\[\s*\{')
# Members of an error that hold its words, or lead to them; of the first that has any they are taken.
_LEADS = (
    "error",
    "detail",
    "message",
    "Message",
    "msg",
    "errors",
    "status_msg",
    "base_resp",
    "error_msg",
    "fault",
    "faultstring",
)
_DEEPEST = 4
_NO_WORDS = ("<", "{", "[", "data:", "event:")  # a page, and what is a reply that was cut or streamed
_NO_PATH = "Not Found"  # FastAPI's word for a path that it does not have


def status_of(status: int, body: bytes) -> int:
    """The status of a reply; some gateways send an error with status 200, and its own as a code."""
    status = 200 if status in _ANSWERED else status
    if status != 200 or _IS_REPLY.search(body, 0, 1000):
        return status
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return status
    if not isinstance(document, dict) or document.get("choices") or not _is_error(document):
        return status
    if document.get("detail") == _NO_PATH:
        return 404
    error = document.get("error")
    code = error.get("code") if isinstance(error, dict) else document.get("code")
    return next((one for one in _STATUSES if str(one) == str(code)), 400)


def _is_error(document: Mapping[str, Any]) -> bool:
    return document.get("object") == "error" or any(document.get(name) for name in ("error", "detail", "errors"))


def server_error_of(body: bytes) -> ServerError:
    """Read an error's body; what is no JSON is a text, or a page of a gateway, of which the title tells most."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body[:_READ].decode(errors="replace").strip()
        title = _TITLE.search(text)
        if title is not None:
            return ServerError(title=html.unescape(title[1]))
        is_text = "\0" not in text and not text.startswith(_NO_WORDS)
        return ServerError(text if is_text else "")
    return server_error_in(document)


def server_error_in(document: object) -> ServerError:
    """Read an error.

    `{"error": {"message", "type", "code", "param"}}` is OpenAI's, vLLM's, llama.cpp's and Ollama's form; earlier vLLM
    has the members at the top, Ollama's own API a text as `error`, FastAPI `detail`, Mistral that within `message`,
    Cloudflare `errors`, Gemini a list around it. OpenRouter has the words of the server behind it in `metadata`.
    """
    if isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, dict):
        return ServerError()
    error = document.get("error")
    error = error if isinstance(error, dict) else document
    message, param = _words_of(document), error.get("param")
    detail = error.get("detail")
    if detail is None and isinstance(error.get("message"), dict):
        detail = error["message"].get("detail")
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        place = detail[0].get("loc")
        param = place[-1] if isinstance(place, list) and place else None
    metadata = error.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("raw"), str):
        message = f"{message}: {metadata['raw']}"
    if quotas := " ".join(_quotas_of(error.get("details"))):
        message = f"{message} ({quotas})"
    codes = (code for code in (error.get("code"), error.get("type")) if isinstance(code, str) and _CODE.fullmatch(code))
    return ServerError(
        message, next(codes, ""), param if isinstance(param, str) and _PARAMETER.fullmatch(param) else ""
    )


def _quotas_of(details: object) -> Iterator[str]:
    """The quotas that are used up, which Gemini names beside its words."""
    for detail in details if isinstance(details, list) else ():
        violations = detail.get("violations") if isinstance(detail, dict) else None
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, dict) and isinstance(violation.get("quotaId"), str):
                yield violation["quotaId"]


def _words_of(value: object, depth: int = 0) -> str:
    """The words of an error, wherever in it they stand."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict) or depth == _DEEPEST:
        return ""
    return next(filter(None, (_words_of(value.get(name), depth + 1) for name in _LEADS)), "")
