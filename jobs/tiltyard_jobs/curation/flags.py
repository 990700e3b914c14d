"""Secrets and personal data in texts: what a text is flagged for, and never the find itself.

Secrets are found by detect-secrets' detectors of tokens with a form of their own (its guesses by entropy and by words
such as `password` flag every other program), phone numbers are checked by phonenumbers, numbers with check digits by
python-stdnum. What documentation writes in their place (`…EXAMPLE`, `sk-xxxx`, `jane@example.com`) is no find.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import phonenumbers
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.private_key import PrivateKeyDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector
from stdnum import iban, luhn
from stdnum.us import ssn

from tiltyard_jobs.contracts.vocabulary import Flag


class ModelHubDetector(RegexBasedDetector):
    """Tokens of model hubs and their neighbours, which detect-secrets does not know yet."""

    secret_type = "Model hub token"  # noqa: S105  a kind, not a secret
    denylist = (
        re.compile(r"\bhf_[A-Za-z]{34}\b"),
        re.compile(r"\bsk-ant-[a-z0-9]{3,12}-[A-Za-z0-9_-]{80,120}"),
        re.compile(r"\bAIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
        re.compile(r"\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b"),
    )


class _Known(NamedTuple):
    """A detector, and texts without one of which it finds nothing: looking for these first costs next to nothing.

    Attributes:
        hints: as they are written; with `any_case` in small letters, and a text may write them in any.
    """

    detector: RegexBasedDetector
    hints: tuple[str, ...]
    any_case: bool = False


_SECRETS = (
    _Known(AWSKeyDetector(), ("akia", "asia", "abia", "acca", "a3t", "aws"), any_case=True),
    _Known(AzureStorageKeyDetector(), ("AccountKey=",)),
    _Known(GitHubTokenDetector(), ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")),
    _Known(
        GitLabTokenDetector(),
        (
            *("glpat-", "gldt-", "glft-", "glsoat-", "glrt-", "GR1348941", "glcbt-", "glimt-", "glptt-", "glagent-"),
            "gloas-",
        ),
    ),
    _Known(MailchimpDetector(), ("-us",)),
    _Known(NpmDetector(), ("_authToken",)),
    _Known(OpenAIDetector(), ("T3BlbkFJ",)),
    _Known(PypiTokenDetector(), ("pypi-Ag",)),
    _Known(SendGridDetector(), ("SG.",)),
    _Known(SlackDetector(), ("xox", "hooks.slack.com"), any_case=True),
    _Known(SquareOAuthDetector(), ("sq0csp-",)),
    _Known(StripeDetector(), ("k_live_",)),
    _Known(TelegramBotTokenDetector(), (":AA",)),
    _Known(TwilioKeyDetector(), ("AC", "SK")),
    _Known(ModelHubDetector(), ("hf_", "sk-ant-", "AIza", "github_pat_")),
)
_PIECE, _LONGEST = 2000, 400  # characters that are searched at once: no pattern is led far by a hostile line
_KEY_BODY = re.compile(r"[-\sn\\\"'+,]{0,24}([A-Za-z0-9+/]{40})")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PLACEHOLDER_WORDS = ("example", "your", "placeholder", "dummy", "sample", "fake", "changeme")
_REPEATED = re.compile(r"(.)\1{4}")
_RUN = 6

_EMAIL = re.compile(
    r"://[^\s/@]{0,200}@"  # who logs in at an address of a server; it is passed over
    r"|(?<![\w.+-])([a-z0-9][\w.+-]{0,63})@((?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24})(?![\w(-])",
    re.IGNORECASE,
)
_RESERVED = frozenset({"example", "test", "invalid", "localhost", "local", "internal", "lan"})
_NO_DOMAINS = _words("""
    abc acme bar baz business company corp domain email foo host institution mail mycompany mydomain organization
    provider school server site somewhere test university website xyz yourcompany yourdomain
""")
_NO_PERSONS = _words("""
    abuse admin administrator alice billing bob careers contact do-not-reply email first.last first.name firstname
    firstname.lastname foo bar git hello help info jane jane.doe janedoe jobs john john.doe johndoe doe last.first
    lastname mail me name no-reply noreply office postmaster press root sales security service somebody someone support
    team test tester user username users webmaster you
