"""Requests as vLLM takes them, errors as vLLM words them. What a simulated expert cannot do is refused, not ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tiltyard_jobs.llm.manner import QUESTION
from tiltyard_jobs.sim.fences import fenced_parts
from tiltyard_jobs.sim.request_log import RequestKind
from tiltyard_jobs.sim.structured import UnsupportedSchemaError
from tiltyard_jobs.sim.tokenizer import SPECIAL_IDS, Turn, decode, render, turns_of

COMPLETIONS, CHAT, EMBEDDINGS = "/v1/completions", "/v1/chat/completions", "/v1/embeddings"
TOKENIZE, DETOKENIZE = "/tokenize", "/detokenize"

_COMPLETION_TOKENS = 16  # the default of /v1/completions, in vLLM as in OpenAI's API
_MOST_LOGPROBS = 20
_UNSIMULATED = {"n": 1, "best_of": 1, "stream": False, "suffix": None, "prompt_logprobs": None, "tools": None}
_MARKS = {"judge": RequestKind.JUDGE, "grade": RequestKind.GRADE}


class RequestError(Exception):
    """A request that is refused.

    Args:
        status: HTTP status.
        message: one sentence.
        param: the member at fault.
        code: a short code in place of the status.
    """

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code


@dataclass(frozen=True, slots=True)
class Generation:
    """One text to write.

    Attributes:
        kind: what it is for.
        turns: the conversation, or for a raw prompt what could be read of one.
        prompt: the text that the model sees, template included.
        seed: of the request; None where it gives none.
        temperature: at least 0; 0 is greedy.
        max_tokens: None: as many as the context has room for.
        stop: texts that end the reply.
        top_logprobs: how many alternatives to report for each token; None: no log-probabilities.
        schema: JSON schema that the reply must satisfy.
        echo: the prompt is repeated before the reply.
        chat: it was asked as a conversation, so that an expert may think before it replies.
        thinks: it was not told to do without.
    """

    kind: RequestKind
    turns: tuple[Turn, ...]
    prompt: str
    seed: int | None
    temperature: float
    max_tokens: int | None
    stop: tuple[str, ...]
    top_logprobs: int | None = None
    schema: Mapping[str, Any] | None = None
    echo: bool = False
    chat: bool = False
    thinks: bool = True


def error_body(status: int, message: str, param: str | None, code: str | None = None) -> dict[str, Any]:
    """An error as vLLM sends it."""
    kinds = {404: "NotFoundError", 429: "TooManyRequestsError", 500: "InternalServerError"}
    error = {"message": message, "type": kinds.get(status, "BadRequestError"), "param": param, "code": code or status}
    return {"error": error}


def completion_request(document: Mapping[str, Any]) -> Generation:
    """Read a request of `/v1/completions`.

    Raises:
        RequestError: 400.
    """
    _refuse_unsimulated(document, logprobs=None)
    prompt = document.get("prompt")
    if isinstance(prompt, list) and prompt and all(type(ident) is int for ident in prompt):
        prompt = decoded(prompt)
    if not isinstance(prompt, str) or not prompt:
        raise RequestError(400, "prompt must be one text or one list of token ids, and not empty.", "prompt")
    turns = tuple(turns_of(prompt))
    return Generation(
        kind=_kind_of_completion(turns),
        turns=turns,
        prompt=prompt,
        max_tokens=_whole(document, "max_tokens", 0) if "max_tokens" in document else _COMPLETION_TOKENS,
        echo=_flag(document, "echo"),
        **_sampling(document),
    )


def chat_request(document: Mapping[str, Any]) -> Generation:
    """Read a request of `/v1/chat/completions`.

    Raises:
        RequestError: 400.
    """
    _refuse_unsimulated(document)
    turns = turns_of_messages(document)
    limit = "max_completion_tokens" if document.get("max_completion_tokens") is not None else "max_tokens"
    max_tokens = _whole(document, limit, 1)
    top_logprobs = None
    if _flag(document, "logprobs"):
        top_logprobs = _whole(document, "top_logprobs", 0) or 0
        if top_logprobs > _MOST_LOGPROBS:
            raise RequestError(400, f"top_logprobs must not exceed {_MOST_LOGPROBS}.", "top_logprobs")
    return Generation(
        kind=_kind_of_chat(turns, max_tokens),
        turns=turns,
        prompt=rendered(turns, add_generation_prompt=True),
        max_tokens=max_tokens,
        top_logprobs=top_logprobs,
        schema=_schema(document.get("response_format")),
        chat=True,
        thinks=not _told_not_to_think(document),
        **_sampling(document),
    )


def _told_not_to_think(document: Mapping[str, Any]) -> bool:
    settings = document.get("chat_template_kwargs") or {}
    if not isinstance(settings, dict):
        raise RequestError(400, "chat_template_kwargs must be an object.", "chat_template_kwargs")
    return settings.get("enable_thinking") is False or document.get("reasoning_effort") == "none"


def turns_of_messages(document: Mapping[str, Any]) -> tuple[Turn, ...]:
    """The `messages` of a request.

    Raises:
        RequestError: 400: no messages, or one without a role or with content that is no text.
    """
    messages = document.get("messages")
    if not isinstance(messages, list) or not messages:
        raise RequestError(400, "messages must be a list with at least one message.", "messages")
    return tuple(_turn(message) for message in messages)


def rendered(turns: tuple[Turn, ...], *, add_generation_prompt: bool) -> str:
    """The conversation in the model's template."""
    messages = ({"role": turn.role, "content": turn.content} for turn in turns)
    return render(messages, add_generation_prompt=add_generation_prompt)


