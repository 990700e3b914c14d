"""Links between documents lead somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.documents import ROOT, anchors, documents, links


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(path: Path) -> None:
    text = path.read_text()
    for file, fragment in links(text):
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"there is no {file}"
        if fragment:
            assert fragment in anchors(target.read_text()), f"{file or path.name} has no heading #{fragment}"


def test_a_heading_has_the_fragment_that_github_gives_it() -> None:
    text = "# `spec.jury[].a` and *more*: B's\n\n## Same\n\n    # no heading\n\n```\n# neither\n```\n\n## Same\n"
    assert anchors(text) == {"specjurya-and-more-bs", "same", "same-1"}
