"""The seam to the network: bytes out, status and bytes back.

`HttpTransport` is aiohttp's client without what a call to a model does not need. pyreqwest 0.15, which is Rust-backed,
was measured beside it (bench/worker): half to nine tenths of its CPU time on asyncio's own loop. But it is a beta of
one maintainer, runs threads of its own, and in one of some twenty runs aborted the interpreter at exit; so aiohttp
stays. Whoever wants another implements `Transport`, which is all that the client knows.
"""

from __future__ import annotations

import asyncio
import codecs
import math
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.llm.proxy import WANTS_CREDENTIALS, proxy_for

MAX_REPLY_BYTES = 4 * 1024 * 1024
# Idle connections go before uvicorn, vLLM's server, drops them at 5 s: no request then meets a closing one.
KEEP_ALIVE_SECONDS = 4.0
# Room in the pool beside the limiter's slots: model lists, tokenisation.
SPARE_CONNECTIONS = 2
# A gateway's mistake must not put a worker to sleep for a day.
LONGEST_RETRY_AFTER = 120.0
_IN_MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")
_GREETING_SECONDS = 5.0
_LONGEST_LOCATION = 300  # characters
_LONGEST_HEADER = 64 * 1024  # bytes; gateways send policies of more than aiohttp's 8 KiB
_HIDDEN, _LEAST_HIDDEN = b"(not shown)", 6  # characters: shorter ones are words that stand in any text
# X509_V_ERR_CERT_NOT_YET_VALID, _CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH
_NO_MATTER_OF_AUTHORITY = frozenset({9, 10, 62, 64})
# What nginx and Go answer to a plain request where they expect TLS.
_PLAIN_TO_TLS = re.compile(rb"HTTP request (?:was sent )?to (?:an )?HTTPS (?:port|server)")


class Reply(NamedTuple):
    """A whole HTTP reply.

    Attributes:
        status: the HTTP status.
        body: the bytes as sent, without a byte order mark, at most the transport's cap.
        retry_after: seconds that the server asks to wait, in [0, 120]; None where it asks nothing.
        location: where a redirect leads: scheme, host and path alone, in ASCII; empty where it leads nowhere.
    """

    status: int
    body: bytes
    retry_after: float | None = None
    location: str = ""


class TransportError(Exception):
    """No whole reply came back. The message holds neither the body nor a credential.

    Attributes:
        advice: what to do about it; empty where it says nothing of its own.
    """

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class ConnectFailed(TransportError):
    """No connection: the name does not resolve, the port refuses, or connecting took too long."""


class NobodyListens(ConnectFailed):
    """The server's port refuses: no process serves it now."""


class TimedOut(TransportError):
    """The reply did not come within the time-out."""


class ConnectionCut(TransportError):
    """The connection broke, or what came over it was no HTTP."""


class ReplyTooLarge(TransportError):
    """The reply is larger than the cap; the rest of it was not read."""


