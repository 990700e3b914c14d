"""How two manifests differ."""

from __future__ import annotations

from typing import Any

from support.manifests import tournament
from tiltyard.cli.comparison import changes


def differences(first: dict[str, Any], second: dict[str, Any]) -> dict[str, tuple[str | None, str | None]]:
    found = changes(tournament(**first), tournament(**second))
    return {one.path: (one.first, one.second) for one in found}


def test_a_manifest_does_not_differ_from_itself_nor_from_its_defaults() -> None:
    assert differences({}, {}) == {}
    assert differences({}, {"rating": {}}) == {}


def test_items_of_lists_are_told_apart_by_their_names() -> None:
    first = {"competitors": ["ada", "bob", "cyd"], "judges": 0}
    second = {"competitors": ["cyd", "ada", "dee"], "judges": 1}
    assert differences(first, second) == {
        "spec.competitors[bob].model.uri": ("sim://bob", None),
        "spec.competitors[dee].model.uri": (None, "sim://dee"),
        "spec.judges[j0].model.uri": (None, "sim://j0"),
    }


def test_values_that_are_no_texts_are_shown_as_in_a_manifest() -> None:
    found = differences({"seed": 1}, {"seed": 2, "curation": {"decontaminate": ["mbpp"]}})
    assert found["spec.seed"] == ("1", "2")
    assert found["spec.curation.decontaminate"] == ("[]", '["mbpp"]')


def test_what_a_variable_or_a_header_is_set_to_is_not_shown() -> None:
    def secrets(value: str) -> dict[str, Any]:
        header = {"name": "X-Key", "value": value}
        endpoint = {"url": "http://127.0.0.1:1/v1", "model": "m"}
        embedder = {"method": "Endpoint", "endpoint": endpoint, "request": {"headers": [header]}}
        return {
            "curation": {"diversity": {"embedder": embedder}},
            "jobs": {"pod": {"env": [{"name": "TOKEN", "value": value}]}},
        }

    found = differences(secrets("secret-1"), secrets("secret-2"))
    assert len(found) == 2
    assert set(found.values()) == {("(not shown)", "(not shown)")}
