"""The mining prefix: a model's own chat template up to where the user's words begin (method.md, "Prefix").

A marked user message is rendered and the text cut at the mark; what the template puts right after it is the stop. Given
the prefix as a raw prompt, an aligned model writes what it takes a user to say (Magpie, arXiv 2406.08464, section 2).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import takewhile
from types import MappingProxyType
from typing import Any, NamedTuple

from tiltyard_jobs.errors import ConfigurationError, RecordVoidError
from tiltyard_jobs.llm.chat_template import TEMPLATE_DATE, ChatTemplate
from tiltyard_jobs.llm.client import MOST_STOPS, ModelClient
from tiltyard_jobs.llm.rendering import Rendered

# Upper and lower case, digits, a space and punctuation: a template that alters any of them alters the mark. The two
# begin and end differently, so that their common tokens are the template's own.
MARKS = ("Quiet tilt-Yard 7, mark Z9v", "Jolt 3: Lance and Helm xW4?")
_SPECIAL = re.compile(r"<[^<>\s]+>|\[[^\[\]\s]+\]")
# Such as <|im_start|>, [|user|]: never the words of a user, even where it stands in a text by anybody.
_BARRED = re.compile(r"<[|\uff5c][^<>\s]+[|\uff5c]>|\[\|[^\[\]\s]+\|\]")
# The last turn's first token: <|im_start|>user, <|start_header_id|>user<|end_header_id|>, [INST].
_OPENER = re.compile(rf"({_SPECIAL.pattern})(?:[^<\[\s][^<\[]*(?:{_SPECIAL.pattern})?)?\s*$")
# How templates write a day, the longer forms first.
_DAY_FORMS = ("%A, %B %d, %Y", "%B %d, %Y", "%d %B %Y", "%b %d, %Y", "%d %b %Y", "%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y")


class PromptPrefix(NamedTuple):
    """Where an instruction is mined from; recorded in the data.

    Attributes:
        text: what comes before the user's words. Without a beginning-of-sequence token that the server adds itself.
        token_ids: the same as token ids, beginning-of-sequence token included, where the server gave them.
        stop: texts at which the user's words end; empty where only the end-of-sequence token tells.
        stop_token_ids: those of them that are one token of the model.
        source: `chatTemplatePrefix`, the path by which a server told it (`tokenize`, `apply-template`, …), or
            `tokenizer` (the one that the manifest names).
        stop_source: the same for `stop`, `chatTemplateStops`, or `none`.
        hides_special: see `Rendered`.
    """

    text: str
    token_ids: tuple[int, ...] | None
    stop: tuple[str, ...]
    stop_token_ids: tuple[int, ...]
    source: str
    stop_source: str = ""
    hides_special: bool = False

    @property
    def preserved_tokens(self) -> tuple[str, ...]:
        """The stops that a server would leave out of a completion, so that none of them were found."""
        return tuple(stop for stop in self.stop if _SPECIAL.fullmatch(stop)) if self.hides_special else ()

    def document(self) -> dict[str, Any]:
        """To be written as JSON and read by people."""
        return {
            "prefix": self.text,
            "tokenIds": self.token_ids,
            "source": self.source,
            "stops": self.stop,
            "stopTokenIds": self.stop_token_ids,
            "stopSource": self.stop_source or self.source,
        }

    def cut(self, text: str) -> str | None:
        """The text before the first stop in it; None where none is there, as after a server that stops at them."""
        places = [place for stop in self.stop if (place := text.find(stop)) >= 0]
        return text[: min(places)] if places else None


class _Rendering(NamedTuple):
    """A marked message in the served model's template.

    Attributes:
        told: with the first mark.
        head: the tokens before the user's words.
    """

    told: Rendered
    head: list[int]


async def find_prefix(
    client: ModelClient,
    *,
    explicit: str | None = None,
    stops: Sequence[str] = (),
    template: ChatTemplate | None = None,
    system: str | None = None,
    today: date | None = None,
) -> PromptPrefix:
    """The prefix of a served model, and where the user's words end.

    Sources, in this order: the text that the user gave; the template of the tokenizer that the user named; the server
    itself (`rendering`). The ends of a text that the user gave come from the other two.

    Args:
        client: the served model.
        explicit: the manifest's `chatTemplatePrefix`.
        stops: the manifest's `chatTemplateStops`, in place of the template's.
        template: of the manifest's `tokenizer`.
        system: a system message for the template to render; an explicit prefix stays as it is.
        today: a template that prints this day gets the day of `TEMPLATE_DATE` in its place, so that the prefix is the
            same tomorrow.

    Raises:
        ConfigurationError: there is no source, or the template cannot give a prefix.
        TransientError: the endpoint is down.
    """
    if explicit is not None:
        prefix = await _given(client, explicit, template)
    elif template is not None:
        own = prefix_from_template(template, system=system, settings=client.extensions.template_settings)
        prefix = await _with_ids(client, own, await _rendered_or_none(client), template)
    else:
        found = await prefix_from_server(client, system=system, today=today)
        if found is None:
            raise ConfigurationError(
                f"{client.url} does not provide the chat template of model {client.model!r} (it has no"
                " /tokenize): name the model's tokenizer, or give chatTemplatePrefix"
            )
        prefix = found
    if stops:
        ids = await _stop_ids(client, stops, template)
        prefix = prefix._replace(stop=tuple(stops), stop_token_ids=ids, stop_source="chatTemplateStops")
    return prefix


async def _given(client: ModelClient, text: str, template: ChatTemplate | None) -> PromptPrefix:
    """The user's own prefix, and its ends from the template that is named, else from the server's."""
    if not text.strip():
        raise ConfigurationError("chatTemplatePrefix is blank: give the text before the user's words, or leave it out")
    after, source = None, "none"
    rendering = await _rendered_or_none(client)
    if template is not None:
        rendered = template.render(_turns(MARKS[0], None), client.extensions.template_settings)
        after, source = _cut(rendered, MARKS[0], "the chat template")[1], "tokenizer"
    elif rendering is not None and rendering.told.text.count(MARKS[0]) == 1:
        after, source = rendering.told.text.partition(MARKS[0])[2], rendering.told.source
    stop = ends(text, after or "")
    if stop and after is None:
        source = "chatTemplatePrefix"
    return await _with_ids(
        client, PromptPrefix(text, None, stop, (), "chatTemplatePrefix", source), rendering, template
    )


async def _rendered_or_none(client: ModelClient) -> _Rendering | None:
    try:
        return await _render(client)
    except RecordVoidError:  # a template that fails on a user message may be why another one, or a prefix, was given
        return None


async def _with_ids(
    client: ModelClient, prefix: PromptPrefix, rendering: _Rendering | None, template: ChatTemplate | None
) -> PromptPrefix:
    """A prefix that is not the server's own, with its tokens where the server tells them."""
    try:
        ids, stop_ids = await _ids_with_one_bos(client, prefix.text), await _stop_ids(client, prefix.stop, template)
    except RecordVoidError:  # no server that tells tokens after all
        ids, stop_ids = None, _known_ids(prefix.stop, template)
    hides = rendering is not None and rendering.told.hides_special
    return prefix._replace(token_ids=ids, stop_token_ids=stop_ids, hides_special=hides)


