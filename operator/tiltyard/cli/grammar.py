"""The command line's grammar: `COMMANDS` has a line for each command."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tiltyard.cli.arguments import (
    EXAMPLES,
    Parser,
    add_manifest,
    add_output,
    add_place,
    add_prices,
    add_state,
    named_path,
    place_of_results,
    positive,
)
from tiltyard.cli.cluster_arguments import add_operator, add_render
from tiltyard.cli.export import add_export
from tiltyard.cli.manifest_arguments import add_explain, add_init, add_schema, add_validate
from tiltyard.cli.view import add_show, add_view
from tiltyard.release import release

WRITE, RUN, RESULTS = "Write a manifest", "Run a tournament", "Look at results"
CLUSTER, SHELL = "On a cluster", "In your shell"
GROUPS = (WRITE, RUN, RESULTS, CLUSTER, SHELL)
"""The groups of commands in `tiltyard --help`, in order."""


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        name: as it is typed.
        group: one of GROUPS.
        summary: its line in `tiltyard --help`.
        does: module and function that do it, which is imported late: each command needs its own packages alone.
        add: adds its arguments.
        examples: a line each, for its own help.
        description: what is worth saying before its arguments (default: the summary).
    """

    name: str
    group: str
    summary: str
    does: str
    add: Callable[[argparse.ArgumentParser], None]
    examples: tuple[str, ...]
    description: str = ""

    def function(self) -> Callable[[argparse.Namespace], int]:
        """What does it; from its options to an exit code."""
        module, _, name = self.does.partition(":")
        function: Callable[[argparse.Namespace], int] = getattr(import_module(module), name)
        return function


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = _Top(prog="tiltyard", description="Run tournaments between language models.")
    top.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    for command in COMMANDS:
        says = command.description or f"{command.summary[:1].upper()}{command.summary[1:]}."
        examples = EXAMPLES + "".join(f"  {line}\n" for line in command.examples)
        one = commands.add_parser(command.name, help=command.summary, description=says, epilog=examples)
        command.add(one)
    return top


class _Top(Parser):
    """Shows the commands in groups."""

    def format_help(self) -> str:
        lines = [f"usage: {self.prog} COMMAND [ARGUMENTS]", "", f"{self.description}"]
        for group in GROUPS:
            lines += ["", f"{group}:"]
            lines += [f"  {each.name:<10}  {each.summary}" for each in COMMANDS if each.group == group]
        lines += ["", f"`{self.prog} COMMAND --help` shows a command's arguments, with examples."]
        lines += [f"`{self.prog} --version` prints the version."]
        return "\n".join(lines) + "\n"


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(f"{parser.prog} {release() or '(version unknown: a checkout that is not installed)'}")
        parser.exit()


def _plan(command: argparse.ArgumentParser) -> None:
    add_manifest(command)
    add_place(command)
    add_prices(command)
    command.add_argument(
        "--prompts",
        action="store_true",
        help="show instead the first prompt of each kind that each model would get, word for word; an endpoint is asked"
        " for its chat template, and generates no token",
    )
    add_output(command)


def _run(command: argparse.ArgumentParser) -> None:
    add_manifest(command)
    add_place(command)
    add_prices(command)
    command.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="worker processes at once (default: the number of cores, at least 2)",
    )
    command.add_argument("--vllm-python", metavar="PATH", help="the interpreter that has vLLM (default: this one)")
    command.add_argument("--train-python", metavar="PATH", help="the interpreter that has TRL (default: this one)")
    command.add_argument(
        "--lm-eval-python", metavar="PATH", help="the interpreter that has lm-eval (default: this one)"
    )
    command.add_argument(
        "--programs-python",
        type=named_path,
        action="append",
        default=[],
        metavar="BENCHMARK=PATH",
        help="the interpreter that has the libraries of a benchmark's programs; may be given more than once",
    )
    add_output(command)
    command.add_argument(
        "--progress",
        choices=["auto", "bars", "lines", "none"],
        default="auto",
        help="how progress is shown (default: auto)",
    )