class Transport(Protocol):
    """How a client reaches its server. Paths begin with '/' and are relative to the server's root."""

    async def post(self, path: str, body: bytes) -> Reply:
        """Send a JSON body.

        Raises:
            TransportError: one of its subclasses.
        """
        ...

    async def get(self, path: str) -> Reply:
        """Fetch; raises as `post` does."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


@dataclass(frozen=True, slots=True)
class TimeOuts:
    """Time-outs of one request, in seconds: for the connection, and for everything from send to the last byte."""

    connect: float = 10.0
    total: float = 600.0


class HttpTransport:
    """`Transport` over HTTP/1.1 with kept connections; made inside a running event loop, closed with `aclose`.

    Args:
        root: scheme, host, port and path prefix of the server, such as `https://gateway.example/openai`.
        max_connections: the pool's size.
        api_key_env: the environment variable that holds the bearer token; None sends none.
        ca_bundle: a PEM file of the authorities to trust in place of the system's.
        headers: sent with each request, besides our own.
        header_env: likewise; by header the environment variable that holds its value.
        time_outs: when a request is given up.
        max_reply_bytes: a larger reply is cut off and raises ReplyTooLarge.

    Raises:
        ConfigurationError: the URL, the variable or the bundle cannot be used.
    """

    def __init__(
        self,
        root: str,
        *,
        max_connections: int,
        api_key_env: str | None = None,
        ca_bundle: Path | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        header_env: Mapping[str, str] = MappingProxyType({}),
        time_outs: TimeOuts | None = None,
        max_reply_bytes: int = MAX_REPLY_BYTES,
    ) -> None:
        self._root = _parse_root(root)
        self._proxy = proxy_for(self._root)
        self._proxy_url = self._proxy.url if self._proxy is not None else None
        # Until the first reply: most servers break off without a word where they expect TLS.
        self._tls_in_question = self._root.scheme == "http" and self._proxy is None
        self._max_reply_bytes = max_reply_bytes
        self._urls: dict[str, URL] = {}
        time_outs = time_outs or TimeOuts()
        sent = CIMultiDict({"Content-Type": "application/json", "Accept-Encoding": "identity", **headers})
        secrets = {name: _secret(variable, f"header {name}") for name, variable in header_env.items()}
        sent.update(secrets)
        if api_key_env is not None:
            secrets["Authorization"] = _secret(api_key_env, "API key")
            sent["Authorization"] = f"Bearer {secrets['Authorization']}"
        # What a server repeats of them in an error is not shown. The longest first: one may be a part of another.
        values = (value.encode() for value in (*secrets.values(), *headers.values()) if len(value) >= _LEAST_HIDDEN)
        self._hidden = sorted(values, key=len, reverse=True)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=max_connections + SPARE_CONNECTIONS,
                keepalive_timeout=KEEP_ALIVE_SECONDS,
                ssl=_ssl_context(ca_bundle) if ca_bundle is not None else True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=sent,
            skip_auto_headers=("Accept",),
            max_field_size=_LONGEST_HEADER,
            timeout=aiohttp.ClientTimeout(total=time_outs.total, sock_connect=time_outs.connect),
        )

    async def post(self, path: str, body: bytes) -> Reply:
        """See `Transport.post`."""
        return await self._request("POST", path, body)

    async def get(self, path: str) -> Reply:
        """See `Transport.get`."""
        return await self._request("GET", path, None)

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        await self._session.close()

    async def _request(self, method: str, path: str, body: bytes | None) -> Reply:
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = self._root.with_path(self._root.path.rstrip("/") + path)
        try:
            # A redirect is never followed: it would take the bearer token to wherever the server says.
            response = await self._session.request(method, url, data=body, allow_redirects=False, proxy=self._proxy_url)
            try:
                data = await self._read(response)
            except BaseException:
                response.close()
                raise
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            if self._tls_in_question and not isinstance(error, aiohttp.ClientConnectorError):
                self._tls_in_question = False
                if await _greets_in_tls(self._root):
                    raise self._expects_tls() from error
            raise self._fault(error) from error
        self._tls_in_question = False
        data = data.removeprefix(codecs.BOM_UTF8)
        if self._proxy is not None and response.status == WANTS_CREDENTIALS:
            raise self._proxy.refusal(self._root.host, response.status)
        if response.status == 400 and self._root.scheme == "http" and _PLAIN_TO_TLS.search(data):
            raise self._expects_tls()
        headers = response.headers
        retry_after = _retry_after(headers) if response.status >= 400 else None
        if response.status >= 400:
            for value in self._hidden:
                data = data.replace(value, _HIDDEN)
        return Reply(response.status, data, retry_after, _location(response) if 300 <= response.status < 400 else "")

    def _fault(self, error: Exception) -> TransportError | ConfigurationError:
        """What went wrong between here and there, in words that tell where to look."""
        place = f"{self._root.host_subcomponent}:{self._root.port}"
        through = f" through {self._proxy}" if self._proxy is not None else ""
        match error:
            case aiohttp.ClientConnectorCertificateError():
                return _distrust(place, error.certificate_error)
            case aiohttp.ClientConnectorSSLError():
                if _speaks_no_tls(error):
                    return ConfigurationError(f"{place} does not speak TLS: write http:// in place of https://")
                return ConnectFailed(f"TLS with {place} failed ({error.strerror or type(error).__name__}){through}")
            case aiohttp.ClientHttpProxyError() if self._proxy is not None:
                if error.status in (WANTS_CREDENTIALS, 403):
                    return self._proxy.refusal(self._root.host, error.status)
                what = f"no connection to {place}{through}, which answers HTTP {error.status}"
                return ConnectFailed(what, self._proxy.advice(self._root.host))
            case aiohttp.ClientConnectorDNSError():
                if self._proxy is None:
                    advice = "correct the URL, or the DNS of this machine"
                    return ConnectFailed(f"the host name {self._root.host} is unknown", advice)
                what = f"the host name {self._proxy.url.host}, of {self._proxy}, is unknown"
                return ConnectFailed(what, self._proxy.advice(self._root.host))
            case aiohttp.ClientProxyConnectionError() if self._proxy is not None:
                what = f"no connection to {self._proxy} ({_reason(error)})"
                return ConnectFailed(what, self._proxy.advice(self._root.host))
            case aiohttp.ClientConnectorError():
                kind = NobodyListens if isinstance(error.os_error, ConnectionRefusedError) else ConnectFailed
                return kind(f"no connection to {place} ({_reason(error)})")
            case aiohttp.ConnectionTimeoutError():
                return ConnectFailed(f"no connection to {place}{through} in time")
            case TimeoutError():
                return TimedOut(f"{self._root.host}{through} did not answer in time")
        return _cut(f"{self._root.host}{through}", error)

    def _expects_tls(self) -> ConfigurationError:
        return ConfigurationError(
            f"{self._root.host_subcomponent}:{self._root.port} expects TLS: write https:// in place of http://"
        )

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """The body, read no further than the cap."""
        content = response.content
        if (response.content_length or 0) > self._max_reply_bytes:
            raise ReplyTooLarge(f"the reply is larger than {self._max_reply_bytes} bytes")
        data = await content.readany()
        if content.at_eof():  # a small reply comes in one piece
            return data
        parts, size = [data], len(data)
        while not content.at_eof():
            data = await content.readany()
            parts.append(data)
            size += len(data)
            if size > self._max_reply_bytes:
                raise ReplyTooLarge(f"the reply is larger than {self._max_reply_bytes} bytes")
        return b"".join(parts)


def _cut(host: str, error: Exception) -> ConnectionCut:
    match error:
        case aiohttp.ServerDisconnectedError():
            return ConnectionCut(f"{host} broke off without a reply")
        case aiohttp.ClientPayloadError():
            return ConnectionCut(f"{host} broke off in the middle of a reply")
        case aiohttp.ClientResponseError() if "content-encoding" in error.message:
            what = f"{host} compresses its replies in a form that was not asked for"
            return ConnectionCut(what, "turn compression off there")
        case aiohttp.ClientResponseError():
            return ConnectionCut(f"what {host} replies is not HTTP", "give the URL of an API like OpenAI's")
    return ConnectionCut(f"{host} broke off ({type(error).__name__})")


def _parse_root(root: str) -> URL:
    try:
        url = URL(root)
        if ":" in (url.host or ""):
            ip_address(url.host or "")  # URL takes whatever stands between brackets
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError(f"endpoint url {root!r} is not an address: give one such as https://models.example/v1")
    if url.user or url.password:
        raise ConfigurationError(f"the endpoint url of {url.host} holds a user or a password: give a key by reference")
    return url


def _secret(variable: str, what: str) -> str:
    value = os.environ.get(variable, "").strip()  # secrets made from files often end in a newline
    if not value:
        raise ConfigurationError(f"the environment variable {variable} for the endpoint's {what} is empty or not set")
    if not value.isascii() or not value.isprintable():
        what = f"the environment variable {variable} holds characters that no {what} can have"
        raise ConfigurationError(f"{what}: set it to the value alone, on one line")
    return value


def _ssl_context(ca_bundle: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_bundle))
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"the CA bundle {ca_bundle} (request.caBundle) cannot be read: {error}") from error


def _distrust(place: str, error: Exception) -> ConfigurationError:
    """A certificate that does not verify; another authority helps unless it is expired or another host's."""
    reason = getattr(error, "verify_message", "") or str(error)
    if getattr(error, "verify_code", 0) in _NO_MATTER_OF_AUTHORITY:
        return ConfigurationError(f"the certificate of {place} is not valid ({reason}): renew it, or correct the url")
    return ConfigurationError(
        f"the certificate of {place} is not trusted ({reason}): name a PEM file with the CA bundle that signed it in"
        " request.caBundle, or in the environment variable SSL_CERT_FILE"
    )