def prefix_from_template(
    template: ChatTemplate, *, system: str | None = None, settings: Mapping[str, Any] = MappingProxyType({})
) -> PromptPrefix:
    """Render and cut a template.

    Raises:
        ConfigurationError: it drops, alters or repeats the message, or fails on it.
    """
    before, after = _cut(template.render(_turns(MARKS[0], system), settings), MARKS[0], "the chat template")
    _require_system(before, system, "the chat template")
    return PromptPrefix(before.removeprefix(template.bos), None, ends(before, after), (), "tokenizer")


async def prefix_from_server(
    client: ModelClient, *, system: str | None = None, today: date | None = None
) -> PromptPrefix | None:
    """Let the server render and tokenize; None where it does not offer that.

    Raises:
        ConfigurationError: the template drops, alters or repeats the message, or the server fails to render it.
        TransientError: the endpoint is down.
    """
    try:
        rendering = await _render(client, system)
    except RecordVoidError as error:
        raise ConfigurationError(
            f"{client.url} cannot render a {'user' if system is None else 'system and a user'} message with the chat"
            f" template of model {client.model!r} ({error}): name another tokenizer, or give chatTemplatePrefix"
        ) from error
    if rendering is None:
        return None
    told, head = rendering
    template = f"the chat template of model {client.model!r} at {client.url}"
    before, after = _cut(told.text, MARKS[0], template)
    _require_system(before, system, template)
    stop = ends(before, after)
    stop_ids = await _stop_ids(client, stop)
    undated = before if today is None else without_today(before, today)
    head_text = await client.extensions.detokenize(head) if head else None
    # A template's last space may be one token with the first word ("▁Write"): the ids then end before it, and the model
    # writes that token itself. If they differ from the text by more than space, the text is tokenized alone.
    if head_text is not None and head_text.rstrip() == undated.rstrip():
        return PromptPrefix(head_text, tuple(head), stop, stop_ids, told.source)
    ids = await client.extensions.tokenize(undated) if told.tokens is not None else None
    return PromptPrefix(
        undated, None if ids is None else tuple(ids), stop, stop_ids, told.source, hides_special=told.hides_special
    )


