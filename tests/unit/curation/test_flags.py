"""What is a secret or somebody's data, and what only looks like one.

The finds are made here: none belongs to anybody.
"""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiltyard_jobs.curation.flags import flags_of, has_personal_data, has_secret


def token(prefix: str, length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    """A token of a form, so that no scanner of repositories takes this file for a leak."""
    return prefix + "".join(random.Random(prefix).choices(alphabet, k=length))


UPPER = string.ascii_uppercase + string.digits
SECRETS = {
    "aws": f"aws_access_key_id = {token('AKIA', 16, UPPER)}",
    "aws secret": f'aws_secret_access_key = "{token("", 40)}"',
    "github": f"git clone https://{token('gh' + 'p_', 36)}@github.com/acme/tool",
    "github fine": token("github" + "_pat_", 22) + "_" + token("", 59),
    "aws secret by its name in any case": f"AwsSecretKey = '{token('', 40)}'",
    "gitlab deploy": token("gldt" + "-", 20),
    "gitlab feed": token("glft" + "-", 20),
    "gitlab oauth access": token("glsoat" + "-", 20),
    "gitlab runner": token("glrt" + "-", 20),
    "gitlab registration": token("GR134" + "8941", 20),
    "gitlab job": token("glcbt" + "-64_", 20),
    "gitlab mail": token("glimt" + "-", 25),
    "gitlab trigger": token("glptt" + "-", 40),
    "gitlab agent": token("glagent" + "-", 50),
    "gitlab application": token("gloas" + "-", 64),
    "gitlab": f"PRIVATE-TOKEN: {token('glpat' + '-', 20)}",
    "openai": f'client = OpenAI(api_key="{token("sk-proj-", 20)}T3Blbk' + f'FJ{token("x", 19)}")',
    "anthropic": token("sk-" + "ant-api03-", 93),
    "hugging face": f"hf login --token {token('hf' + '_', 34, string.ascii_letters)}",
    "google": token("AI" + "za", 35),
    "slack": "xox" + f"b-{token('', 12, string.digits)}-{token('', 24, string.ascii_lowercase)}",
    "slack in any case": "XOX" + f"B-{token('', 12, string.digits)}-{token('', 24, string.ascii_uppercase)}",
    "slack hook": "https://hooks.SLACK.com/serv"
    + f"ices/{token('T', 8, UPPER)}/{token('B', 8, UPPER)}/{token('', 24)}",
    "stripe": token("sk_" + "live_", 24),
    "npm": "//packages.internal/:_auth" + f"Token={token('npm_', 36)}",
    "telegram": "bot = Bot('721" + f"9583046:AA{token('', 33)}')",
    "private key": "-----BEGIN RSA PRIVATE " + f"KEY-----\n{token('MIIE', 60)}\n{token('', 64)}\n-----END",
    "private key in a string": "key = '-----BEGIN PRIVATE " + f"KEY-----\\n{token('MIIE', 60)}\\n'",
}
NO_SECRETS = {
    "placeholder": 'openai.api_key = "sk-..."',
    "placeholder long": "sk-" + "x" * 48,
    "documented": "AKIA" + "IOSFODNN7EXAMPLE",
    "xs": "AKIA" + "X" * 16,
    "alphabet": "ghp" + "_abcdefghijklmnopqrstuvwxyz1234567890",
    "your": "export HF_TOKEN=hf_your_token_here",
    "sha": "commit 3f786850e387550fdab836ed7e6dc881de23001b",
    "sha256": 'digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"',
    "uuid": "550e8400-e29b-41d4-a716-446655440000",
    "base64": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    "password": 'password = "hunter2"; token = get_token()',
    "environment": 'api_key=os.environ["OPENAI_API_KEY"]',
    "header alone": "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----",
    "public key": "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAu1SU1LfVLPHCozMxH2Mo",
    "hf names": "from transformers import hf_argparser, hf_bucket_url",
}
PERSONAL = {
    "mail": "Write to m.kowalczyk87@posteo.net before Friday.",
    "mail in code": 'send(to="anna.lindqvist@gmail.com", body=text)',
    "phone": "call me: +49 30 901820",
    "phone close": "+442079460018 or mail",
    "iban": "IBAN: NL91 ABNA 0417 1643 00",
    "card": "4716 4611 9584 6101",
    "ssn": "SSN 536-90-4399",
}
NOT_PERSONAL = {
    "example": "jane@example.com, user@example.org, a@b.example",
    "placeholder": "your_email@gmail.com, john.doe@email.com, user@domain.com, name@company.com",
    "office": "support@python.org, noreply@github.com",
    "ssh": "git clone git@github.com:acme/tool.git",
    "decorator": "@app.route('/')\ndef f(x): return x @ W.sum() + a@b.dot(c)",
    "package": "npm install lodash@4.17.21 react@next",
    "host": "ssh deploy@db.internal",
    "film": "+1 212 555 0147",
    "count": "+1 234 567 8900 and +1234567890",
    "sum": "x = 3 +12025 + 4 +4917",
    "test card": "4111 1111 1111 1111, 4242424242424242, 378282246310005",
    "timestamp": "1700000000000000000 1732924799123456",
    "no check digit": "4716 4611 9584 6103",
    "documented iban": "DE89 3704 0044 0532 0130 00",
    "ssn": "123-45-6789, 000-12-3456",
    "version": "1.2.3.4, 2024-01-15, 10.0.0.1",
    "hex": "0x4716461195846102 DEADBEEF00112233445566778899AABB",
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_found(name: str) -> None:
    assert flags_of(f"Why does this fail?\n\n{SECRETS[name]}\n") == ("Secret",)


@pytest.mark.parametrize("name", NO_SECRETS)
def test_what_only_looks_like_a_secret_is_none(name: str) -> None:
    assert not has_secret(NO_SECRETS[name])


@pytest.mark.parametrize("name", PERSONAL)
def test_personal_data_is_found(name: str) -> None:
    assert flags_of(PERSONAL[name]) == ("PersonalData",)


@pytest.mark.parametrize("name", NOT_PERSONAL)
def test_what_only_looks_like_personal_data_is_none(name: str) -> None:
    assert not has_personal_data(NOT_PERSONAL[name])


def test_a_text_can_be_flagged_twice() -> None:
    assert flags_of(f"{PERSONAL['mail']} {SECRETS['aws']}") == ("Secret", "PersonalData")


def test_a_secret_across_the_pieces_of_a_long_line_is_found() -> None:
    for before in range(1900, 2100, 7):
        assert has_secret("." * before + " " + SECRETS["aws"] + "." * 3000)


@pytest.mark.parametrize(
    "seed", ["sk-", "://", "aws", "a@a.", "+1 ", "AKIA", "xoxb-1-", "DE89 ", "-----BEGIN PRIVATE KEY"]
)
def test_a_hostile_text_is_read_in_little_time(seed: str) -> None:
    """The timeout of the tests is the judge: what backtracks without end never comes back."""
    assert isinstance(flags_of(seed * 40_000 + "T3BlbkFJ :_authToken @ +"), tuple)


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert set(flags_of(text)) <= {"Secret", "PersonalData"}
