"""The reference of all fields of a Tournament, made from the models: docs/manifest.md.

    python hack/generate_manifest_docs.py [--check | --write]

Without an option it prints the page. Types, defaults, meanings and rules come from `tiltyard.api`, the source of the
CRD, so the page cannot say what the loader does not do. Needs the environment in which tiltyard is installed.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_origin

from pydantic.fields import FieldInfo

import generated
from tiltyard.api.base import ApiModel
from tiltyard.api.fields import listed, model_in, wire_fields
from tiltyard.api.places import NOT_YET, NOT_YET_ON_CLUSTER
from tiltyard.api.rules import Rule
from tiltyard.api.tournament import API_VERSION, Tournament
from tiltyard.cli.described import default_text, meaning, type_text

PAGE = Path(__file__).resolve().parent.parent / "docs" / "manifest.md"
COMMAND = "python hack/generate_manifest_docs.py --write"

INTRODUCTION = f"""\
<!-- Generated from the models in tiltyard.api by `{COMMAND}`; do not edit. -->

# The manifest

A tournament is one YAML document: `apiVersion: {API_VERSION}`, `kind: Tournament`, a `metadata.name` and a
`spec`. The smallest one names three competitors and says where instructions come from; everything else has a default:

```yaml
apiVersion: {API_VERSION}
kind: Tournament
metadata: {{name: smallest}}
spec:
  competitors:
    - {{name: a, model: {{uri: "hf://ORG/MODEL-A"}}}}
    - {{name: b, model: {{uri: "hf://ORG/MODEL-B"}}}}
    - {{name: c, model: {{uri: "hf://ORG/MODEL-C"}}}}
  instructions: {{mine: {{}}}}
```

`tiltyard validate FILE` reports every mistake in a manifest at once, one sentence each. Fractions are written in quotes
(`"0.7"`), since Kubernetes APIs avoid floats. A null is the same as an absent field. An unknown field is refused.

The CRD has the same schema. Some fields matter only on a cluster; see
[running-on-one-machine.md](running-on-one-machine.md#fields-used-on-one-machine).

A field that is not required and has no default is absent unless you give it. Words are explained in the
[glossary](glossary.md).
"""


NOT_SUPPORTED = """\
## Not supported yet

The schema has more than this release supports. These values are refused:
"""


class Section(NamedTuple):
    """One model, and all places where it stands; the first one is the heading."""

    model: type[ApiModel]
    paths: list[str]


def sections() -> list[Section]:
    """All models, each once, in the order of the manifest."""
    found: dict[type[ApiModel], Section] = {}

    def visit(model: type[ApiModel], path: str) -> None:
        if model in found:
            found[model].paths.append(path)
            return
        found[model] = Section(model, [path])
        for name, field in wire_fields(model).items():
            inner = model_in(field.annotation)
            if inner is not None:
                many = "[]" if get_origin(field.annotation) is tuple else ""
                visit(inner, f"{path}.{name}{many}".removeprefix("."))

    visit(Tournament, "")
    return list(found.values())


def page() -> str:
    """The whole page."""
    all_sections = sections()
    links = {section.model: anchor(heading(section)) for section in all_sections}
    lines = (line for section in all_sections for line in render(section, links))
    return "\n".join([INTRODUCTION, *limits(), *lines])


def limits() -> Iterator[str]:
    """What is refused, everywhere and on a cluster."""
    yield NOT_SUPPORTED
    for limit in (*NOT_YET, *NOT_YET_ON_CLUSTER):
        yield filled(f"- `{limit.path}`: {limit.sentence}", "  ")
    yield ""


def heading(section: Section) -> str:
    return section.paths[0] or "Tournament"


def anchor(title: str) -> str:
    """The fragment that GitHub gives a heading."""
    return re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-")


def render(section: Section, links: dict[type[ApiModel], str]) -> Iterator[str]:
    model, (_, *others) = section
    title = heading(section)
    yield f"## `{title}`" if section.paths[0] else f"## {title}"
    yield ""
    yield "\n\n".join(filled(part) for part in inspect.cleandoc(model.__doc__ or "").split("\n\n"))
    if others:
        yield "\n" + filled(f"Also at {listed(f'`{path}`' for path in others)}.")
    yield "\n| field | type | default | meaning |\n|---|---|---|---|"
    for name, field in wire_fields(model).items():
        yield row(name, field, links)
    yield ""
    yield from rules_of(model.RULES, "Rules")
    yield from rules_of(model.CLUSTER_RULES, "On a cluster")


def filled(text: str, indent: str = "") -> str:
    """A paragraph or an item of a list, wrapped as the other documents are."""
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def row(name: str, field: FieldInfo, links: dict[type[ApiModel], str]) -> str:
    kind = type_text(field.annotation, field.metadata, lambda model: f"[mapping](#{links[model]})")
    cells = (f"`{name}`", kind, default_text(field), meaning(field))
    return "| " + " | ".join(" ".join(cell.split()).replace("|", r"\|") for cell in cells) + " |"


def rules_of(rules: Sequence[Rule[Any]], title: str) -> Iterator[str]:
    if rules:
        yield f"{title}:\n"
        for rule in rules:
            field = f"`{rule.field_path[1:]}`: " if rule.field_path else ""
            yield filled(f"- {field}{rule.sentence}", "  ")
        yield ""


if __name__ == "__main__":
    sys.exit(
        generated.run(
            "The reference of all fields of a Tournament, made from the models.", {PAGE: page}, "the API", COMMAND
        )
    )
