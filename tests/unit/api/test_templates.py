"""What the API takes as a template is what the worker can fill."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tiltyard.api.scalars import TextTemplate
from tiltyard_jobs.contracts.textfield import Template


@given(st.text("{}a[-1].\n", max_size=12))
@example("{instruction}\n\n{input}")
@example("{{a}}")
@example("{{{a}}}")
@example("{a}}")
@settings(deadline=None, max_examples=500)
def test_the_pattern_and_the_reader_agree(text: str) -> None:
    try:
        TypeAdapter(TextTemplate).validate_python(text)
        taken = True
    except ValidationError:
        taken = False
    try:
        Template(text)
        can_be_filled = True
    except ValueError:
        can_be_filled = False
    assert taken == can_be_filled
