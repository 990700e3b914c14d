from __future__ import annotations

import os.path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.store.keys import TEMPORARY, check_key, check_prefix, is_segment

TEXT = st.text(st.sampled_from("ab.-_ /\\~%ü\x00\n\ud800"), max_size=12)


@pytest.mark.parametrize(
    "key", ["a", "a/b", "..a/b..", "a b+c%20=&?#'\"", "ü/日本語", ".hidden", "a/" + "x" * 255, "~/a", "a:b*c|d<e>"]
)
def test_ordinary_names_are_keys(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/../b",
        "a/./b",
        "a\\b",
        "a\x00b",
        "a\nb",
        "a\x7f",
        "x" * 256,
        "/".join(["x" * 100] * 10),
        "\ud800",
        f"a/{TEMPORARY}b",
    ],
)
def test_what_could_leave_the_root_or_cannot_be_a_file_is_no_key(key: str) -> None:
    with pytest.raises(ValueError, match=r"key .* (is longer|which is not allowed)"):
        check_key(key)


@settings(deadline=None)
@given(TEXT)
def test_a_key_never_leaves_the_root(text: str) -> None:
    try:
        key = check_key(text)
    except ValueError:
        return
    path = os.path.normpath(os.path.join("/srv/store", key))
    assert path == f"/srv/store/{key}"
    assert key.encode().decode() == key


@settings(deadline=None)
@given(TEXT.filter(lambda text: all(is_segment(part) for part in text.split("/"))), st.integers(0, 12))
def test_every_beginning_of_a_key_is_a_prefix(key: str, length: int) -> None:
    assert check_prefix(key[:length]) == key[:length]


@pytest.mark.parametrize("prefix", ["/", "/a", "../", "a/../b", "a//b", "\ud800"])
def test_what_begins_no_key_is_no_prefix(prefix: str) -> None:
    with pytest.raises(ValueError, match=r"prefix|key"):
        check_prefix(prefix)
