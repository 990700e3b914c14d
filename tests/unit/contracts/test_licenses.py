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
        ("CC0 1.0 Universal (CC0 1.0) Public Domain Dedication", "cc0-1.0"),
        ("Creative Commons Attribution 4.0 International (CC BY 4.0)", "cc-by-4.0"),
        ("Creative Commons Attribution-ShareAlike 4.0 International Public License", "cc-by-sa-4.0"),
        ("Open Database License (ODbL) v1.0", "odbl"),
        ("PDDL-1.0", "pddl"),
        ("GFDL-1.3-or-later", "gfdl"),
        ("GNU GPL v3", "gpl-3.0"),
        ("GNU LGPL v2.1", "lgpl-2.1"),
        ("The 3-Clause BSD License", "bsd-3-clause"),
        ("Apache Software License, Version 2.0", "apache-2.0"),
        ("CC BY 5.0", "other"),
        ("MIT Non-Commercial License", "other"),
        ("CC0 2.0", "other"),
        ("MIT or Apache-2.0", "other"),
        ("MIT/Apache-2.0", "other"),
        ("MIT-0", "other"),
        ('BSD 4-Clause "Original" or "Old" License', "other"),
        ("BSD 3-Clause License with a change", "other"),
        ("Creative Commons Attribution 4.0 International with a change", "other"),
        ("CC0 1.0 Universal with a change", "other"),
        ("Boost Software License 1.1", "other"),
        ("Business Source License 1.1", "other"),
        ("Non-Profit Open Software License 3.0", "other"),
        ("Mozilla Public License 2.0 (no copyleft exception)", "other"),
        ("Open Data Commons Attribution License v2.0", "other"),
        ("Microsoft Reciprocal License", "other"),
        ("Creative Commons Attribution Share Alike 2.5 Generic", "other"),
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


SPDX_NAMES = {
    "afl-3.0": "Academic Free License v3.0",
    "agpl-3.0": "GNU Affero General Public License v3.0 or later",
    "apache-2.0": "Apache License 2.0",
    "artistic-2.0": "Artistic License 2.0",
    "bsd-2-clause": 'BSD 2-Clause "Simplified" License',
    "bsd-3-clause": 'BSD 3-Clause "New" or "Revised" License',
    "bsd-3-clause-clear": "BSD 3-Clause Clear License",
    "bsl-1.0": "Boost Software License 1.0",
    "c-uda": "Computational Use of Data Agreement v1.0",
    "cc-by-2.0": "Creative Commons Attribution 2.0 Generic",
    "cc-by-2.5": "Creative Commons Attribution 2.5 Generic",
    "cc-by-3.0": "Creative Commons Attribution 3.0 Unported",
    "cc-by-4.0": "Creative Commons Attribution 4.0 International",
    "cc-by-nc-2.0": "Creative Commons Attribution Non Commercial 2.0 Generic",
    "cc-by-nc-3.0": "Creative Commons Attribution Non Commercial 3.0 Unported",
    "cc-by-nc-4.0": "Creative Commons Attribution Non Commercial 4.0 International",
    "cc-by-nc-nd-3.0": "Creative Commons Attribution Non Commercial No Derivatives 3.0 Unported",
    "cc-by-nc-nd-4.0": "Creative Commons Attribution Non Commercial No Derivatives 4.0 International",
    "cc-by-nc-sa-2.0": "Creative Commons Attribution Non Commercial Share Alike 2.0 Generic",
    "cc-by-nc-sa-3.0": "Creative Commons Attribution Non Commercial Share Alike 3.0 Unported",
    "cc-by-nc-sa-4.0": "Creative Commons Attribution Non Commercial Share Alike 4.0 International",
    "cc-by-nd-4.0": "Creative Commons Attribution No Derivatives 4.0 International",
    "cc-by-sa-3.0": "Creative Commons Attribution Share Alike 3.0 Unported",
    "cc-by-sa-4.0": "Creative Commons Attribution Share Alike 4.0 International",
    "cc0-1.0": "Creative Commons Zero v1.0 Universal",
    "cdla-permissive-1.0": "Community Data License Agreement Permissive 1.0",
    "cdla-permissive-2.0": "Community Data License Agreement Permissive 2.0",
    "cdla-sharing-1.0": "Community Data License Agreement Sharing 1.0",
    "ecl-2.0": "Educational Community License v2.0",
    "epl-1.0": "Eclipse Public License 1.0",
    "epl-2.0": "Eclipse Public License 2.0",
    "etalab-2.0": "Etalab Open License 2.0",
    "eupl-1.1": "European Union Public License 1.1",
    "eupl-1.2": "European Union Public License 1.2",
    "gfdl": "GNU Free Documentation License v1.3 or later",
    "gpl-2.0": "GNU General Public License v2.0 only",
    "gpl-3.0": "GNU General Public License v3.0 only",
    "isc": "ISC License",
    "lgpl-2.1": "GNU Lesser General Public License v2.1 only",
    "lgpl-3.0": "GNU Lesser General Public License v3.0 only",
    "lgpl-lr": "Lesser General Public License For Linguistic Resources",
    "mit": "MIT License",
    "mpl-2.0": "Mozilla Public License 2.0",
    "ms-pl": "Microsoft Public License",
    "ncsa": "University of Illinois/NCSA Open Source License",
    "odbl": "Open Data Commons Open Database License v1.0",
    "odc-by": "Open Data Commons Attribution License v1.0",
    "ofl-1.1": "SIL Open Font License 1.1",
    "osl-3.0": "Open Software License 3.0",
    "pddl": "Open Data Commons Public Domain Dedication & License 1.0",
    "postgresql": "PostgreSQL License",
    "unlicense": "The Unlicense",
    "wtfpl": "Do What The F*ck You Want To Public License",
    "zlib": "zlib License",
}


@pytest.mark.parametrize("name", SPDX_NAMES)
def test_the_full_name_that_spdx_gives_a_licence(name: str) -> None:
    assert identifier(SPDX_NAMES[name]) == name
    for other in (f"{SPDX_NAMES[name]} with a change", f"{SPDX_NAMES[name]} or ACME"):
        assert identifier(other) == "other"


def test_another_licence_keeps_its_name() -> None:
    assert named("ACME  Model Licence") == "other: ACME Model Licence"
    assert named("MIT") == "mit"


def test_a_row_has_the_licences_of_all_its_parts() -> None:
    assert combined(["mit", "MIT", "cc-by-nc-4.0"]) == "cc-by-nc-4.0 AND mit"
    assert combined([None, "mit"]) == "mit AND unknown"
    assert asked(["mit", "cc-by-nc-sa-4.0"]) == ["attribution", "non-commercial", "share alike"]
    assert asked([None]) == ["not known here"]
    assert asked(["cc0-1.0"]) == []
