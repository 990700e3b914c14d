"""The transport against a real server on 127.0.0.1: what it sends, and what it makes of bad replies."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest
from aiohttp import web

from support.certificates import self_signed, tls_of
from support.stub_llm import Handler, reset, serving
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.llm.transport import (
    ConnectFailed,
    ConnectionCut,
    HttpTransport,
    NobodyListens,
    Reply,
    ReplyTooLarge,
    TimedOut,
    TimeOuts,
    TransportError,
)

CAP = 100_000


async def post(handler: Handler, *, time_outs: TimeOuts | None = None) -> Reply:
    async with serving({"/x": handler}) as root:
        transport = HttpTransport(root, max_connections=2, time_outs=time_outs, max_reply_bytes=CAP)
        try:
            return await transport.post("/x", b"{}")
        finally:
            await transport.aclose()


async def stall(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def stall_half_way(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"half")
    await asyncio.sleep(30)
    return response


async def cut(request: web.Request) -> web.StreamResponse:
    return reset(request)


async def cut_half_way(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"half")
    assert request.transport is not None
    request.transport.close()
    return response


async def too_large(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"x" * (CAP + 1))


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 4096)


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (stall, TimedOut),
        (stall_half_way, TimedOut),
        (cut, ConnectionCut),
        (cut_half_way, ConnectionCut),
        (too_large, ReplyTooLarge),
        (endless, ReplyTooLarge),
    ],
)
async def test_bad_replies_are_a_small_set_of_errors(handler: Handler, error: type[TransportError]) -> None:
    with pytest.raises(error):
        await post(handler, time_outs=TimeOuts(total=0.5))


async def fault_of(root: str) -> Exception:
    """What asking there ends in."""
    transport = HttpTransport(root, max_connections=1, time_outs=TimeOuts(total=5))
    try:
        with pytest.raises((TransportError, ConfigurationError)) as caught:
            await transport.get("/x")
    finally:
        await transport.aclose()
    await asyncio.sleep(0.05)  # TLS connections close in the background
    return caught.value


async def test_a_port_where_nothing_listens() -> None:
    async with serving({}) as root:
        pass
    error = await fault_of(root)
    assert isinstance(error, NobodyListens)
    assert str(error) == f"no connection to {root.removeprefix('http://')} (refused: nothing listens there)"


async def test_a_host_that_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    error = await fault_of("http://no-such-host.invalid")
    assert isinstance(error, ConnectFailed)
    assert str(error) == "the host name no-such-host.invalid is unknown"


async def test_tls_where_none_is_spoken() -> None:
    async with serving({}) as root:
        error = await fault_of(root.replace("http://", "https://"))
    assert isinstance(error, ConfigurationError)
    assert str(error).endswith("does not speak TLS: write http:// in place of https://")


async def test_no_tls_where_it_is_expected(certificate: tuple[Path, Path]) -> None:
    async with serving({}, tls=tls_of(certificate)) as root:
        error = await fault_of(root.replace("https://", "http://"))
    assert isinstance(error, ConfigurationError)
    assert str(error).endswith("expects TLS: write https:// in place of http://")


@pytest.mark.parametrize(
    "words", ["The plain HTTP request was sent to HTTPS port", "Client sent an HTTP request to an HTTPS server."]
)
async def test_no_tls_where_a_gateway_says_so(words: str) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.Response(status=400, text=f"<html>{words}</html>")

    async with serving({"/x": refuse}) as root:
        error = await fault_of(root)
    assert isinstance(error, ConfigurationError)
    assert str(error).endswith("expects TLS: write https:// in place of http://")


async def test_a_certificate_of_another_host(certificate: tuple[Path, Path]) -> None:
    cert, _ = certificate
    async with serving({}, tls=tls_of(certificate)) as root:
        transport = HttpTransport(root.replace("127.0.0.1", "localhost"), max_connections=1, ca_bundle=cert)
        with pytest.raises(ConfigurationError, match=r"certificate of localhost:\d+ is not valid .*correct the url"):
            await transport.get("/x")
        await transport.aclose()
    await asyncio.sleep(0.05)


async def test_an_authority_is_named_by_a_variable(certificate: tuple[Path, Path]) -> None:
    cert, _ = certificate

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"secret")

    async with serving({"/x": answer}, tls=tls_of(certificate)) as root:
        assert "SSL_CERT_FILE" in str(await fault_of(root))
        code = (
            "import asyncio, sys\nfrom tiltyard_jobs.llm.transport import HttpTransport\n"
            "async def main():\n    transport = HttpTransport(sys.argv[1], max_connections=1)\n"
            "    print((await transport.get('/x')).body)\n    await transport.aclose()\nasyncio.run(main())"
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, root, stdout=-1, env={**os.environ, "SSL_CERT_FILE": str(cert)}
        )
        said, _ = await process.communicate()
    assert said == b"b'secret'\n"


def through(monkeypatch: pytest.MonkeyPatch, scheme: str, proxy: str) -> None:
    for name in ("no_proxy", "NO_PROXY", f"{scheme}_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", proxy)


async def test_a_proxy_where_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving({}) as root:
        pass
    place = root.removeprefix("http://")
    for scheme in ("http", "https"):
        through(monkeypatch, scheme, f"http://me:secret@{place}")
        error = await fault_of(f"{scheme}://model.test")
        assert isinstance(error, ConnectFailed)
        assert not isinstance(error, NobodyListens)  # of the server itself nothing is known
        assert str(error) == (
            f"no connection to the proxy {place} ({scheme.upper()}_PROXY) (refused: nothing listens there)"
        )


async def test_a_proxy_whose_name_is_unknown_or_no_proxy_s(monkeypatch: pytest.MonkeyPatch) -> None:
    through(monkeypatch, "https", "http://no-such-proxy.invalid:3128")
    assert str(await fault_of("https://model.test")) == (
        "the host name no-such-proxy.invalid, of the proxy no-such-proxy.invalid:3128 (HTTPS_PROXY), is unknown"
    )
    through(monkeypatch, "https", "socks5://me:secret@127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY names no http:// proxy") as caught:
        HttpTransport("https://model.test", max_connections=1)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_wants_credentials(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        through(monkeypatch, scheme, f"http://{place}")
        error = await fault_of(f"{scheme}://model.test")
    assert isinstance(error, ConfigurationError)
    assert str(error).startswith(
        f"the proxy {place} ({scheme.upper()}_PROXY) refuses connections to model.test (HTTP 407): correct"
    )


async def test_what_is_no_http_is_a_cut_connection() -> None:
    async def gibberish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"\x00\xffgarbage\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(gibberish, "127.0.0.1", 0)
    async with server:
        transport = HttpTransport(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", max_connections=1)
        with pytest.raises(ConnectionCut):
            await transport.post("/x", b"{}")
        await transport.aclose()


async def test_a_large_reply_below_the_cap_comes_whole() -> None:
    async def large(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(10):
            await response.write(b"x" * 9_999)
            await asyncio.sleep(0)
        return response

    assert await post(large) == Reply(200, b"x" * 99_990)


async def test_the_key_is_sent_shown_nowhere_and_taken_to_no_other_server(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    monkeypatch.setenv("TEST_KEY", "sk-very-secret\n")
    seen: list[str | None] = []

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        seen.append("reached")
        return web.Response()

    async with serving({"/there": elsewhere}) as other:

        async def here(request: web.Request) -> web.StreamResponse:
            seen.append(request.headers.get("Authorization"))
            raise web.HTTPTemporaryRedirect(f"{other}/there")

        async with serving({"/api/x": here}) as root:
            transport = HttpTransport(f"{root}/api/", max_connections=1, api_key_env="TEST_KEY")
            reply = await transport.post("/x", b"{}")
            await transport.aclose()
    assert seen == ["Bearer sk-very-secret"]
    assert reply.status == 307
    assert "very-secret" not in repr(transport) + repr(reply) + caplog.text


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        (format_datetime(datetime(2026, 1, 1, 0, 0, 20, tzinfo=UTC), usegmt=True), 20.0),
        (format_datetime(datetime(2025, 1, 1, tzinfo=UTC), usegmt=True), 0.0),
        ("86400", 120.0),
        ("-5", 0.0),
        ("nan", None),
        ("soon", None),
    ],
)
async def test_retry_after_in_both_its_forms(value: str, seconds: float | None) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        date = format_datetime(datetime(2026, 1, 1, tzinfo=UTC), usegmt=True)
        return web.Response(status=429, headers={"Retry-After": value, "Date": date})

    assert (await post(refuse)).retry_after == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "250"}, 0.25),
        ({"Retry-After": "1", "retry-after-ms": "250"}, 0.25),  # OpenAI sends both, the other one rounded
        ({"x-ms-retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "soon", "Retry-After": "3"}, 3.0),
        ({"retry-after-ms": "86400000"}, 120.0),
        ({"retry-after-ms": "nan"}, None),
        ({}, None),
    ],
)
async def test_a_wait_in_milliseconds(headers: dict[str, str], seconds: float | None) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.Response(status=429, headers=headers)

    assert (await post(refuse)).retry_after == seconds


async def test_connections_are_kept_and_bounded() -> None:
    peers: set[object] = set()

    async def note(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        await asyncio.sleep(0.001)
        return web.Response()

    async with serving({"/x": note}) as root:
        transport = HttpTransport(root, max_connections=4)
        await asyncio.gather(*(transport.get("/x") for _ in range(200)))
        await transport.aclose()
    assert 1 <= len(peers) <= 6


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    return self_signed(tmp_path)


async def test_tls_trusts_the_bundle_and_nothing_else(certificate: tuple[Path, Path]) -> None:
    cert, _ = certificate

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"secret")

    async with serving({"/x": answer}, tls=tls_of(certificate)) as root:
        trusting = HttpTransport(root, max_connections=1, ca_bundle=cert)
        assert (await trusting.get("/x")).body == b"secret"
        await trusting.aclose()
        other = HttpTransport(root, max_connections=1)
        with pytest.raises(ConfigurationError, match="CA bundle"):
            await other.get("/x")
        await other.aclose()
    await asyncio.sleep(0.05)  # TLS connections close in the background


async def test_environment_proxies_are_used_but_never_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    targets: list[str] = []

    async def proxy(request: web.Request) -> web.StreamResponse:
        targets.append(str(request.url))
        return web.Response()

    async def direct(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"direct")

    async with serving({"/{path:.*}": proxy}) as address, serving({"/y": direct}) as local:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, address)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "internal.test")
        through = HttpTransport("http://model.test", max_connections=1)
        assert (await through.get("/x")).status == 200
        await through.aclose()
        past = HttpTransport(local, max_connections=1)
        assert (await past.get("/y")).body == b"direct"
        await past.aclose()
    assert targets == ["http://model.test/x"]


async def test_headers_are_sent_and_an_error_that_repeats_them_does_not_show_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TICKET", " ticket-0f9a3c\n")
    monkeypatch.setenv("KEY", "ticket-0f9a3c-longer")

    async def repeat(request: web.Request) -> web.StreamResponse:
        names = ("X-Ticket", "X-Team", "X-Tier", "Authorization")
        text = " ".join(request.headers[name] for name in names)
        return web.json_response({"error": text}, status=200 if request.method == "GET" else 400)

    async with serving({"/x": repeat}) as root:
        transport = HttpTransport(
            root,
            max_connections=1,
            api_key_env="KEY",
            headers={"X-Team": "team-7be1d2", "X-Tier": "gold"},
            header_env={"X-Ticket": "TICKET"},
        )
        said = (await transport.get("/x")).body
        refused = (await transport.post("/x", b"{}")).body
        await transport.aclose()
    assert said == b'{"error": "ticket-0f9a3c team-7be1d2 gold Bearer ticket-0f9a3c-longer"}'
    assert refused == b'{"error": "(not shown) (not shown) gold Bearer (not shown)"}'


@pytest.mark.parametrize(("value", "why"), [("", "is empty or not set"), ("a\nb", "holds characters that no header")])
async def test_a_header_whose_value_cannot_be_sent(value: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKET", value)
    with pytest.raises(ConfigurationError, match=why):
        HttpTransport("http://127.0.0.1", max_connections=1, header_env={"X-Ticket": "TICKET"})
