from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.report.formats import compact, count, decimal, duration, percent, points, share, size

NB = "\u00a0"


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_a_dash(missing: float | None) -> None:
    assert {count(missing), points(missing), decimal(missing), percent(missing)} == {"–"}


def test_counts_and_points() -> None:
    assert [count(value) for value in (0, 999, 81_250_000, -1200)] == ["0", "999", "81,250,000", "−1,200"]
    assert [compact(value) for value in (0, 950, 12_345, 231_000, 4_000_000, 7.2e9)] == [
        "0",
        "950",
        "12.3k",
        "231k",
        "4.0M",
        "7.2G",
    ]
    assert [points(value) for value in (1184.4, -0.2, -31.5)] == ["1184", "0", "−32"]
    assert [decimal(value, plus=True) for value in (0.44, -0.44, 0.0, 0.001)] == ["+0.44", "−0.44", "0.00", "0.00"]


def test_shares() -> None:
    assert [percent(value) for value in (0, 0.004, 0.5, 0.996, 1)] == [
        "0%",
        f"<{NB}1%",
        "50%",
        f">{NB}99%",
        "100%",
    ]
    assert percent(0.12345, 1) == "12.3%"
    assert share(1, 3, 1) == "33.3%"
    assert share(1, 0) == "–"


@settings(deadline=None)
@given(st.floats(0, 1), st.integers(0, 3))
def test_only_nothing_is_none_and_only_all_is_all(value: float, digits: int) -> None:
    text = percent(value, digits)
    none, everything = (f"{whole:.{digits}f}%" for whole in (0, 100))
    assert (text == none) == (value == 0)
    assert (text == everything) == (value == 1)


def test_times_and_sizes() -> None:
    assert [duration(value) for value in (4.24, 59.96, 200, 3599.6, 7500, 360_000)] == [
        f"4.2{NB}s",
        f"1{NB}min 00{NB}s",
        f"3{NB}min 20{NB}s",
        f"1{NB}h 00{NB}min",
        f"2{NB}h 05{NB}min",
        f"100{NB}h 00{NB}min",
    ]
    assert [size(value) for value in (0, 999, 1500, 123_456, 5_000_000, 3 * 10**12)] == [
        f"0{NB}B",
        f"999{NB}B",
        f"1.5{NB}kB",
        f"123{NB}kB",
        f"5.0{NB}MB",
        f"3.0{NB}TB",
    ]
