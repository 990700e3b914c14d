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
        ("Llama 3.3 Community License Agreement", "llama3.3"),
        ("Llama-2", "llama2"),
        ("Gemma Terms of Use", "gemma"),
        ("Apache License, Version 2.0", "apache-2.0"),
        ("Apache 2", "apache-2.0"),
        ("The MIT License (MIT)", "mit"),
        ("MIT License", "mit"),
        ("BSD 3-Clause License", "bsd-3-clause"),
        ("GNU General Public License v3.0", "gpl-3.0"),
        ("GPLv3", "gpl-3.0"),
        ("GNU Lesser General Public License v2.1", "lgpl-2.1"),
        ("AGPL-3.0", "agpl-3.0"),
        ("MPL 2.0", "mpl-2.0"),
        ("Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International", "cc-by-nc-sa-4.0"),
        ("CC BY-NC 4.0 International", "cc-by-nc-4.0"),
        ("CC-BY 4.0", "cc-by-4.0"),
        ("CC0", "cc0-1.0"),
        ("CC0 1.0 Universal", "cc0-1.0"),
        ("ODC-By v1.0", "odc-by"),
        ("CC BY 5.0", "other"),
        ("MIT Non-Commercial License", "other"),
        ("MIT or Apache-2.0", "other"),
        ("Apache-2.0 WITH LLVM-exception", "other"),
        ("Llama 3.3 Community License with a change", "other"),
        ("Community License Agreement", "other"),
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
    assert asked(["mit", "cc-by-nc-sa-4.0"]) == ["attribution", "non-commercial", "share alike"]
    assert asked([None]) == ["not known here"]
    assert asked(["cc0-1.0"]) == []
