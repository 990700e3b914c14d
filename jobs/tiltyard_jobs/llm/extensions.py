"""What a server may offer beside OpenAI's API: its model's chat template and tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tiltyard_jobs.errors import RecordVoidError, VoidReason
from tiltyard_jobs.llm.caller import Caller, NotServedError
from tiltyard_jobs.llm.rendering import DETOKENIZE, TEMPLATE_SETTINGS, TOKENIZE, Messages, Rendered, rendered_text
from tiltyard_jobs.llm.reply import document_of


class Extensions:
    """The paths that only some servers have. That one has none of them is remembered.

    Attributes:
        template_settings: variables of the chat template, of the user's own.

    Args:
        caller: asks the server.
        url: the endpoint as the user wrote it, for messages.
        model: the name that requests carry.
        extra_body: members that are added to each request for text.
    """

    def __init__(self, caller: Caller, *, url: str, model: str, extra_body: Mapping[str, Any]) -> None:
        self._caller = caller
        self._url = url
        self._model = model
        settings = extra_body.get("chat_template_kwargs")
        self.template_settings: Mapping[str, Any] = settings if isinstance(settings, dict) else {}
        self._lacking: set[str] = set()

    async def tokenize_chat(self, messages: Messages) -> list[int] | None:
        """Token ids of a conversation in the served model's own template, up to where its reply would begin.

        None where the endpoint has no such path, or knows nothing of `messages`.

        Raises:
            RecordVoidError: the server cannot render these messages.
        """
        settings = {**TEMPLATE_SETTINGS, **self.template_settings}
        document = {"model": self._model, "messages": messages, "add_generation_prompt": True}
        return await self._tokens({**document, "chat_template_kwargs": settings})

    async def rendered(self, messages: Messages) -> Rendered | None:
        """A conversation in the served model's own template; None where the server does not tell.

        Raises:
            RecordVoidError: the server cannot render these messages.
        """
        refusal: RecordVoidError | None = None
        try:
            tokens = await self.tokenize_chat(messages)
        except RecordVoidError as error:
            if error.reason is not VoidReason.REFUSED_BY_SERVER:
                raise
            refusal, tokens = error, None  # of these messages, or of any: TGI's path takes none
        text = None if tokens is None else await self.detokenize(tokens)
        if text is not None:
            return Rendered(text, TOKENIZE[1:], tokens)
        found = await rendered_text(self._ask, messages, self.template_settings, self._url)
        if found is not None:
            self._lacking |= {TOKENIZE, DETOKENIZE}  # they are there, and of another form
        elif refusal is not None:
            raise refusal
        return found

    async def tokenize(self, text: str, *, special: bool = False) -> list[int] | None:
        """Token ids of a text (vLLM's extension); None where there is no such path.

        Args:
            text: what is cut into tokens.
            special: with the tokens that the model's tokenizer puts before a text, if any.

        Raises:
            RecordVoidError: the server refuses the text.
        """
        return await self._tokens({"model": self._model, "prompt": text, "add_special_tokens": special})

    async def detokenize(self, tokens: Sequence[int]) -> str | None:
        """The text of token ids, special tokens included; None where there is no such path."""
        document = {"model": self._model, "tokens": tokens, "skip_special_tokens": False}  # which SGLang would do
        reply = await self._ask(DETOKENIZE, document)
        text = None if reply is None else reply.get("prompt", reply.get("text"))
        return text if isinstance(text, str) else None

    async def _tokens(self, document: dict[str, Any]) -> list[int] | None:
        reply = await self._ask(TOKENIZE, document)
        tokens = None if reply is None else reply.get("tokens")
        if not isinstance(tokens, list) or not tokens or not all(type(token) is int for token in tokens):
            return None
        return tokens

    async def _ask(self, path: str, document: dict[str, Any] | bytes | None) -> dict[str, Any] | None:
        """Ask what a server may not offer; that it does not is remembered. A bare list comes as `list`."""
        if path in self._lacking:
            return None
        try:
            if not isinstance(document, dict):
                body, _ = await self._caller.call(path, document)
                return document_of(b'{"list":%b}' % body if body.startswith(b"[") else body)
            return (await self._caller.ask(path, document))[0]
        except NotServedError:
            self._lacking.add(path)
            return None
