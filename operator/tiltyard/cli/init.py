"""`tiltyard init`: a first manifest, from a template and a few answers."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from tiltyard.api import ManifestError, load_tournament, unsupported
from tiltyard.cli.following import program
from tiltyard.sdk.errors import UserError

TEMPLATES = ("simulated", "one-gpu", "endpoints", "cluster")
SCHEMA = "tournament.schema.json"
"""The JSON schema that an editor reads, beside the manifest; `tiltyard schema` prints it."""
_LONGEST_NAME = 32
_MODELS = """Models of the competitors, one a line: hf://ORG/NAME, file:///PATH, or URL#MODEL for an endpoint.
An empty line ends the list; an empty list keeps the template's."""


def init(options: argparse.Namespace) -> int:
    """Write a manifest that is valid, or print it."""
    file: Path = options.file
    printed = str(file) == "-"
    if not printed and file.exists():
        raise UserError(f"{file}: exists already; give another FILE, or - to print the manifest")
    template, name = options.template, options.name
    models: Sequence[str] = options.model
    if template is None:
        if not sys.stdin.isatty():
            raise UserError(
                f"--template: is required when standard input is not a terminal; one of {', '.join(TEMPLATES)}"
            )
        template, name, models = _ask(name, models)
    text = manifest_text(template, name, models)
    if printed:
        sys.stdout.write(text)
        return 0
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise UserError(f"{file}: cannot be written: {error.strerror}") from None
    print(f"Wrote {file}. Next:\n")
    for line in _next(template, file):
        print(f"    {line}")
    return 0


def manifest_text(template: str, name: str | None = None, models: Sequence[str] = ()) -> str:
    """A manifest from a template.

    Args:
        template: one of TEMPLATES.
        name: of the tournament; the template's own by default.
        models: URIs of the competitors' models, `URL#MODEL` for an endpoint; the template's own by default.

    Raises:
        UserError: what comes out is not valid.
    """
    text = f"# yaml-language-server: $schema={SCHEMA}\n{_template(template)}"
    if name is not None:
        text = text.replace(f"name: {template}\n", f"name: {json.dumps(name, ensure_ascii=False)}\n", 1)
        text = text.replace(f"s3://tournaments/{template}\n", f"s3://tournaments/{name}\n")
    if models:
        rows = "".join(f"    - {row}\n" for row in _competitors(models))
        text = re.sub(r"(?<=\n)( {4}- \{name: .*\n)+", lambda _: rows, text, count=1)
    try:
        problems = unsupported(load_tournament(text))
        if problems:
            raise ManifestError("", problems)
    except ManifestError as error:
        raise UserError(f"nothing was written, since the manifest would not be valid:\n{error}") from None
    return text


def _template(name: str) -> str:
    return resources.files("tiltyard.cli").joinpath("templates", f"{name}.yaml").read_text(encoding="utf-8")


def _competitors(models: Sequence[str]) -> list[str]:
    rows, names = [], set[str]()
    for model in models:
        name = _name_of(model, names)
        names.add(name)
        url, sharp, served = model.partition("#")
        if sharp and re.match(r"https?://", url):
            rows.append(f"{{name: {name}, endpoint: {{url: {json.dumps(url)}, model: {json.dumps(served)}}}}}")
        else:
            rows.append(f"{{name: {name}, model: {{uri: {json.dumps(model)}}}}}")
    return rows


def _name_of(model: str, taken: set[str]) -> str:
    """A competitor's name from its model: the last part of its URI as a DNS label that nobody else has."""
    last = re.split(r"[/#]", model.partition("?")[0].rstrip("/"))[-1].lower()
    name = re.sub(r"[^a-z0-9]+", "-", last)[:_LONGEST_NAME].strip("-") or "model"
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name[: _LONGEST_NAME - 1 - len(str(number))].rstrip('-')}-{number}"
    return free


def _ask(name: str | None, models: Sequence[str]) -> tuple[str, str | None, Sequence[str]]:
    for number, template in enumerate(TEMPLATES, 1):
        about = _template(template).partition("\n")[0].removeprefix("# ")
        print(f"  {number}  {template:<10} {about}", file=sys.stderr)
    template = ""
    while template not in TEMPLATES:
        answer = _answer("Template", "1")
        template = TEMPLATES[int(answer) - 1] if re.fullmatch(r"[1-4]", answer) else answer
    name = name or _answer("Name of the tournament", template)
    if not models:
        print(_MODELS, file=sys.stderr)
        given = []
        while answer := _answer("Model", ""):
            given.append(answer)
        models = given
    return template, name, models


def _answer(question: str, default: str) -> str:
    print(f"{question}{f' [{default}]' if default else ''}: ", end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        raise UserError("nothing was written: the input ended before the last answer")
    return line.strip() or default


def _next(template: str, path: Path) -> list[str]:
    tiltyard, file = shlex.join(program()), shlex.quote(str(path))
    more = [
        f"{tiltyard} explain spec --recursive   # all fields of a manifest",
        f"{tiltyard} schema > {shlex.quote(str(path.parent / SCHEMA))}   # lets an editor complete and check the file",
    ]
    if template == "cluster":
        return [f"{tiltyard} validate {file}", f"kubectl apply -f {file}", *more]
    return [f"{tiltyard} plan {file} --out results", f"{tiltyard} run {file} --out results", *more]