def _speaks_no_tls(error: Exception) -> bool:
    text = str(error)
    return any(words in text.upper().replace(" ", "_") for words in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"))


async def _greets_in_tls(root: URL) -> bool:
    """Whether a server begins TLS when it is asked to; nothing is sent over it, so any certificate will do."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(_GREETING_SECONDS):
            _, writer = await asyncio.open_connection(root.host, root.port, ssl=context)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _reason(error: aiohttp.ClientConnectorError) -> str:
    cause = error.os_error
    if isinstance(cause, ConnectionRefusedError):
        return "refused: nothing listens there"
    return os.strerror(cause.errno) if cause.errno and cause.errno > 0 else type(cause).__name__


def _retry_after(headers: CIMultiDictProxy[str]) -> float | None:
    """Seconds that the server asks to wait, in [0, 120].

    By a header in milliseconds (OpenAI's and Azure's), which is finer, else by `Retry-After` (RFC 9110, 10.2.3).
    """
    waits = (_seconds(headers.get(name, "")) / 1000 for name in _IN_MILLISECONDS)
    seconds = next(filter(math.isfinite, waits), None)
    if seconds is None:
        value = headers.get("Retry-After", "").strip()
        seconds = _seconds(value)
        if math.isnan(seconds):
            # A date counts from the reply's own `Date`, so no clock is read.
            until, now = _http_date(value), _http_date(headers.get("Date", ""))
            seconds = math.nan if until is None or now is None else (until - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER) if math.isfinite(seconds) else None


def _seconds(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return math.nan


def _location(response: aiohttp.ClientResponse) -> str:
    """Where a redirect leads, without what may be secret: a user, a password, a query."""
    try:
        target = response.url.join(URL(response.headers.get("Location", "")))
        target = target.with_user(None).with_query(None).with_fragment(None)
    except ValueError:
        return ""
    return str(target)[:_LONGEST_LOCATION] if target != response.url else ""


def _http_date(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value).replace(tzinfo=UTC)  # an HTTP date is always GMT
    except ValueError:
        return None
