from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from support.admission import Admission
from tiltyard.api import (
    ManifestError,
    Problem,
    Tournament,
    load_tournament,
    problems_on_cluster,
    tournament_from_object,
)
from tiltyard.api.crd import custom_resource_definition
from tiltyard.api.yamlfile import MAX_BYTES, parse_yaml

SAMPLES = Path(__file__).parent / "samples" / "valid"
MINIMAL = (SAMPLES / "minimal.yaml").read_text()


def problems_of(manifest: Path | str, *, strict: bool = True) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        load_tournament(manifest, strict=strict)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "must hold exactly one Tournament, given nothing"),
        ("# nothing\n---\n", "must hold exactly one Tournament, given nothing"),
        (MINIMAL + "---\n" + MINIMAL, "must hold exactly one Tournament, given 2 documents"),
        ("a: [1, 2", "is not valid YAML: expected ',' or ']', but got '<stream end>' (line 1, column 9)"),
        ("a: 1\nb: 2\na: 3", 'is not valid YAML: "a" is repeated in one mapping (line 3, column 1)'),
        ("a: \x00", "is not valid YAML: unacceptable character #x0000: special characters are not allowed"),
        ("a: {{ .Values.name }}", "is not valid YAML: found unhashable key (line 1, column 5)"),
        ("!!python/name:os.system", "is not valid YAML: could not determine a constructor for the tag"),
        ("1: a", "has a key that is not a string, given 1; put it in quotes"),
        ("a: {true: b}", "a: has a key that is not a string, given true, as YAML reads y, yes, on and true"),
        ("? 0x" + "F" * 4000 + "\n: b", "has a key that is not a string, given 0xffff"),
        ("? !!binary aGk=\n: b", "has a key that is not a string, given bytes; put it in quotes"),
        ("? !!timestamp 2024-01-01\n: b", "has a key that is not a string, given date; put it in quotes"),
        ("a: !!bool maybe", 'is not valid YAML: "maybe" cannot be read as bool (line 1, column 4)'),
        ("a: !!int x", 'is not valid YAML: "x" cannot be read as int (line 1, column 4)'),
        ("a: !!int [1]", "is not valid YAML: expected a scalar node, but found sequence (line 1, column 4)"),
        ("a: !!float _", 'is not valid YAML: "_" cannot be read as float (line 1, column 4)'),
        ("a: !!timestamp x", 'is not valid YAML: "x" cannot be read as timestamp (line 1, column 4)'),
        ("a: !!map [b]", "is not valid YAML: expected a mapping node, but found sequence (line 1, column 4)"),
        ("a: !!binary aGk=", "a: has a type that JSON does not know, given bytes"),
        ('a: "\\ud800"', "a: has half of a surrogate pair"),
        ('a: {"\\udfb2\\ud83c": 1}', "a: has half of a surrogate pair"),
        ("just words", 'must hold a mapping with apiVersion, kind, metadata and spec, given "just words"'),
        ("[1, 2]", "must hold a mapping with apiVersion, kind, metadata and spec, given a list of 2"),
        (
            "a: &a [*a]",
            "a[0][0][0]: is too large or too deep for a manifest, given more than 200000 values or 100 levels",
        ),
        (
            "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"{c}: &{c} [{', '.join(['*' + chr(ord(c) - 1)] * 10)}]\n" for c in "bcdefgh"),
            "f[0][6][8]: is too large or too deep for a manifest, given more than 200000 values or 100 levels",
        ),
        ("#" * (MAX_BYTES + 1), "is too large for a manifest, given more than 1500000 bytes"),
        ("a: " + "9" * 5000, 'is not valid YAML: "9999'),
        ("[" * 700, "is not valid YAML: "),
    ],
    ids=lambda value: value[:24].replace("\n", " ").replace("\0", "NUL") if isinstance(value, str) else None,
)
def test_a_text_that_is_no_manifest_gets_one_sentence(text: str, sentence: str) -> None:
    (problem,) = problems_of(text)
    assert problem.startswith(sentence)


def test_a_file_that_cannot_be_read_gets_one_sentence(tmp_path: Path) -> None:
    binary = tmp_path / "rows.parquet"
    binary.write_bytes(b"PAR1\x80\x00")
    large = tmp_path / "large"
    large.write_bytes(b"\x80" * (MAX_BYTES + 1))
    assert problems_of(tmp_path / "none.yaml") == ["cannot be read: No such file or directory"]
    assert problems_of(tmp_path) == ["is a folder; give the tournament's manifest, a YAML file"]
    assert problems_of(binary) == ["is not UTF-8 text (byte 4), so it is not a YAML manifest"]
    assert problems_of(large) == ["is too large for a manifest, given more than 1500000 bytes"]


def test_the_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    with pytest.raises(ManifestError) as caught:
        load_tournament(path)
    assert str(caught.value) == f"{path}: cannot be read: No such file or directory"
    assert caught.value.source == str(path)


