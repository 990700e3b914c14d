"""Reading replies. Nothing in them is trusted: what is not as asked is a void, never a crash.

A reply is a thought and an answer (`thoughts`); what is read of it, judged, graded, run and learnt is the answer alone.

Details say what is wrong in our own words or by a short code of the server's, whose messages may repeat the prompt:
those of an error that came in place of a reply are beside the detail (`RecordVoidError.words`).
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from tiltyard_jobs.errors import RecordVoidError, VoidReason
from tiltyard_jobs.llm.server_error import ServerError, server_error_in, server_error_of
from tiltyard_jobs.llm.thoughts import PAIRS, Pair, Parts, State, answer_token, parts_of_message, split_thought
from tiltyard_jobs.llm.usage import Usage
from tiltyard_jobs.prompts.whole import unwrapped, without_end

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_NO_JSON = {b"<": " but a web page", b"data:": " but a stream of events", b"event:": " but a stream of events"}
_ROUNDING = 0.01  # by which a server's log-probability of a sure token may be above 0
_FILTERED = frozenset({"content_filter", "sensitive", "safety", "recitation", "prohibited_content", "blocklist"})
_CUT = frozenset({"length", "model_length", "max_tokens", "max_output_tokens"})
"""What servers say where the token limit ended a reply: OpenAI's, Mistral's, Anthropic's and Gemini's."""
_TOOL_CALLS = frozenset({"tool_calls", "function_call", "tool_use"})
_TOOL_CALL = "the reply is a call of a tool"
# Members of what /v1/models tells of a model that say how many tokens it holds: vLLM's and SGLang's, OpenRouter's,
# Groq's, LM Studio's.
_CONTEXT = ("max_model_len", "context_length", "context_window", "max_context_length")


class Completion(NamedTuple):
    """The continuation of a raw prompt.

    Attributes:
        answer: what the model wrote, without the stop and the thought before it; never blank.
        finish_reason: `stop`, `length`, or what else the server says; empty where it says nothing.
        usage: what the call cost, retries included.
        thought: what it thought before; None where it did not.
    """

    answer: str
    finish_reason: str
    usage: Usage
    thought: str | None = None


class ChatReply(NamedTuple):
    """A model's turn.

    Attributes:
        answer: as in `Completion`; blank only where log-probabilities were asked for and came.
        finish_reason: as in `Completion`.
        usage: as in `Completion`.
        thought: as in `Completion`.
        first_token_logprobs: natural log-probability by token text, of the most likely first tokens of the answer; None
            where none were asked for, or those that came are of a thought alone.
        structure: `answer` decoded, where a JSON schema was given; its required members are there.
    """

    answer: str
    finish_reason: str
    usage: Usage
    thought: str | None = None
    first_token_logprobs: Mapping[str, float] | None = None
    structure: Mapping[str, Any] | None = None


class Echo(NamedTuple):
    """How likely the tokens of a given text are.

    Attributes:
        logprobs: natural log-probability of each; the first has none: 0.
        best: whether none was likelier in its place; true for the first.
        usage: as in `Completion`.
    """

    logprobs: tuple[float, ...]
    best: tuple[bool, ...]
    usage: Usage


def document_of(body: bytes) -> dict[str, Any]:
    """A reply's JSON object; void Malformed where it is none (cut short, not UTF-8, another type)."""
    document = _json_of(body)
    if not isinstance(document, dict):
        raise _malformed("the reply is not a JSON object", server_error_in(document))
    return document


