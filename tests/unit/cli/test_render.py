"""`tiltyard render`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from support.examples import EXAMPLES
from support.manifests import manifest
from tiltyard.api.yamlfile import parse_yaml
from tiltyard.cli import main
from tiltyard.cli.render import as_yaml
from tiltyard.render.children import Child

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples/cluster.yaml"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A manifest for a cluster."""
    path = tmp_path / "tournament.yaml"
    document = manifest(2, judges=1, output={"s3": {"uri": "s3://bucket", "secretRef": {"name": "bucket-key"}}})
    path.write_text(yaml.safe_dump(document))
    return path


def rendered(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main(["render", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def documents(text: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text))


def test_a_stream_of_objects_that_says_what_each_is_for(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = rendered(capsys, file)
    parts = text.split("---\n")
    assert parts[0] == ""
    assert parts[1].startswith("# preflight\napiVersion: v1\nkind: ConfigMap\n")
    said = [part.partition("\n")[0] for part in parts[1:]]
    for purpose, document in zip(said, documents(text), strict=True):
        if document["kind"] == "Job":
            name = document["metadata"]["annotations"]["tiltyard.dev/bundle"]
            assert purpose == ("# preflight" if name == "preflight" else f"# bundle {name}")
            assert document["metadata"]["labels"]["tiltyard.dev/stage"] == name.partition("/")[0]
    assert {"# model m0", "# bundle judge/j0/m0", "# bundle report"} <= set(said)
    assert "&id" not in text


def test_the_same_bytes_at_each_call(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for output in ("yaml", "json"):
        assert rendered(capsys, file, "-o", output) == rendered(capsys, file, "-o", output)


def test_json_is_one_list_of_the_same_objects(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(rendered(capsys, file, "-o", "json"))
    assert (found["apiVersion"], found["kind"]) == ("v1", "List")
    assert found["items"] == documents(rendered(capsys, file))


def test_zeros_stand_for_what_the_cluster_gives(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for document in documents(rendered(capsys, file)):
        assert document["metadata"]["namespace"] == "default"
        (owner,) = document["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"]) == ("Tournament", "test")
        assert owner["uid"] == "00000000-0000-0000-0000-000000000000"


def test_a_tournament_of_a_cluster_keeps_its_uid(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = yaml.safe_load(file.read_text())
    document["metadata"] |= {"namespace": "arena", "uid": "u-1", "generation": 3, "resourceVersion": "7"}
    file.write_text(yaml.safe_dump({**document, "status": {"phase": "Mining", "observedGeneration": 3}}))
    for given_namespace in ([], ["-n", "arena"]):
        for child in documents(rendered(capsys, file, *given_namespace)):
            assert child["metadata"]["namespace"] == "arena"
            assert child["metadata"]["ownerReferences"][0]["uid"] == "u-1"
    assert main(["render", str(file), "-n", "other"]) == 2
    assert "--namespace other: the manifest has metadata.namespace arena" in capsys.readouterr().err


def test_the_namespace_is_in_the_urls_of_models(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "-predictor.arena.svc.cluster.local/v1" in rendered(capsys, file, "-n", "arena")


def test_images_are_the_charts(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"worker": {"image": {"repository": "mirror.example/worker", "tag": "7"}}}))
    pods = [
        document["spec"]["template"]["spec"]
        for document in documents(rendered(capsys, file, "--values", values))
        if document["kind"] == "Job"
    ]
    assert {pod["containers"][0]["image"] for pod in pods} == {"mirror.example/worker:7"}


def test_no_secret_is_read(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    document = yaml.safe_load(file.read_text())
    endpoint = {"url": "http://m0/v1", "model": "m", "apiKeySecretRef": {"name": "keys", "key": "token"}}
    document["spec"]["competitors"][0] = {"name": "m0", "chatTemplatePrefix": "<user>", "endpoint": endpoint}
    file.write_text(yaml.safe_dump(document))
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "TILTYARD_SECRET_KEYS_TOKEN"):
        monkeypatch.setenv(variable, "canary")
    text = rendered(capsys, file)
    assert "canary" not in text
    for document in documents(text):
        if document["kind"] == "Job":
            (worker,) = document["spec"]["template"]["spec"]["containers"]
            names = re.compile(r"TILTYARD_SECRET_|(?!TILTYARD_)")
            secrets = [one for one in worker["env"] if names.match(one["name"])]
            assert secrets
            assert all(set(one) == {"name", "valueFrom"} and "secretKeyRef" in one["valueFrom"] for one in secrets)


def test_the_example_for_a_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = [document["kind"] for document in documents(rendered(capsys, EXAMPLE))]
    assert (kinds.count("InferenceService"), kinds.count("Job"), kinds.count("ConfigMap")) == (5, 69, 69)


BUCKET = "spec.output: is missing; on a cluster set output.s3.uri to a bucket"
READABLE = "must be s3://BUCKET/KEY, hf://datasets/… or https://… on a cluster, which cannot read files of this machine"
NO_FOLDER = "must not be file:// on a cluster; use hf://, s3://, pvc://, gs://, oci:// or https://"
REFUSED = {
    "endpoints": [f'spec.instructions.from.uri: {READABLE}, given "prompts.jsonl"', BUCKET],
    "existing-answers": [
        f'spec.competitors[0].answers.uri: {READABLE}, given "answers.json"',
        f'spec.competitors[1].answers.uri: {READABLE}, given "completions.jsonl"',
        f'spec.instructions.from.uri: {READABLE}, given "prompts.jsonl"',
        BUCKET,
    ],
    "one-gpu": [BUCKET],
    "quickstart": [BUCKET],
    "real-models": [
        f'spec.competitors[0].model.uri: {NO_FOLDER}, given "file://./../models/qwen-coder-0.5b"',
        f'spec.competitors[1].model.uri: {NO_FOLDER}, given "file://./../models/qwen-coder-1.5b"',
        f'spec.competitors[2].model.uri: {NO_FOLDER}, given "file://./../models/gemma-3-270m"',
        BUCKET,
    ],
    "warriorcoder": [BUCKET],
}
"""Examples for one machine: what a cluster needs of each."""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_rendered_or_told_what_a_cluster_needs(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentences = REFUSED.get(example.stem, [])
    assert main(["render", str(example)]) == (2 if sentences else 0)
    out, err = capsys.readouterr()
    assert (out == "") is bool(sentences)
    assert err.splitlines() == [f"{example}: {sentence}" for sentence in sentences]


def test_a_manifest_with_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tournament.yaml"
    file.write_text(yaml.safe_dump(manifest(3, jobs={"shardSize": 0})))
    assert main(["render", str(file)]) == 2
    assert capsys.readouterr().err.startswith(f"{file}: spec.jobs.shardSize: ")


def test_a_check_without_its_packages(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kserve", None)
    assert main(["render", str(file), "--check"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == '--check needs more packages (kserve): pip install "tiltyard[render]"\n'


def test_it_needs_no_package_of_an_extra(file: Path) -> None:
    extras = ["aiohttp", "boto3", "jinja2", "kserve", "kubernetes", "numpy", "orjson", "prometheus_client", "pyarrow"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({[*extras, 'rich', 'scipy', 'xxhash']}));"
        f" from tiltyard.cli import main; sys.exit(main(['render', {str(file)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("text", ["1e3", "123456789e12", "0x1f", "0o14", "1_000", "+1", "12:30", ".5", "1.", "y", "N"])
def test_a_text_that_another_reader_takes_for_something_else_is_in_quotes(text: str) -> None:
    assert f"a: '{text}'\n" in as_yaml([Child("x", {"a": text})])


TEXTS = st.text(max_size=12)
VALUES = TEXTS | st.integers() | st.booleans() | st.lists(TEXTS, max_size=2)


@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4))
def test_what_is_written_is_what_is_read(body: dict[str, Any]) -> None:
    text = as_yaml([Child("x", body), Child("y", body)])
    assert documents(text) == [body, body]
    assert parse_yaml(as_yaml([Child("x", body)])) == body  # as Kubernetes reads it: `1e3` is a number there
