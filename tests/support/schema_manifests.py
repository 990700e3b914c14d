"""Manifests from a seed, built from the CRD's schema alone: what no sample has is as likely as what all of them have.

One field after another is added to the smallest manifest that runs, at its bounds or just beyond them. What `validate`
refuses is mostly taken back, so that many fields come together without hiding one another's mistakes.
"""

from __future__ import annotations

import copy
import json
import random
import re
from functools import cache
from typing import Any

from support.fuzzed_manifests import Fuzzed
from tiltyard.api import ManifestError, load_tournament, problems_on_cluster
from tiltyard.api.crd import custom_resource_definition

Schema = dict[str, Any]

SMALLEST: dict[str, Any] = {
    "apiVersion": "tiltyard.dev/v1alpha1",
    "kind": "Tournament",
    "metadata": {"name": "smallest"},
    "spec": {
        "competitors": [{"name": name, "model": {"uri": f"hf://o/{name}"}} for name in "abc"],
        "instructions": {"mine": {}},
        "output": {"s3": {"uri": "s3://bucket"}},
    },
}
ODD = " \t\v\f\x1c\x85\xa0\u1680\u2028\u3000\ufeff\x00\x7f\x1b/\\:@#?%=&'\"`$.,-_+~^*<>()[]{}|;!0aZéßİ٣日🎲"
"""Characters that engines of regular expressions, or of anything else, may take for something else."""
LONGEST = 5000  # of a text whose bound is far away
MOST = 70  # items, likewise
NEW = 0.5  # chance that a list gets another item
DEEPER = 0.9
KEPT = 0.1  # chance that a mistake stays, and ends the manifest
KEYS = ("a", "cpu", "memory", "nvidia.com/gpu", "nvidia.com/mig-1g.5gb", "gpu.intel.com/xe_monitoring", "example.com/a",
        "hugepages-2Mi", "1", "", " ", "a b", "a\n", "a\v", "cpu\n", "A.b/C", "a/", "/a", "a//b", "-a", "a-", "é",
        "a" * 63, "a" * 64, "a" * 253 + "/b", "a" * 254 + "/b", "a" * 400 + "/b")  # fmt: skip
PLAIN = (
    "{instruction}", "a", "0.5", "1", "hf://o/m", "hf://o/m?endpoint=https://a.example", "sim://a", "sim://a?skill=0.5",
    "s3://bucket/a", "https://a.example/v1", "https://hf.co/o/m", "hf://datasets/o/m@1/a.json", "pvc://a", "/a",
    "file:///a", "kserve://a/b", "0" * 64, "USD", "Authorization", "--a=1", "--port", "--a b", "TILTYARD_A",
    "/mnt/models/", "/tmp", "<<", "a <<< b", "base-model", "gsm8k", "humaneval", "python3",
)  # fmt: skip
QUANTITIES = (
    0, 1, 2, -1, 2.0, 1.5, 2**53 - 1, 2**53, "1", "500m", "1000m", "2Gi", "1.5", ".5", "5.", "1e3", "1E", "1Ei", "1e-3",
    "+1", "-1", "0x1", "1_0", "1 ", "1K", "1k", "1e99", "1e-99", "0.000000001", "0.0000000001", "1n", "9" * 18,
    "9" * 19, "", "1\n",
)  # fmt: skip
FRACTIONS = (
    "0", "0.0", "1", "1.0", "2", "2.0", "0.5", "1e-18", "1e-99", "10e-1", "1.00000000000000001", "1e0", "1E-2", "00.5",
    ".5", "5.", "-0", "+0.5", "-0.5", "0.999999999999999999", "2.000000000000000001", "1000000000",
    "1000000000.00000001", "1e9", "1e10", "0." + "3" * 18, "0." + "3" * 19, "0.5 ", "0.5\n",
)  # fmt: skip


def from_schema(seed: int) -> Fuzzed:
    """The manifest of a seed."""
    dice = random.Random(seed)
    document = copy.deepcopy(SMALLEST)
    changes = []
    for _ in range(dice.choice((1, 1, 2, 3, 5, 10))):
        changed = copy.deepcopy(document)
        change = _add(changed["spec"], _spec_schema(), "spec", dice)
        taken = _is_taken(changed)
        if taken or dice.random() < KEPT:
            document = changed
            changes.append(change)
            if not taken:
                break
    else:
        changes.append(_add(document["spec"], _spec_schema(), "spec", dice))
    text = json.dumps(document)
    return Fuzzed(document, text, text, tuple(changes))


