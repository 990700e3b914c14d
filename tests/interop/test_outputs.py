"""What others' tools make of our data: datasets, TRL, DuckDB, polars and arena-rank read it as it lies.

Self-contained, for the interpreter with those tools (`python hack/envs.py interop` prints it):

    PYTHONPATH=jobs:tests $(python hack/envs.py interop) -m pytest -c /dev/null tests/interop/test_outputs.py
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("trl", reason="needs the interpreter with other people's tools (see the module's docstring)")

import duckdb
import numpy as np
import pandas as pd
import polars
import pyarrow.parquet as pq
from arena_rank.models.bradley_terry import BradleyTerry
from arena_rank.utils.data_utils import ContextualPairDataset, PairDataset
from datasets import get_dataset_config_names, load_dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast
from trl.data_utils import apply_chat_template, extract_prompt, is_conversational, unpair_preference_dataset

from support.artifact_rows import Asked
from support.artifact_world import ArtifactWorld
from tiltyard_jobs.results.run_tables import BREAKDOWNS, DATASET_TABLES, RATINGS, SCORES

CONFIGURATIONS = DATASET_TABLES | {"ratings": RATINGS, "breakdowns": BREAKDOWNS, "scores": SCORES}
PLAYERS = ("ada", "bob", "cyd", "dot")
SKILL = {"ada": 0.8, "bob": 0.3, "cyd": 0.0, "dot": -0.9}
TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


class Results(NamedTuple):
    folder: Path
    standings: dict[str, Any]
    summary: dict[str, Any]


def vote(asked: Asked) -> float | None:
    """A seeded coin by skill, with some ties and voids."""
    seed = [PLAYERS.index(name) for name in (asked.attacker, asked.player_a, asked.player_b, asked.judge)]
    rng = np.random.default_rng([*seed, asked.row, asked.order == "AB"])
    if rng.random() < 0.05:
        return None
    return float(rng.random() < 1 / (1 + np.exp(SKILL[asked.player_b] - SKILL[asked.player_a])))


def build(root: Path, **changes: Any) -> Results:
    world = ArtifactWorld(root, PLAYERS, licenses={"ada": "apache-2.0"})
    world.play(
        {name: [f"Task {row} of {name}: </s> | \U0001f701" for row in range(25)] for name in PLAYERS},
        answer=lambda player, attacker, row: f"{player} says\n{row}",
        vote=vote,
    )
    recipe = world.dataset(**changes)
    for stage in (world.rate(), recipe):
        ran = world.run(stage)
        assert ran.code == 0, ran.summary
    return Results(
        world.lay_out(world.rate().ref, recipe.ref, root / "out"),
        world.document(world.rate().ref, "standings"),
        world.document(recipe.ref, "summary"),
    )


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return build(tmp_path_factory.mktemp("outcome"))


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    made = Tokenizer(WordLevel({"<unk>": 0}, unk_token="<unk>"))
    made.pre_tokenizer = Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>")
    fast.chat_template = TEMPLATE
    return fast


def load(outcome: Results, name: str | None = None) -> Any:
    # A cache of its own, as datasets takes folders of one name for one data set.
    return load_dataset(str(outcome.folder), name, split="train", cache_dir=str(outcome.folder.parent / "read"))


def test_the_card_names_every_configuration(outcome: Results) -> None:
    assert get_dataset_config_names(str(outcome.folder)) == list(CONFIGURATIONS)


@pytest.mark.parametrize("name", list(CONFIGURATIONS))
def test_datasets_loads_every_configuration(outcome: Results, name: str) -> None:
    rows = load(outcome, name)
    assert rows.column_names == CONFIGURATIONS[name].names
    assert rows.num_rows > 0
    if name in outcome.summary:
        assert rows.num_rows == outcome.summary[name]


def test_the_first_configuration_is_the_default(outcome: Results) -> None:
    assert load(outcome).column_names == DATASET_TABLES["sft"].names


def test_a_table_without_rows_is_no_configuration(tmp_path: Path) -> None:
    """As datasets fails on a split without rows; DuckDB and pandas read it."""
    empty = build(tmp_path, min_margin=Decimal(1))
    assert empty.summary["sft"] == empty.summary["preference"] == 0
    assert get_dataset_config_names(str(empty.folder)) == [
        name for name in CONFIGURATIONS if name not in ("sft", "preference")
    ]
    assert load(empty).column_names == DATASET_TABLES["instructions"].names
    assert list(pd.read_parquet(empty.folder / "data" / "sft.parquet").columns) == DATASET_TABLES["sft"].names


def test_trl_takes_the_sft_rows(outcome: Results, tokenizer: PreTrainedTokenizerFast) -> None:
    row = load(outcome, "sft")[0]
    assert is_conversational(row)
    question, answer = (turn["content"] for turn in row["messages"])
    assert apply_chat_template({"messages": row["messages"]}, tokenizer) == {
        "text": f"<user>{question}</s><assistant>{answer}</s>"
    }


def test_trl_takes_the_preference_rows(outcome: Results, tokenizer: PreTrainedTokenizerFast) -> None:
    rows = load(outcome, "preference")
    row = rows[0]
    assert is_conversational(row)
    forms = {name: row[name] for name in ("prompt", "chosen", "rejected")}
    templated = apply_chat_template(forms, tokenizer)
    assert templated["prompt"] == f"<user>{row['prompt'][0]['content']}</s><assistant>"
    assert templated["chosen"] == f"{row['chosen'][0]['content']}</s>"
    assert templated["rejected"] == f"{row['rejected'][0]['content']}</s>"
    # The form with an implicit prompt, and back.
    implicit = {name: row["prompt"] + row[name] for name in ("chosen", "rejected")}
    assert extract_prompt(implicit) == forms
    unpaired = unpair_preference_dataset(rows.select_columns(["prompt", "chosen", "rejected"]))
    assert unpaired.num_rows == 2 * rows.num_rows


def test_duckdb_finds_the_authors(outcome: Results) -> None:
    with duckdb.connect() as connection:
        authors = dict(
            connection.execute(
                f"select model, count(*) from '{outcome.folder}/data/sft.parquet' group by model"
            ).fetchall()
        )
    assert authors == outcome.summary["goldByPlayer"]


def test_polars_reads_every_table(outcome: Results) -> None:
    paths = sorted(outcome.folder.rglob("*.parquet"))
    assert len(paths) == len(CONFIGURATIONS)
    for path in paths:
        table = pq.read_table(path)  # what `tiltyard.Results.table` gives
        frame = polars.from_arrow(table)
        assert isinstance(frame, polars.DataFrame)
        assert frame.to_dicts() == table.to_pylist(), path.name


def ratings(data: Any) -> dict[str, float]:
    # Tighter than its defaults, which stop some ten-thousandths of a point from the maximum.
    found = BradleyTerry(n_competitors=len(PLAYERS), ftol=0.0, gtol=1e-12).compute_ratings_and_cis(data)["ratings"]
    return dict(zip(data.competitors, np.asarray(found), strict=True))


def test_arena_rank_gives_our_ratings(outcome: Results) -> None:
    frame = pd.read_parquet(outcome.folder / "tables" / "battles.parquet")
    ours = {player["name"]: player["rating"] for player in outcome.standings["players"]}
    exact = ratings(PairDataset.from_pandas(frame, outcome_col="score", outcome_map=float))
    assert exact == pytest.approx(ours, abs=1e-3)  # the digits that standings have
    # By its own names for outcomes, a majority counts as a whole win: the same order, further apart.
    named = ratings(PairDataset.from_pandas(frame))
    assert sorted(named, key=named.__getitem__) == sorted(ours, key=ours.__getitem__)
    assert set(frame["winner"]) == {"model_a", "model_b", "tie"}


def test_arena_rank_takes_the_length_as_a_feature(outcome: Results) -> None:
    frame = pd.read_parquet(outcome.folder / "tables" / "battles.parquet")
    data = ContextualPairDataset.from_pandas(frame, ["length_difference"])
    assert (data.n_features, data.n_pairs) == (1, outcome.standings["matches"])
