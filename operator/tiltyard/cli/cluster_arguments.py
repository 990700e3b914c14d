"""The arguments of `tiltyard operator`, which the chart gives it, and of `tiltyard render`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from tiltyard.api.serving import KSERVE_RUNTIME
from tiltyard.cli.arguments import add_manifest, namespace, positive
from tiltyard.render.cluster import GIVE_BACK_SECONDS


def add_operator(command: argparse.ArgumentParser) -> None:
    """Add the arguments of `tiltyard operator`."""
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
    command.add_argument(
        "--worker-image-pull-policy",
        default="IfNotPresent",
        metavar="POLICY",
        help="Always, IfNotPresent or Never (default: IfNotPresent)",
    )
    command.add_argument(
        "--worker-image-pull-secret",
        action="append",
        default=[],
        metavar="NAME",
        help=f"a Secret with which the workers' image is pulled; {several}",
    )
    command.add_argument(
        "--children", default="{}", metavar="JSON", help="the chart's value `children`: what all children have"
    )
    command.add_argument(
        "--tenants", default="{}", metavar="JSON", help="the chart's value `tenants`: what Tournaments may request"
    )
    command.add_argument(
        "--serving-runtime",
        default=KSERVE_RUNTIME,
        metavar="NAME",
        help=f"KServe's runtime of models that name none (default: {KSERVE_RUNTIME})",
    )
    command.add_argument(
        "--serving-runtime-cpu", default="", metavar="NAME", help="likewise, without a GPU (default: --serving-runtime)"
    )
    command.add_argument(
        "--give-back-after",
        type=positive,
        default=int(GIVE_BACK_SECONDS),
        metavar="SECONDS",
        help="how long a model of a queue may hold its nodes at most while none of its Jobs runs"
        f" (default: {GIVE_BACK_SECONDS:.0f})",
    )
    command.add_argument(
        "--read-queues", action="store_true", help="report what Kueue's Workloads say of what a queue holds"
    )
    command.add_argument(
        "--cluster-domain",
        default="cluster.local",
        metavar="DOMAIN",
        help="the cluster's DNS domain (default: cluster.local)",
    )
    command.add_argument(
        "--lease",
        type=_lease,
        metavar="NS/NAME",
        help="of several operators only the one that holds this Lease works (default: this one works)",
    )
    command.add_argument(
        "--port", type=int, default=8080, help="the port of /metrics, /healthz and /readyz (default: 8080)"
    )
    command.add_argument(
        "--log-level",
        default="info",
        choices=["debug", "info", "warning", "error"],
        help="how much is logged (default: info)",
    )


def _lease(text: str) -> tuple[str, str]:
    place, _, name = text.partition("/")
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", name):
        raise argparse.ArgumentTypeError(f"must be NAMESPACE/NAME, given {text}")
    return namespace(place), name


def add_render(command: argparse.ArgumentParser) -> None:
    """Add the arguments of `tiltyard render`."""
    add_manifest(command)
    command.add_argument(
        "-n",
        "--namespace",
        type=namespace,
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
    command.add_argument(
        "-o", "--output", choices=["yaml", "json"], default="yaml", help="the format of the objects (default: yaml)"
    )
    command.add_argument(
        "--check",
        action="store_true",
        help='validate each object against the typed models of kserve and kubernetes; needs "tiltyard[render]"',
    )
