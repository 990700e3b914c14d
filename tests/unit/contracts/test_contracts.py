"""The contracts: canonical forms, keys, bitmaps, messages, places."""

from __future__ import annotations

import random
from decimal import Decimal
from operator import mul
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tiltyard_jobs.contracts.frozen import Contract, key_of
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.layout import file_key, seal_key, shard_of_seal
from tiltyard_jobs.contracts.recipe import ArtifactRef, in_key_if_set, parts
from tiltyard_jobs.contracts.recipes import AnswerRecipe, JudgeRecipe, SamplingRecipe
from tiltyard_jobs.contracts.summary import CUT, MAX_BYTES, Standing, Summary, pack_bits, parts_done, unpack_bits
from tiltyard_jobs.contracts.tasks import Limits
from tiltyard_jobs.contracts.vocabulary import Criteria
from tiltyard_jobs.prompts.judge import CRITERIA

MODEL = ModelIdentity(uri="sim://one")
REF = ArtifactRef(stage="curate", key="0" * 32)


def answer(temperature: str = "0.7", **changes: Any) -> AnswerRecipe:
    sampling = SamplingRecipe(temperature=Decimal(temperature), top_p=Decimal("0.95"), max_tokens=64)
    fields = {"model": MODEL, "instructions": REF, "sampling": sampling, "rows": 10, "seed": 0, "shard_size": 4}
    return AnswerRecipe.model_validate(fields | changes)


def test_a_key_does_not_hang_on_how_a_number_is_written() -> None:
    assert answer("0.7").ref == answer("0.70").ref
    assert answer("0").ref == answer("-0.0").ref
    assert answer("0.7").ref != answer("0.71").ref


def test_a_key_hangs_on_all_that_makes_the_artifact() -> None:
    changes: list[dict[str, Any]] = [
        {"model": ModelIdentity(uri="sim://two")},
        {"model": ModelIdentity(uri="sim://one", revision="a")},
        {"instructions": ArtifactRef(stage="curate", key="1" * 32)},
        {"rows": 11},
        {"seed": 1},
        {"shard_size": 5},
        {"version": 4},
        {"thoughts": "Keep"},
    ]
    assert len({answer().ref.key, *(answer(**change).ref.key for change in changes)}) == len(changes) + 1


def test_a_key_is_the_same_in_every_release() -> None:
    """Whoever changes this throws away the artifacts of every user."""
    assert answer().canonical() == (
        b'{"instructions":{"key":"00000000000000000000000000000000","shards":1,"stage":"curate"},'
        b'"model":{"options":[],"revision":null,"uri":"sim://one"},"rows":10,'
        b'"sampling":{"maxTokens":64,"temperature":"0.7","topP":"0.95"},"seed":0,"shardSize":4,"stage":"answer","version":3}'
    )
    assert answer().ref.key == "f354e2755791ff9defadfe37ce67b8fb"


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError, match="surprise"):
        ModelIdentity.model_validate({"uri": "sim://one", "surprise": 1})


@given(st.lists(st.booleans(), max_size=5000))
@settings(deadline=None)
def test_bitmaps_are_read_as_they_were_written(bits: list[bool]) -> None:
    assert unpack_bits(pack_bits(bits), len(bits)) == bits


def test_a_longer_bitmap_is_refused_and_so_is_what_is_none() -> None:
    for text in (pack_bits([True] * 100), "bits", "\\"):
        with pytest.raises(ValueError, match=r"bitmap|base85"):
            unpack_bits(text, 8)


def test_parts_beyond_the_end_of_a_bitmap_are_missing() -> None:
    assert unpack_bits(pack_bits([True] * 8), 12) == [True] * 8 + [False] * 4
    assert unpack_bits("", 3) == [False] * 3


def test_a_bitmap_of_a_large_tournament_fits_a_termination_message() -> None:
    bits = [True] * 30_000 + [False] * 30_000
    message = Summary(exit_code=0, done=pack_bits(bits)).to_message()
    assert len(message.encode()) <= MAX_BYTES
    assert unpack_bits(Summary.model_validate_json(message).done, len(bits)) == bits


@pytest.mark.parametrize("count", [24_000, 30_000, 300_000])
def test_a_bitmap_without_any_order_is_told_as_far_as_there_is_room(count: int) -> None:
    rng = random.Random(0)
    bits = [rng.random() < 0.5 for _ in range(count)]
    outputs = {"manifest": f"s3://{'b' * 500}/manifest.json"} if count > 25_000 else {}
    message = Summary(exit_code=0, done=pack_bits(bits), outputs=outputs, message="a sentence").to_message()
    assert MAX_BYTES - 40 < len(message.encode()) <= MAX_BYTES or count == 24_000
    told = Summary.model_validate_json(message)
    assert told.outputs == outputs
    there = unpack_bits(told.done, count)
    length = len(bits) if count == 24_000 else 20_000
    assert there[:length] == bits[:length]
    assert not any(there[position] and not bits[position] for position in range(count))


def test_parts_done_are_by_artifact() -> None:
    first, second = ArtifactRef(stage="mine", key="a" * 32, shards=3), ArtifactRef(stage="mine", key="b" * 32, shards=2)
    assert parts_done([first, second], pack_bits([True, False, True, False, True])) == {
        first.key: frozenset({0, 2}),
        second.key: frozenset({1}),
    }
    assert parts_done([first, second], "") == {first.key: frozenset(), second.key: frozenset()}


