"""What can go wrong with S3, told once: which error of ours it is, and the sentence for the user.

The sentences name the object, the endpoint and what to change. They hold codes of the server, never its whole answer:
that can quote the request, with its signature.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from tiltyard_jobs.errors import ConfigurationError, JobError, PermanentError, TransientError

# All that boto3 raises; urllib3 shows through where a body is read. A file that cannot be read or written is no fault
# of S3 and stays an OSError.
FAULTS = (BotoCoreError, ClientError, HTTPError, ConnectionError, TimeoutError)

# The body of an answer stopped coming: the rest may be asked for again.
CUT_BODY = (
    boto.ReadTimeoutError,
    boto.ResponseStreamingError,
    boto.IncompleteReadError,
    boto.ConnectionClosedError,
    HTTPError,
    ConnectionError,
    TimeoutError,
)


class UnreachableError(TransientError):
    """No connection could be made. Before a run (`check`) that is a wrong endpoint, later a network that is away."""


class Subject(NamedTuple):
    """What an operation is about: all that a sentence may name."""

    doing: str  # "read", "write", "list" or "delete"
    uri: str  # the object's own, s3://bucket/prefix/key
    bucket: str
    endpoint: str


# Without s3:ListBucket, S3 answers for a missing object that access is denied.
_PERMISSIONS = {
    "read": "s3:GetObject and s3:ListBucket",
    "write": "s3:PutObject",
    "list": "s3:ListBucket",
    "delete": "s3:DeleteObject",
}

_DAMAGED = "the object is damaged or cut short; delete it, so that it is recomputed"
_DENIED = "the credentials lack the right; grant them {permission} on the bucket {bucket!r}{encrypted}"
_ENCRYPTED = ", or set output.s3.encryption if the bucket's policy demands it"
_VIRTUAL = "the server wants the bucket in its host name; set output.s3.addressing to Virtual"
_UNKNOWN_KEY = "the server does not know the access key; correct AWS_ACCESS_KEY_ID"
_REGION = "the bucket {bucket!r} is in another region; set its region"
_TOKEN = "the session token is not valid or has expired; renew the credentials"  # noqa: S105 - a sentence, no secret

# Error codes of S3 (AWS, and servers that speak its protocol) that only the user can mend.
_CONFIGURATION = {
    "NoSuchBucket": "there is no bucket {bucket!r}; create it or correct the URI",
    "InvalidBucketName": "{bucket!r} cannot be the name of a bucket; correct the URI",
    "InvalidAccessKeyId": _UNKNOWN_KEY,
    "XAdminUserNotFound": _UNKNOWN_KEY,  # says versitygw
    "SignatureDoesNotMatch": "the secret key does not belong to the access key; correct AWS_SECRET_ACCESS_KEY",
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "AccountProblem": "the server reports a problem with the account; ask its provider",
    "ExpiredToken": _TOKEN,
    "InvalidToken": _TOKEN,
    "TokenRefreshRequired": _TOKEN,
    "RequestTimeTooSkewed": "the clocks of this machine and of the server differ too much; set this machine's",
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "NotImplemented": "the server does not support what is asked: checksums, and output.s3.encryption if it is set",
    "SecondLevelDomainForbidden": _VIRTUAL,  # says Alibaba Cloud
    "PathStyleDomainForbidden": _VIRTUAL,  # says Tencent Cloud
}

# Codes that a later try may not meet, beside every 5xx and 429.
_TRANSIENT = {
    "SlowDown": "the server asks for fewer requests",
    "RequestTimeout": "the server waited too long for the request",
    "OperationAborted": "another operation was under way",
    "ConditionalRequestConflict": "another writer was at the same object",
    "BadDigest": "the bytes were damaged in transit",
    "XAmzContentChecksumMismatch": "the bytes were damaged in transit",
    "XAmzContentSHA256Mismatch": "the bytes were damaged in transit",
    "IncompleteBody": "the request was cut in transit",
    "PreconditionFailed": "another writer replaced the object meanwhile",
    "QuotaExceeded": "the server has no room left; free some and run again",
}


_NO_CODE = re.compile(r"[^A-Za-z0-9.]")


@contextmanager
def translated(subject: Subject) -> Iterator[None]:
    """Raise every fault of the block as one of our errors."""
    try:
        yield
    except FAULTS as error:
        raise translate(error, subject) from error


def translate(error: Exception, subject: Subject) -> JobError:
    """Our error for one of `FAULTS`."""
    if isinstance(error, ClientError):
        return _from_answer(error, subject)
    cause = str(error)
    match error:
        case (
            boto.NoCredentialsError()
            | boto.PartialCredentialsError()
            | boto.ProfileNotFound()
            | boto.TokenRetrievalError()
        ):
            why = (
                "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod an identity"
            )
            return ConfigurationError(_sentence(subject, why))
        case boto.SSLError() if "CERTIFICATE_VERIFY_FAILED" in cause:
            why = "the server's certificate is not signed by a known authority; give the CA bundle that signed it"
            return ConfigurationError(_sentence(subject, why))
        case boto.EndpointConnectionError() | boto.ConnectTimeoutError() | boto.ProxyConnectionError():
            return UnreachableError(_sentence(subject, "nothing answers there; check the endpoint and the network"))
        case boto.ReadTimeoutError() | TimeoutError():
            return TransientError(_sentence(subject, "the server did not answer in time"))
        case boto.FlexibleChecksumError() | boto.ChecksumError():
            return PermanentError(_sentence(subject, f"its bytes do not match their checksum: {_DAMAGED}"))
        case ResponseParserError():
            return ConfigurationError(_sentence(subject, "no S3 server answers there; correct the endpoint"))
        case (
            boto.HTTPClientError()
            | boto.ConnectionError()
            | boto.IncompleteReadError()
            | HTTPError()
            | ConnectionError()
        ):
            return TransientError(_sentence(subject, f"the connection broke ({type(error).__name__})"))
        case boto.CredentialRetrievalError() | boto.MetadataRetrievalError():
            return TransientError(_sentence(subject, "the credentials service did not answer"))
        case _:
            return ConfigurationError(_sentence(subject, " ".join(cause.split()).rstrip(".")))


def _from_answer(error: ClientError, subject: Subject) -> JobError:
    code = error_code(error)
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    named = f"the server answered {status}"
    if code != str(status):
        named += f" {_NO_CODE.sub('?', code[:64])}"  # what answers may be no S3 server
    if code in _CONFIGURATION:
        return ConfigurationError(_sentence(subject, _filled(_CONFIGURATION[code], subject)))
    if code in _TRANSIENT:
        return TransientError(_sentence(subject, f"{_TRANSIENT[code]} ({code})"))
    if (status >= 500 and status != 501) or status == 429 or "Throttling" in code:
        return TransientError(_sentence(subject, f"{named}, after retries"))
    if "KMS" in code:
        why = f"the key service refuses ({named}); correct output.s3.encryption, or let the credentials use the key"
        return ConfigurationError(_sentence(subject, why))
    if status == 501:
        return ConfigurationError(_sentence(subject, _CONFIGURATION["NotImplemented"]))
    if status in (401, 403):
        return ConfigurationError(_sentence(subject, f"{_filled(_DENIED, subject)} ({named})"))
    if status in (301, 307):
        return ConfigurationError(_sentence(subject, _filled(_REGION, subject)))
    if status in (404, 405):
        return ConfigurationError(_sentence(subject, f"{named}; check the endpoint and the bucket {subject.bucket!r}"))
    if code == "InvalidRange":  # the rest of a body that broke off: the server promised more than it has
        return PermanentError(_sentence(subject, _DAMAGED))
    return PermanentError(_sentence(subject, named))


def error_code(error: ClientError) -> str:
    """The server's code, such as `NoSuchKey`; the HTTP status where an answer had no body (HEAD)."""
    return error.response["Error"].get("Code") or str(error.response["ResponseMetadata"]["HTTPStatusCode"])


def is_missing(error: ClientError) -> bool:
    """Whether there is no such object."""
    return error_code(error) in ("NoSuchKey", "NotFound", "404")


def _filled(template: str, subject: Subject) -> str:
    return template.format(
        bucket=subject.bucket,
        permission=_PERMISSIONS[subject.doing],
        encrypted=_ENCRYPTED if subject.doing == "write" else "",
    )


def _sentence(subject: Subject, why: str) -> str:
    return f"Cannot {subject.doing} {subject.uri} at {subject.endpoint}: {why}."
