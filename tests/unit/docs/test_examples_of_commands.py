"""Each command line of the README and of docs/ is run by a test, or has a reason.

Calls of `tiltyard` are run by tests/integration/local/test_quick_start.py, which has the reasons of those that are not;
here they are parsed by their own parser. An unknown program is refused: add it to `PROGRAMS`.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from support.documented_commands import COMMANDS
from support.documents import ROOT
from tiltyard.cli.main import parser
from tiltyard_jobs.sim.__main__ import _parser as expert_parser

CALLS = {f"{name}: {' '.join(call)}"[:120]: call for name, all_ in COMMANDS.items() for call in all_}
PROGRAMS = {
    *("aws", "cd", "cosign", "export", "git", "helm", "kubeconform", "kubectl", "kyverno", "make", "pip", "python"),
    *("python3", "tiltyard", ".venv/bin/tiltyard"),
}
PLACES = {
    "make demo": ("tests/integration/local/test_quick_start.py", '"quickstart.yaml"'),
    "make test": (".ci/run", "\nmake test\n"),
    "make cluster-up": ("tests/e2e/test_bring_up.py", '"cluster.up"'),
    "make cluster-down": ("tests/e2e/test_bring_up.py", 'command("down")'),
    'pip install ".[local]"': ("Makefile", "--extra local --group build -o requirements/local.txt"),
    "helm install tiltyard charts/tiltyard": ("tests/e2e/conftest.py", '"--install", "tiltyard"'),
    "helm upgrade tiltyard charts/tiltyard": ("tests/e2e/conftest.py", '"upgrade", "--install"'),
    "helm uninstall tiltyard": ("tests/e2e/conftest.py", 'helm("uninstall", "tiltyard"'),
    "kubectl -n tiltyard rollout status deployment/tiltyard": (
        "tests/integration/chart/test_chart.py", "rollout status deployment/",
    ),
    "kubectl apply -f examples/cluster.yaml": ("tests/e2e/test_cluster.py", '"cluster.yaml"'),
    "kubectl -n research apply -f examples/cluster.yaml": ("tests/e2e/test_cluster.py", '"cluster.yaml"'),
    "kubectl get tournament quickstart -o yaml": ("tests/e2e/test_cluster.py", '"get", "tournament"'),
    "kubectl -n research get tournament quickstart -o yaml": ("tests/e2e/test_cluster.py", '"get", "tournament"'),
    "kubectl get tournaments -w": ("tests/e2e/test_cluster.py", '"get", "tournaments"'),
    "kubectl -n research get tournaments -w": ("tests/e2e/test_cluster.py", '"get", "tournaments"'),
    "kubectl -n research wait --for=condition=Complete tournament/": ("tests/e2e/test_cluster.py", '"wait", "--for='),
    "kubectl -n research describe tournament quickstart": ("tests/e2e/test_cluster.py", '"describe", "tournament"'),
    "python -m tiltyard_jobs.sim": ("tests/integration/sim/process.py", '"-m", "tiltyard_jobs.sim"'),
    "python -m vllm.entrypoints.openai.api_server": ("tests/support/vllm_server.py", '"vllm.entrypoints.openai.api'),
}  # fmt: skip
"""Where the command that begins so, or the same with a test's own folders, is run, and the words that run it."""
REASONS = {
    "aws s3api put-bucket-lifecycle-configuration": "a setting of the user's bucket",
    "cosign verify": "asks Sigstore about a published image; tests/integration/release verifies with a key of its own",
    "export HF_TOKEN=": "a secret of the reader's",
    "export TILTYARD_SECRET_ATHENE_TOKEN=": "a secret of the reader's",
    "cd tiltyard": "a change of folder",
    "git clone https://github.com/tiltyard/tiltyard.git": "the repository that the tests are in",
    "git push origin": "publishes a release",
    "git tag -s": "publishes a release",
    "helm -n tiltyard get values": "reads a cluster's release; tests/unit/cli/test_render.py reads such values",
    "kubeconform ": "a program of other people's; interop tests check what is rendered",
    "kubectl -n research create secret": "a secret of the reader's",
    "kubectl create namespace": "a namespace of the reader's",
    "kubectl create secret": "a secret of the reader's",
    "kyverno apply": "the policies of the reader's cluster",
    'pip install ".[local,benchmarks]"': "the package datasets; requirements/worker-full.in has it too",
    'pip install ".[hub]"': "the package huggingface-hub; tests/interop/test_hub.py has it",
    'pip install ".[local,embeddings,benchmarks]"': "gigabytes of an index; requirements/worker-full.in has the same",
    "python bench/judging/": "recorded verdicts from a clone; the script is run by hand",
    "python3 -m venv ~/": "gigabytes of an index; tests run these programs from their locks",
    "~/lm-eval/bin/": "gigabytes of an index; tests run lm-evaluation-harness from its lock",
    "~/train/bin/": "gigabytes of an index; tests run TRL from its lock",
    "~/vllm/bin/": "gigabytes of an index; tests run vLLM from its lock",
}
"""Why no test runs the command that begins so."""


def known(call: list[str]) -> str | None:
    """The entry of the tables that a command begins with."""
    text = shlex.join(call)
    forms = (text, " ".join(call), re.sub(r"'(\S*)'", r'"\1"', text))
    return next((entry for entry in (*PLACES, *REASONS) if any(form.startswith(entry) for form in forms)), None)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_command_of_the_documents_is_run_or_has_a_reason(call: list[str]) -> None:
    assert call[0] in PROGRAMS or call[0].startswith("~/"), "an unknown program: see the top of this file"
    if call[0].endswith("tiltyard"):
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
            parser().parse_args(call[1:])
        assert said.getvalue() == ""
    else:
        assert known(call) is not None, "it needs an entry in PLACES or REASONS"
    if call[:3] == ["python", "-m", "tiltyard_jobs.sim"]:
        expert_parser().parse_args(call[3:])
    for word in call:
        if re.match(r"(examples|charts|bench)/", word):
            assert (ROOT / word).exists(), word


def test_every_entry_is_about_a_command_and_every_place_runs_it() -> None:
    used = {known(call) for call in CALLS.values()}
    assert {*PLACES, *REASONS} - used == set()
    assert {place for place, words in PLACES.values() if words not in Path(ROOT, place).read_text()} == set()
