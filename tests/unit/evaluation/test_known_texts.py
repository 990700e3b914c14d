import sys

import pytest

from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.evaluation.known_texts import KNOWN, load_known


def test_humaneval_comes_from_its_package() -> None:
    texts = load_known("humaneval")
    assert len(texts) == 2 * 164
    assert "has_close_elements" in texts[0]
    assert "abs(elem - elem2)" in texts[164]


def test_known_names() -> None:
    assert KNOWN == ("humaneval", "mbpp")
    with pytest.raises(
        ConfigurationError, match=r"spec\.curation\.decontaminate: 'nope' .*humaneval, mbpp.*\{uri, field\}"
    ):
        load_known("nope")


def test_without_the_package_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        ConfigurationError, match=r"spec\.curation\.decontaminate: .*install datasets, or give \{uri, field\}"
    ):
        load_known("mbpp")
