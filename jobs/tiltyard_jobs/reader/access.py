"""Who may read: whoever has the token of this start, which the printed address contains.

The server listens where every user of the machine can connect, and the pages hold prompts and answers. An address with
the token becomes a cookie, so no link of a page contains it. The browser that the reader opens itself gets a key that
is good once: its command line is there for every user of the machine to read.
"""

from __future__ import annotations

import hmac
import secrets
from html import escape
from urllib.parse import urlencode

from aiohttp import web

_PARAMETER = "token"
_REFUSED = (
    "Open the address that `tiltyard view` printed when it started: it contains the token without which nothing is"
    " shown."
)
_USED = "This address was good for one use. Open the address that `tiltyard view` printed when it started."
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
        self._once = secrets.token_urlsafe(32)
        self._once_is_used = False

    def address(self, origin: str) -> str:
        """The address to print, which can be opened any number of times.

        Args:
            origin: `http://HOST:PORT`.
        """
        return f"{origin}/?{urlencode({_PARAMETER: self._token})}"

    def address_for_once(self, origin: str) -> str:
        """The address to hand to a browser: it is refused from its second use on.

        Args:
            origin: as in `address`.
        """
        return f"{origin}/?{urlencode({_PARAMETER: self._once})}"

    def refusal(self, request: web.Request, port: int) -> web.Response | None:
        """What a request gets instead of its page; None: it is allowed.

        Args:
            request: any.
            port: the server's. Cookies are those of a host, and another reader has another port.
        """
        cookie = f"tiltyard-{port}"
        if _PARAMETER in request.query:
            given = request.query[_PARAMETER]
            if _same(given, self._once):
                if self._once_is_used:
                    return web.Response(status=403, text=_USED)
                self._once_is_used = True
            elif not _same(given, self._token):
                return web.Response(status=403, text=_REFUSED)
            url = str(request.rel_url.without_query_params(_PARAMETER))
            entered = web.Response(text=_ENTER.format(url=escape(url)), content_type="text/html")
            entered.set_cookie(cookie, self._token, httponly=True, samesite="Strict")
            return entered
        if not _same(request.cookies.get(cookie, ""), self._token):
            return web.Response(status=403, text=_REFUSED)
        return None


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
