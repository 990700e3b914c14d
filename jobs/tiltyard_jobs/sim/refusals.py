"""What an expert's server does not take of a request: worded as those that do so word it (OpenAI's, vLLM's)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

_LONG_SEED = 2**31


class RefusedMember(Exception):
    """A member of a request is refused.

    Args:
        message: one sentence.
        param: the member.
        code: a short code.
    """

    def __init__(self, message: str, param: str, code: str) -> None:
        super().__init__(message)
        self.param = param
        self.code = code


def refuse(refused: Collection[str], document: Mapping[str, Any]) -> None:
    """Refuse what this server does not take.

    Raises:
        RefusedMember: the first such member.
    """
    # The older path has no other name for it.
    if "max_tokens" in refused and "max_tokens" in document and "messages" in document:
        advice = "is not supported with this model. Use 'max_completion_tokens' instead."
        raise RefusedMember(f"Unsupported parameter: 'max_tokens' {advice}", "max_tokens", "unsupported_parameter")
    for name in ("seed", "top_p"):
        if name in refused and name in document:
            message = f"Unsupported parameter: '{name}' is not supported with this model."
            raise RefusedMember(message, name, "unsupported_parameter")
    seed = document.get("seed")
    if "long_seed" in refused and isinstance(seed, int) and seed >= _LONG_SEED:
        raise RefusedMember("Invalid 'seed': integer above maximum value.", "seed", "integer_above_max_value")
    temperature = document.get("temperature", 1)
    if "temperature" in refused and temperature != 1:
        message = (
            f"Unsupported value: 'temperature' does not support {temperature} with this model. Only the default (1)"
            " value is supported."
        )
        raise RefusedMember(message, "temperature", "unsupported_value")
    messages = document.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else None
    if "system" in refused and isinstance(first, dict) and first.get("role") == "system":
        raise RefusedMember("System role not supported", "messages", "BadRequestError")
