"""Fetching a file from the Hugging Face hub or from an https:// address.

What a server says is not trusted: redirects lead to https:// (or stay on the host), a token never goes to another
host, and no more than a limit is written.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from tiltyard_jobs.contracts.textstream import PIECE
from tiltyard_jobs.errors import ConfigurationError, TransientError

_HUB = "https://huggingface.co"
LARGEST = 8 << 30  # bytes
_LONGEST_LISTING = 64 << 20  # of all files of a data set
_REDIRECTS = 5


class Patience(NamedTuple):
    """How often and how long a server is tried.

    Attributes:
        tries: after this many failures a file is given up.
        seconds: without a byte, in one try.
    """

    tries: int
    seconds: float


PATIENCE = Patience(tries=4, seconds=60.0)


class NoSuchFileError(ConfigurationError):
    """The server has no such file."""


def download(
    uri: str,
    path: Path,
    *,
    url: str | None = None,
    largest: int = LARGEST,
    patience: Patience = PATIENCE,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Fetch a file, a piece at a time.

    Args:
        uri: `https://…`, `hf://datasets/ORG/NAME@REVISION/PATH` or, of a model, `hf://ORG/NAME@REVISION/PATH`.
        path: where it is written.
        url: where it is fetched, if that is not what `address_of` says.
        largest: bytes that it may have.
        patience: with the server.
        sleep: waits the seconds given, between tries.

    Raises:
        NoSuchFileError: it is not there.
        ConfigurationError: it may not be read, is too large, or a redirect leads where none may.
        TransientError: the server cannot be reached, or fails.
    """
    url, token = url or address_of(uri), hub_token() if uri.startswith("hf://") else None
    request = request_of(url, token, "HF_TOKEN")
    opener = urllib.request.build_opener(Redirects())
    for attempt in range(patience.tries):
        try:
            _fetch(opener, request, uri, path, largest, patience.seconds)
            return
        except urllib.error.HTTPError as error:
            error.close()
            failed: ConfigurationError | TransientError = _answered(uri, error.code, token)
        except (OSError, http.client.HTTPException) as error:
            failed = _unanswered(uri, urlsplit(url).netloc, getattr(error, "reason", None) or error)
        if isinstance(failed, ConfigurationError) or attempt == patience.tries - 1:
            raise failed
        sleep(2.0**attempt)
    raise AssertionError("the last try raises")


def address_of(uri: str) -> str:
    """Where a file is fetched: of the hub that `HF_ENDPOINT` names, where the URI is one of its."""
    if not uri.startswith("hf://"):
        return uri
    repository, revision, path = _parts(uri)
    return f"{hub_address()}/{repository}/resolve/{revision}/{quote(unquote(path))}"


def hub_files(uri: str) -> tuple[str, list[str]]:
    """The commit that a URI's revision stands for, and the paths of all files of the data set there.

    Raises:
        ConfigurationError: as by `download`; or what answers is no hub.
        TransientError: likewise.
    """
    repository, revision, _ = _parts(uri)
    with tempfile.TemporaryDirectory(prefix="tiltyard-") as folder:
        listing = Path(folder) / "listing"
        download(uri, listing, url=f"{hub_address()}/api/{repository}/revision/{revision}", largest=_LONGEST_LISTING)
        try:
            found = json.loads(listing.read_bytes())
            return str(found["sha"]), [str(one["rfilename"]) for one in found["siblings"]]
        except (ValueError, TypeError, KeyError):
            raise ConfigurationError(
                f"{uri} cannot be listed: {hub_address()} does not answer as the hub does"
            ) from None


def _parts(uri: str) -> tuple[str, str, str]:
    """Of a URI of the hub the repository, the revision as it stands in an address, and the path."""
    place = uri.removeprefix("hf://")
    kind = "datasets/" if place.startswith("datasets/") else ""
    owner, rest = place.removeprefix(kind).split("/", 1)
    name, _, rest = rest.partition("@")
    revision, _, path = rest.partition("/")
    return f"{kind}{owner}/{name}", quote(unquote(revision), safe=""), path


def hub_address(mirror: str | None = None) -> str:
    """Where the hub is: the mirror that is given, what `HF_ENDPOINT` names, or huggingface.co."""
    return (mirror or os.environ.get("HF_ENDPOINT", _HUB)).rstrip("/")


