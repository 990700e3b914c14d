"""The site's first page leads to every page, and its picture asks nobody."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from support.documents import ROOT, links

DOCS = ROOT / "docs"


@pytest.mark.parametrize("page", [DOCS / "index.md", DOCS / "design/README.md"], ids=lambda page: page.parent.name)
def test_a_list_names_each_page_of_its_folder_once(page: Path) -> None:
    items = "\n".join(line for line in page.read_text().splitlines() if line.startswith("- "))
    listed = [link.path for link in links(items) if "/" not in link.path]
    assert sorted(listed) == sorted(each.name for each in page.parent.glob("*.md") if each != page)


def test_the_picture_holds_all_that_it_shows() -> None:
    text = (DOCS / "concept.svg").read_text()
    picture = ElementTree.fromstring(text)
    assert not [part.tag for part in picture.iter() if re.search(r"\}(image|script|use|foreignObject)$", part.tag)]
    assert not re.search(r"href|url\((?!#)", text)