def test_a_byte_order_mark_and_json_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(b"\xef\xbb\xbf" + load_tournament(MINIMAL).model_dump_json(exclude_none=True).encode())
    assert load_tournament(path) == load_tournament(MINIMAL)


def test_a_character_that_json_names_by_two_escapes_is_one() -> None:
    document = yaml.safe_load(MINIMAL)
    document["metadata"]["annotations"] = {"die": "🎲"}
    text = json.dumps(document)
    assert r"\ud83c\udfb2" in text
    assert load_tournament(text).metadata.annotations == {"die": "🎲"}


def test_what_is_given_is_told_without_what_a_terminal_does_not_show() -> None:
    text = MINIMAL.replace("instructions: {mine: {}}", "instructions: {from: {uri: s3://bucket/i}}")
    answers = '{name: d, answers: {uri: "s3://bucket/d", idField: "a\\u2028b"}}'
    problems = problems_of(text.replace("  competitors:\n", f"  competitors:\n    - {answers}\n"))
    assert any('"a�b" without instructions.from.idField' in problem for problem in problems), problems


def test_unknown_fields_are_refused_in_files_and_left_out_of_objects() -> None:
    text = MINIMAL.replace("uri: sim://a}", "uri: sim://a, futureField: 1}") + "  futureStage: {a: 1}\n"
    assert len(problems_of(text)) == 2
    assert load_tournament(text, strict=False) == load_tournament(MINIMAL)
    assert tournament_from_object(yaml.safe_load(text)) == load_tournament(MINIMAL)


def test_an_object_of_the_cluster_is_checked_by_the_same_rules() -> None:
    document = yaml.safe_load(MINIMAL)
    document["metadata"] |= {"uid": "1", "generation": 2, "managedFields": [{"manager": "kubectl"}], "labels": None}
    assert tournament_from_object(document).metadata.generation == 2
    del document["spec"]["competitors"][0]
    with pytest.raises(ManifestError, match=r"^spec.judges: must name a judge"):
        tournament_from_object(document)


def test_wire_names_alone_are_read_from_files() -> None:
    assert problems_of(MINIMAL.replace("instructions: {mine: {}}", "instructions: {given: {uri: s3://abc/d}}"))[
        0
    ].startswith("spec.instructions.given: is not a field here")


def test_a_number_with_an_exponent_is_no_text() -> None:
    # Kubernetes' reader of YAML takes 1e-5 for a number, so the same file must fail here.
    (problem,) = problems_of(MINIMAL + "  rating: {alpha: 1e-1}\n")
    assert problem == 'spec.rating.alpha: must be a decimal from "0" to "1", in quotes, given 0.1'


@pytest.mark.parametrize("value", ["2020-01-01", "NaN", "1_0", "'0x1'", '"1e-999"', '" 0.5"', '"٠.٥"', "[]"])
def test_what_looks_like_a_number_is_refused_as_a_fraction(value: str) -> None:
    (problem,) = problems_of(MINIMAL + f"  rating: {{alpha: {value}}}\n")
    assert problem.startswith('spec.rating.alpha: must be a decimal from "0" to "1", in quotes, given ')


def test_a_sentence_stays_short_and_printable() -> None:
    (problem,) = problems_of(MINIMAL + f'  rating: {{alpha: "{"x" * 10000}\\e[31m\\u202e\\n"}}\n')
    assert len(problem) < 200
    assert problem.isprintable()


def test_very_many_problems_are_cut_and_counted() -> None:
    spec = "".join(f"  unknown{number}: 1\n" for number in range(250))
    problems = problems_of(MINIMAL + spec)
    assert len(problems) == 101
    assert problems[-1] == "has 150 more problems like these"


def test_rules_wait_where_a_mistake_touches_them() -> None:
    text = (
        MINIMAL.replace("    - {name: c, model: {uri: sim://c}}\n", "")
        + "  judgez: [{name: j, model: {uri: sim://j}}]\n"
    )
    (problem,) = problems_of(text)  # not also that must name a judge
    assert problem.startswith('spec.judgez: is not a field here, did you mean "judges"')


def test_a_mistake_elsewhere_in_the_spec_hides_no_rule() -> None:
    text = MINIMAL.replace("    - {name: c, model: {uri: sim://c}}\n", "") + "  seed: many\n"
    seed, judges = problems_of(text)
    assert seed.startswith("spec.seed: must be ")
    assert judges.startswith("spec.judges: must name a judge")


def test_a_key_that_is_no_label_is_named() -> None:
    (problem,) = problems_of(MINIMAL.replace("{name: minimal}", '{name: minimal, labels: {"": x}}'))
    assert problem.startswith('metadata.labels[""]: must be the key of a label, [DOMAIN/]NAME')