def hub_token() -> str | None:
    """The token for gated and private data: `HF_TOKEN`, or what `hf auth login` left on this machine."""
    token = os.environ.get("HF_TOKEN", "").strip()
    try:
        home = os.environ.get("HF_HOME") or Path.home() / ".cache/huggingface"
        return token or Path(os.environ.get("HF_TOKEN_PATH") or Path(home) / "token").read_text().strip() or None
    except (OSError, UnicodeDecodeError, RuntimeError):  # RuntimeError: nobody's home is known here
        return token or None


def request_of(url: str, token: str | None, source: str) -> urllib.request.Request:
    """What is asked of a server.

    Args:
        url: the address.
        token: who asks, without blanks around it; None: anybody.
        source: where the token is from.

    Raises:
        ConfigurationError: no token is like that; the error does not show it, as one of `http.client` would.
    """
    request = urllib.request.Request(url)  # noqa: S310 - the scheme is known
    if token is not None:
        if not all(" " <= character <= "~" for character in token):
            raise ConfigurationError(
                f"the token for {urlsplit(url).netloc} has a line break or another character that no token has: check"
                f" {source}"
            )
        request.add_header("Authorization", f"Bearer {token}")
    return request


def _fetch(
    opener: urllib.request.OpenerDirector,
    request: urllib.request.Request,
    uri: str,
    path: Path,
    largest: int,
    seconds: float,
) -> None:
    written = 0
    with opener.open(request, timeout=seconds) as reply, path.open("wb") as file:
        length: int | None = reply.length  # None where the server does not say, or says what is no length
        while piece := reply.read(PIECE):
            written += len(piece)
            if written > largest or (length or 0) > largest:
                raise ConfigurationError(f"{uri} is larger than {largest >> 20} MiB: fetch a part of it yourself")
            file.write(piece)
    if length is not None and written < length:
        raise http.client.IncompleteRead(b"", length - written)


def _answered(uri: str, code: int, token: str | None) -> ConfigurationError | TransientError:
    """What an answer means that is no file."""
    if may_pass(code):
        return TransientError(f"{uri} cannot be fetched: the server answers {code}")
    if code in (401, 403) and uri.startswith("hf://"):
        held = "the token in HF_TOKEN may not read it" if token else "set HF_TOKEN to a token that may read it"
        return ConfigurationError(f"{uri} cannot be fetched (the hub answers {code}): {held}, or check the name")
    if code == 404:
        return NoSuchFileError(f"{uri} cannot be fetched: there is no such file: check the address")
    what = {401: "it asks for a login", 403: "it refuses access"}
    return ConfigurationError(f"{uri} cannot be fetched: {what.get(code, f'the server answers {code}')}")


def _unanswered(uri: str, host: str, reason: object) -> ConfigurationError | TransientError:
    """What it means that there was no answer, or half of one."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return ConfigurationError(f"{uri} cannot be fetched: {untrusted(host, reason)}")
    return TransientError(f"{uri} cannot be fetched from {host}: {reason}")


def may_pass(code: int) -> bool:
    """Whether a server that answers so may answer otherwise later."""
    return code in (408, 429) or code >= 500


def untrusted(host: str, error: ssl.SSLCertVerificationError) -> str:
    """What is wrong with a server's certificate, and what to do."""
    why = f"{error.verify_message}): name its authority's file in SSL_CERT_FILE"
    return f"the certificate of {host} is not trusted ({why}"


class Redirects(urllib.request.HTTPRedirectHandler):
    """Only to https://, or on the same host; without the token to any other."""

    max_redirections = _REDIRECTS

    def redirect_request(
        self,
        request: urllib.request.Request,
        reply: IO[bytes],
        code: int,
        message: str,
        headers: http.client.HTTPMessage,
        url: str,
    ) -> urllib.request.Request | None:
        """What is asked instead.

        Raises:
            ConfigurationError: it leads where none may.
        """
        here, there = urlsplit(request.full_url), urlsplit(url)
        same = (here.scheme, here.netloc) == (there.scheme, there.netloc)
        if there.scheme != "https" and not same:
            reply.close()
            raise ConfigurationError(
                f"{request.full_url} leads to {there.scheme}://{there.netloc}, and not to https://: it is not followed"
            )
        following = super().redirect_request(request, reply, code, message, headers, url)
        if following is not None and not same:
            following.remove_header("Authorization")
        return following
