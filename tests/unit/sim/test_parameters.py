"""A URI is read strictly, and what it leaves open follows from the seed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.contracts.simulated import DOMAINS
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.sim.domains import Domain
from tiltyard_jobs.sim.parameters import parse_sim_uri


def test_the_kinds_of_task_have_their_parameters() -> None:
    assert tuple(Domain) == DOMAINS


def test_given_values_are_taken() -> None:
    uri = "sim://sage-1?seed=7&skill=0.7&skill.data=0.9&spread=0&judge.noise=0.5&judge.position_bias=-0.2&judge.gullible=1"
    expert = parse_sim_uri(uri + "&max_model_len=512")
    assert (expert.name, expert.seed, expert.max_model_len) == ("sage-1", 7, 512)
    assert {domain: expert.skill_in(domain) for domain in Domain} == {
        domain: 0.9 if domain is Domain.DATA else 0.7 for domain in Domain
    }
    assert (expert.judge.noise, expert.judge.position_bias, expert.judge.gullible) == (0.5, -0.2, True)


def test_what_is_left_open_follows_from_the_seed() -> None:
    assert parse_sim_uri("sim://a") == parse_sim_uri("sim://a")
    assert parse_sim_uri("sim://a").skills != parse_sim_uri("sim://b").skills
    assert parse_sim_uri("sim://a?seed=1").skills == parse_sim_uri("sim://b?seed=1").skills


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://a", "is no URI of a simulated expert"),
        ("sim://", "the name '' must be"),
        ("sim://a/b", "the name 'a/b' must be"),
        ("sim://a?", "'' has no value"),
        ("sim://a?skill", "'skill' has no value"),
        ("sim://a?skil=1", "unknown parameter 'skil'; known are seed, skill,"),
        ("sim://a?skill=0.5&skill=0.6", "parameter 'skill' is given twice"),
        ("sim://a?skill=1.5", "parameter 'skill' is '1.5', but must be a number from 0 to 1"),
        ("sim://a?skill=nan", "parameter 'skill' is 'nan'"),
        ("sim://a?seed=1.5", "parameter 'seed' is '1.5', but must be a whole number from 0 to 1000000000000000"),
        ("sim://a?judge.gullible=2", "must be a whole number from 0 to 1"),
        ("sim://a?thoughts=loud", "'thoughts' is 'loud', but must be one of none, inline, unopened, reasoning,"),
        ("sim://a?skill.cooking=1", "unknown parameter 'skill.cooking'"),
    ],
)
def test_a_wrong_uri_is_one_clear_sentence(uri: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_sim_uri(uri)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_after_the_scheme_is_read_or_refused(rest: str) -> None:
    try:
        expert = parse_sim_uri("sim://" + rest)
    except ConfigurationError:
        return
    assert all(0 <= skill <= 1 for skill in expert.skills)
