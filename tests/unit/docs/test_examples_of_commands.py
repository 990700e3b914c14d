"""Each command line of the README and of docs/ is run by a test, parsed by its program's own parser, or has a reason.

A block of code counts as one of commands by its first word, so a block that begins with an unknown word is refused
here: add the word to `PROGRAMS`, or what it begins with to `NO_COMMANDS`.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.documents import FENCED, INDENTED, ROOT
from tiltyard.cli.main import parser
from tiltyard_jobs.sim.__main__ import _parser as expert_parser

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = {
    *("aws", "cd", "cosign", "export", "git", "helm", "kubeconform", "kubectl", "kyverno", "make", "pip", "python"),
    *("python3", "tiltyard", ".venv/bin/tiltyard"),
}
NO_COMMANDS = (
    *("<stage>/", "out/runs/<run>/", "runs/<run>/", "manifest.yaml\n", "manifest (YAML)\n", "sim://"),  # files, figures
    *("x(A > B)", "X(A > B)", "e(A)", "vote − ½"),  # formulas
    *(" PHASE ", "NAME ", "players in both "),  # what a command prints
)
FENCES_WITH_CODE = {"json", "python", "sql", "text", "yaml"}
"""Other tests are about these."""

PLACES = {
    "make demo": ("tests/integration/local/test_quick_start.py", '"quickstart.yaml"'),
    "make test": (".ci/run", "\nmake test\n"),
    "make cluster-up": ("tests/e2e/test_bring_up.py", '"cluster.up"'),
    "make cluster-down": ("tests/e2e/test_bring_up.py", 'command("down")'),
    ".venv/bin/tiltyard view demo": ("tests/support/read_runs.py", '"tiltyard", "view"'),
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
    "python -m vllm.entrypoints.openai.api_server": ("tests/support/vllm_server.py", '"vllm.entrypoints.openai.api'),
}  # fmt: skip
"""Where the command that begins so, or the same with a test's own folders, is run, and the words that run it."""
REASONS = {
    "aws s3api put-bucket-lifecycle-configuration": "a setting of the user's bucket",
    "cosign verify": "asks Sigstore about a published image; tests/integration/release signs with a stand-in",
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
    'pip install "tiltyard[': "the package is not published yet",
    "python bench/judging/": "recorded verdicts from a clone; the script is run by hand",
    "python3 -m venv ~/": "gigabytes of an index; tests run these programs from their locks",
    "~/lm-eval/bin/": "gigabytes of an index; tests run lm-evaluation-harness from its lock",
    "~/train/bin/": "gigabytes of an index; tests run TRL from its lock",
    "~/vllm/bin/": "gigabytes of an index; tests run vLLM from its lock",
}
"""Why no test runs the command that begins so."""


def lines(text: str) -> Iterator[str]:
    """The command lines of a document; what commands print stands behind an empty line, and is passed over."""
    assert {block.split("\n")[0].strip("`") for block in FENCED.findall(text)} <= FENCES_WITH_CODE
    for block in INDENTED.findall(FENCED.sub("", text)):
        code = re.sub(r"^ {4}", "", block, flags=re.MULTILINE)
        code = re.sub(r"^ {3}(?=git )", "", code, flags=re.MULTILINE)  # in an item of a list
        if re.match(r"(- )?[\w.-]+:(\s|$)|# yaml|  - name:|Instructions: ", code) or code.startswith(NO_COMMANDS):
            continue
        for part in code.split("\n\n"):
            if not part.startswith(NO_COMMANDS):
                yield from _joined(part.splitlines())


def _joined(written: list[str]) -> Iterator[str]:
    """Lines with those that continue them, after a backslash or within quotes, and without comments."""
    line = ""
    for each in written:
        line += re.sub(r"\s+#.*", "", each)
        if line.endswith("\\"):
            line = line[:-1]
        elif line.count("'") % 2 == 0:
            yield line.strip()
            line = ""
    assert line == "", "a line is not complete"


def calls(line: str) -> Iterator[list[str]]:
    """The programs that a line calls, each with its arguments, without what the shell does."""
    words = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    words.whitespace_split, words.commenters = True, ""
    call: list[str] = []
    into = False
    for word in [*words, "|"]:
        if word in ("|", "&&", ";"):
            yield call
            call = []
        elif word in (">", "<"):
            into = True
        elif into:
            into = False
        elif call or not re.match(r"[A-Z_]+=", word):
            call.append(word)


CALLS = {
    f"{path.name}: {' '.join(call)}"[:120]: call
    for path in DOCUMENTS
    for line in lines(path.read_text())
    for call in calls(line)
}


def known(call: list[str]) -> str | None:
    """The entry of the tables that a command begins with."""
    text = shlex.join(call)
    forms = (text, " ".join(call), re.sub(r"'(\S*)'", r'"\1"', text))
    return next((entry for entry in (*PLACES, *REASONS) if any(form.startswith(entry) for form in forms)), None)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_command_of_the_documents_is_run_or_parsed_or_has_a_reason(call: list[str]) -> None:
    assert call[0] in PROGRAMS or call[0].startswith("~/"), "an unknown program: see the top of this file"
    if call[0].endswith("tiltyard"):
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
            parser().parse_args(call[1:])
        assert said.getvalue() == ""
    elif call[:3] == ["python", "-m", "tiltyard_jobs.sim"]:
        expert_parser().parse_args(call[3:])
    else:
        assert known(call) is not None, "it needs an entry in PLACES or REASONS"
    for word in call:
        if re.match(r"(examples|charts|bench)/", word):
            assert (ROOT / word).exists(), word


def test_every_entry_is_about_a_command_and_every_place_runs_it() -> None:
    used = {known(call) for call in CALLS.values()}
    assert {*PLACES, *REASONS} - used == set()
    assert {place for place, words in PLACES.values() if words not in Path(ROOT, place).read_text()} == set()