@given(
    st.builds(mul, st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.integers(1, 1000)),
    st.lists(st.text('x"é', max_size=32), max_size=64),
    st.lists(st.text("s3:/é\u20ac", max_size=250), max_size=3),
    st.integers(0, 20_000),
    st.integers(0, 2**32),
)
@settings(deadline=None)
def test_a_message_is_what_a_pod_may_say(
    sentence: str, players: list[str], uris: list[str], parts: int, seed: int
) -> None:
    rng = random.Random(seed)
    bits = [rng.random() < 0.3 for _ in range(parts)] if parts < 9000 else [place < seed for place in range(parts)]
    summary = Summary(
        exit_code=3,
        message=sentence,
        leaderboard=tuple(Standing(name=name, rating=1000 / 7) for name in players),
        notes=tuple(f"{name} did badly" for name in players),
        outputs={str(place): uri for place, uri in enumerate(uris)},
        done=pack_bits(bits),
    )
    message = summary.to_message()
    assert len(message.encode()) <= MAX_BYTES
    told = Summary.model_validate_json(message)
    assert (told.exit_code, told.outputs) == (3, summary.outputs)
    assert told.leaderboard == summary.leaderboard[: len(told.leaderboard)]
    assert told.notes == summary.notes[: len(told.notes)]
    if told.notes != summary.notes:
        assert not told.leaderboard
    if told.message != sentence:
        assert not told.notes
        assert sentence.startswith(told.message.removesuffix(CUT))
    there = unpack_bits(told.done, parts)
    assert there == bits or (told.message == "" and not any(a and not b for a, b in zip(there, bits, strict=True)))
    whole = summary.model_dump_json(by_alias=True, exclude_defaults=True)
    assert (message == whole) == (len(whole.encode()) <= MAX_BYTES)


@pytest.mark.parametrize(
    ("fraction", "total", "failures", "undecided"),
    [
        ("0.01", 0, 0, 0),
        ("0.01", 1, 1, 0),
        ("0.01", 2, 1, 0),
        ("0.01", 3, 2, 0),
        ("0.01", 4, 3, 0),
        ("0.01", 20, 3, 2),
        ("0.01", 301, 4, 30),  # rounded up
        ("0.01", 512, 6, 51),
        ("0.5", 100, 50, 10),
        ("1", 20, 20, 2),
        ("0", 512, 0, 0),
    ],
)
def test_how_many_records_may_fail(fraction: str, total: int, failures: int, undecided: int) -> None:
    limits = Limits(max_void_fraction=Decimal(fraction))
    assert (limits.max_failures(total), limits.max_undecided(total)) == (failures, undecided)


def test_a_long_message_takes_all_the_room_and_ends_with_a_sentence() -> None:
    lines = [f"spec.competitors[{place}].endpoint: the secret does not exist: set a variable" for place in range(80)]
    board = tuple(Standing(name="x" * 32, rating=1000 / 7) for _ in range(64))
    message = Summary(exit_code=2, message="\n".join(lines), leaderboard=board).to_message()
    told = Summary.model_validate_json(message).message
    *named, last = told.removesuffix(CUT).split("\n")
    assert told.endswith(CUT)
    assert [*named, last] == lines[: len(named) + 1]
    assert MAX_BYTES - 100 < len(message.encode()) <= MAX_BYTES
    message = Summary(exit_code=2, message="é" * 9000).to_message()
    assert MAX_BYTES - 2 < len(message.encode()) <= MAX_BYTES
    assert Summary.model_validate_json(message).message.strip("é") == CUT


@given(st.integers(0, 10_000), st.integers(1, 500))
def test_parts_cover_all_rows(rows: int, size: int) -> None:
    count = parts(rows, size)
    assert count >= 1
    assert (count - 1) * size < max(rows, 1) <= max(1, count * size)


def test_a_seal_is_told_from_the_files_beside_it() -> None:
    assert shard_of_seal(seal_key(REF, 7)) == 7
    assert shard_of_seal(file_key(REF, 7, "f" * 64, "rows.parquet")) is None
    assert shard_of_seal(file_key(REF, 7, "f" * 64, "standings.json")) is None


def test_orders_decide_how_many_instructions_a_shard_of_verdicts_holds() -> None:
    fields = {
        "judge": MODEL, "player_a": MODEL, "player_b": MODEL, "instructions": REF, "answers_a": REF, "answers_b": REF,
        "method": "Choice", "prompt": "judge-v1/code-v1", "max_tokens": 512, "rows": 100, "seed": 0,
        "shard_size": 10,
    }  # fmt: skip
    assert JudgeRecipe.model_validate(fields | {"orders": "Both"}).shards == 20
    assert JudgeRecipe.model_validate(fields | {"orders": "Alternate"}).shards == 10


def test_a_field_at_its_default_is_not_in_the_key() -> None:
    class Before(Contract):
        rows: int

    class After(Before):
        system: str | None = in_key_if_set(None)
        points: tuple[str, ...] = in_key_if_set(())

    assert key_of(After(rows=1)) == key_of(Before(rows=1))
    keys = {key_of(After.model_validate({"rows": 1, **own})) for own in ({}, {"system": "s"}, {"points": ["s"]})}
    assert len(keys) == 3
    for own in (After(rows=1, system=""), After(rows=1, points=("",))):
        assert After.model_validate_json(own.canonical()) == own


def test_every_criteria_has_its_words() -> None:
    assert set(get_args(Criteria)) == set(CRITERIA)
