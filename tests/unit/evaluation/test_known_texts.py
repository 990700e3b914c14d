import json
import sys
from pathlib import Path

import pytest

from tiltyard_jobs.contracts.recipes import BenchmarkRecipe
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.evaluation.known_texts import KNOWN, benchmark_texts, load_known


def test_humaneval_comes_from_its_package() -> None:
    texts = load_known("humaneval")
    assert len(texts) == 2 * 164
    assert "has_close_elements" in texts[0]
    assert "abs(elem - elem2)" in texts[164]


def test_known_names() -> None:
    assert {"humaneval", "mbpp", "mbpp_plus"} <= set(KNOWN)
    with pytest.raises(
        ConfigurationError,
        match=r"spec\.curation\.decontaminate: 'nope' .*humaneval_plus, mbpp.*\{uri, field\}",
    ):
        load_known("nope")


def test_without_the_package_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        ConfigurationError, match=r"spec\.curation\.decontaminate: .*install datasets, or give \{uri, field\}"
    ):
        load_known("mbpp")


def test_texts_of_a_benchmark_in_a_file_that_is_evaluated(tmp_path: Path) -> None:
    records = [{"task_id": 1, "prompt": "Add two.", "code": "def f(): ..."}, {"task_id": 2, "prompt": "Take one."}]
    path = tmp_path / "plus.jsonl"
    path.write_text("\n".join(map(json.dumps, records)))
    recipe = BenchmarkRecipe(name="mbpp_plus", uri=path.as_uri())
    texts = benchmark_texts(recipe, StoreRef(uri=tmp_path.as_uri()))
    assert texts == ["Add two.", "Take one.", "def f(): ..."]
