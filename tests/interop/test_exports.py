"""What trainers make of exported training rows, by their own readers: TRL, LLaMA-Factory, axolotl, pandas.

OpenAI takes files on its servers alone: there the rows are held to the format that its documentation states.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("llamafactory", reason="needs the interpreter with other people's tools (see conftest.py)")

import pandas as pd
from axolotl.prompt_strategies.alpaca_w_system import load as alpaca
from axolotl.prompt_strategies.chat_template import load as chat
from axolotl.prompt_strategies.dpo.chat_template import default as dpo
from axolotl.utils.dict import DictDefault
from datasets import load_dataset
from llamafactory.data.loader import _load_single_dataset
from llamafactory.data.parser import get_dataset_list
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast
from trl.data_utils import apply_chat_template, is_conversational

from support.exported_run import exported, lay_out, lines, rows
from tiltyard_jobs.contracts.vocabulary import ExportForm
from tiltyard_jobs.results.columns import Row

TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}>"
    "{% if message.get('reasoning_content') %}({{ message['reasoning_content'] }}){% endif %}"
    "{{ message['content'] }}</s>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
TABLES = ("sft", "preference")


class Outs:
    """Each form of one run, written once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows = rows()
        lay_out(root / "run", self.rows)

    def folder(self, form: ExportForm) -> Path:
        out = self.root / form
        if not out.exists():
            exported(self.root / "run", form, out)
        return out

    def asked(self, table: str) -> list[list[dict[str, str]]]:
        """The turns up to the instruction, row by row."""
        return [row["messages"][:-1] if table == "sft" else row["prompt"] for row in self.rows[table]]

    def answers(self, table: str) -> list[list[str]]:
        """The answers, row by row."""
        names = ("messages",) if table == "sft" else ("chosen", "rejected")
        return [[row[name][-1]["content"] for name in names] for row in self.rows[table]]


@pytest.fixture(scope="module")
def outs(tmp_path_factory: pytest.TempPathFactory) -> Outs:
    return Outs(tmp_path_factory.mktemp("exports"))


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    made = Tokenizer(WordLevel({"<unk>": 0, "</s>": 1}, unk_token="<unk>"))
    made.pre_tokenizer = Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", eos_token="</s>", pad_token="</s>")
    fast.chat_template = TEMPLATE
    return fast


def loaded(file: Path, kind: str = "json") -> Any:
    return load_dataset(kind, data_files=str(file), split="train", cache_dir=str(file.parent / "read"))


def llama_factory(folder: Path, name: str, dataset_dir: str | dict[str, Any], *, ranking: bool) -> list[Row]:
    (attributes,) = get_dataset_list([name], dataset_dir)
    assert attributes.ranking is ranking
    data = SimpleNamespace(
        dataset_dir=str(folder),
        preprocessing_num_workers=None,
        streaming=False,
        max_samples=None,
        overwrite_cache=True,
        media_dir=str(folder),
    )
    model = SimpleNamespace(cache_dir=str(folder / "read"), hf_hub_token=None)
    return list(_load_single_dataset(attributes, model, data, SimpleNamespace(local_process_index=0)))


def assert_llama_factory_has_all(outs: Outs, table: str, read: list[Row]) -> None:
    for row, asked, answers in zip(read, outs.asked(table), outs.answers(table), strict=True):
        system = [turn["content"] for turn in asked if turn["role"] == "system"]
        assert row["_system"] == "".join(system)
        assert row["_prompt"] == [turn for turn in asked if turn["role"] != "system"]
        assert [turn["content"] for turn in row["_response"]] == answers


@pytest.mark.parametrize("table", TABLES)
def test_llama_factory_reads_the_folder_by_its_dataset_info(outs: Outs, table: str) -> None:
    folder = outs.folder("llamafactory")
    read = llama_factory(folder, f"test_{table}", str(folder), ranking=table == "preference")
    assert_llama_factory_has_all(outs, table, read)


@pytest.mark.parametrize("table", TABLES)
def test_llama_factory_reads_the_alpaca_form(outs: Outs, table: str) -> None:
    answers = {"response": "output"} if table == "sft" else {"chosen": "chosen", "rejected": "rejected"}
    columns = {"prompt": "instruction", "query": "input", "system": "system", "history": "history"} | answers
    info = {"rows": {"file_name": f"{table}.jsonl", "columns": columns, "ranking": table == "preference"}}
    read = llama_factory(outs.folder("alpaca"), "rows", info, ranking=table == "preference")
    assert_llama_factory_has_all(outs, table, read)


@pytest.mark.parametrize("table", TABLES)
def test_llama_factory_reads_the_sharegpt_form(outs: Outs, table: str) -> None:
    answers = {} if table == "sft" else {"chosen": "chosen", "rejected": "rejected"}
    info = {
        "rows": {
            "file_name": f"{table}.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "conversations"} | answers,
            "tags": {
                "role_tag": "from",
                "content_tag": "value",
                "user_tag": "human",
                "assistant_tag": "gpt",
                "system_tag": "system",
            },
            "ranking": table == "preference",
        }
    }
    read = llama_factory(outs.folder("sharegpt"), "rows", info, ranking=table == "preference")
    assert_llama_factory_has_all(outs, table, read)


