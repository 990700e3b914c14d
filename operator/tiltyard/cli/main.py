"""`tiltyard validate | plan | run | status | report | compare | render | operator`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote

WRONG_INPUT, INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0: done. 1: the tournament failed. 2: the input is wrong, with a sentence for each mistake. 130: interrupted.
    """
    options = parser().parse_args(arguments)
    try:
        # Late, so that Ctrl-C is answered with a sentence from here on, and each place needs its own packages alone.
        if options.command == "operator":
            from tiltyard.cluster.run import operate

            return operate(options)
        from tiltyard.api import ManifestError
        from tiltyard.cli.errors import UserError

        try:
            return _command(options.command)(options)
        except (ManifestError, UserError) as error:
            print(error, file=sys.stderr)
            return WRONG_INPUT
    except KeyboardInterrupt:
        print("stopped; run the same command again to continue", file=sys.stderr)
        return INTERRUPTED


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    if name == "render":
        from tiltyard.cli.render import render

        return render
    from tiltyard.cli.commands import COMMANDS

    return COMMANDS[name]


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(prog="tiltyard", description="Run tournaments between language models.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    validate = commands.add_parser("validate", help="check a manifest; nothing is started")
    _manifest(validate)

    plan = commands.add_parser("plan", help="show what a run would do: work, reuse, calls, tokens, model loads")
    _manifest(plan)
    _place(plan)
    plan.add_argument(
        "--prompts",
        action="store_true",
        help="show instead the first prompt of each kind that each model would get, word for word; asks no server",
    )
    plan.add_argument("--output", choices=["table", "json"], default="table", help="default: table")

    run = commands.add_parser("run", help="run a tournament on this machine, or continue an interrupted one")
    _manifest(run)
    _place(run)
    run.add_argument(
        "--workers", type=_positive, metavar="N", help="worker processes at once (default: the cores, at least 2)"
    )
    run.add_argument("--vllm-python", metavar="PATH", help="the interpreter that has vLLM (default: this one)")
    run.add_argument("--train-python", metavar="PATH", help="the interpreter that has TRL (default: this one)")
    run.add_argument("--lm-eval-python", metavar="PATH", help="the interpreter that has lm-eval (default: this one)")
    run.add_argument(
        "--programs-python",
        type=_named_path,
        action="append",
        default=[],
        metavar="BENCHMARK=PATH",
        help="the interpreter that has the libraries of a benchmark's programs; may be given more than once",
    )
    run.add_argument("--progress", choices=["auto", "bars", "lines", "none"], default="auto", help="default: auto")

    status = commands.add_parser("status", help="show a run's progress, on this machine or (with -n) on a cluster")
    status.add_argument("manifest", type=Path, metavar="FILE", help="the Tournament, YAML; with -n its name")
    status.add_argument(
        "-n", "--namespace", metavar="NS", help="the Tournament's namespace on the cluster of KUBECONFIG"
    )
    _state(status)
    status.add_argument("--output", choices=["table", "json"], default="table", help="default: table")

    report = commands.add_parser("report", help="print where the results are; with --to, copy them")
    _manifest(report)
    _place(report)
    report.add_argument(
        "--to", type=Path, metavar="DIR", help="copy report, tables, training data and trained model to this folder"
    )

    compare = commands.add_parser(
        "compare", help="show how far two runs agree, for example two juries on the same answers"
    )
    _manifest(compare)
    compare.add_argument("other", type=Path, metavar="OTHER", help="the other run's manifest, with the same output")
    _place(compare)

    render = commands.add_parser(
        "render",
        help="print the objects that the operator would apply on a cluster, as YAML or JSON",
        description="Print every object that the operator would apply for a Tournament, in the order of the plan, for"
        " review and policy checks. No cluster is contacted and no artifact is looked up, so each Job makes all"
        " of its parts, the Tournament's uid and the times at which models start are zeros, and the report's task"
        " contains no costs.",
    )
    _manifest(render)
    _render(render)

    operator = commands.add_parser("operator", help="run the operator, as the Helm chart does on a cluster")
    _operator(operator)
    return top


def _manifest(command: argparse.ArgumentParser) -> None:
    command.add_argument("manifest", type=Path, metavar="FILE", help="the Tournament, YAML")


def _render(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-n",
        "--namespace",
        type=_namespace,
        metavar="NS",
        help="the namespace if the manifest has none (default: default)",
    )
    command.add_argument(
        "-f",
        "--values",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="the chart's values (images and more); - is standard input; may be given more than once, as with helm"
        " (default: the chart's own values)",
    )
    command.add_argument("-o", "--output", choices=["yaml", "json"], default="yaml", help="default: yaml")
    command.add_argument(
        "--check",
        action="store_true",
        help='validate each object against the typed models of kserve and kubernetes; needs "tiltyard[render]"',
    )


def _operator(command: argparse.ArgumentParser) -> None:
    several = "may be given more than once"
    command.add_argument(
        "--namespace", action="append", default=[], metavar="NS", help=f"watch this namespace instead of all; {several}"
    )
    command.add_argument("--worker-image", required=True, metavar="IMAGE", help="the image of the workers")
    command.add_argument(
        "--trainer-image", default="", metavar="IMAGE", help="the image with TRL (default: --worker-image)"
    )
    command.add_argument("--trainer-python", metavar="PATH", help="the interpreter in that image that has TRL")
    command.add_argument(
        "--lm-eval-image", default="", metavar="IMAGE", help="the image with lm-eval (default: --worker-image)"
    )
    command.add_argument("--lm-eval-python", metavar="PATH", help="the interpreter in that image that has lm-eval")
    command.add_argument("--worker-image-pull-policy", default="IfNotPresent", metavar="POLICY")
    command.add_argument("--worker-image-pull-secret", action="append", default=[], metavar="NAME", help=several)
    command.add_argument(
        "--children", default="{}", metavar="JSON", help="the chart's value `children`: what all children have"
    )
    command.add_argument("--cluster-domain", default="cluster.local", metavar="DOMAIN", help="default: cluster.local")
    command.add_argument(
        "--lease",
        type=_lease,
        metavar="NS/NAME",
        help="of several operators only the one that holds this Lease works (default: this one works)",
    )
    command.add_argument(
        "--port", type=int, default=8080, help="the port of /metrics, /healthz and /readyz (default: 8080)"
    )
    command.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])