def _json_of(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        beginning = body[:200].lstrip().lower()
        kind = next((kind for mark, kind in _NO_JSON.items() if beginning.startswith(mark)), "")
        if "surrogate" in str(error):
            kind = ": it has half of a character"
        what = f"the reply is not JSON{kind}" if body else "the reply is empty"
        raise _malformed(what, server_error_of(body)) from error


def completion_parts_of(document: dict[str, Any], *, pairs: tuple[Pair, ...] = PAIRS) -> tuple[Parts, str]:
    """The thought and the answer in a reply of `/v1/completions`, and its finish reason.

    Raises:
        RecordVoidError: Malformed or RefusedByServer.
    """
    choice = _first_choice(document)
    text, finish_reason = choice.get("text"), _finish_reason(choice)
    if not isinstance(text, str):
        raise _malformed("the reply has no text")
    return split_thought(text, pairs=pairs, unopened=False), finish_reason


def completion_of(
    document: dict[str, Any],
    usage: Usage,
    *,
    limit: int | None = None,
    stop: Sequence[str] = (),
    pairs: tuple[Pair, ...] = PAIRS,
) -> Completion:
    """Read a reply of `/v1/completions`.

    Args:
        document: the reply.
        usage: what the call cost.
        limit: the most tokens that it was allowed, for messages.
        stop: texts at which the answer ends, whether or not the server stopped at them.
        pairs: the marks of a thought.

    Raises:
        RecordVoidError: Malformed, Empty, RefusedByServer, or as `require_answer`.
    """
    parts, finish_reason = _stopped(*completion_parts_of(document, pairs=pairs), stop)
    require_answer(parts, finish_reason, limit)
    return Completion(parts.answer, finish_reason, usage, parts.thought)


def chat_parts_of(document: dict[str, Any], *, pairs: tuple[Pair, ...] = PAIRS) -> tuple[Parts, str]:
    """The thought and the answer in a reply of `/v1/chat/completions`, and its finish reason.

    Raises:
        RecordVoidError: Malformed or RefusedByServer.
    """
    choice = _first_choice(document)
    message, finish_reason = choice.get("message"), _finish_reason(choice)
    if not isinstance(message, dict):
        raise _malformed("the reply has no message")
    try:
        return parts_of_message(message, pairs=pairs), finish_reason
    except (TypeError, KeyError) as error:
        raise _malformed("the content of the message is not text") from error


def require_answer(parts: Parts, finish_reason: str, limit: int | None) -> None:
    """There is an answer; a code fence with nothing in it is none.

    Raises:
        RecordVoidError: Truncated, where the token limit left no room for one; ThoughtUnfinished, NoAnswer, Empty.
    """
    if unwrapped(parts.answer):
        return
    if parts.state is State.NONE:
        raise RecordVoidError(VoidReason.EMPTY, _TOOL_CALL if finish_reason in _TOOL_CALLS else "")
    if finish_reason == "length":
        raise thought_cut(limit)
    raise RecordVoidError(VoidReason.THOUGHT_UNFINISHED if parts.state is State.UNFINISHED else VoidReason.NO_ANSWER)


def thought_cut(limit: int | None) -> RecordVoidError:
    """A void for a reply that is all thought when the token limit ends it."""
    within = "the token limit" if limit is None else f"{limit} tokens"
    return RecordVoidError(VoidReason.TRUNCATED, f"no answer within {within}: all of them went into the thought")


def chat_reply_of(
    document: dict[str, Any],
    usage: Usage,
    *,
    json_schema: Mapping[str, Any] | None = None,
    logprobs: bool = False,
    limit: int | None = None,
    stop: Sequence[str] = (),
    pairs: tuple[Pair, ...] = PAIRS,
) -> ChatReply:
    """Read a reply of `/v1/chat/completions`.

    Args:
        document: the reply.
        usage: what the call cost.
        json_schema: the schema asked for: the answer must be a JSON object with its `required` members.
        logprobs: whether log-probabilities were asked for: they must be there.
        limit: as in `completion_of`.
        stop: likewise.
        pairs: likewise.

    Raises:
        RecordVoidError: Malformed, Truncated (a structure or a thought cut by the token limit), Empty, RefusedByServer,
            or as `require_answer`.
    """
    parts, finish_reason = chat_parts_of(document, pairs=pairs)
    first = _first_token_logprobs(_first_choice(document).get("logprobs"), parts, pairs) if logprobs else None
    parts, finish_reason = _stopped(parts, finish_reason, stop)
    parts = parts._replace(answer=without_end(parts.answer))
    if first is None or parts.state is not State.NONE:
        require_answer(parts, finish_reason, limit)
    structure = _structure(parts.answer, json_schema, finish_reason) if json_schema is not None else None
    return ChatReply(parts.answer, finish_reason, usage, parts.thought, first, structure)


def echo_of(document: dict[str, Any], usage: Usage, *, count: int) -> Echo:
    """Read a reply of `/v1/completions` to a prompt of `count` tokens that was to be echoed with log-probabilities.

    Raises:
        RecordVoidError: Malformed or RefusedByServer.
    """
    logprobs = _first_choice(document).get("logprobs")
    try:
        given = logprobs["token_logprobs"][1:count]  # type: ignore[index]  # whatever it is, see except
        tops = [max(top.values()) for top in logprobs["top_logprobs"][1:count]]  # type: ignore[index]
        if len(given) != count - 1 or len(tops) != count - 1 or not all(map(math.isfinite, (*given, *tops))):
            raise _malformed("the reply does not hold a log-probability for each token of the prompt")
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise _malformed("the reply has no log-probabilities of the prompt") from error
    best = (True, *(value >= top for value, top in zip(given, tops, strict=True)))
    return Echo((0.0, *map(float, given)), best, usage)


def embeddings_of(document: dict[str, Any], *, count: int) -> npt.NDArray[np.float32]:
    """Read a reply of `/v1/embeddings`, whose vectors are lists of numbers or base64 of little-endian float32.

    Returns:
        float32, shape (count, dimensions), in the order of the texts.

    Raises:
        RecordVoidError: Malformed: not `count` finite vectors of one length.
    """
    rows = document.get("data")
    if not isinstance(rows, list) or len(rows) != count:
        raise _malformed(f"the reply does not hold {count} embeddings", server_error_in(document))
    vectors: list[npt.NDArray[np.float32] | None] = [None] * count
    try:
        for position, row in enumerate(rows):
            index, value = row.get("index", position), row["embedding"]
            if vectors[index] is not None:
                raise _malformed("the reply gives an embedding twice")
            vectors[index] = (
                np.frombuffer(base64.b64decode(value, validate=True), dtype="<f4")
                if isinstance(value, str)
                else np.asarray(value, dtype=np.float32)
            )
        matrix = np.stack([vector for vector in vectors if vector is not None]).astype(np.float32, copy=False)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, OverflowError, binascii.Error) as error:
        raise _malformed("the reply's embeddings are not vectors of one length") from error
    if matrix.ndim != 2 or matrix.shape[1] == 0 or not np.isfinite(matrix).all():
        raise _malformed("the reply's embeddings are not finite numbers")
    return matrix


