"""The tools work without a network, on the CPU, and keep nothing from one run to the next.

The variables are set here, before a test module imports the libraries that read them on import.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

# A data set that an earlier run left in the cache would hide what this run wrote.
_HUGGING_FACE_HOME = Path(tempfile.mkdtemp(prefix="tiltyard-interop-"))

os.environ.update(
    HF_HOME=str(_HUGGING_FACE_HOME),
    HF_HUB_OFFLINE="1",
    HF_DATASETS_OFFLINE="1",
    DO_NOT_TRACK="1",
    TOKENIZERS_PARALLELISM="false",
    JAX_PLATFORMS="cpu",
    CUDA_VISIBLE_DEVICES="",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outputs", type=Path, help="the folder that `tiltyard run --out` filled, for tests that read it")


def pytest_unconfigure() -> None:
    shutil.rmtree(_HUGGING_FACE_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def outputs(request: pytest.FixtureRequest) -> Path:
    """The outputs of a finished tournament, as `tiltyard run FILE --out DIR` leaves them."""
    folder: Path | None = request.config.getoption("--outputs")
    if folder is None or not folder.is_dir():
        pytest.fail(f"give the folder of a finished tournament: --outputs DIR (now {folder})", pytrace=False)
    return folder.absolute()