def _state(command: argparse.ArgumentParser) -> None:
    command.add_argument("--state", type=Path, metavar="DIR", help="logs and unfinished work (default: .tiltyard/NAME)")


def _place(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--out",
        type=_place_of_results,
        metavar="DIR",
        help="a folder for the results instead of spec.output, or a bucket: s3://BUCKET/PREFIX, on the server of"
        " spec.output, or else of AWS's own variables",
    )
    _state(command)


def _place_of_results(text: str) -> Path | str:
    scheme, colon, rest = text.partition(":")
    if not colon or not rest.startswith("/") or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+", scheme):
        return Path(text)
    if scheme == "file" and rest.startswith("///"):
        return Path(unquote(rest[2:]))
    if scheme == "s3" and re.fullmatch(r"//[A-Za-z0-9][A-Za-z0-9._-]{1,254}(/[^\s?#]*)?", rest):
        return text
    raise argparse.ArgumentTypeError(f"must be a folder, file:///PATH or s3://BUCKET/PREFIX, given {text}")


def _named_path(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not name or not equals or not path:
        raise argparse.ArgumentTypeError(f"must be BENCHMARK=PATH, given {text}")
    return name, path


def _namespace(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", text):
        raise argparse.ArgumentTypeError(f"must be a DNS label of at most 63 characters (a-z, 0-9, -), given {text}")
    return text


def _lease(text: str) -> tuple[str, str]:
    namespace, _, name = text.partition("/")
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", name):
        raise argparse.ArgumentTypeError(f"must be NAMESPACE/NAME, given {text}")
    return _namespace(namespace), name


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, given {text}")
    return number
