from __future__ import annotations

import ssl

import pytest
from botocore import exceptions as boto
from botocore.exceptions import ClientError
from urllib3.exceptions import ProtocolError

from tiltyard_jobs.errors import ConfigurationError, JobError, PermanentError, TransientError
from tiltyard_jobs.store.s3_errors import Subject, UnreachableError, translate, translated

SUBJECT = Subject("write", "s3://bucket/a/b", "bucket", "https://s3.example")


def answer(status: int, code: str | None = None, message: str = "said the server") -> ClientError:
    error = {"Message": message} if code is None else {"Message": message, "Code": code}
    return ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("error", "kind", "why"),
    [
        (answer(404, "NoSuchBucket"), ConfigurationError, "there is no bucket 'bucket'; create it or correct the URI"),
        (answer(403, "InvalidAccessKeyId"), ConfigurationError, "correct AWS_ACCESS_KEY_ID"),
        (answer(403, "SignatureDoesNotMatch"), ConfigurationError, "correct AWS_SECRET_ACCESS_KEY"),
        (answer(403, "AccessDenied"), ConfigurationError, "grant them s3:PutObject on the bucket 'bucket'"),
        (answer(403, "SomethingNew"), ConfigurationError, "(the server answered 403 SomethingNew)"),
        (answer(403), ConfigurationError, "(the server answered 403)"),
        (answer(301, "PermanentRedirect"), ConfigurationError, "is in another region; set its region"),
        (answer(400, "ExpiredToken"), ConfigurationError, "renew the credentials"),
        (answer(501, "NotImplemented"), ConfigurationError, "does not support what is asked"),
        (answer(400, "KMS.DisabledException"), ConfigurationError, "the key service refuses (the server answered 400"),
        (answer(501, "XMinioKMSNotConfigured"), ConfigurationError, "correct output.s3.encryption"),
        (answer(400, "KMS.ThrottlingException"), TransientError, "answered 400 KMS.ThrottlingException, after retries"),
        (answer(500, "KMS.KMSInternalException"), TransientError, "the server answered 500 KMS.KMSInternalException"),
        (answer(404), ConfigurationError, "check the endpoint and the bucket 'bucket'"),
        (answer(503, "SlowDown"), TransientError, "the server asks for fewer requests (SlowDown)"),
        (answer(500, "InternalError"), TransientError, "the server answered 500 InternalError, after retries"),
        (answer(502), TransientError, "the server answered 502, after retries"),
        (answer(429, "TooMany"), TransientError, "the server answered 429 TooMany"),
        (answer(409, "ConditionalRequestConflict"), TransientError, "another writer was at the same object"),
        (answer(400, "BadDigest"), TransientError, "damaged in transit"),
        (answer(400, "EntityTooLarge"), PermanentError, "the server answered 400 EntityTooLarge"),
        (answer(400, "{0}\n<b>"), PermanentError, "the server answered 400 ?0???b?"),
        (answer(416, "InvalidRange"), PermanentError, "damaged or cut short"),
        (boto.NoCredentialsError(), ConfigurationError, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        (boto.EndpointConnectionError(endpoint_url="https://s3.example"), UnreachableError, "nothing answers there"),
        (boto.ConnectTimeoutError(endpoint_url="https://s3.example"), UnreachableError, "nothing answers there"),
        (boto.ReadTimeoutError(endpoint_url="https://s3.example"), TransientError, "did not answer in time"),
        (boto.ConnectionClosedError(endpoint_url="https://s3.example"), TransientError, "the connection broke"),
        (ProtocolError("cut"), TransientError, "the connection broke (ProtocolError)"),
        (ConnectionResetError(104, "reset"), TransientError, "the connection broke (ConnectionResetError)"),
        (
            boto.SSLError(endpoint_url="https://s3.example", error=ssl.SSLError("CERTIFICATE_VERIFY_FAILED")),
            ConfigurationError,
            "give the CA bundle",
        ),
        (
            boto.SSLError(endpoint_url="https://s3.example", error=ssl.SSLError("EOF")),
            TransientError,
            "connection broke",
        ),
        (boto.FlexibleChecksumError(error_msg="no match"), PermanentError, "do not match their checksum"),
        (boto.ParamValidationError(report="bad name {0}"), ConfigurationError, "bad name {0}"),
    ],
)
def test_every_fault_has_a_class_and_a_sentence(error: Exception, kind: type[JobError], why: str) -> None:
    translated_error = translate(error, SUBJECT)
    sentence = str(translated_error)
    assert type(translated_error) is kind
    assert sentence.startswith("Cannot write s3://bucket/a/b at https://s3.example: ")
    assert why in sentence
    assert sentence.endswith((".", ")."))
    assert "\n" not in sentence


def test_the_servers_own_words_are_not_repeated() -> None:
    """A server may quote the request with its signature."""
    for status, code in [(403, "SignatureDoesNotMatch"), (403, "Odd"), (400, "Odd"), (500, "Odd")]:
        assert "hunter2" not in str(translate(answer(status, code, "you sent hunter2"), SUBJECT))


def test_a_block_raises_our_errors_with_their_cause() -> None:
    fault = answer(404, "NoSuchBucket")
    with pytest.raises(ConfigurationError) as caught, translated(SUBJECT):
        raise fault
    assert caught.value.__cause__ is fault


def test_a_local_file_that_cannot_be_read_is_no_fault_of_s3() -> None:
    with pytest.raises(PermissionError), translated(SUBJECT):
        raise PermissionError(13, "Permission denied")
