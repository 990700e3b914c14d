from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.report.charts import BAR_HEIGHT, Axis, Whisker, histogram

RATINGS = st.lists(st.floats(-1e9, 1e9) | st.none(), max_size=40)


@settings(deadline=None, max_examples=200)
@given(RATINGS)
def test_an_axis_shows_every_value_in_order(values: list[float | None]) -> None:
    axis = Axis.over(values)
    shown = sorted(value for value in values if value is not None)
    places = [axis.place(value) for value in shown]
    assert places == sorted(places)
    assert all(0 < place < 100 for place in places)
    ticks = [tick.place for tick in axis.ticks]
    assert 1 <= len(ticks) <= 8
    assert ticks == sorted(set(ticks))
    assert len({tick.label for tick in axis.ticks}) == len(ticks)


def test_ticks_are_round_numbers() -> None:
    assert [tick.label for tick in Axis.over([911, 1076]).ticks] == ["950", "1000", "1050"]
    assert Axis.over([]).ticks
    assert Axis.over([1000.0]).ticks


def test_an_axis_survives_values_without_end() -> None:
    for values in ([math.inf, 1.0], [math.nan], [-1.7e308, 1.7e308]):
        axis = Axis.over(values)
        assert 0 <= axis.place(1.0) <= 100


def test_whiskers() -> None:
    axis = Axis(0, 200, ())
    assert Whisker.on(axis, 100, 50, 150) == (50, 25, 75)
    assert Whisker.on(axis, 100, None, 150) == (50, None, None)
    assert Whisker.on(axis, None, 50, 150) is None


def test_a_histogram_is_to_scale_and_says_what_it_shows() -> None:
    chart = histogram(["1", "2", "3"], [100, 1, 0], [50, 1, 0], what="Grades")
    assert [bar.height for bar in chart.bars] == [BAR_HEIGHT, 1.5, 0]
    assert chart.bars[0].filled == BAR_HEIGHT / 2
    assert chart.words == "Grades. 1: 100, of which 50 kept; 2: 1; 3: 0."
    assert all(bar.left + bar.width <= 100 for bar in chart.bars)
    assert histogram([], [], [], what="None").bars == ()


def test_a_bar_is_never_fuller_than_it_is_high() -> None:
    (bar,) = histogram(["1"], [2], [5], what="x").bars
    assert bar.filled == bar.height
