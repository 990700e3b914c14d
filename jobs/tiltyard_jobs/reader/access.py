"""Who may read: whoever has the token of this start, which the printed address contains.

The server listens where every user of the machine can connect, and the pages hold prompts and answers. An address with
the token becomes a cookie, so no link of a page contains it. The browser that the reader opens itself gets a file that
leads to the address: its command line is there for every user of the machine to read, and the file for this user alone.

Cookies know no ports: a browser sends this one to every server of the host. So it is not the token, and gives whoever
reads it there no address.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from aiohttp import web

_PARAMETER = "token"
_REFUSED = (
    "Open the address that `tiltyard view` printed when it started: it contains the token without which nothing is"
    " shown."
)
_ENTER = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={url}"><title>Tiltyard</title></head>
<body><p><a href="{url}">Continue</a></p></body>
</html>
"""
"""Not a redirect: where the link to the address is on another site's page, the browser keeps a strict cookie back."""


class Access:
    """The token of one start of the reader, and the cookie that it becomes."""

    def __init__(self) -> None:
        self._token = secrets.token_urlsafe(32)
        self._cookie = hmac.digest(self._token.encode(), b"cookie", "sha256").hex()

    def address(self, origin: str) -> str:
        """The address to print, which can be opened any number of times.

        Args:
            origin: `http://HOST:PORT`.
        """
        return f"{origin}/?{urlencode({_PARAMETER: self._token})}"

    @contextmanager
    def page(self, origin: str) -> Iterator[str]:
        """The `file://` address of a page that leads to `address`, for a browser; no other user can read the page.

        Args:
            origin: as in `address`.
        """
        with TemporaryDirectory(prefix="tiltyard-view-") as folder:  # nobody else may enter it
            file = Path(folder) / "open.html"
            file.touch(0o600)
            file.write_text(_ENTER.format(url=escape(self.address(origin))))
            yield file.as_uri()

    def refusal(self, request: web.Request, port: int) -> web.Response | None:
        """What a request gets instead of its page; None: it is allowed.

        Args:
            request: any.
            port: the server's. Cookies are those of a host, and another reader has another port.
        """
        cookie = f"tiltyard-{port}"
        if _PARAMETER in request.query:
            if not _same(request.query[_PARAMETER], self._token):
                return web.Response(status=403, text=_REFUSED)
            url = str(request.rel_url.without_query_params(_PARAMETER))
            entered = web.Response(text=_ENTER.format(url=escape(url)), content_type="text/html")
            entered.set_cookie(cookie, self._cookie, httponly=True, samesite="Strict")
            return entered
        if not _same(request.cookies.get(cookie, ""), self._cookie):
            return web.Response(status=403, text=_REFUSED)
        return None


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
