"""What is added to the requests to a model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated

from pydantic import JsonValue

from tiltyard.api.base import ApiModel
from tiltyard.api.problems import given_text
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.shapes import JsonObject

_SAMPLING = "spec.battles.answer and spec.instructions.mine"
_INSTEAD = {
    "model": "endpoint.model or model.uri",
    **dict.fromkeys(("messages", "prompt", "suffix"), "system messages and criteria of the stages"),
    **dict.fromkeys(("n", "best_of", "use_beam_search"), "spec.instructions.mine.perCompetitor for more instructions"),
    **dict.fromkeys(("stream", "stream_options", "echo"), "nothing: each reply is read as a whole"),
    **dict.fromkeys(("tools", "tool_choice", "functions", "function_call"), "nothing: a reply is text"),
    "seed": "spec.seed",
    "temperature": f"temperature of {_SAMPLING}",
    "top_p": f"topP of {_SAMPLING}",
    **dict.fromkeys(("max_tokens", "max_completion_tokens"), "maxTokens of the stage"),
    **dict.fromkeys(("stop", "stop_token_ids", "skip_special_tokens"), "chatTemplateStops"),
    **dict.fromkeys(("response_format", "logprobs", "top_logprobs"), "spec.battles.verdict.method"),
}
"""What Tiltyard sets in a request itself, or could not do with; and what to use in its place."""


def _set_by_us(request: ExtraRequest) -> Iterator[Violation]:
    for name, value in (request.extra_body or {}).items():
        if name in _INSTEAD:
            yield Violation(("extraBody", name), f"{given_text(value)}; use {_INSTEAD[name]}")


SET_BY_US: Rule[ExtraRequest] = Rule(
    sentence="must not be here, since Tiltyard sets it",
    check=_set_by_us,  # CEL does not see into an object that the CRD leaves open: left to Python
)


class ExtraRequest(ApiModel):
    """What is added to the requests to a model."""

    RULES = (SET_BY_US,)

    extra_body: Annotated[dict[str, JsonValue], JsonObject(4096)] | None = None
    """Members that are added to each request for text, for example `chat_template_kwargs: {enable_thinking: false}` or
    `reasoning_effort: low`. They are part of the model's identity. What Tiltyard sets itself (the model, the messages,
    the sampling, the token limit) is refused here."""

    @property
    def identity(self) -> str:
        """The added members in one form; empty where there are none."""
        body = self.extra_body
        return json.dumps(body, sort_keys=True, separators=(",", ":")) if body else ""
