"""Each thing has one home: no other source names a benchmark, a verdict method or a store's credentials.

Adding one is then its module and a line of its table in the contracts.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tiltyard_jobs.contracts.benchmarks import BENCHMARKS
from tiltyard_jobs.contracts.stores import STORES
from tiltyard_jobs.contracts.verdicts import VERDICT_METHODS

ROOT = Path(__file__).parents[3]
API, WORKER = "operator/tiltyard/api", "jobs/tiltyard_jobs"
CONTRACTS = f"{WORKER}/contracts"


@cache
def sources() -> dict[str, ast.Module]:
    """The operator's and the worker's modules, by path."""
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text())
        for folder in ("operator", "jobs")
        for path in (ROOT / folder).rglob("*.py")
    }


def named(*words: str) -> set[tuple[str, str]]:
    """Where one of these words stands as a text of its own, as (module, word)."""
    return {
        (path, node.value)
        for path, module in sources().items()
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in words
    }


def literals(module: ast.Module) -> Iterator[frozenset[str]]:
    """The words of each `Literal` of two or more in a module."""
    for node in ast.walk(module):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Literal":
            words = [item.value for item in ast.walk(node.slice) if isinstance(item, ast.Constant)]
            if len(words) > 1 and all(isinstance(word, str) for word in words):
                yield frozenset(map(str, words))


def test_a_benchmark_is_named_in_its_family_and_its_line() -> None:
    defaults = {
        (f"{API}/evaluation.py", "humaneval_plus"),
        (f"{API}/evaluation.py", "mbpp_plus"),
        ("operator/tiltyard/plan/curation.py", "humaneval"),
    }
    families = {(f"{WORKER}/evaluation/benchmarks/{facts.family}.py", name) for name, facts in BENCHMARKS.items()}
    lines = {(f"{CONTRACTS}/benchmarks.py", name) for name in BENCHMARKS}
    assert named(*BENCHMARKS) == families | lines | defaults


def test_a_verdict_method_is_named_in_its_entry_and_its_line() -> None:
    entries = {(f"{WORKER}/prompts/verdicts.py", name) for name in VERDICT_METHODS}
    lines = {(f"{CONTRACTS}/verdicts.py", name) for name in VERDICT_METHODS}
    assert named(*VERDICT_METHODS) == entries | lines | {(f"{API}/battles.py", "Logprobs")}


def test_a_store_s_credentials_are_named_in_its_line() -> None:
    variables = [name for facts in STORES.values() for name in facts.credentials]
    assert named(*variables) == {(f"{CONTRACTS}/stores.py", name) for name in variables}


def test_each_set_of_words_has_one_definition() -> None:
    homes = defaultdict(list)
    for path, module in sources().items():
        for words in literals(module):
            homes[words].append(path)
    assert len(homes) > 10
    assert {words: where for words, where in homes.items() if len(where) > 1} == {}
