"""Addresses, and what is wrong with a configuration before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.llm.endpoint import ModelEndpoint
from tiltyard_jobs.llm.transport import HttpTransport


@pytest.mark.parametrize(
    ("url", "root", "version"),
    [
        ("https://a.example/v1", "https://a.example", "v1"),
        ("https://a.example/v1/", "https://a.example", "v1"),
        ("http://x-predictor.team.svc.cluster.local", "http://x-predictor.team.svc.cluster.local", "v1"),
        ("https://a.example/openai/v1", "https://a.example/openai", "v1"),
        ("https://a.example/models/v1beta", "https://a.example/models", "v1beta"),
        ("https://a.example/v1/models", "https://a.example/v1/models", "v1"),
        ("https://a.example/v1/chat/completions", "https://a.example", "v1"),
        ("https://a.example/v1/embeddings/", "https://a.example", "v1"),
        ("https://a.example/v1beta/openai/chat/completions", "https://a.example/v1beta/openai", ""),
        ("https://a.example/chat/completions", "https://a.example", ""),
        ("https://a.example/v1/completions", "https://a.example", "v1"),
        ("https://a.example/embeddings/v1", "https://a.example/embeddings", "v1"),
        ("https://a.example/chat/completions/v1/", "https://a.example/chat/completions", "v1"),
        ("https://a.example/embeddings/v1/embeddings", "https://a.example/embeddings", "v1"),
        ("https://a.example/chat/completions/v1/chat/completions", "https://a.example/chat/completions", "v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000", "v1"),
        ("http://v1", "http://v1", "v1"),
        ("http://v2/v1", "http://v2", "v1"),
        ("http://embeddings", "http://embeddings", "v1"),
    ],
)
def test_root_and_version(url: str, root: str, version: str) -> None:
    endpoint = ModelEndpoint(url, "m")
    assert (endpoint.root, endpoint.version) == (root, version)


@pytest.mark.parametrize(
    "url", ["", "a.example", "ftp://a.example", "https://", "http://[::1", "http://[:::]", "http://a:99999"]
)
async def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="not an address"):
        HttpTransport(url, max_connections=1)


async def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        HttpTransport("https://me:hunter2@a.example/v1", max_connections=1)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("value", [None, "", " \n", "caf\u00e9", "two\nlines"])
async def test_a_key_that_cannot_be_one_names_its_variable(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("TEST_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("TEST_KEY", value)
    with pytest.raises(ConfigurationError, match="TEST_KEY") as caught:
        HttpTransport("http://a.example", max_connections=1, api_key_env="TEST_KEY")
    assert not value or not value.strip() or value not in str(caught.value)


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_a_ca_bundle_that_is_none_is_refused(tmp_path: Path, content: str | None) -> None:
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_text(content)
    with pytest.raises(ConfigurationError, match=r"ca\.pem"):
        HttpTransport("https://a.example", max_connections=1, ca_bundle=bundle)
