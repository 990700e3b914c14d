"""The proxy between a worker and a server, as environment variables name it."""

from __future__ import annotations

import os
from ipaddress import ip_address
from typing import NamedTuple
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from tiltyard_jobs.errors import ConfigurationError

WANTS_CREDENTIALS = 407


class Proxy(NamedTuple):
    """A proxy, and the environment variable that names it; shown without its user and password."""

    url: URL
    variable: str

    def __str__(self) -> str:
        return f"the proxy {self.url.host}:{self.url.port} ({self.variable})"

    def refusal(self, host: str | None, status: int) -> ConfigurationError:
        """It wants credentials, or does not let through."""
        return ConfigurationError(f"{self} refuses connections to {host} (HTTP {status}): {self.advice(host)}")

    def advice(self, host: str | None) -> str:
        """What to do where a server cannot be reached through it."""
        return f"correct {self.variable}, or add {host} to NO_PROXY if no proxy is needed"


def proxy_for(url: URL) -> Proxy | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name for this server; a loopback address has none.

    Looked up once: aiohttp's `trust_env` would do it for each request.

    Raises:
        ConfigurationError: what is named is no http proxy.
    """
    host = url.host or ""
    if host == "localhost" or _is_loopback(host) or proxy_bypass(host):
        return None
    named = getproxies().get(url.scheme)
    if not named:
        return None
    lower = f"{url.scheme}_proxy"
    variable = lower if os.environ.get(lower) else lower.upper()
    try:
        proxy = URL(named if "://" in named else f"http://{named}")
    except ValueError:
        proxy = URL()
    if proxy.scheme not in {"http", "https"} or not proxy.host:
        raise ConfigurationError(
            f"the environment variable {variable} names no http:// proxy: correct it, or add {host} to NO_PROXY if no"
            " proxy is needed"
        )
    return Proxy(proxy, variable)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
