"""The site of docs/, for Sphinx: `make site`. The pages are plain Markdown, and read the same on a forge."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "Tiltyard"
copyright = "the Tiltyard authors, Apache-2.0"  # noqa: A001 (Sphinx's name)
extensions = ["myst_parser"]
exclude_patterns = ["site"]
myst_heading_anchors = 6  # with the fragments that tests/unit/docs/test_links.py expects
nitpicky = True
highlight_language = "none"

html_theme = "furo"
html_title = "Tiltyard"
html_static_path = ["custom.css"]
html_css_files = ["custom.css"]
html_copy_source = False
html_show_sphinx = False

LISTS = ("index", "design/README")
"""The pages whose lists of links are the navigation."""
SECTION = re.compile(r"^## (.+)\n((?:(?!^## ).*\n?)*)", re.MULTILINE)
PAGE = re.compile(r"^- \[[^\]]+\]\(([\w/-]+)\.md\)", re.MULTILINE)


def with_navigation(_app: Sphinx, name: str, source: list[str]) -> None:
    """Adds the table of contents that the lists of a page say: a group for each section, in their order."""
    if name in LISTS:
        for title, body in SECTION.findall(source[0]):
            if pages := "\n".join(PAGE.findall(body)):
                source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{pages}\n```\n"


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    version = re.search(r'^version = "(.+)"', (Path(__file__).parents[2] / "pyproject.toml").read_text(), re.MULTILINE)
    app.config.release = version[1] if version else ""
    app.connect("source-read", with_navigation)
