"""What kubectl reads in a manifest is what `validate` reads in it; and what is written is read as it was."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import tools
from tiltyard.api.yamlfile import Dumper, parse_yaml

WORDS = """
    y, Y, yes, Yes, YES, yEs, n, N, no, NO, on, Off, oN, true, TRUE, tRUE, false, ~, null, NULL, nuLL, =, -a, a,
    0, -0, 00, 010, 0o10, 0O17, 08, 09.5, 0x1F, 0X1f, 0xg, 0b11, -0b11, 0b2, 0_, 1_000, 1__0, _1, 0x_, +1, -5, 1a,
    1.0, 1.50, 5., .5, -.5, 1e3, 1E3, 1e+3, 1.e3, .5e3, 1e, 1_0.5, 1.2.3, 0.1m, 1Gi, 9007199254740993, 2024,
    12:30:00, 1:30, -1:30, 1:30.5, 2024-01-01, 2024-01-01T00:00:00Z, 'y', "08", !!str 08, !!float 5
"""
LINES = """
  one: &one {a: 1, b: 2}
  two: {<<: *one, c: 3}
  folded: >
    a
    b
  kept: |-
    a
     b
  plain: a
    b  # no more
  escaped: "\\x41\\u00e9\\n"
  empty:
  ? key
  : y
"""
HEAD = "apiVersion: tiltyard.dev/v1alpha1\nkind: Tournament\nmetadata: {name: words}\n"


@pytest.mark.parametrize(
    "spec",
    [f"spec: [{WORDS}]\n", f"spec:{LINES}", f"spec:{LINES}".replace("\n", "\r\n")],
    ids=["words", "lines", "carriage-returns"],
)
def test_what_stands_without_quotes_is_what_kubectl_takes_it_for(spec: str, tmp_path: Path) -> None:
    read = read_by_kubectl(HEAD + spec, tmp_path)["spec"]
    if isinstance(read, dict):
        read = {key: value for key, value in read.items() if value is not None}
    assert parse_yaml(HEAD + spec)["spec"] == read


def test_what_is_written_is_read_as_it_was(tmp_path: Path) -> None:
    words = WORDS.replace("'", "").replace('"', "").replace("!!str", "").replace("!!float", "").split(",")
    texts = [word.strip() for word in words]
    written = yaml.dump({"spec": [*texts, True, None, 5, 1e30], "texts": {text: text for text in texts}}, Dumper=Dumper)
    read = read_by_kubectl(HEAD + written, tmp_path)
    assert read["spec"] == [*texts, True, None, 5, 1e30]
    assert read["texts"] == {text: text for text in texts}
    assert yaml.safe_load(written) == {"spec": read["spec"], "texts": read["texts"]}


def read_by_kubectl(text: str, folder: Path) -> Any:
    """A manifest as kubectl has it before it sends it."""
    file = folder / "manifest.yaml"
    file.write_bytes(text.encode())
    kubectl = tools.ensure("kubectl")
    arguments = ("label", "--local", "--filename", file, "a=b", "--output", "json")
    return json.loads(subprocess.run([kubectl, *arguments], capture_output=True, check=True, text=True).stdout)