def test_what_a_cluster_has_accepted_in_metadata_is_no_mistake_of_the_manifest() -> None:
    document = yaml.safe_load(MINIMAL)
    document["metadata"] |= {
        "uid": "u",
        "labels": {"kueue.x-k8s.io/queue-name": "q"},
        "annotations": {"Example.com/Note": "a", "kubectl.kubernetes.io/last-applied-configuration": "x" * 200_000},
        "finalizers": ["a" * 253 + "/" + "b" * 63],
    }
    metadata = tournament_from_object(copy.deepcopy(document)).metadata
    assert metadata.annotations == document["metadata"]["annotations"]
    assert (metadata.uid, metadata.labels) == ("u", document["metadata"]["labels"])
    document["metadata"]["annotations"]["\N{KELVIN SIGN}"] = "k"  # in lower case it is a k
    document["spec"]["seed"] = "many"
    with pytest.raises(ManifestError) as caught:
        tournament_from_object(document)
    assert [problem.path for problem in caught.value.problems] == ["spec.seed"]


def test_as_many_problems_as_are_told_are_not_cut() -> None:
    spec = "".join(f"  unknown{number}: 1\n" for number in range(100))
    problems = problems_of(MINIMAL + spec)
    assert len(problems) == 100
    assert problems[-1].startswith("spec.unknown99: ")


def test_a_text_of_the_greatest_size_and_depth_is_read() -> None:
    def nested(levels: int) -> str:
        return MINIMAL + f"  x: {'[' * levels}{']' * levels}\n"

    assert load_tournament(MINIMAL + "#" * (MAX_BYTES - len(MINIMAL))) == load_tournament(MINIMAL)
    assert problems_of(MINIMAL + "#" * (MAX_BYTES - len(MINIMAL) + 1))[0].startswith("is too large")
    assert problems_of(nested(98))[0].startswith("spec.x: is not a field here")  # with spec.x a path of 99 steps
    assert problems_of(nested(101))[0].startswith("spec.x[0][0]: is too large or too deep")


def test_a_problem_reads_as_people_write_paths() -> None:
    text = MINIMAL.replace("{name: minimal}", '{name: minimal, labels: {"a.b/c": [], plain-key: []}}')
    first, second = problems_of(text)
    assert first.startswith('metadata.labels["a.b/c"]: must be the value of a label')
    assert second.startswith("metadata.labels.plain-key: must be the value of a label")
    (problem,) = problems_of(MINIMAL.replace("uri: sim://b", "uri: 7"))
    assert problem.startswith("spec.competitors[1].model.uri: must be hf://ORG/NAME")
    assert problem.endswith(", given 7, a number: write the text in quotes")


@pytest.mark.parametrize(
    ("value", "given"),
    [
        ("null", None),
        ("{}", "given an empty mapping"),
        ("{a: b}", "given a mapping"),
        ("[]", "given a list of 0"),
        ("[1, 2]", "given a list of 2"),
        ("true", "given true, as YAML reads y, yes, on and true: write the text in quotes"),
        ("n", "given false, as YAML reads n, no, off and false: write the text in quotes"),
        ("08", "given 8.0, a number: write the text in quotes"),
        ("no", "given false, as YAML reads n, no, off and false: write the text in quotes"),
        ("0.5", "given 0.5, a number: write the text in quotes"),
        ('"https://user:password@host/x y"', 'given "https://…@host/x y"'),
        (f'"{"x" * 78} "', f'given "{"x" * 78}…'),
        (f'" {"y" * 77}"', f'given " {"y" * 77}"'),
    ],
)
def test_what_was_given_is_said_in_a_few_words(value: str, given: str | None) -> None:
    text = MINIMAL + f"  instructions: {{from: {{uri: {value}}}}}\n".replace("instructions", "training", 1).replace(
        "{from: {uri:", "{baseModel: {uri:"
    )
    (problem,) = problems_of(text)
    assert problem.startswith("spec.training.baseModel.uri: ")
    assert problem.endswith(given or "https:// or file:///")


def test_a_secret_in_the_place_of_its_name_is_not_shown() -> None:
    key = "apiKeySecretRef: s3cr3t"
    text = MINIMAL.replace("model: {uri: sim://b}", f"endpoint: {{url: http://h/v1, model: m, {key}}}")
    (problem,) = problems_of(text)
    assert problem == (
        "spec.competitors[1].endpoint.apiKeySecretRef: must be a mapping with name and key, given a text (not shown)"
    )


def test_rules_of_one_object_wait_for_its_own_fields() -> None:
    embedder = "{method: SentenceTransformrs, model: some/model}"
    (problem,) = problems_of(MINIMAL + f"  curation: {{diversity: {{embedder: {embedder}}}}}\n")
    assert problem.endswith('given "SentenceTransformrs", did you mean "SentenceTransformers"')