@cache
def _spec_schema() -> Schema:
    (version,) = custom_resource_definition()["spec"]["versions"]
    schema: Schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


def _is_taken(document: dict[str, Any]) -> bool:
    try:
        return not problems_on_cluster(load_tournament(json.dumps(document)))
    except ManifestError:
        return False


def _add(holder: dict[str, Any], schema: Schema, path: str, dice: random.Random) -> str:
    """Give one field of a mapping, or of one in it, another value; which."""
    name = dice.choice(sorted(schema["properties"]))
    inner, path = schema["properties"][name], f"{path}.{name}"
    before = holder.get(name)
    items = inner.get("items", {})
    if "properties" in inner and dice.random() < DEEPER:
        if not isinstance(before, dict):
            holder[name] = _required(inner, dice)
        return _add(holder[name], inner, path, dice)
    if "properties" in items and dice.random() < DEEPER:
        if not isinstance(before, list):
            before = holder[name] = []
        if not before or dice.random() < NEW:
            before.append(_required(items, dice))
        at = dice.randrange(len(before))
        if isinstance(before[at], dict):
            return _add(before[at], items, f"{path}[{at}]", dice)
    if before is not None and dice.random() < KEPT:
        del holder[name]
        return f"{path} is left out"
    holder[name] = _value(inner, dice)
    return f"{path} = {json.dumps(holder[name])[:200]}"


def _required(schema: Schema, dice: random.Random) -> dict[str, Any]:
    """A mapping with the fields that it needs, and now and then one more."""
    names = set(schema.get("required", ()))
    if dice.random() < NEW:
        names.add(dice.choice(sorted(schema["properties"])))
    return {name: _value(schema["properties"][name], dice) for name in sorted(names)}


def _value(schema: Schema, dice: random.Random) -> Any:
    """Something that a schema takes, or nearly."""
    kind = schema.get("type")
    if "enum" in schema:
        return dice.choice((*schema["enum"], *schema["enum"], *schema["enum"], "", str(schema["enum"][0]).lower()))
    if schema.get("x-kubernetes-int-or-string"):
        return dice.choice(QUANTITIES)
    if kind == "string":
        return _text(schema, dice)
    if kind == "integer":
        least, most = schema.get("minimum", 0), schema.get("maximum", 2**53)
        return dice.choice((least - 1, least, least, least + 1, 2, 3, most - 1, most, most, most + 1))
    if kind == "boolean":
        return dice.random() < NEW
    if kind == "array":
        bounds = (schema.get("minItems", 0), schema.get("maxItems", MOST))
        count = dice.choice((1, 1, 2, 3, bounds[0] - 1, bounds[0], min(bounds[1], MOST), min(bounds[1], MOST) + 1))
        return [_value(schema["items"], dice) for _ in range(count)]
    if "properties" in schema:
        return _required(schema, dice)
    below = schema.get("additionalProperties")
    if isinstance(below, dict):
        count = dice.choice((0, 1, 1, 2, min(schema.get("maxProperties", MOST), MOST)))
        some = [*dice.sample(KEYS, min(count, 3)), *(f"a{number}" for number in range(count - 3))]
        return {key: _value(below, dice) for key in some}
    return dice.choice(({}, {"a": 1}, {"name": "a"}, {"a": {"b": [1.5, None, "é", True]}}, {"": ""}))


def _text(schema: Schema, dice: random.Random) -> str:
    """A text that matches a pattern, at its bounds or with one character that may not be there."""
    least, most = schema.get("minLength", 0), min(schema.get("maxLength", LONGEST), LONGEST)
    pattern = schema.get("pattern")
    if "x-kubernetes-validations" in schema and pattern is not None:
        return dice.choice(FRACTIONS)
    known = [text for text in PLAIN if pattern is None or re.search(pattern, text)] or ["a"]
    text = dice.choice(known)
    kind = dice.random()
    if kind < 0.4:
        return text
    if kind < 0.7:
        at = dice.randint(0, len(text))
        return text[:at] + dice.choice(ODD) + text[at + dice.randint(0, 1) :]
    if kind < 0.8:
        return dice.choice(("", "".join(dice.choice(ODD) for _ in range(dice.randint(1, 5)))))
    length = dice.choice((least, least + 1, most, most + 1, max(least - 1, 0)))
    return text + dice.choice(("a", "é", "🎲", "1", "/a")) * ((length - len(text)) if length > len(text) else 0)
