from __future__ import annotations

from typing import get_args

import pytest

from tiltyard_jobs.contracts.licenses import ASKS, LicenseId, asked, combined, identifier, named


def test_every_identifier_says_what_it_asks() -> None:
    assert {*get_args(LicenseId)} == {*ASKS, "other", "unknown"}


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ("apache-2.0", "apache-2.0"),
        ("Apache-2.0", "apache-2.0"),
        ("GPL-3.0-or-later", "gpl-3.0"),
        (" CC BY NC 4.0 ", "cc-by-nc-4.0"),
        ("Llama3.1", "llama3.1"),
        ("ACME Model Licence v2", "other"),
        (None, "unknown"),
        ("unknown", "unknown"),
    ],
)
def test_what_is_stated_becomes_an_identifier(stated: str | None, name: str) -> None:
    assert identifier(stated) == name


def test_another_licence_keeps_its_name() -> None:
    assert named("ACME  Model Licence") == "other: ACME Model Licence"
    assert named("MIT") == "mit"


def test_a_row_has_the_licences_of_all_its_parts() -> None:
    assert combined(["mit", "MIT", "cc-by-nc-4.0"]) == "cc-by-nc-4.0 AND mit"
    assert combined([None, "mit"]) == "mit AND unknown"
    assert asked(["mit", "cc-by-nc-sa-4.0"]) == ["naming", "non-commercial", "share alike"]
    assert asked([None]) == ["not known here"]
    assert asked(["cc0-1.0"]) == []
