"""Manifests from a seed: valid ones with a few changes each, from harmless to hostile.

A change takes a place of the manifest, or a field of the CRD that need not be there yet, and gives it something right,
nearly right, or of another kind altogether.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tiltyard.api.crd import custom_resource_definition

SAMPLES = Path(__file__).parents[1] / "unit" / "api" / "samples" / "valid"
NAMED: dict[str, tuple[Any, ...]] = {
    "args": (["--max-model-len 4096"], [4096], ["--port=1"], ["--seed=1", "-tp 2"], ["--x={\"a\": 1}"],
             ["--max-model-len", ["4096"]], [True], ["-tp=2 -pp=2"], ["--a\t1"], ["\u2014seed=1"], [" --seed=1"]),
    "limits": ({"gpu": 1}, {"cpu": "1"}, {"nvidia.com/gpu": 2}, {"": 1}, {"cpu": -1}, {"nvidia.com/gpu": "0.5"},
               {"nvidia.com/gpu": "1000m"}, {"nvidia.com/gpu": "1.00"}, {"nvidia.com/gpu": "1500m"},
               {"cpu": "1e3"}, {"memory": "1 Gi"}, {"cpu": "0.1m"}, {"cpu": "1e99"},
               {"hugepages-2Mi": "4Mi"}, {"CPU": 1}, {"nvidia.com/gpu": "2", "cpu": "900m", "memory": "1Gi"}),
    "requests": ({"mem": "1Gi"}, {"memory": "1Gi"}, {"cpu": 4}, {"cpu": "1e-9", "memory": "1073741825"},
                 {"nvidia.com/gpu": 1}, {"nvidia.com/gpu": "2."}, {"hugepages-2Mi": "2Mi"}, {"cpu": "1000m"}),
    "resources": tuple({"limits": {name: limit}, "requests": {name: request}} for name, limit, request in (
        ("cpu", 2, 4), ("cpu", "1", "1000m"), ("cpu", "1", "1001m"), ("memory", "1Gi", "1025Mi"), ("cpu", "1n", "1u"),
        ("nvidia.com/gpu", 2, 1), ("nvidia.com/gpu", 1, "1"), ("amd.com/gpu", "0.5", "0.5"), ("hugepages-1Gi", 2, 1),
        ("memory", "1e18", "1E"), ("memory", "8Ei", "9E"), ("cpu", "999999999999999999E", "999999999999999998E"))),
    "uri": ("https://huggingface.co/o/m", "hf://o/m", "sim://a?skil=1", "sim://a?skill=2", "sim://a?skill=0.5", "o/m",
            "https://huggingface.co/o/m/tree/main", "hf.co/o/m", "https://hf.co/o/m", "https://modelscope.cn/models/o/m",
            "HF://o/m", "hf://o/m@main", "hf://o/m ", "sim://a?skill=0.5&skill=0.6", "sim://a?skill=", "sim://a?skill",
            "sim://a?sk%69ll=0.5", "sim://a?skill=0%2E5", "sim://a?skill=nan", "sim://a?Skill=0.5", "sim://a?&skill=0.5",
            "sim://a?seed=1.5", "sim://a?skill=1e-1", "sim://a?%zz=1", "sim://a#b", "s3://b/m?a=1", "pvc://c", "oci://r/m:t"),
    "url": ("http://u:p@h/v1", "http://h /v1", "HTTP://h/v1", "http://h/v1?key=a", "http://h/v1#a", "h:8000/v1",
            "http://h:0/v1", "http://[::1]:8000/v1", "kserve://a", "kserve://A/b", "kserve://a/b?path=/v1"),
    "name": (2024, False, "no", "a", "A", "a" * 64, "base", "y", "08", "1e3", "é", "e\u0301", "ａ", "a" * 32),
    "env": ([{"name": "A"}, {"name": "A"}], [{"name": "TILTYARD_IMAGE"}], [{"name": "A", "value": 1}],
            [{"name": "A", "value": True}], [{"name": "a=b"}], [{"name": "A", "valueFrom": {"x": 1}}],
            [{"name": "A", "value": "a", "valueFrom": {}}]),
    "volumes": ([{"name": "x", "emptyDir": {}}], [{"name": "x"}] * 2, [{}], [{"name": 1}], [{"name": "tmp"}]),
    "volumeMounts": ([{"name": "x", "mountPath": "/work"}], [{"name": "x", "mountPath": "/x"}] * 2,
                     [{"name": "x", "mountPath": "/x"}], [{"name": "nowhere", "mountPath": "/x"}],
                     [{"name": "x", "mountPath": "/tmp//"}], [{"name": "x", "mountPath": "../x"}], [{"name": "x"}]),
    "pod": ({"volumeMounts": [{"name": "x", "mountPath": "/x"}]}, {"securityContext": {"runAsUsr": 1}},
            {"volumes": [{"name": "x", "emptyDir": {}}], "volumeMounts": [{"name": "x", "mountPath": "/x"}]},
            {"topologySpreadConstraints": [{"maxSkw": 1}]}, {"labels": {"a b": "c d", "app": "x" * 64}},
            {"annotations": {"": "a"}}, {"annotations": {"Example.com/a": "a"}}, {"annotations": {"a": "b" * 40_000}},
            {"nodeSelector": {"pool": True}},
            {"affinity": {"a": 1}}, {"tolerations": [{"operator": "exists"}]}, {"priorityClassName": "A"}),
    "activeDeadlineSeconds": ("1h", 3600.0, 0, "3600"),
    "startupDeadlineSeconds": ("30m", "PT30M", 86401),
    "judges": ([], [{"name": "z", "model": {"uri": "sim://z"}}]),
}  # fmt: skip
"""Values of fields of these names that are right, or nearly."""
TEXTS = (
    "", " ", "a", "no", "0.5", "-0", "1e999", "12", "1.0", "a\nb", "a\n", "a\r", "\ta", "a ", "\ud800", "\u202e",
    "\u200b", "\u2028", "\0", "\x7f", "٣", "ａ", "İ", "ß", "日本語", "e\u0301", "🎲", "🎲" * 300, "x" * 600,
    "x" * 70_000, "{{ a }}", "$(id)", "../..", "/", "//", "%0a", "sim://a?%0a=1", "http://[::1", "http://a:99999/v1",
    "https://é.example/v1", "-", "a-", "-a", "a.b", "a_b", "A", "1Gi", "1e3", "0x10", "null", "true", "~", "{}", "[]",
)  # fmt: skip
ANYWHERE: tuple[Any, ...] = (
    *TEXTS, None, True, False, 0, -1, 1, 2, 3.0, -1.0, 2024, 2**31, 2**53, 2**63, -(2**63) - 1, 10**400, 0.5, 1e300, [],
    [[]], [None], {}, {"": 1}, {"a": None}, {"a": {"a": {}}}, {"name": "a"}, ["a", "a"], [{"name": "a"}] * 2,
    ["a"] * 1000, {f"k{number}": "v" for number in range(500)}, [{"name": f"a{number}"} for number in range(300)],
)  # fmt: skip
DEEP = (5, 20, 60, 120)  # levels of nesting
TWICE = "\ue000"
"""Stands before a key in a document that is there twice in its text."""


@dataclass(frozen=True)
class Fuzzed:
    """A manifest that was changed.

    Attributes:
        document: the manifest.
        text: the same as JSON; a key may be there twice.
        written: the same as somebody might write it in YAML.
        changes: what was changed, as `path = value`.
    """

    document: dict[str, Any]
    text: str
    written: str
    changes: tuple[str, ...]


def fuzzed(seed: int) -> Fuzzed:
    """The manifest of a seed."""
    dice = random.Random(seed)
    document: dict[str, Any] = copy.deepcopy(dice.choice(_samples()))
    changes = [_change(document, dice) for _ in range(dice.choice((0, 1, 1, 1, 2, 3, 8)))]
    text = json.dumps(document).replace(json.dumps(TWICE)[1:-1], "")
    return Fuzzed(document, text, _written(document, text, dice), tuple(change for change in changes if change))


def _written(document: dict[str, Any], text: str, dice: random.Random) -> str:
    """A manifest with other line ends, comments, anchors and tags; one with a key that is there twice is JSON."""
    if dice.random() < 0.7 or text != json.dumps(document):
        return text
    text = yaml.safe_dump(document, default_style='"', default_flow_style=dice.choice((True, False)), width=100)
    begin = dice.choice(("", "", "---\n", "# a comment\n", "\n\n", "---\n# a comment\n"))
    text = begin + text + dice.choice(("", "", "...\n", "# the end", "\n---\n", "\n \n"))
    return text.replace("\n", "\r\n") if dice.random() < 0.3 else text


def without_nulls(value: Any) -> Any:
    """Without a misspelt field that is null: `validate` takes it as absent, a strict API server does not."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def without_points(value: Any) -> Any:
    """With 1 for 1.0, as kubectl sends it: a rule of the CRD that reads an integer does not take the other."""
    if isinstance(value, dict):
        return {key: without_points(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_points(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@cache
def _samples() -> list[dict[str, Any]]:
    samples = [yaml.safe_load(file.read_text()) for file in sorted(SAMPLES.glob("*.yaml"))]
    for sample in samples:
        sample["metadata"].pop("namespace", None)  # the request's path names another
    return samples


@cache
def _schema() -> dict[str, Any]:
    (version,) = custom_resource_definition()["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


def _change(document: dict[str, Any], dice: random.Random) -> str:
    """Change something; which, or nothing where there is no such place."""
    spec = document.get("spec")
    kind = dice.choice(("named", "named", "value", "value", "moved", "drop", "misspell", "twice", *["schema"] * 6))
    if kind == "schema":
        return _change_by_schema(spec, dice) if isinstance(spec, dict) else ""
    if not isinstance(spec, dict) or dice.random() < 0.05:
        places = [place for place in _places(document, "") if place[2] != "metadata"]
    else:
        places = list(_places(spec, "spec"))
    if kind == "named":
        places = [place for place in places if place[1] in NAMED]
    return _change_at(places, kind, dice) if places else ""


def _change_at(places: list[tuple[Any, Any, str]], kind: str, dice: random.Random) -> str:
    """Change one of some places; which."""
    holder, key, path = dice.choice(places)
    if kind == "drop":
        del holder[key]
        return f"{path} is left out"
    if kind == "twice":
        if isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        else:
            holder[TWICE + key] = copy.deepcopy(dice.choice((holder[key], 1, "a")))
        return f"{path} is there twice"
    if kind == "misspell" and isinstance(holder, dict):
        other = dice.choice((f"{key}s", str(key).upper(), str(key)[:-1], "x-y"))
        holder[other] = holder.pop(key)
        return f"{path} is called {other}"
    if kind == "moved":
        elsewhere, its_key, _ = dice.choice(places)
        value = elsewhere[its_key]
    else:
        value = dice.choice(NAMED[key] if kind == "named" else (*ANYWHERE, _nested(dice)))
    holder[key] = copy.deepcopy(value)
    return f"{path} = {json.dumps(value)[:200]}"


def _nested(dice: random.Random) -> Any:
    """A value with many levels."""
    nested: Any = dice.choice((1, "a", {}))
    for _ in range(dice.choice(DEEP)):
        nested = dice.choice(({"a": nested}, {"spec": nested}, [nested]))
    return nested


def _change_by_schema(spec: dict[str, Any], dice: random.Random) -> str:
    """Give a field of the CRD, which need not be there, something that its schema allows, or nearly."""
    holder, schema, path = spec, _schema(), "spec"
    while True:
        name = dice.choice(sorted(schema["properties"]))
        inner = schema["properties"][name]
        path, key = f"{path}.{name}", name
        goes_on = dice.random() < 0.9
        below = inner.get("items", {})
        if goes_on and inner.get("type") == "array" and "properties" in below:
            items = holder.get(name)
            if not (isinstance(items, list) and items and all(isinstance(item, dict) for item in items)):
                items = holder[name] = [{}]
            at = dice.randrange(len(items))
            holder, schema, path = items[at], below, f"{path}[{at}]"
        elif goes_on and "properties" in inner:
            if not isinstance(holder.get(name), dict):
                holder[name] = {}
            holder, schema = holder[name], inner
        else:
            break
    known = NAMED.get(key, ()) if dice.random() < 0.3 else ()
    holder[key] = copy.deepcopy(dice.choice(known)) if known else _near(inner, holder.get(key), dice)
    return f"{path} = {json.dumps(holder[key])[:200]}"


def _near(schema: dict[str, Any], before: Any, dice: random.Random) -> Any:
    """A value at the bounds of a schema, on either side."""
    found: list[Any] = []
    kind = schema.get("type")
    if "enum" in schema:
        word = dice.choice(schema["enum"])
        found += [word, word, str(word).lower(), f"{word} ", f"{word}\n"]
    elif schema.get("x-kubernetes-int-or-string"):
        found += [1, "1", "1Gi", "500m", -1, "-1", 0, "1e3", "1.5", 2**40, "nan", "1gi", "", "0.1m", "9" * 30]
    elif kind == "string":
        longest = min(schema.get("maxLength", 600), 70_000)
        texts = (
            [before] if isinstance(before, str) else ["a", "0.5", "hf://o/m", "http://a.example/v1", "/a/b", "s3://b/p"]
        )
        text = dice.choice(texts)
        found += [text, f"{text}\n", f" {text}", text.upper(), f"{text}é", "a" * longest, "a" * (longest + 1)]
        found += ["🎲" * min(longest, 2000), "é" * min(longest, 2000), dice.choice(TEXTS), dice.choice(TEXTS)]
    elif kind == "integer":
        least, most = schema.get("minimum", 0), schema.get("maximum", 2**31 - 1)
        found += [least, most, least - 1, most + 1, float(least), float(least + 1), str(least), least + 0.5, True, 1, 7]
    elif kind == "boolean":
        found += [True, False, True, False, 0, 1, "true", "yes"]
    elif kind == "array":
        one = _near(schema["items"], None, dice)
        most = schema.get("maxItems", 64)
        found += [[], [one], [one, one], [one] * most, [one] * (most + 1), [None], {}, one]
        found += [[f"a{number}" for number in range(most)], [f"a{number}" for number in range(most + 1)]]
    elif isinstance(schema.get("additionalProperties"), dict):
        one = _near(schema["additionalProperties"], None, dice)
        most = schema.get("maxProperties", 64)
        found += [
            {},
            {"a": one},
            {"": one},
            {"a/b": one},
            {f"a{number}": one for number in range(most + 1)},
            {"a": None},
        ]
    elif "properties" in schema:
        names = sorted(schema["properties"])
        some = dice.sample(names, min(len(names), dice.choice((1, 1, 2, len(names)))))
        found += [{}, {name: _near(schema["properties"][name], None, dice) for name in some}]
        found += [{name: _near(schema["properties"][name], None, dice) for name in schema.get("required", ())}]
    return copy.deepcopy(dice.choice(ANYWHERE if not found or dice.random() < 0.1 else found))


def _places(value: Any, path: str) -> Iterator[tuple[Any, Any, str]]:
    """Each entry of each mapping and list: what holds it, its key there, and its path."""
    if isinstance(value, dict):
        entries = [(key, f"{path}.{key}" if path else str(key)) for key in value]
    else:
        entries = [(at, f"{path}[{at}]") for at in range(len(value))] if isinstance(value, list) else []
    for key, its_path in entries:
        yield value, key, its_path
        yield from _places(value[key], its_path)