""")

_PHONE = re.compile(r"(?<![\w+)])\+\d[\d ().-]{6,22}\d(?!\w)")
_DIGITS = re.compile(r"\d\d[ -]?\d\d[ -]?\d")  # in each of the three that follow
_CARD = re.compile(r"(?<![\w.-])(?:\d{4}([ -]?)\d{4}\1\d{4}\1\d{4}|3[47]\d{2}([ -]?)\d{6}\2\d{5})(?![\w.-])")
_CARD_PREFIXES = ("4", "51", "52", "53", "54", "55", "22", "23", "24", "25", "26", "27", "34", "37", "6011", "65")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_SSN = re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")
_PUBLISHED = frozenset(
    {
        *("4111111111111111", "4242424242424242", "4000056655665556", "5555555555554444", "5200828282828210"),
        *("5105105105105100", "378282246310005", "371449635398431", "6011111111111117", "6011000990139424"),
        *("4012888888881881", "4532015112830366", "4539578763621486", "5425233430109903"),
        *("DE89370400440532013000", "GB82WEST12345698765432", "FR1420041010050500013M02606", "GB29NWBK60161331926819"),
    }
)
"""Numbers that documentation shows: of payment services' test cards, of the registry of IBANs."""


def flags_of(text: str) -> tuple[Flag, ...]:
    """What a text is flagged for, in a fixed order; nothing for most."""
    found: list[Flag] = []
    if has_secret(text):
        found.append("Secret")
    if has_personal_data(text):
        found.append("PersonalData")
    return tuple(found)


def has_secret(text: str) -> bool:
    """Whether there is a token or a private key in it, and no placeholder of one."""
    return any(not _is_placeholder(found) for found in _secrets(text))


def _secrets(text: str) -> Iterator[str]:
    lower = text.lower()
    known = [one.detector for one in _SECRETS if any(hint in (lower if one.any_case else text) for hint in one.hints)]
    if known:
        for line in text.splitlines():
            for start in range(0, len(line), _PIECE):
                piece = line[max(0, start - _LONGEST) : start + _PIECE]
                for detector in known:
                    for pattern in detector.denylist:
                        yield from (match[0] for match in pattern.finditer(piece))
    if "PRIVATE KEY" in text:
        for pattern in PrivateKeyDetector.denylist:
            for head in pattern.finditer(text):
                if body := _KEY_BODY.match(text, head.end()):
                    yield body[1]


def has_personal_data(text: str) -> bool:
    """Whether it has somebody's address for e-mail, phone, bank account, payment card or social security number."""
    if "@" in text and any(found[1] and _is_persons(found[1], found[2]) for found in _EMAIL.finditer(text)):
        return True
    if "+" in text and any(_is_phone(found[0]) for found in _PHONE.finditer(text)):
        return True
    return _DIGITS.search(text) is not None and (
        any(_is_card(re.sub(r"[ -]", "", found[0])) for found in _CARD.finditer(text))
        or any(_is_account(found[0].replace(" ", "")) for found in _IBAN.finditer(text))
        or any(not _is_placeholder(found[0]) and ssn.is_valid(found[0]) for found in _SSN.finditer(text))
    )


def _is_persons(local: str, domain: str) -> bool:
    """Whether an address is one that somebody may have, and not one of documentation or of an office."""
    local, names = local.lower(), domain.lower().split(".")
    if names[-1] in _RESERVED or any(name.startswith("example") for name in names) or names[-2] in _NO_DOMAINS:
        return False
    return local.partition("+")[0] not in _NO_PERSONS and not any(word in local for word in _PLACEHOLDER_WORDS)


def _is_phone(text: str) -> bool:
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return False
    national = str(number.national_number)
    if number.country_code == 1 and national[3:6] == "555":  # kept for films and books
        return False
    return not _is_placeholder(national) and phonenumbers.is_valid_number(number)


def _is_card(digits: str) -> bool:
    plain = digits.startswith(_CARD_PREFIXES) and digits not in _PUBLISHED and not _is_placeholder(digits)
    return plain and luhn.is_valid(digits)


def _is_account(number: str) -> bool:
    return number not in _PUBLISHED and not _is_placeholder(number) and iban.is_valid(number)


def _is_placeholder(found: str) -> bool:
    """Whether it is what documentation writes: a word that says so, one character again and again, or 123456."""
    lower = found.lower()
    return any(word in lower for word in _PLACEHOLDER_WORDS) or _REPEATED.search(lower) is not None or _has_run(lower)


def _has_run(text: str) -> bool:
    """Whether characters follow one another as in 123456 or abcdef; separators between them do not count."""
    codes = [ord(character) for character in text if character.isalnum()]
    length = 1
    for before, after in pairwise(codes):
        length = length + 1 if after == before + 1 else 1
        if length == _RUN:
            return True
    return False
