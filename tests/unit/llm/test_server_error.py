"""What is read in an error's body that is no JSON."""

from __future__ import annotations

import pytest

from tiltyard_jobs.llm.server_error import server_error_of


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Page not found | AI Models Hub", "Page not found | AI Models Hub"),
        ("Loading &amp; waiting", "Loading & waiting"),
    ],
)
def test_the_title_of_a_page_is_shown_and_nothing_follows_from_it(title: str, words: str) -> None:
    error = server_error_of(f"<html><head><title>{title}</title></head></html>".encode())
    assert error.words == words
    assert (error.names_the_model, error.is_loading) == (False, False)


def test_a_plain_text_is_what_the_server_says() -> None:
    error = server_error_of(b"model m is loading\n")
    assert error.words == "model m is loading"
    assert (error.names_the_model, error.is_loading) == (True, True)