async def _render(client: ModelClient, system: str | None = None) -> _Rendering | None:
    """None where the server does not offer it.

    Raises:
        RecordVoidError: the server cannot render a user message.
    """
    told = await client.extensions.rendered(_turns(MARKS[0], system))
    if told is None:
        return None
    second = await client.extensions.tokenize_chat(_turns(MARKS[1], system)) if told.tokens else None
    # What the two renderings share at the beginning is the template.
    return _Rendering(told, _shared(told.tokens or [], second or []))


def ends(before: str, after: str) -> tuple[str, ...]:
    """All that ends the user's words, the template's own end of the turn first.

    Besides it, special tokens that open another turn: a model may begin the next one without ending this one. Where
    nothing is known of what follows, those of the prefix itself.

    Args:
        before: the prefix.
        after: what the template puts after the user's words.
    """
    opener = _OPENER.search(before)
    found = [*stop_after(after), *([opener[1]] if opener else []), *_SPECIAL.findall(after)]
    if not after:
        found += _BARRED.findall(before)[::-1]
    return tuple(dict.fromkeys(found))[:MOST_STOPS]


def stop_after(after: str) -> tuple[str, ...]:
    """The stop from the text that a template puts after the user's words.

    A special token (`<|im_end|>`, `[/INST]`) where there is one first; otherwise everything to the end of the first
    line that is not blank, such as two line breaks and `### Response:`.
    """
    words = after.lstrip()
    if not words:
        return (after,) if after else ()
    special = _SPECIAL.match(words)
    if special:
        return (special[0],)
    blank = after[: len(after) - len(words)]
    return (blank + words.splitlines()[0].rstrip(),)


async def _stop_ids(client: ModelClient, stops: Sequence[str], template: ChatTemplate | None = None) -> tuple[int, ...]:
    """The stops that are one special token each: an ordinary token would stop anywhere.

    The server tells them; where it does not, as behind a gateway, the tokenizer that the user named.
    """
    found = []
    for stop in stops:
        ids = await client.extensions.tokenize(stop) if _SPECIAL.fullmatch(stop) else []
        if ids is None:
            return _known_ids(stops, template)
        if len(ids) == 1:
            found.append(ids[0])
    return tuple(found)


def _known_ids(stops: Sequence[str], template: ChatTemplate | None) -> tuple[int, ...]:
    """Those of the stops that a tokenizer lists as one token."""
    special = [stop for stop in stops if _SPECIAL.fullmatch(stop)]
    return tuple(template.ids[stop] for stop in special if stop in template.ids) if template is not None else ()


async def _ids_with_one_bos(client: ModelClient, text: str) -> tuple[int, ...] | None:
    """The tokens of a prompt: with the tokens that the tokenizer puts before a text once, whether `text` has them."""
    plain, full = await client.extensions.tokenize(text), await client.extensions.tokenize(text, special=True)
    if plain is None or full is None:
        return None
    places = (place for place in range(len(full) - len(plain) + 1) if full[place : place + len(plain)] == plain)
    added = full[: next(places, 0)]
    while added and plain[: len(added)] == added:
        plain = plain[len(added) :]
    return (*added, *plain)


def without_today(text: str, today: date) -> str:
    """The text with `TEMPLATE_DATE` in place of the server's day, which a time zone may put a day off ours.

    Days before it (Mistral's templates know yesterday) keep their distance.
    """
    days = [today + timedelta(days=distance) for distance in (1, 0, -1, -2)]
    latest = next((day for day in days if any(day.strftime(form) in text for form in _DAY_FORMS)), None)
    if latest is None:
        return text
    forms = {
        day.strftime(form): (TEMPLATE_DATE + (day - latest)).strftime(form)
        for day in (latest, latest - timedelta(days=1))
        for form in _DAY_FORMS
    }
    return re.sub("|".join(map(re.escape, forms)), lambda match: forms[match[0]], text)


def _shared(first: list[int], second: list[int]) -> list[int]:
    """The longest beginning that both have."""
    return [a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))]


def _turns(content: str, system: str | None) -> list[dict[str, str]]:
    turns = [{"role": "user", "content": content}]
    return turns if system is None else [{"role": "system", "content": system}, *turns]


def _require_system(before: str, system: str | None, what: str) -> None:
    if system is not None and system.strip() not in before:
        raise ConfigurationError(
            f"{what} drops or alters the system message (instructions.mine.systemPrompts): give chatTemplatePrefix with"
            " the message in it, or remove systemPrompts"
        )


def _cut(text: str, mark: str, what: str) -> tuple[str, str]:
    if text.count(mark) != 1:
        fault = "repeats" if mark in text else "drops or alters"
        raise ConfigurationError(f"{what} {fault} the user's message, so no prefix can be cut: give chatTemplatePrefix")
    before, _, after = text.partition(mark)
    if not before.strip():
        raise ConfigurationError(f"{what} puts nothing before the user's message to mine from: give chatTemplatePrefix")
    return before, after