def decoded(ids: list[int]) -> str:
    """The text of a client's token ids.

    Raises:
        RequestError: 400: no token has one of the ids.
    """
    try:
        return decode(ids)
    except ValueError as error:
        raise RequestError(400, f"{error}.") from None


def kind_of(path: str, generation: Generation | None) -> RequestKind:
    """What a request is for."""
    if generation is not None:
        return generation.kind
    return {
        EMBEDDINGS: RequestKind.EMBED,
        TOKENIZE: RequestKind.TOKENIZE,
        DETOKENIZE: RequestKind.TOKENIZE,
    }.get(path, RequestKind.OTHER)


def unsupported_schema(error: UnsupportedSchemaError) -> RequestError:
    """How a schema that cannot be satisfied is refused."""
    return RequestError(400, f"response_format: {error}.", "response_format")


def _kind_of_completion(turns: tuple[Turn, ...]) -> RequestKind:
    if not turns or turns[-1].closed:
        return RequestKind.OTHER
    return RequestKind.MINE if turns[-1].role == "user" else RequestKind.ANSWER


def _kind_of_chat(turns: tuple[Turn, ...], max_tokens: int | None) -> RequestKind:
    if turns[0].role == "system" or fenced_parts(turns[0].content):  # who has no system role finds it before the texts
        first_line, _, _ = turns[0].content.partition("\n")
        task, _, name = first_line.partition(":")
        if task == "TASK" and name.strip() in _MARKS:
            return _MARKS[name.strip()]
    # A single token is no answer: clients ask for one to see whether a server is there. Nor is what they ask to see how
    # a model thinks.
    return RequestKind.OTHER if max_tokens == 1 or turns[-1].content == QUESTION else RequestKind.ANSWER


def _sampling(document: Mapping[str, Any]) -> dict[str, Any]:
    temperature = document.get("temperature")
    if temperature is None:
        temperature = 1.0
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 <= temperature <= 10:
        raise RequestError(400, "temperature must be a number from 0 to 10.", "temperature")
    top_p = document.get("top_p")
    if top_p is not None and (isinstance(top_p, bool) or not isinstance(top_p, int | float) or not 0 < top_p <= 1):
        raise RequestError(400, "top_p must be a number above 0 and at most 1.", "top_p")
    stop = document.get("stop") or []
    stop = [stop] if isinstance(stop, str) else stop
    if not isinstance(stop, list) or not all(isinstance(text, str) and text for text in stop):
        raise RequestError(400, "stop must be a text or a list of texts, none of them empty.", "stop")
    ids = document.get("stop_token_ids") or []
    special = {ident: text for text, ident in SPECIAL_IDS.items()}
    if not isinstance(ids, list) or not all(type(ident) is int for ident in ids):
        raise RequestError(400, "stop_token_ids must be a list of token ids.", "stop_token_ids")
    ends = tuple(special[ident] for ident in ids if ident in special)
    return {"seed": _whole(document, "seed", None), "temperature": float(temperature), "stop": (*stop, *ends)}


def _turn(message: object) -> Turn:
    if isinstance(message, dict) and isinstance(message.get("role"), str):
        content = message.get("content")
        if isinstance(content, list):
            texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
            content = "".join(text for text in texts if isinstance(text, str)) if len(texts) == len(content) else None
        if isinstance(content, str):
            return Turn(message["role"], content, True)
    raise RequestError(400, "each message must have a role and a content of text.", "messages")


def _schema(response_format: object) -> Mapping[str, Any] | None:
    match response_format:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return {"type": "object", "properties": {"answer": {"type": "string"}}}
        case {"type": "json_schema", "json_schema": {"schema": dict() as schema}}:
            return schema
    raise RequestError(
        400, "response_format must be text, json_object or json_schema with a schema.", "response_format"
    )


def _whole(document: Mapping[str, Any], name: str, least: int | None) -> int | None:
    value = document.get(name)
    if value is None:
        return None
    if type(value) is not int or (least is not None and value < least):
        bound = "" if least is None else f" of at least {least}"
        raise RequestError(400, f"{name} must be a whole number{bound}.", name)
    return value


def _flag(document: Mapping[str, Any], name: str) -> bool:
    value = document.get(name)
    if value is not None and not isinstance(value, bool):
        raise RequestError(400, f"{name} must be true or false.", name)
    return bool(value)


def _refuse_unsimulated(document: Mapping[str, Any], **more: object) -> None:
    for name, only in {**_UNSIMULATED, **more}.items():
        if document.get(name) not in (None, only):
            raise RequestError(400, f"{name} is not offered by a simulated expert.", name)
