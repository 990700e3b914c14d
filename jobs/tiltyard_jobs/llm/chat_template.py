"""Rendering a model's chat template from its tokenizer folder, in jinja's sandbox.

Templates are written for transformers' `apply_chat_template`, so the same names are there: `raise_exception`,
`strftime_now`, a `tojson` that escapes no HTML, loop controls, and the `generation` tag. A template is a program by
whoever made the model; the sandbox keeps it from everything but its variables.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from jinja2 import TemplateError, TemplateSyntaxError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tiltyard_jobs.contracts.recipes import TOKENIZER_FILES
from tiltyard_jobs.errors import ConfigurationError

# The day that Llama's templates fall back to. A prefix with today's date would be another one tomorrow.
TEMPLATE_DATE = datetime(2024, 7, 26, tzinfo=UTC)
# The third is of models with a processor.
TEMPLATE_FILE, CONFIG_FILE, TEMPLATE_DOCUMENT, TOKENIZER_FILE = TOKENIZER_FILES
TEKKEN_FILE = "tekken.json"
SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class ChatTemplate:
    """A compiled chat template with the special tokens that it may name.

    Attributes:
        bos: the beginning-of-sequence token's text where the tokenizer itself puts it before every prompt; else empty.
        ids: of the tokens that the tokenizer's files list by themselves, the special ones among them, by text.

    Raises:
        ConfigurationError: the template is not valid jinja.
    """

    def __init__(
        self,
        source: str,
        *,
        special_tokens: Mapping[str, str],
        bos: str = "",
        ids: Mapping[str, int] = MappingProxyType({}),
        origin: str = "",
    ) -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, loopcontrols]
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = TEMPLATE_DATE.strftime
        try:
            self._template = environment.from_string(source)
        except TemplateSyntaxError as error:
            raise ConfigurationError(f"the chat template of {origin} is not valid jinja: {error.message}") from error
        self._special_tokens = dict(special_tokens)
        self._origin = origin
        self.bos = bos
        self.ids = ids

    def render(self, messages: Sequence[Mapping[str, Any]], settings: Mapping[str, Any] = MappingProxyType({})) -> str:
        """The text of a conversation up to where the model's reply would begin.

        Args:
            messages: the conversation.
            settings: further variables of the template.

        Raises:
            ConfigurationError: the template refuses these messages or fails on them.
        """
        try:
            variables = {"tools": None, "documents": None, **settings, "add_generation_prompt": True}
            return self._template.render({**variables, **self._special_tokens, "messages": messages})
        # A template is foreign code: besides jinja's own errors it can raise whatever its expressions do.
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"the chat template of {self._origin} fails on a user message: {error}") from error


_OTHERWISE = "give chatTemplatePrefix, serve a model with one, or name a file in serving.args by --chat-template"


def load_chat_template(
    folder: Path, given: str | None = None, *, origin: str = "", otherwise: str = _OTHERWISE
) -> ChatTemplate:
    """Read the template and the special tokens of a tokenizer folder, as `save_pretrained` writes it.

    A template is looked for where vLLM does: `chat_template.jinja`, the `chat_template` of `tokenizer_config.json`, of
    which, where there are several, the one named `default` is taken, and that of `chat_template.json`.

    Args:
        folder: with the tokenizer.
        given: as vLLM takes it by `--chat-template`, in place of the folder's: a path, or the template itself.
        origin: where it is from, for messages; empty: the folder.
        otherwise: what to do where there is none.

    Raises:
        ConfigurationError: there is none, or a file cannot be read.
    """
    config = _read_json(folder / CONFIG_FILE)
    source = _template_in(folder, config) if given is None else _given_template(given)
    if not isinstance(source, str):
        raise ConfigurationError(f"{origin or folder} has no chat template: {otherwise}")
    tokens = {name: text for name in SPECIAL_TOKENS if (text := _token_text(config.get(name))) is not None}
    bos = tokens.get("bos_token", "")
    return ChatTemplate(
        source,
        special_tokens=tokens,
        bos=bos if _adds_bos(folder, config, bos) else "",
        ids=dict(_listed_tokens(folder, config)),
        origin=origin or str(folder),
    )


def is_in_code(folder: Path, given: str | None) -> bool:
    """Whether a tokenizer has its template in its code (Mistral's), so that only a server tells it; as above."""
    return given is None and (folder / TEKKEN_FILE).is_file()


def _listed_tokens(folder: Path, config: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The added tokens and their ids, of the tokenizer's settings, or of its vocabulary where that is there."""
    decoder = config.get("added_tokens_decoder")
    if isinstance(decoder, dict):
        listed = [(number, token) for number, token in decoder.items() if number.isdecimal()]
    else:
        added = _read_json(folder / TOKENIZER_FILE).get("added_tokens")
        listed = [(one.get("id"), one) for one in added if isinstance(one, dict)] if isinstance(added, list) else []
    for number, token in listed:
        text = _token_text(token)
        if text and (isinstance(number, str) or type(number) is int):
            yield text, int(number)


def _template_in(folder: Path, config: Mapping[str, Any]) -> object:
    file = folder / TEMPLATE_FILE
    if file.is_file():
        return _read_text(file)
    for document in (config, _read_json(folder / TEMPLATE_DOCUMENT)):
        source: object = document.get("chat_template")
        if isinstance(source, list):
            source = {one.get("name"): one.get("template") for one in source if isinstance(one, dict)}.get("default")
        if isinstance(source, str):
            return source
    return None


def _given_template(given: str) -> str:
    """As vLLM reads the option: a file where there is one; what cannot be a path is the template itself."""
    try:
        if Path(given).is_file():
            return _read_text(Path(given))
    except (OSError, ValueError):  # too long for a path, or with a NUL
        return given
    if not any(character in given for character in "{}\n"):
        raise ConfigurationError(f"serving.args: there is no chat template {given}: correct --chat-template")
    return given


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from error


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as JSON: {error}") from error
    return document if isinstance(document, dict) else {}


def _token_text(value: object) -> str | None:
    """A special token as tokenizer_config.json writes it: a text, or an object with `content`."""
    if isinstance(value, Mapping):
        value = value.get("content")
    return value if isinstance(value, str) else None


def needs_vocabulary(folder: Path) -> bool:
    """Whether the vocabulary's file alone tells if a text's tokens begin with that of a beginning."""
    config = _read_json(folder / CONFIG_FILE)
    return bool(_token_text(config.get("bos_token"))) and config.get("add_bos_token") is not True


def _adds_bos(folder: Path, config: Mapping[str, Any], bos: str) -> bool:
    """Whether tokenizing a text puts the token before it: by flag, or by the post-processor of a fast tokenizer."""
    if not bos:
        return False
    if config.get("add_bos_token") is True:
        return True
    processor = json.dumps(_read_json(folder / TOKENIZER_FILE).get("post_processor"), ensure_ascii=False)
    return json.dumps(bos, ensure_ascii=False) in processor


def _tojson(value: object, indent: int | None = None, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, **options)


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


class _GenerationTag(Extension):
    """`{% generation %} … {% endgeneration %}` marks the assistant's words for training; here it renders its inside."""

    tags = {"generation"}  # noqa: RUF012 - as jinja's Extension declares it

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)
