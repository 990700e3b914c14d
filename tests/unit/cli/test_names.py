"""Names that a table has little room for."""

from __future__ import annotations

import string

from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard.cli.names import shortened

NAMES = st.lists(st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=32), max_size=12)
ALIKE = st.lists(st.text("ab", min_size=20, max_size=24), max_size=12)


@settings(deadline=None)
@given(names=NAMES | ALIKE, width=st.integers(8, 40))
def test_names_fit_and_differ_where_they_did(names: list[str], width: int) -> None:
    short = shortened(names, width)
    assert all(len(each) <= width for each in short)
    assert len(set(zip(names, short, strict=True))) == len(set(names)) == len(set(short))
    assert all(each == name for each, name in zip(short, names, strict=True) if len(name) <= width)


def test_the_end_of_a_name_stays() -> None:
    assert shortened(["qwen2-5-coder-7b-instruct-awq", "qwen2-5-coder-7b-instruct-gptq", "ada"], 12) == [
        "qwen2…ct-awq",
        "qwen2…t-gptq",
        "ada",
    ]


def test_names_that_differ_in_the_middle_alone_keep_more_of_their_beginning() -> None:
    assert shortened(["model-a-instruct-version", "model-b-instruct-version"], 12) == ["model-a…sion", "model-b…sion"]
