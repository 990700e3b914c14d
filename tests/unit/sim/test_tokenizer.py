"""Every text has tokens, and every token has its text back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.sim.tokenizer import (
    SPECIAL_IDS,
    VOCABULARY_SIZE,
    Turn,
    count_tokens,
    decode,
    encode,
    render,
    token_bytes,
    turns_of,
)

TEXTS = st.lists(st.one_of(st.text(), st.sampled_from(["\n", "<|", "|>", *SPECIAL_IDS]))).map("".join)


@settings(deadline=None)
@given(TEXTS)
def test_decoding_undoes_encoding(text: str) -> None:
    ids = encode(text)
    assert decode(ids) == text
    assert len(ids) == count_tokens(text)
    assert all(0 <= ident < VOCABULARY_SIZE for ident in ids)


@settings(deadline=None)
@given(st.integers(0, VOCABULARY_SIZE - 1))
def test_every_id_has_bytes(ident: int) -> None:
    assert 1 <= len(token_bytes(ident)) <= 13


def test_an_id_out_of_the_vocabulary_is_refused() -> None:
    for ident in (-1, VOCABULARY_SIZE):
        with pytest.raises(ValueError, match="out of the vocabulary"):
            decode([ident])


def test_special_tokens_have_one_id_and_the_template_splits_into_turns() -> None:
    text = render(
        [{"role": "system", "content": "be brief\n"}, {"role": "user", "content": "hi"}], add_generation_prompt=True
    )
    assert text == "<|im_start|>system\nbe brief\n<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    assert encode(text).count(SPECIAL_IDS["<|im_start|>"]) == 3
    assert turns_of(text) == [
        Turn("system", "be brief\n", True),
        Turn("user", "hi", True),
        Turn("assistant", "", False),
    ]
    assert turns_of("def f(x):") == []
