from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard.api import Endpoint, ModelServing, ModelSource, Participant, Resources
from tiltyard.api.identity import _REASONS, CHANGES_REPLIES, PERFORMANCE_ARGUMENTS, identity_options
from tiltyard_jobs.contracts.identity import ModelIdentity


def model(*args: str, name: str = "a", revision: str | None = None, replicas: int = 1) -> Participant:
    return Participant(
        name=name,
        model=ModelSource(uri="hf://org/model", revision=revision, license="mit"),
        serving=ModelServing(args=args, replicas=replicas, resources=Resources(limits={"cpu": "1"})),
    )


def test_identity_is_uri_revision_and_the_options_that_change_replies() -> None:
    participant = model("--quantization=awq", "--max-num-seqs=1", "--max-model-len", "4096", revision="r1")
    assert participant.identity() == ModelIdentity(
        uri="hf://org/model", revision="r1", options=("--max-model-len=4096", "--quantization=awq")
    )


def test_name_licence_and_resources_are_no_part_of_it() -> None:
    bare = Participant(name="b", model=ModelSource(uri="hf://org/model"))
    assert model(name="x", replicas=3).identity() == bare.identity()


def test_an_endpoint_is_its_url_and_model() -> None:
    one = Participant(name="a", endpoint=Endpoint(url="http://h:80/v1/", model="m"))
    other = Participant(name="b", endpoint=Endpoint(url="http://h:80/v1", model="m"))
    assert one.identity() == other.identity() == ModelIdentity(uri="http://h:80/v1#m")


@pytest.mark.parametrize(
    ("args", "options"),
    [
        (["--dtype", "float32", "--enforce-eager"], ("--dtype=float32",)),
        (["--max_model_len=9"], ("--max-model-len=9",)),
        (["-tp", "2", "-q", "awq"], ("-q=awq",)),
        (["--seed", "-1"], ("--seed=-1",)),
        (["--chat-template=a=b"], ("--chat-template=a=b",)),
        (["--chat-template", "a=b"], ("--chat-template=a=b",)),
        (["--lora-modules", "x=1", "y=2"], ("--lora-modules=x=1 y=2",)),
        (["--trust-remote-code"], ("--trust-remote-code",)),
        (["stray"], ("stray",)),
        (["--latency-ms=5", "--fault-429=0.1", "--request-log", "/tmp/l", "--retry-after=1"], ()),
        (["--logprobs-mode=raw_logprobs"], ("--logprobs-mode=raw_logprobs",)),
        (["--load-format=runai_streamer", "--enable-sleep-mode", "--no-enable-sleep-mode"], ()),
        (["--kv-offloading-size=8", "--kv_offloading_backend", "native", "--api-server-count", "4", "-asc", "2"], ()),
        (["--kv-transfer-config", '{"kv_connector": "OffloadingConnector"}', "--no-async-scheduling"], ()),
        (["--load-format", "dummy"], ("--load-format=dummy",)),
        (["--kv-cache-dtype=fp8", "--speculative-config={}"], ("--kv-cache-dtype=fp8", "--speculative-config={}")),
        (["--no-trust-remote-code"], ("--no-trust-remote-code",)),
        ([], ()),
    ],
)
def test_arguments_in_their_spellings(args: list[str], options: tuple[str, ...]) -> None:
    assert identity_options(args) == options


def test_a_repeated_flag_keeps_the_order_of_its_values() -> None:
    assert identity_options(["--b=2", "--a", "--b=1"]) == ("--a", "--b=2", "--b=1")


FLAGS = st.sampled_from(["--alpha=1", "--beta=2", "--gamma", "--dtype=half", *sorted(PERFORMANCE_ARGUMENTS)])


@settings(deadline=None)
@given(st.lists(FLAGS, unique=True), st.randoms(use_true_random=False))
def test_neither_order_nor_performance_changes_it(args: list[str], random: object) -> None:
    shuffled = list(args)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert identity_options(shuffled) == identity_options([a for a in args if a not in PERFORMANCE_ARGUMENTS])


def test_each_has_a_reason_and_none_is_named_twice() -> None:
    assert all(flag.startswith("-") and why for flag, why in PERFORMANCE_ARGUMENTS.items())
    assert len(PERFORMANCE_ARGUMENTS) == sum(len(flags.split()) for flags in _REASONS.values())
    assert {flag for flag, _ in CHANGES_REPLIES} <= PERFORMANCE_ARGUMENTS.keys()