FULL = {**yaml.safe_load((SAMPLES / "full.yaml").read_text()), "status": {}}
ADMISSION = Admission(custom_resource_definition())
WORDS = st.sampled_from(
    [
        "",
        "a",
        "0.5",
        "1e-1",
        "7",
        "None",
        "Both",
        "sim://x",
        "s3://bucket/k",
        "http://h:1/v1",
        "A B",
        "x" * 600,
        "\n",
        "é",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**63) | st.floats() | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.sampled_from(["name", "uri"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def outcome(document: dict[str, Any]) -> tuple[tuple[Problem, ...], Tournament | None]:
    try:
        return (), tournament_from_object(document)
    except ManifestError as error:
        return error.problems, None


PLACES = [("spec", *path) for path in places(FULL["spec"]) if path]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.just("cut") | VALUES), min_size=1, max_size=3))
def test_whatever_stands_in_a_manifest_is_taken_or_refused_in_sentences(changes: list[tuple[Any, Any]]) -> None:
    document = copy.deepcopy(FULL)
    for path, value in changes:
        target = document
        try:
            for step in path[:-1]:
                target = target[step]
            if value == "cut":
                del target[path[-1]]
            else:
                target[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took this place away
    problems, tournament = outcome(document)
    assert all(str(problem).isprintable() for problem in problems)
    assert bool(problems) != (tournament is not None)
    if tournament is None:
        return
    if not problems_on_cluster(tournament):  # then a cluster takes it too: the CRD is never stronger than the models
        assert ADMISSION.refusals(document) == []
    assert tournament_from_object(tournament.model_dump(mode="json", exclude_none=True)) == tournament


def test_a_status_is_left_out_as_a_cluster_does_apart_from_names_that_it_has_not() -> None:
    document = yaml.safe_load(MINIMAL)
    document["status"] = {"phase": 7, "stages": [{"name": False}]}
    assert load_tournament(json.dumps(document)).status is None
    document["status"]["phases"] = "Mining"
    document["spec"]["suspend"] = 1
    assert [problem.partition(": ")[0] for problem in problems_of(json.dumps(document))] == [
        "spec.suspend", "status.phases",
    ]  # fmt: skip


@pytest.mark.parametrize("word", ["12:30", "1:30:00", "2024-01-01", "7e98765"])
def test_a_time_and_a_number_beyond_all_floats_are_texts_as_they_are_to_kubectl(word: str) -> None:
    assert load_tournament(MINIMAL.replace("{name: minimal}", f"{{name: minimal, annotations: {{a: {word}}}}}"))
    (problem,) = problems_of(MINIMAL + f"  seed: {word}\n")
    assert problem.endswith(f'given "{word}"')


@pytest.mark.parametrize("merged", ["*m", "[*m]", "{<<: *m}"])
def test_a_merge_key_that_kubectl_lets_replace_a_key_before_it_is_refused(merged: str) -> None:
    first, last = (f"a: &m {{x: 1}}\nb: {{{both}}}" for both in (f"<<: {merged}, x: 2", f"x: 2, <<: {merged}"))
    assert parse_yaml(first) == {"a": {"x": 1}, "b": {"x": 2}}
    assert parse_yaml(last.replace("{x: 2", "{z: 2"))["b"] == {"x": 1, "z": 2}
    (problem,) = problems_of(last)
    assert problem.startswith(
        'is not valid YAML: "x" is replaced by the << after it as kubectl reads it; write << first'
    )


def test_two_less_than_signs_are_a_text_as_a_value() -> None:
    assert parse_yaml("a: <<\nb: [<<]") == {"a": "<<", "b": ["<<"]}


@pytest.mark.parametrize(("word", "number"), [("1_0", 10), ("0_10", 8), ("+_1_0", 10), (".0_0", 0), ("1_0e1_", 100)])
def test_underscores_anywhere_in_a_number_are_left_out_as_kubectl_does(word: str, number: int) -> None:
    assert load_tournament(MINIMAL + f"  seed: {word}\n").spec.seed == number


@pytest.mark.parametrize(
    "word", [".inf", "-.inf", ".nan", "1" + "0" * 400, "0x" + "F" * 4000], ids=lambda word: word[:8]
)
def test_a_number_that_json_does_not_know_is_refused(word: str) -> None:
    (problem,) = problems_of(MINIMAL + f"  prices: {{gpus: [{word}]}}\n")
    assert problem.startswith("spec.prices.gpus[0]: must be a number that JSON knows, given ")


@pytest.mark.parametrize("line", ["  name: t\t", "  name:\tt", "\tname: t"])
def test_a_tab_is_named(line: str) -> None:
    with pytest.raises(ManifestError, match=r"has a tab: write blanks in its place \(line 2, column \d+\)"):
        parse_yaml(f"metadata:\n{line}\nspec: {{}}\n")