@pytest.mark.parametrize("form", ["jsonl", "openai", "sharegpt"])
def test_axolotl_reads_the_conversations(outs: Outs, tokenizer: PreTrainedTokenizerFast, form: ExportForm) -> None:
    settings: dict[str, Any] = {"field_messages": "messages"}
    if form == "sharegpt":
        settings = {
            "field_messages": "conversations",
            "message_property_mappings": {"role": "from", "content": "value"},
        }
    cfg = DictDefault({"sequence_len": 4096, "train_on_inputs": False, "chat_template": "tokenizer_default"})
    strategy = chat(tokenizer, cfg, DictDefault({"type": "chat_template", **settings}))
    for row, given in zip(loaded(outs.folder(form) / "sft.jsonl"), outs.rows["sft"], strict=True):
        read = strategy.get_conversation_thread(row)
        assert [turn["content"] for turn in read] == [turn["content"] for turn in given["messages"]]
        assert [turn["role"] for turn in read] == [turn["role"] for turn in given["messages"]]
        thoughts = [turn.get("reasoning_content") for turn in given["messages"]] if form == "jsonl" else []
        assert [turn.get("reasoning_content") for turn in read if turn.get("reasoning_content")] == [
            thought for thought in thoughts if thought
        ]


@pytest.mark.parametrize("form", ["jsonl", "llamafactory"])
def test_axolotl_reads_the_preferences(outs: Outs, tokenizer: PreTrainedTokenizerFast, form: ExportForm) -> None:
    field = {"field_messages": "prompt" if form == "jsonl" else "messages"}
    cfg = DictDefault({"datasets": [field], "chat_template": "tokenizer_default"})
    transform, _ = dpo(cfg)
    for row, answers in zip(loaded(outs.folder(form) / "preference.jsonl"), outs.answers("preference"), strict=True):
        read = transform(row, tokenizer)
        assert [read["chosen"], read["rejected"]] == [f"{answer}</s>" for answer in answers]


def test_axolotl_reads_the_alpaca_form(outs: Outs, tokenizer: PreTrainedTokenizerFast) -> None:
    strategy = alpaca(tokenizer, DictDefault({"sequence_len": 4096, "train_on_inputs": False}))
    for row, asked, answers in zip(
        loaded(outs.folder("alpaca") / "sft.jsonl"), outs.asked("sft"), outs.answers("sft"), strict=True
    ):
        system = asked[0]["content"] if asked[0]["role"] == "system" else ""
        assert strategy.parse_instruction_fields(row) == (asked[-1]["content"], "", answers[0], system)


@pytest.mark.parametrize("table", TABLES)
def test_trl_and_datasets_read_json_lines(outs: Outs, tokenizer: PreTrainedTokenizerFast, table: str) -> None:
    read = loaded(outs.folder("jsonl") / f"{table}.jsonl")
    names = ("messages",) if table == "sft" else ("prompt", "chosen", "rejected")
    for row, given in zip(read, outs.rows[table], strict=True):
        assert is_conversational(row)
        assert (row["category"], row["source_id"]) == (given["category"], given["source_id"])
        for name in names:
            turns = [{key: value for key, value in turn.items() if value is not None} for turn in row[name]]
            assert turns == given[name]
        assert apply_chat_template({name: row[name] for name in names}, tokenizer)


@pytest.mark.parametrize("table", TABLES)
def test_pandas_and_datasets_read_csv(outs: Outs, table: str) -> None:
    file = outs.folder("csv") / f"{table}.csv"
    read = pd.read_csv(file, keep_default_na=False).to_dict("records")
    names = ("messages",) if table == "sft" else ("prompt", "chosen", "rejected")
    for row, given in zip(read, outs.rows[table], strict=True):
        for name in names:
            assert json.loads(row[name]) == given[name]
        assert row["instruction"] == (given.get("prompt") or given["messages"][:-1])[-1]["content"]
    assert loaded(file, "csv").num_rows == len(read)


def test_the_openai_form_is_what_openai_documents(outs: Outs) -> None:
    for row, given in zip(lines(outs.folder("openai") / "sft.jsonl"), outs.rows["sft"], strict=True):
        assert list(row) == ["messages"]
        assert_turns(row["messages"], given["messages"])
        assert row["messages"][-1]["role"] == "assistant"
    for row, given in zip(lines(outs.folder("openai") / "preference.jsonl"), outs.rows["preference"], strict=True):
        assert list(row) == ["input", "preferred_output", "non_preferred_output"]
        assert list(row["input"]) == ["messages"]
        assert_turns(row["input"]["messages"], given["prompt"])
        assert row["input"]["messages"][-1]["role"] == "user"
        assert_turns(row["preferred_output"], given["chosen"])
        assert_turns(row["non_preferred_output"], given["rejected"])


def assert_turns(read: list[dict[str, str]], given: list[dict[str, str]]) -> None:
    """OpenAI refuses a member that it does not know."""
    assert read == [{"role": turn["role"], "content": turn["content"]} for turn in given]
