"""Names, addresses and other single values, as types."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

from pydantic import JsonValue

from tiltyard.api.shapes import MAX_COUNT, Fraction, Opaque, Quantity, Text, Whole
from tiltyard_jobs.contracts.stores import STORES

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_BUCKET = r"[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]"
_PATH = r"[^\s?#]+"
_FILE = rf"file://(/|\./){_PATH}"  # './' is relative to the manifest's folder

TOURNAMENT_NAME = Text("a DNS label of at most 63 characters (a-z, 0-9 and '-')", _LABEL, 63)
ParticipantName = Annotated[str, Text("a DNS label of at most 32 characters (a-z, 0-9 and '-')", _LABEL, 32)]
ObjectName = Annotated[str, Text("the name of a Kubernetes object (a-z, 0-9, '-' and '.')", _SUBDOMAIN, 253)]
EntryKey = Annotated[
    str, Text("a key of a Secret or ConfigMap (letters, digits, '-', '_', '.')", r"[-._a-zA-Z0-9]+", 253)
]

_HUB = r"hf://[A-Za-z0-9][-._A-Za-z0-9]*/[A-Za-z0-9][-._A-Za-z0-9]*"
_STORED = rf"(s3|gs|pvc|oci)://[A-Za-z0-9][^\s?#]*|https://[^\s/?#@]+(/\S*)?|{_FILE}"
WeightsUri = Annotated[
    str,
    Text("hf://ORG/NAME or a URI with s3://, pvc://, gs://, oci://, https:// or file:///", f"{_HUB}|{_STORED}", 512),
]
ModelUri = Annotated[
    str,
    Text(
        "hf://ORG/NAME, sim://NAME or a URI with s3://, pvc://, gs://, oci://, https:// or file:///",
        rf"{_HUB}|{_STORED}|sim://[A-Za-z0-9]([-._A-Za-z0-9]{{0,61}}[A-Za-z0-9])?(\?[^\s#]*)?",
        512,
    ),
]
TokenizerUri = Annotated[
    str, Text("hf://ORG/NAME, or on one machine file:///PATH or file://./PATH of a folder", f"{_HUB}|{_FILE}", 512)
]
_BUCKETS = [scheme for scheme, facts in STORES.items() if facts.in_cluster]
_KEYS = ", ".join(f"{scheme}://BUCKET/KEY" for scheme in _BUCKETS)
_READ = (
    *(rf"{scheme}://{_BUCKET}/{_PATH}" for scheme in _BUCKETS),
    r"file://(/|\.{1,2}/|~/)[^?#\n\r]*[^?#\s]",
    r"[^:\s]([^:\n\r]*[^:\s])?",  # a path, blanks and all: it has no scheme
    rf"{_HUB.replace('hf://', 'hf://datasets/')}@[^\s?#/]+/{_PATH}",
    rf"https://[^\s/?#@]+/{_PATH}",
)
TextsUri = Annotated[
    str,
    Text(
        f"{_KEYS}, hf://datasets/ORG/NAME@REVISION/PATH or https://HOST/PATH, or on one machine a path, relative to the"
        " manifest, with ~/ or in full, or file:///PATH",
        "|".join(_READ),
        512,
    ),
]
Sha256 = Annotated[str, Text("a SHA-256 digest, 64 hex digits", r"[0-9a-f]{64}", 64)]
BucketUri = Annotated[str, Text("s3://BUCKET or s3://BUCKET/PREFIX", rf"s3://{_BUCKET}(/[^\s?#]*)?", 512)]
_SERVER = r"https?://([A-Za-z0-9][-.A-Za-z0-9]*|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?(/[^\s?#@]*)?"


def _wrong_with_url(url: str) -> str:
    """What is wrong with an address; empty: it is not known."""
    scheme, separator, rest = url.partition("://")
    host = re.split("[/?#]", rest, maxsplit=1)[0]
    if not separator:
        return "it begins with http:// or https://"
    if scheme.lower() in ("http", "https") and scheme != scheme.lower():
        return f"{scheme}:// is written {scheme.lower()}://"
    if "@" in host:
        return "a key belongs in a Secret, see apiKeySecretRef"
    if "api-version=" in rest:
        return "Azure takes requests without a version at https://RESOURCE.openai.azure.com/openai/v1"
    return 'the name of a host has no "_"' if "_" in host else ""


ServerUrl = Annotated[
    str, Text("an http:// or https:// URL without user, query or fragment", _SERVER, 512, wrong=_wrong_with_url)
]
ServedFromUri = Annotated[
    str,
    Text(
        "hf://ORG/NAME[?endpoint=https://HOST] or a URI with pvc://, oci://, s3://, gs://, https:// or file:///",
        rf"{_HUB}(\?endpoint={_SERVER})?|{_STORED}",
        512,
    ),
]
INFERENCE_SERVICE_SCHEME = "kserve://"
EndpointUrl = Annotated[
    str,
    Text(
        "an http:// or https:// URL without user, query or fragment, or kserve://[NAMESPACE/]NAME[?path=/PATH]",
        rf"{_SERVER}|{INFERENCE_SERVICE_SCHEME}({_LABEL}/)?{_LABEL}(\?path=/[^\s?#]*)?",
        512,
        wrong=_wrong_with_url,
    ),
]

_QUALIFIED = r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?"
_DOMAIN = "[a-z0-9]+((-+|[.])[a-z0-9]+)*"  # a subdomain in fewer characters: the CRD has it often
LABEL_KEY = Text(
    "the key of a label, [DOMAIN/]NAME (letters, digits, '-', '_' and '.'; no capitals in DOMAIN, NAME at most 63 of"
    " them)",
    rf"({_DOMAIN}/)?{_QUALIFIED}",
    317,
)
LabelKey = Annotated[str, LABEL_KEY]
ANNOTATION_KEY = Text(  # Kubernetes puts it into lower case before it looks
    "the key of an annotation, [DOMAIN/]NAME (letters, digits, '-', '_' and '.'; NAME at most 63 of them)",
    rf"({_DOMAIN.replace('a-z', 'A-Za-z')}/)?{_QUALIFIED}",
    317,
)
AnnotationKey = Annotated[str, ANNOTATION_KEY]
LabelValue = Annotated[
    str,
    Text("the value of a label, at most 63 letters, digits, '-', '_' and '.', or empty", rf"({_QUALIFIED})?", 63, 0),
]

VariableName = Annotated[
    str, Text("the name of an environment variable, at most 253 characters on one line without '='", r"[^=\n\r]+", 253)
]
Word = Annotated[str, Text("one word of at most 128 characters", r"[^\s]+", 128)]
Line = Annotated[str, Text("one line of at most 253 characters", r"[^\n\r]+", 253)]
LooseLine = Annotated[str, Text("one line of at most 253 characters, or empty", r"[^\n\r]*", 253, min_length=0)]
Message = Annotated[str, Text("a text of at most 32768 characters", None, 32768, min_length=0)]
Prefix = Annotated[str, Text("a text of at most 16384 characters", None, 16384)]
SystemMessage = Annotated[str, Text("a text of at most 8192 characters, not blank", r"\s*\S[\s\S]*", 8192)]
# Texts of models stand between fences, which begin with <<<; what the user writes beside them must not look like one.
CriteriaText = Annotated[
    str,
    Text(
        "a text of at most 4096 characters, not blank and without <<<",
        r"\s*(<{1,2}|(<{0,2}[^<\s]|<{1,2}\s)(<{0,2}[^<])*<{0,2})",
        4096,
    ),
]
RubricLine = Annotated[
    str,
    Text(
        "one line of at most 1024 characters, not blank and without <<<",
        r"[ \t]*(<{1,2}|(<{0,2}[^<\s]|<{1,2}[ \t])(<{0,2}[^<\n\r])*<{0,2})",
        1024,
    ),
]
Stop = Annotated[str, Text("a text of at most 256 characters", None, 256)]
ThoughtMark = Annotated[
    str, Text("a text of at most 64 characters on one line, without blanks around it", r"\S([^\n\r]*\S)?", 64)
]
HeaderName = Annotated[str, Text("the name of an HTTP header", r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", 128)]
HeaderText = Annotated[
    str, Text("one line of at most 4096 visible ASCII characters and blanks", r"[!-~]([ -~]*[!-~])?", 4096)
]
FileUri = Annotated[str, Text("file:///PATH or file://./PATH", _FILE, 512)]
ColumnName = Annotated[str, Text("the name of a column, at most 128 characters", r"[^\n\r]+", 128)]
_PLAIN = r"[^{}]|\{\{|\}\}"
TextTemplate = Annotated[
    str,
    Text(
        "a text with paths in braces, such as {instruction}; {{ and }} stand for braces",
        rf"({_PLAIN})*\{{[^{{}}]+\}}({_PLAIN}|\{{[^{{}}]+\}})*",
        16384,
    ),
]
Argument = Annotated[
    str, Text("one command line argument of at most 512 characters, without line breaks", r"[^\n\r]+", 512)
]
QuantityText = Annotated[str, Quantity()]
DecimalText = Annotated[str, Text("a decimal number, in quotes", r"-?[0-9]+(\.[0-9]+)?", 32)]

Share = Annotated[Decimal, Fraction("0", "1")]
PositiveShare = Annotated[Decimal, Fraction("0", "1", above_low=True)]
Temperature = Annotated[Decimal, Fraction("0", "2")]

Count = Annotated[int, Whole(0, MAX_COUNT)]
Seconds = Annotated[int, Whole(0, 2**31 - 1)]
TokenLimit = Annotated[int, Whole(1, 131072)]

OpaqueObject = Annotated[dict[str, JsonValue], Opaque()]

_SUFFIXES = {
    "": Decimal(1),
    **{s: Decimal(10) ** e for s, e in zip("numkMGTPE", (-9, -6, -3, 3, 6, 9, 12, 15, 18), strict=True)},
    **{f"{s}i": Decimal(1024) ** e for e, s in enumerate("KMGTPE", start=1)},
}


def parse_quantity(text: str) -> Decimal:
    """The number that a Kubernetes quantity stands for: `"500m"` is 0.5, `"16Gi"` 17179869184, `"0.1n"` 1n."""
    number = text.rstrip("KMGTPEinumk")
    suffix = text[len(number) :]
    value = Decimal(number) * _SUFFIXES[suffix]
    billionths = value.scaleb(9).to_integral_value(ROUND_CEILING)
    return max(value, billionths.scaleb(-9))


def local_path(uri: str, folder: Path) -> Path:
    """The path that a `file://` URI names; a relative one (`file://./…`) starts at `folder`, the manifest's own."""
    path = unquote(uri.removeprefix("file://"))
    return Path(path) if path.startswith("/") else folder / path
