"""What a URL of an endpoint says of the paths below it, and what to write where it is not the right one."""

from __future__ import annotations

import re

# With one of these at its end a URL is asked as it is.
_ENDS = ("/chat/completions", "/completions", "/embeddings")
_VERSION = re.compile(r"(?P<root>.*[^/])/(?P<version>v\d+[a-z0-9]*)")  # the host's name is none
_FULL = re.compile(rf"(?P<base>.*?[^/:])(?:{'|'.join(_ENDS)})")
_VERSION_OF_PATH = re.compile(r"\A/v\d+[a-z0-9]*(?=/)")


def root_and_version(url: str) -> tuple[str, str]:
    """A server's root, and its API's version, a path segment such as `v1`: empty where a whole address has none."""
    url = url.rstrip("/")
    full = _FULL.fullmatch(url)
    base = full["base"] if full else url
    match = _VERSION.fullmatch(base)
    return (match["root"], match["version"]) if match else (base, "" if full else "v1")


def redirect_advice(url: str, path: str, target: str) -> str:
    """Where a redirect of a path leads, and what to do about it.

    Args:
        url: as the user wrote it.
        path: what was asked below the root.
        target: where the redirect leads; empty: nowhere.
    """
    advice = "give the address it leads to"
    if not target:
        return f": {advice}"
    end, url = _VERSION_OF_PATH.sub("", path), url.rstrip("/")
    if not target.rstrip("/").endswith(end):  # a page to sign in, perhaps
        return f" to {target}: give the address of the API itself"
    own = next((one for one in _ENDS if url.endswith(one)), "")
    address = target.rstrip("/").removesuffix(end) + own
    if address in (url, url + path.removesuffix(end)):
        return f" to {target}: configure the server to answer this path without a / at its end"
    return f" to {target}: {advice}, {address}"


def version_hint(url: str, path: str) -> str:
    """What a URL may lack where `/v1` was added to it; empty where it was not."""
    end = path.removeprefix("/v1")
    if end not in ("/chat/completions", "/embeddings") or url.rstrip("/").endswith(("/v1", end)):
        return ""
    return f"; if the API has no /v1, give the URL with {end} at its end"