def models_of(body: bytes) -> dict[str, int | None]:
    """Read a reply of `/v1/models`: by name, how many tokens a model holds; entries without a name are left out.

    Together and GitHub Models send the list alone.

    Raises:
        RecordVoidError: Malformed.
    """
    document = _json_of(body)
    entries = document.get("data") if isinstance(document, dict) else document
    if not isinstance(entries, list):
        raise _malformed("the reply lists no models")
    found: dict[str, int | None] = {}
    for entry in entries:
        if isinstance(entry, dict) and isinstance(entry.get("id"), str):
            sizes = (entry.get(member) for member in _CONTEXT)
            found[entry["id"]] = next((size for size in sizes if type(size) is int and size > 0), None)
    return found


def _malformed(detail: str, error: ServerError | None = None) -> RecordVoidError:
    return RecordVoidError(VoidReason.MALFORMED, detail, error.words if error is not None else "")


def _first_choice(document: dict[str, Any]) -> dict[str, Any]:
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise _malformed("the reply has no choice", server_error_in(document))
    return choices[0]


def _finish_reason(choice: dict[str, Any]) -> str:
    reason = choice.get("finish_reason")
    if not isinstance(reason, str) or _CODE.fullmatch(reason) is None:
        return ""
    if reason.lower() in _FILTERED:
        raise RecordVoidError(VoidReason.REFUSED_BY_SERVER, reason)
    return "length" if reason.lower() in _CUT else reason


def _stopped(parts: Parts, finish_reason: str, stop: Sequence[str]) -> tuple[Parts, str]:
    """A reply whose answer ends at the first of these texts, and its finish reason."""
    places = [place for text in stop if (place := parts.answer.find(text)) >= 0]
    return (parts._replace(answer=parts.answer[: min(places)]), "stop") if places else (parts, finish_reason)


def _first_token_logprobs(logprobs: object, parts: Parts, pairs: tuple[Pair, ...]) -> dict[str, float] | None:
    """Log-probability by token text; of tokens with the same text (bytes of one character) the likeliest.

    None where the reply has a thought, and the tokens of the answer behind it are not told.
    """
    found: dict[str, float] = {}
    try:
        entries = logprobs["content"]  # type: ignore[index]  # whatever it is, see except
        place = answer_token([entry["token"] for entry in entries], parts, pairs=pairs)
        if place is None and parts.state is not State.NONE:
            return None
        for entry in entries[place or 0]["top_logprobs"]:
            token, value = entry["token"], entry["logprob"]
            if value is None:  # JSON has no minus infinity
                continue
            if not isinstance(token, str) or not isinstance(value, (float, int)) or not -math.inf < value < math.inf:
                raise _malformed("a log-probability is not a number, or its token not text")
            if value > _ROUNDING:  # probabilities, as some servers send them
                raise _malformed("a log-probability is above 0")
            if value > found.get(token, -math.inf):
                found[token] = float(value)
    except (KeyError, IndexError, TypeError) as error:
        raise _malformed("the reply has no log-probabilities") from error
    if not found:
        raise _malformed("the reply has no log-probabilities")
    return found


def _structure(answer: str, json_schema: Mapping[str, Any], finish_reason: str) -> dict[str, Any]:
    try:
        structure = orjson.loads(unwrapped(answer))
    except orjson.JSONDecodeError as error:
        if finish_reason == "length":
            raise RecordVoidError(VoidReason.TRUNCATED, "the structure is cut by the token limit") from error
        raise _malformed("the answer is not JSON") from error
    if not isinstance(structure, dict):
        raise _malformed("the answer is not a JSON object")
    for name in json_schema.get("required", ()):
        if name not in structure:
            raise _malformed(f"the structure lacks {name!r}")
    return structure
