"""The seam to the network: bytes out, status and bytes back.

`HttpTransport` is aiohttp's client without what a call to a model does not need. pyreqwest 0.15, which is Rust-backed,
was measured beside it (bench/worker): half to nine tenths of its CPU time on asyncio's own loop. But it is a beta of
one maintainer, runs threads of its own, and in one of some twenty runs aborted the interpreter at exit; so aiohttp
stays. Whoever wants another implements `Transport`, which is all that the client knows.
"""

from __future__ import annotations

import math
import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.request import getproxies, proxy_bypass

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from tiltyard_jobs.errors import ConfigurationError

MAX_REPLY_BYTES = 4 * 1024 * 1024
# Idle connections go before uvicorn, vLLM's server, drops them at 5 s: no request then meets a closing one.
KEEP_ALIVE_SECONDS = 4.0
# Room in the pool beside the limiter's slots: model lists, tokenisation.
SPARE_CONNECTIONS = 2
# A gateway's mistake must not put a worker to sleep for a day.
LONGEST_RETRY_AFTER = 120.0


class Reply(NamedTuple):
    """A whole HTTP reply.

    Attributes:
        status: the HTTP status.
        body: the bytes as sent, at most the transport's cap.
        retry_after: seconds that the server asks to wait (`Retry-After`), in [0, 120]; None where it asks nothing.
    """

    status: int
    body: bytes
    retry_after: float | None = None


class TransportError(Exception):
    """No whole reply came back. The message holds neither the body nor a credential."""


class ConnectFailed(TransportError):
    """No connection: the name does not resolve, the port refuses, or connecting took too long."""


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
        time_outs: TimeOuts | None = None,
        max_reply_bytes: int = MAX_REPLY_BYTES,
    ) -> None:
        self._root = _parse_root(root)
        self._proxy = _proxy_for(self._root)
        self._max_reply_bytes = max_reply_bytes
        self._urls: dict[str, URL] = {}
        time_outs = time_outs or TimeOuts()
        headers = CIMultiDict({"Content-Type": "application/json", "Accept-Encoding": "identity"})
        if api_key_env is not None:
            headers["Authorization"] = f"Bearer {_api_key(api_key_env)}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=max_connections + SPARE_CONNECTIONS,
                keepalive_timeout=KEEP_ALIVE_SECONDS,
                ssl=_ssl_context(ca_bundle) if ca_bundle is not None else True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            skip_auto_headers=("Accept",),
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
            response = await self._session.request(method, url, data=body, allow_redirects=False, proxy=self._proxy)
            try:
                data = await self._read(response)
            except BaseException:
                response.close()
                raise
        except aiohttp.ClientConnectorCertificateError as error:
            raise ConfigurationError(
                f"the certificate of {self._root.host} is not trusted ({error.certificate_error}): "
                "give the CA bundle that signed it"
            ) from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise ConnectFailed(f"no connection to {self._root.host}:{self._root.port}") from error
        except TimeoutError as error:
            raise TimedOut(f"{self._root.host} did not answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionCut(f"{self._root.host} broke off ({type(error).__name__})") from error
        headers = response.headers
        retry_after = _retry_after(headers) if response.status >= 400 and "Retry-After" in headers else None
        return Reply(response.status, data, retry_after)

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


def _parse_root(root: str) -> URL:
    try:
        url = URL(root)
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError(f"endpoint url {root!r} is no address: give one such as https://models.example/v1")
    if url.user or url.password:
        raise ConfigurationError(f"the endpoint url of {url.host} holds a user or a password: give a key by reference")
    return url


def _api_key(variable: str) -> str:
    key = os.environ.get(variable, "").strip()  # secrets made from files often end in a newline
    if not key:
        raise ConfigurationError(f"the environment variable {variable} for the endpoint's API key is empty or not set")
    if not key.isascii() or not key.isprintable():
        raise ConfigurationError(f"the environment variable {variable} holds characters that no API key can have")
    return key


def _ssl_context(ca_bundle: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_bundle))
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"the CA bundle {ca_bundle} cannot be read as PEM: {error}") from error


def _proxy_for(url: URL) -> URL | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name for this server; a loopback address has none.

    Looked up once: aiohttp's `trust_env` would do it for each request.
    """
    host = url.host or ""
    if host == "localhost" or _is_loopback(host) or proxy_bypass(host):
        return None
    proxy = getproxies().get(url.scheme)
    return URL(proxy) if proxy else None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _retry_after(headers: CIMultiDictProxy[str]) -> float | None:
    """Seconds from `Retry-After` (RFC 9110, 10.2.3); a date counts from the reply's own `Date`, so no clock is read."""
    value = headers["Retry-After"].strip()
    try:
        seconds = float(value)
    except ValueError:
        until, now = _http_date(value), _http_date(headers.get("Date", ""))
        if until is None or now is None:
            return None
        seconds = (until - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER) if math.isfinite(seconds) else None


def _http_date(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value).replace(tzinfo=UTC)  # an HTTP date is always GMT
    except ValueError:
        return None