def _status(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "manifest", type=Path, metavar="FILE", help="the Tournament's YAML file; with -n the Tournament's name"
    )
    command.add_argument(
        "-n", "--namespace", metavar="NS", help="the Tournament's namespace on the cluster of KUBECONFIG"
    )
    add_state(command)
    add_prices(command)
    command.add_argument(
        "-w",
        "--watch",
        action="store_true",
        help="show the progress until the run ends or stops, then its status; with -o json or yaml print each change",
    )
    add_output(command)


def _report(command: argparse.ArgumentParser) -> None:
    add_manifest(command)
    add_place(command)
    add_prices(command)
    command.add_argument(
        "--to", type=Path, metavar="DIR", help="copy report, tables, training data and trained model to this folder"
    )
    command.add_argument(
        "--battles",
        type=positive,
        nargs="?",
        const=1000,
        metavar="N",
        help="write at most N battles (default: 1000), those worth reading first, as pages beside the report",
    )
    add_output(command)


def _compare(command: argparse.ArgumentParser) -> None:
    add_manifest(command)
    command.add_argument("other", type=Path, metavar="OTHER", help="the other run's manifest")
    command.add_argument("--html", type=Path, metavar="PAGE", help="write what differs, and which battles, as a page")
    command.add_argument(
        "--battles", type=positive, metavar="N", help="name, or show on the page, N battles at most (default: 50)"
    )
    add_place(command)
    command.add_argument(
        "--other-out",
        type=place_of_results,
        metavar="DIR",
        help="the folder or bucket of the other run's results (default: --out, or else spec.output of OTHER, or else of"
        " FILE); a bucket is on the server that OTHER's spec.output names, or else AWS_ENDPOINT_URL_S3",
    )
    command.add_argument(
        "--other-profile",
        metavar="NAME",
        help="the profile of AWS's configuration files with the credentials for the other run's bucket (default: the"
        " same credentials as for the first)",
    )
    add_output(command)


def _calibrate(command: argparse.ArgumentParser) -> None:
    add_manifest(command)
    command.add_argument(
        "labels",
        metavar="LABELS",
        help="a file with the columns instruction_id, model_a, model_b and winner (model_a, model_b or tie), like"
        " tables/battles.parquet",
    )
    command.add_argument(
        "--part",
        metavar="PART",
        help="count only labels with this value in the column 'part'; `sample`, written by view --label, gives unbiased"
        " rates",
    )
    add_place(command)
    add_output(command)


def _completion(command: argparse.ArgumentParser) -> None:
    command.add_argument("shell", choices=["bash", "zsh", "fish"], help="the shell")


_HERE = "tiltyard.cli.commands"

