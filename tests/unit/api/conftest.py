from __future__ import annotations

from typing import Any

import pytest

from support.admission import Admission
from tiltyard.api.crd import custom_resource_definition


@pytest.fixture(scope="session")
def crd() -> dict[str, Any]:
    return custom_resource_definition()


@pytest.fixture(scope="session")
def admission(crd: dict[str, Any]) -> Admission:
    return Admission(crd)
