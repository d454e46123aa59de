"""What the store's answers mean: error codes, XML bodies, repeated attempts, policies."""

from __future__ import annotations

import random

import pytest

from services.kit.s3 import (
    ChecksumMismatchError,
    InvalidPartError,
    NoSuchUploadError,
    NotFoundError,
    Part,
    PreconditionFailedError,
    RangeError,
    RefusedError,
    StoreError,
    UnavailableError,
    same_etag,
    xml,
)
from services.kit.s3.bucket import allows_everybody
from services.kit.s3.errors import refusal
from services.kit.s3.retry import Retry

pytestmark = pytest.mark.unit


def error_body(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>secret host</Message></Error>".encode()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, error_body("NoSuchKey"), NotFoundError),
        (404, b"", NotFoundError),
        (404, error_body("NoSuchUpload"), NoSuchUploadError),
        (412, error_body("PreconditionFailed"), PreconditionFailedError),
        (412, b"", PreconditionFailedError),
        (400, error_body("XAmzContentSHA256Mismatch"), ChecksumMismatchError),
        (400, error_body("EntityTooSmall"), InvalidPartError),
        (400, error_body("RequestTimeout"), UnavailableError),
        (416, b"", RangeError),
        (403, error_body("SignatureDoesNotMatch"), RefusedError),
        (500, b"<html>", UnavailableError),
        (501, error_body("NotImplemented"), RefusedError),
        (503, error_body("SlowDown"), UnavailableError),
    ],
)
def test_refusals_are_typed_and_never_carry_text(status: int, body: bytes, kind: type[StoreError]) -> None:
    error = refusal("put_object", status, body)
    assert type(error) is kind
    assert "secret host" not in str(error)


def test_an_error_in_a_200_is_an_error() -> None:
    with pytest.raises(UnavailableError) as caught:
        xml.etag_of("complete_multipart", error_body("InternalError"), "CompleteMultipartUploadResult")
    assert caught.value.code == "InternalError"
    with pytest.raises(UnavailableError):
        xml.etag_of("complete_multipart", b"", "CompleteMultipartUploadResult")


def test_answers_with_and_without_namespace_and_leading_space() -> None:
    for tag in ("CopyObjectResult", 'CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'):
        body = f"  <{tag}><ETag>&#34;ab&#34;</ETag></CopyObjectResult>".encode()
        assert xml.etag_of("copy_object", body, "CopyObjectResult") == '"ab"'


def test_pages_of_parts() -> None:
    entry = '<Part><PartNumber>7</PartNumber><ETag>"e"</ETag><Size>5</Size></Part>'
    marker = "<NextPartNumberMarker>7</NextPartNumberMarker>"
    more = f"<ListPartsResult><IsTruncated>true</IsTruncated>{marker}{entry}</ListPartsResult>"
    page = xml.parts_page("list_parts", more.encode())
    assert page == xml.PartsPage([Part(7, '"e"', 5)], 7)
    last = xml.parts_page(
        "list_parts", b"<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>"
    )
    assert last == xml.PartsPage([], None)


def test_requests_escape_what_they_carry() -> None:
    assert b"a&lt;&amp;b" in xml.delete_request(["a<&b"])
    assert b'<PartNumber>3</PartNumber><ETag>"x"</ETag>' in xml.complete_request([Part(3, '"x"')])


def test_etags_compare_without_quotes() -> None:
    assert same_etag('"ab"', "ab")
    assert not same_etag('"ab"', '"AB"')


class Flaky:
    def __init__(self, *outcomes: StoreError | str) -> None:
        self.outcomes, self.pauses = list(outcomes), list[float]()

    async def __call__(self) -> str:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, StoreError):
            raise outcome
        return outcome

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


AWAY = UnavailableError("head_object", 503, "SlowDown")


async def test_unavailable_is_tried_three_times_with_growing_pauses() -> None:
    flaky = Flaky(AWAY, AWAY, "there")
    assert await Retry(random.Random(1), flaky.sleep)(flaky) == "there"
    first, second = flaky.pauses
    assert 0.025 <= first <= 0.075
    assert 0.05 <= second <= 0.15


async def test_the_third_failure_is_final_and_a_refusal_at_once() -> None:
    flaky = Flaky(AWAY, AWAY, AWAY, "never")
    with pytest.raises(UnavailableError):
        await Retry(random.Random(1), flaky.sleep)(flaky)
    assert flaky.outcomes == ["never"]
    refused = Flaky(NotFoundError("head_object", 404, "404"), "never")
    with pytest.raises(NotFoundError):
        await Retry(random.Random(1), refused.sleep)(refused)
    assert refused.pauses == []


@pytest.mark.parametrize(
    ("policy", "open_to_all"),
    [
        ({}, False),
        ({"Statement": [{"Effect": "Allow", "Principal": "*"}]}, True),
        ({"Statement": {"Effect": "Allow", "Principal": {"AWS": ["*"]}}}, True),
        ({"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}}]}, True),
        ({"Statement": [{"Effect": "Deny", "Principal": "*"}]}, False),
        ({"Statement": [{"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam::1:user/a"]}}]}, False),
    ],
)
def test_policies_that_let_everybody_in(policy: dict[str, object], open_to_all: bool) -> None:
    assert allows_everybody(policy) is open_to_all