COMMANDS = (
    Command(
        "init",
        WRITE,
        "write a first manifest from a template",
        "tiltyard.cli.init:init",
        add_init,
        (
            "tiltyard init",
            "tiltyard init mine.yaml --template one-gpu --model hf://ORG/A --model hf://ORG/B --model hf://ORG/C",
        ),
    ),
    Command(
        "validate",
        WRITE,
        "check a manifest; nothing is started",
        f"{_HERE}:validate",
        add_validate,
        ("tiltyard validate *.yaml", "kubectl get tournament quickstart -o yaml | tiltyard validate - -o json"),
    ),
    Command(
        "explain",
        WRITE,
        "explain a field of the manifest",
        "tiltyard.cli.explain:explain",
        add_explain,
        ("tiltyard explain spec.battles.verdict", "tiltyard explain spec.curation --recursive"),
    ),
    Command(
        "schema",
        WRITE,
        "print the JSON schema of the manifest, for editors, or of what a command prints",
        "tiltyard.cli.schema:schema",
        add_schema,
        ("tiltyard schema > tournament.schema.json", "tiltyard schema Plan"),
    ),
    Command(
        "plan",
        RUN,
        "show what a run would do: work, reuse, calls, tokens, model loads",
        f"{_HERE}:plan",
        _plan,
        ("tiltyard plan tournament.yaml --out results", "tiltyard plan tournament.yaml --prompts"),
    ),
    Command(
        "run",
        RUN,
        "run a tournament on this machine, or continue an interrupted one",
        f"{_HERE}:run",
        _run,
        (
            "tiltyard run tournament.yaml --out results",
            "tiltyard run tournament.yaml --out s3://bucket/prefix --vllm-python ~/vllm/bin/python",
        ),
    ),
    Command(
        "status",
        RUN,
        "show a run's progress, on this machine or (with -n) on a cluster",
        f"{_HERE}:status",
        _status,
        (
            "tiltyard status tournament.yaml",
            "tiltyard status tournament.yaml --watch",
            "tiltyard status -n research quickstart -o yaml",
        ),
    ),
    Command(
        "report",
        RESULTS,
        "print where the results are; with --to, copy them",
        f"{_HERE}:report",
        _report,
        ("tiltyard report tournament.yaml --out results", "tiltyard report tournament.yaml --out results --to copy"),
    ),
    Command(
        "view",
        RESULTS,
        "read a run's battles in a browser, while it runs or after",
        "tiltyard.cli.view:view",
        add_view,
        (
            "tiltyard view results",
            "tiltyard view tournament.yaml --out results",
            "tiltyard view s3://bucket/prefix/runs/af4041b349f0 --no-browser",
            "tiltyard view results --label labels.jsonl",
        ),
    ),
    Command(
        "show",
        RESULTS,
        "print battles of a run",
        "tiltyard.cli.view:show",
        add_show,
        ("tiltyard show results/runs/af4041b349f0 3f2a",),
    ),
    Command(
        "export",
        RESULTS,
        "write a complete run's training rows or tables in the format of another tool",
        "tiltyard.cli.export:export",
        add_export,
        (
            "tiltyard export results/runs/af4041b349f0 --to llamafactory --out rows",
            "tiltyard export tournament.yaml --from results --to csv --table battles --out tables",
        ),
    ),
    Command(
        "compare",
        RESULTS,
        "show how closely two runs agree, for example two juries on the same answers",
        "tiltyard.cli.comparison:compare",
        _compare,
        (
            "tiltyard compare first.yaml second.yaml --out results",
            "tiltyard compare first.yaml second.yaml --out results --html compared.html",
            "tiltyard compare first.yaml second.yaml --other-out s3://bucket/prefix --other-profile theirs",
        ),
    ),
    Command(
        "calibrate",
        RESULTS,
        "compare a run's judges with your labels: pairs of answers with the better one named",
        "tiltyard.cli.calibration:calibrate",
        _calibrate,
        ("tiltyard calibrate tournament.yaml labels.csv --out results",),
    ),
    Command(
        "completion",
        SHELL,
        "print a script with which bash, zsh or fish completes the command line",
        "tiltyard.cli.completion:completion",
        _completion,
        (
            "tiltyard completion bash > ~/.local/share/bash-completion/completions/tiltyard",
            "tiltyard completion zsh > ~/.zfunc/_tiltyard",
            "tiltyard completion fish > ~/.config/fish/completions/tiltyard.fish",
        ),
    ),
    Command(
        "render",
        CLUSTER,
        "print the objects that the operator would apply on a cluster, as YAML or JSON",
        "tiltyard.cli.render:render",
        add_render,
        (
            "tiltyard render tournament.yaml --namespace research > objects.yaml",
            "helm -n tiltyard get values tiltyard --all -o yaml | tiltyard render tournament.yaml -f -",
        ),
        "Print every object that the operator would apply for a Tournament, in the order of the plan, for"
        " review and policy checks. No cluster is contacted and no artifact is looked up, so each Job makes all"
        " of its parts, the Tournament's uid and the times at which models start are zeros, and the report's task"
        " contains no costs.",
    ),
    Command(
        "operator",
        CLUSTER,
        "run the operator, as the Helm chart does on a cluster",
        "tiltyard.cluster.run:operate",
        add_operator,
        ("tiltyard operator --worker-image ghcr.io/tiltyard/worker:0.1.0",),
    ),
)
"""Every command; another one is a line here, and a function that adds its arguments."""
