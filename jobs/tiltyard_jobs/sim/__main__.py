"""`python -m tiltyard_jobs.sim --uri 'sim://NAME?skill=0.7' --port 8000`: serve one simulated expert until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import math
import re
import signal
import socket
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from tiltyard_jobs.contracts.exit_codes import ExitCode
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.sim.faults import Fault, FaultPlan
from tiltyard_jobs.sim.parameters import SimParameters, parse_sim_uri
from tiltyard_jobs.sim.request_log import RequestLogWriter
from tiltyard_jobs.sim.server import ServerOptions, SimServer

_SERVED_NAME = re.compile(r"[A-Za-z0-9._:/@+-]{1,255}")
_GRACE_S = 5.0  # for the requests under way when the server is told to stop


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve one expert; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        parameters = parse_sim_uri(options.uri)
        model = options.served_model_name or parameters.name
        if not _SERVED_NAME.fullmatch(model):
            raise ConfigurationError(
                f"--served-model-name is {model!r}, but must be 1 to 255 letters, digits or signs of ._:/@+-"
            )
        faults = FaultPlan({fault: getattr(options, f"fault_{fault}") for fault in Fault}, options.fault_seed)
        listener = _listen(options.host, options.port)
        log = _open_log(options.request_log)
        tls = _tls(options.ssl_certfile, options.ssl_keyfile)
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.CONFIGURATION
    server_options = ServerOptions(
        model=model,
        faults=faults,
        latency_s=options.latency_ms / 1000,
        latency_per_token_s=options.latency_per_token_ms / 1000,
        max_running=options.max_num_seqs,
        retry_after_s=options.retry_after,
        log=log,
        headers=tuple(options.require_header),
    )
    try:
        asyncio.run(_serve(parameters, server_options, listener, tls))
    finally:
        if log is not None:
            log.close()
    return ExitCode.COMPLETE


async def _serve(
    parameters: SimParameters, options: ServerOptions, listener: socket.socket, tls: ssl.SSLContext | None
) -> None:
    server = SimServer(parameters, options)
    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    # A client that goes away ends its request, as in vLLM; so hanging requests do not pile up.
    runner = web.ServerRunner(
        web.Server(server.handle, handler_cancellation=True, access_log=None), shutdown_timeout=_GRACE_S
    )
    await runner.setup()
    await web.SockSite(runner, listener, backlog=1024, ssl_context=tls).start()
    host, port = listener.getsockname()[:2]
    scheme = "http" if tls is None else "https"
    print(f"listening on {scheme}://{f'[{host}]' if ':' in host else host}:{port}", flush=True)
    await told_to_stop.wait()
    server.stop()
    await runner.cleanup()


EVERYWHERE = "*"
"""All addresses, of IPv4 and of IPv6."""


def _listen(host: str, port: int) -> socket.socket:
    try:
        if host == EVERYWHERE:
            dual = socket.has_dualstack_ipv6()
            family = socket.AF_INET6 if dual else socket.AF_INET
            return socket.create_server(("", port), family=family, backlog=1024, dualstack_ipv6=dual)
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error


def _open_log(path: Path | None) -> RequestLogWriter | None:
    if path is None:
        return None
    try:
        return RequestLogWriter(path)
    except OSError as error:
        raise ConfigurationError(f"--request-log {path}: {error.strerror or error}") from error


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"--ssl-certfile {certificate}: {error.strerror or error}") from error
    return context


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} must be NAME: VALUE")
    return name.strip(), value.strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tiltyard_jobs.sim", description=__doc__, allow_abbrev=False)
    parser.add_argument("--uri", required=True, help="sim://NAME?parameter=value&…: who the expert is")
    parser.add_argument("--served-model-name", metavar="NAME", help="the name in requests; default: the URI's name")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=_Whole(0, 65_535), default=8000, help="0: a free one; it is printed")
    parser.add_argument("--request-log", type=Path, metavar="FILE", help="append a line for each request")
    parser.add_argument("--ssl-certfile", type=Path, metavar="FILE", help="serve TLS with this certificate (PEM)")
    parser.add_argument("--ssl-keyfile", type=Path, metavar="FILE", help="its key")
    parser.add_argument(
        "--require-header",
        type=_header,
        action="append",
        default=[],
        metavar="NAME: VALUE",
        help="answer 401 without it; may be repeated",
    )
    parser.add_argument("--latency-ms", type=_number, default=0.0, help="before each reply")
    parser.add_argument("--latency-per-token-ms", type=_number, default=0.0, help="more for each token written")
    parser.add_argument("--max-num-seqs", type=_Whole(1, 100_000), default=256, help="requests served at once")
    parser.add_argument("--retry-after", type=_Whole(0, 3_600), default=1, metavar="SECONDS", help="of a 429")
    parser.add_argument("--fault-seed", type=_Whole(0, 2**63 - 1), default=0)
    for fault in Fault:
        parser.add_argument(f"--fault-{fault}", type=_number, default=0.0, metavar="PROBABILITY", dest=f"fault_{fault}")
    return parser


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of at least 0")
    return value


class _Whole:
    """Reads a whole number between two bounds from the command line."""

    def __init__(self, low: int, high: int) -> None:
        self._low, self._high = low, high

    def __call__(self, text: str) -> int:
        """The number.

        Raises:
            argparse.ArgumentTypeError: it is none, or out of bounds.
        """
        if not text.isascii() or not text.isdigit() or not self._low <= int(text) <= self._high:
            raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from {self._low} to {self._high}")
        return int(text)


if __name__ == "__main__":
    sys.exit(main())
