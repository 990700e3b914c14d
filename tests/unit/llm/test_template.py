"""The mining prefix: from a tokenizer folder, from the server, from the user."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from support import virtual_time
from support.simulated_llm import SimulatedServer, client_of, ok
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.llm.chat_template import ChatTemplate, load_chat_template
from tiltyard_jobs.llm.template import MARKS, PromptPrefix, ends, find_prefix, prefix_from_template, stop_after
from tiltyard_jobs.llm.transport import Reply

CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are helpful.<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHATML_PREFIX = "<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\n"
LLAMA = (
    "{{- bos_token }}{%- set date = strftime_now('%d %b %Y') %}<|start_header_id|>system<|end_header_id|>\n\n"
    "Today Date: {{ date }}<|eot_id|>{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}{{ message.content | trim }}<|eot_id|>"
    "{%- endfor %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}[INST] {{ message['content'] }} [/INST]{% endfor %}"
)
ALPACA = "Below is a task.\n\n{% for m in messages %}### Instruction:\n{{ m.content }}\n\n{% endfor %}### Response:\n"
EXAONE = "{% for m in messages %}[|user|]{{ m.content }}\n{% endfor %}[|assistant|]"
GLM = "[gMASK]<sop>{% for m in messages %}<|user|>\n{{ m.content }}{% endfor %}<|assistant|>\n<think>"


def cut(source: str, **options: Any) -> PromptPrefix:
    return prefix_from_template(ChatTemplate(source, special_tokens={"bos_token": "<s>"}, origin="the test", **options))


@pytest.mark.parametrize(
    ("source", "text", "stop"),
    [
        (CHATML, CHATML_PREFIX, ("<|im_end|>", "<|im_start|>")),
        (
            LLAMA,
            "<s><|start_header_id|>system<|end_header_id|>\n\nToday Date: 26 Jul 2024<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\n",
            ("<|eot_id|>", "<|start_header_id|>"),
        ),
        (MISTRAL, "<s>[INST] ", ("[/INST]", "[INST]")),
        (ALPACA, "Below is a task.\n\n### Instruction:\n", ("\n\n### Response:",)),
        (EXAONE, "[|user|]", ("[|assistant|]", "[|user|]")),
        (GLM, "[gMASK]<sop><|user|>\n", ("<|assistant|>", "<|user|>", "<think>")),
    ],
)
def test_templates_of_the_field_are_cut_at_the_user_s_words(source: str, text: str, stop: tuple[str, ...]) -> None:
    assert cut(source) == PromptPrefix(text, None, stop, (), "tokenizer")


def test_a_token_that_the_server_adds_is_not_sent_twice() -> None:
    assert cut(MISTRAL, bos="<s>").text == "[INST] "


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("<u>{{ messages[0].content | upper }}</u>", "drops or alters"),
        ("<u>hello</u>", "drops or alters"),
        ("<u>{{ messages[0].content[:9] }}</u>", "drops or alters"),
        ("<u>{{ messages[0].content }}{{ messages[0].content }}</u>", "repeats"),
        ("{{ messages[0].content }}</u>", "nothing before"),
        ("{{ raise_exception('no user turns here') }}", "no user turns here"),
        ("{{ messages[0].content.missing.thing }}", "fails on a user message"),
        ("{{ 1 / 0 }}", "fails on a user message"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "fails on a user message"),
        ("{% for %}", "not valid jinja"),
    ],
)
def test_a_template_that_gives_no_prefix_is_one_sentence(source: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        cut(source)
    assert "\n" not in str(caught.value)


def test_what_transformers_gives_templates_is_there() -> None:
    source = (
        "{{ {'b': '<é>', 'a': 1} | tojson }}"
        "{% for i in range(9) %}{% if i == 1 %}{% break %}{% endif %}{{ i }}{% endfor %}"
        "{% generation %}x{% endgeneration %}{% if tools is none %}<u>{% endif %}{{ messages[0].content }}</u>"
    )
    assert cut(source).text == '{"b": "<é>", "a": 1}0x<u>'


@pytest.mark.parametrize(
    ("after", "stop"),
    [
        ("<|im_end|>\n<|im_start|>assistant\n", ("<|im_end|>",)),
        ("<|eot_id|><|start_header_id|>assistant", ("<|eot_id|>",)),
        (" [/INST]", ("[/INST]",)),
        ("\n\n### Response:\n", ("\n\n### Response:",)),
        ("\n", ("\n",)),
        ("", ()),
    ],
)
def test_stop_is_what_comes_right_after(after: str, stop: tuple[str, ...]) -> None:
    assert stop_after(after) == stop


def write_tokenizer(
    folder: Path, config: dict[str, Any], *, template: str | None = None, bos_added: bool = False
) -> Path:
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    processor = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}]} if bos_added else None
    (folder / "tokenizer.json").write_text(json.dumps({"post_processor": processor}), encoding="utf-8")
    if template is not None:
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return folder


def test_tokenizer_folder(tmp_path: Path) -> None:
    bos = {"content": "<s>", "lstrip": False}
    folder = write_tokenizer(tmp_path, {"chat_template": MISTRAL, "bos_token": bos}, bos_added=True)
    assert prefix_from_template(load_chat_template(folder)).text == "[INST] "
    write_tokenizer(tmp_path, {"chat_template": MISTRAL, "bos_token": bos})
    assert prefix_from_template(load_chat_template(folder)).text == "<s>[INST] "
    write_tokenizer(
        tmp_path, {"chat_template": [{"name": "rag", "template": ""}, {"name": "default", "template": ALPACA}]}
    )
    assert prefix_from_template(load_chat_template(folder)).stop == ("\n\n### Response:",)
    write_tokenizer(tmp_path, {"chat_template": ALPACA}, template=CHATML)
    assert prefix_from_template(load_chat_template(folder)).text == CHATML_PREFIX


@pytest.mark.parametrize("content", ["{}", "{", "[]"])
def test_a_folder_without_a_template_is_said_so(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer_config.json").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=re.escape(str(tmp_path))):
        load_chat_template(tmp_path)


class TokenizingServer:
    """vLLM's /tokenize and /detokenize over a template: special tokens and words with their space are tokens.

    With `bos`, a text gets that token before it.
    """

    def __init__(self, template: str, *, leading_space: bool = False, bos: str = "") -> None:
        self.bos = bos
        self.template = ChatTemplate(template, special_tokens={"bos_token": "<s>"})
        self.vocabulary: list[str] = []
        word = r" ?[^\s<\[]" if leading_space else r"[^\s<\[]"
        self.pattern = re.compile(rf"<[^<>\s]+>|\[[^\[\]\s]+\]|{word}+|\s|.")

    def ids(self, text: str) -> list[int]:
        pieces = self.pattern.findall(text)
        self.vocabulary += [piece for piece in dict.fromkeys(pieces) if piece not in self.vocabulary]
        return [self.vocabulary.index(piece) for piece in pieces]

    def answer(self, path: str, document: dict[str, Any]) -> Reply:
        if path == "/detokenize":
            return ok({"prompt": "".join(self.vocabulary[token] for token in document["tokens"])})
        if "prompt" in document:
            bos = self.bos if document["add_special_tokens"] else ""
            return ok({"tokens": self.ids(bos + document["prompt"])})
        try:
            return ok({"tokens": self.ids(self.template.render(document["messages"]))})
        except ConfigurationError:
            return Reply(400, b'{"error": {"message": "template", "type": "BadRequestError"}}')


def find(answer: Any, **options: Any) -> PromptPrefix:
    async def main() -> PromptPrefix:
        return await find_prefix(client_of(SimulatedServer(answer)), **options)

    return virtual_time.run(main())


def not_offered(*_: object) -> Reply:
    return Reply(404, b'{"detail": "Not Found"}')


def test_the_server_gives_ids_and_the_stop_token() -> None:
    server = TokenizingServer(CHATML)
    prefix = find(server.answer)
    assert prefix.text == CHATML_PREFIX
    assert prefix.token_ids == tuple(server.ids(CHATML_PREFIX))
    assert prefix.stop == ("<|im_end|>", "<|im_start|>")
    assert prefix.stop_token_ids == tuple(server.ids("<|im_end|><|im_start|>"))
    assert prefix.source == "tokenize"


def test_a_space_that_belongs_to_the_first_word_is_left_to_the_model() -> None:
    server = TokenizingServer(MISTRAL, leading_space=True)
    prefix = find(server.answer)
    assert prefix.text == "<s>[INST]"
    assert prefix.token_ids == tuple(server.ids("<s>[INST]"))


def test_an_ordinary_token_is_no_stop_token() -> None:
    prefix = find(TokenizingServer(ALPACA).answer)
    assert prefix.stop == ("\n\n### Response:",)
    assert prefix.stop_token_ids == ()


def test_the_server_s_template_that_alters_the_message_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="drops or alters"):
        find(TokenizingServer("<u>{{ messages[0].content | upper }}</u>").answer)
    with pytest.raises(ConfigurationError, match="cannot render"):
        find(TokenizingServer("{{ raise_exception('no') }}").answer)


def test_a_system_message_is_rendered_by_the_template(tmp_path: Path) -> None:
    told = "<|im_start|>system\nYou write Rust.<|im_end|>\n<|im_start|>user\n"
    server = TokenizingServer(CHATML)
    prefix = find(server.answer, system="You write Rust.")
    assert (prefix.text, prefix.token_ids) == (told, tuple(server.ids(told)))
    assert prefix.stop == ("<|im_end|>", "<|im_start|>")
    assert prefix.stop_token_ids == tuple(server.ids("<|im_end|><|im_start|>"))
    assert find(TokenizingServer(LLAMA).answer, system=" You write Rust.\n").text.count("You write Rust.") == 1
    folder = write_tokenizer(tmp_path, {"chat_template": CHATML})
    assert find(not_offered, template=load_chat_template(folder), system="You write Rust.").text == told
    assert find(server.answer, explicit="User: ", system="You write Rust.").text == "User: "


def test_a_template_without_a_place_for_a_system_message_is_refused(tmp_path: Path) -> None:
    drops = "{% for m in messages if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% endfor %}"
    folder = write_tokenizer(tmp_path, {"chat_template": drops})
    for options in ({}, {"template": load_chat_template(folder)}):
        answer = not_offered if options else TokenizingServer(drops).answer
        assert find(answer, **options).text == "[INST] "
        with pytest.raises(ConfigurationError, match=r"drops or alters the system message \(instructions.mine.syst"):
            find(answer, system="You write Rust.", **options)
    with pytest.raises(ConfigurationError, match="cannot render a system and a user message"):
        find(TokenizingServer(MISTRAL).answer, system="You write Rust.")


def test_sources_are_tried_in_order(tmp_path: Path) -> None:
    folder = write_tokenizer(tmp_path, {"chat_template": ALPACA})
    server = TokenizingServer(CHATML)
    given = find(server.answer, explicit="User: ")
    stops = ("<|im_end|>", "<|im_start|>")
    ids, stop_ids = tuple(server.ids("User: ")), tuple(server.ids("".join(stops)))
    assert given == PromptPrefix("User: ", ids, stops, stop_ids, "chatTemplatePrefix", "tokenize")
    given = find(server.answer, explicit="User: ", template=load_chat_template(folder))
    assert given == PromptPrefix("User: ", ids, ("\n\n### Response:",), (), "chatTemplatePrefix", "tokenizer")
    given = find(not_offered, explicit="User: ", template=load_chat_template(folder))
    assert given == PromptPrefix("User: ", None, ("\n\n### Response:",), (), "chatTemplatePrefix", "tokenizer")
    assert find(not_offered, explicit="User: ") == PromptPrefix("User: ", None, (), (), "chatTemplatePrefix", "none")
    named = find(server.answer, template=load_chat_template(folder))  # what is named goes before what is told
    assert (named.source, named.token_ids) == ("tokenizer", tuple(server.ids(named.text)))
    assert find(not_offered, template=load_chat_template(folder)).source == "tokenizer"
    # A server whose /tokenize knows no messages (llama.cpp answers with nothing, SGLang refuses).
    assert find(lambda *_: ok({"tokens": []}), template=load_chat_template(folder)).source == "tokenizer"
    assert find(lambda *_: Reply(400, b""), template=load_chat_template(folder)).source == "tokenizer"
    with pytest.raises(ConfigurationError, match="name the model's tokenizer, or give chatTemplatePrefix"):
        find(not_offered)
    with pytest.raises(ConfigurationError, match="blank"):
        find(not_offered, explicit=" \n")


def test_the_end_of_a_turn_after_a_blank_is_a_stop_token() -> None:
    server = TokenizingServer(EXAONE)
    prefix = find(server.answer)
    assert prefix.stop == ("[|assistant|]", "[|user|]")
    assert prefix.stop_token_ids == tuple(server.ids("[|assistant|][|user|]"))


@pytest.mark.parametrize("added", ["<s>", ""])
@pytest.mark.parametrize("written", ["", "<s>", "<s><s>"])
def test_a_given_prefix_has_one_beginning(added: str, written: str) -> None:
    server = TokenizingServer(MISTRAL, bos=added)
    prefix = find(server.answer, explicit=f"{written}[INST] ")
    assert prefix.text == f"{written}[INST] "  # as it was given
    assert prefix.token_ids == tuple(server.ids(f"{added or written}[INST] "))
    assert prefix.stop == ("[/INST]", "[INST]")


def test_given_stops_take_the_place_of_the_template_s() -> None:
    server = TokenizingServer(CHATML)
    prefix = find(server.answer, stops=["<|im_end|>", "\nQ:"])
    assert (prefix.text, prefix.source) == (CHATML_PREFIX, "tokenize")
    assert (prefix.stop, prefix.stop_source) == (("<|im_end|>", "\nQ:"), "chatTemplateStops")
    assert prefix.stop_token_ids == tuple(server.ids("<|im_end|>"))


def test_a_given_prefix_ends_at_its_own_tokens_where_the_template_is_unknown() -> None:
    prefix = find(not_offered, explicit=CHATML_PREFIX)
    assert (prefix.stop, prefix.stop_source) == (("<|im_start|>", "<|im_end|>"), "chatTemplatePrefix")
    broken = TokenizingServer("{{ raise_exception('no') }}")  # why the user gave one
    assert find(broken.answer, explicit=CHATML_PREFIX).stop == ("<|im_start|>", "<|im_end|>")
    altering = TokenizingServer("<u>{{ messages[0].content | upper }}</u>")
    assert find(altering.answer, explicit=CHATML_PREFIX).stop == ("<|im_start|>", "<|im_end|>")


def test_more_stops_than_the_api_takes_are_not_sent() -> None:
    assert ends("<a>user<b>", "<c><d><e><f>") == ("<c>", "<a>", "<d>", "<e>")


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d %b %Y", "%B %d, %Y", "%A, %B %d, %Y"])
def test_a_template_with_today_s_date_gives_the_same_prefix_tomorrow(form: str) -> None:
    def template_on(day: date) -> str:
        before = (day - timedelta(days=1)).strftime(form)
        return f"Known to 2023-10-01. Today {day.strftime(form)}, before {before}.<u>{{{{ messages[0].content }}}}</u>"

    today = date(2026, 3, 1)
    on_server = [today + timedelta(days=distance) for distance in (-1, 0, 1)]
    found = {find(TokenizingServer(template_on(day)).answer, today=today).text for day in on_server}
    assert found == {template_on(date(2024, 7, 26)).partition("{{")[0]}
    assert find(TokenizingServer(template_on(today)).answer, today=today + timedelta(days=9)).text not in found


def test_the_document_says_where_the_prefix_and_its_ends_come_from() -> None:
    prefix = PromptPrefix("é<s>", None, ("</s>",), (2,), "chatTemplatePrefix", "tokenize")
    assert prefix.document() == {
        "prefix": "é<s>",
        "tokenIds": None,
        "source": "chatTemplatePrefix",
        "stops": ("</s>",),
        "stopTokenIds": (2,),
        "stopSource": "tokenize",
    }
    assert prefix.cut("Write</s>Sure</s>") == "Write"
    assert prefix.cut("Write") is None


def test_the_marks_share_neither_beginning_nor_end() -> None:
    assert MARKS[0][0] != MARKS[1][0]
    assert MARKS[0][-1] != MARKS[1][-1]
