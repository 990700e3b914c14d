"""`tiltyard render`: every object that the operator would apply for a Tournament, from its manifest alone."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import yaml

from tiltyard.api import Tournament
from tiltyard.api.yamlfile import Dumper
from tiltyard.cli.values import settings_of
from tiltyard.render.children import Child, in_order, prepare
from tiltyard.sdk.errors import UserError
from tiltyard.sdk.manifest import called, read_manifest

NO_UID = "00000000-0000-0000-0000-000000000000"
"""Stands for the Tournament's uid, which the API server gives it."""
NAMESPACE = "default"


def render(options: argparse.Namespace) -> int:
    """Print the objects, checked first if asked."""
    tournament = _placed(read_manifest(options.manifest), options.namespace)
    settings = settings_of(options.values)
    source = called(options.manifest)
    children = list(in_order(prepare(tournament, settings, source), settings))
    if options.check:
        _check(children, source)
    sys.stdout.write(as_json(children) if options.output == "json" else as_yaml(children))
    return 0


def as_yaml(children: Sequence[Child]) -> str:
    """A stream of documents, each under a comment that says what the object is for."""
    return "".join(
        f"---\n# {child.purpose}\n{yaml.dump(child.body, Dumper=_Dumper, sort_keys=False, width=_WIDE)}"
        for child in children
    )


def as_json(children: Sequence[Child]) -> str:
    """One List, as kubectl prints several objects."""
    items = [child.body for child in children]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2) + "\n"


def _placed(tournament: Tournament, namespace: str | None) -> Tournament:
    """The Tournament with what it has in a cluster: a namespace and a uid."""
    meta = tournament.metadata
    if namespace is not None and meta.namespace not in (None, namespace):
        raise UserError(
            f"--namespace {namespace}: the manifest has metadata.namespace {meta.namespace}; leave out one of the two"
        )
    there = {"namespace": meta.namespace or namespace or NAMESPACE, "uid": meta.uid or NO_UID}
    return tournament.model_copy(update={"metadata": meta.model_copy(update=there)})


def _check(children: Sequence[Child], source: str) -> None:
    try:
        from tiltyard.cli.typed_models import TypedModels
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        raise UserError(f'--check needs more packages ({missing}): pip install "tiltyard[render]"') from None
    models = TypedModels()
    found = [problem for child in children for problem in models.problems(child.body)]
    if found:
        raise UserError("\n".join(f"{source}: {problem}" for problem in found))
    for kind in sorted({child.body["kind"] for child in children} - set(models.kinds)):
        print(f"{source}: {kind}: not checked: neither kserve nor kubernetes has a model of it", file=sys.stderr)


_WIDE = 1 << 30  # no text is broken into lines


class _Dumper(Dumper):
    """Without aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def _text(self, text: str) -> yaml.ScalarNode:
        return self.represent_str(str(text))

    def _integer(self, number: int) -> yaml.ScalarNode:
        return self.represent_int(int(number))


_Dumper.add_multi_representer(str, _Dumper._text)
_Dumper.add_multi_representer(int, _Dumper._integer)
