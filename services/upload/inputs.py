"""Reading requests: headers, query and JSON members into values, each with its own refusal."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from aiohttp import web

from services.kit.codec import Members, parse_sha256, parse_uuid
from services.kit.errors import Fault
from services.kit.web.app import user_of
from services.upload.model import MAX_CHUNK_BYTES, MAX_CHUNK_INDEX, MAX_PARTS, Send
from services.upload.service.opening import MAX_FILE_BYTES, Wanted

_INDEX = re.compile(r"[0-9]{1,4}")
_KEY = re.compile(r"[!-~]{1,200}")  # visible ASCII
# What no XML can hold: the store would refuse the whole request, as if it were at fault itself.
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
MAX_PRESIGNED = 1_000
MAX_PAGE, MAX_PAGE_SIZE, PAGE_SIZE = 10_000, 100, 20


def idempotency_key(request: web.Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        raise Fault(
            "invalid_field",
            "Idempotency-Key must be 1 to 200 visible ASCII characters.",
            details={"field": "Idempotency-Key"},
        )
    return key


def wanted(request: web.Request, value: Any, *extra: str) -> tuple[Wanted, Members]:
    """What every session request says; ``extra`` are the members its method adds."""
    members = Members(value, frozenset({"file_name", "file_size_bytes", *extra}))
    name = members.string("file_name", nul=True)  # a NUL breaks the name rule, not the type
    size = value.get("file_size_bytes")
    if type(size) is int and not 0 <= size <= MAX_FILE_BYTES:
        raise Fault("invalid_file_size", "A file has 0 to 2^63-1 bytes.")
    size_bytes = members.integer("file_size_bytes")
    return Wanted(user_of(request), name, size_bytes, idempotency_key(request)), members


def header_uuid(request: web.Request, name: str) -> UUID:
    value = request.headers.get(name)
    if not value:
        raise Fault("missing_header", f"The header {name} is required.", details={"header": name})
    return parse_uuid(value, name)


def send(request: web.Request) -> Send:
    """A chunk's head: lengths first, then the other inputs."""
    size_bytes = request.content_length
    if size_bytes is None:
        raise Fault("length_required", "A chunk needs a Content-Length.")
    if size_bytes > MAX_CHUNK_BYTES:
        raise Fault("body_too_large", f"A chunk may have at most {MAX_CHUNK_BYTES} bytes.")
    index = request.query.getall("id", [])
    if len(index) != 1 or not _INDEX.fullmatch(index[0]):
        raise Fault("invalid_chunk_index", f"The query needs one id from 0 to {MAX_CHUNK_INDEX}.")
    upload_uuid = header_uuid(request, "Upload-UUID")
    checksum = request.headers.get("Checksum")
    return Send(
        upload_uuid,
        user_of(request),
        int(index[0]),
        size_bytes,
        None if checksum is None else parse_sha256(checksum),
    )


def part_numbers(members: Members) -> list[int]:
    numbers = members.array("part_numbers")
    if any(type(number) is not int for number in numbers):
        raise members.fault("part_numbers", "an array of integers")
    if len(numbers) > MAX_PRESIGNED or len(set(numbers)) != len(numbers):
        raise members.fault("part_numbers", f"at most {MAX_PRESIGNED} different part numbers")
    for number in numbers:
        judge_part_number(number)
    return numbers


def judge_part_number(number: int) -> None:
    """What no upload can have; the upload's own range is checked with the upload."""
    if not 1 <= number <= MAX_PARTS:
        raise Fault("invalid_part_number", f"Part numbers run from 1 to at most {MAX_PARTS}.")


def etag(given: str) -> str:
    """A part's ETag, as it will stand in a request to the store.

    Raises:
        Fault: ``invalid_field``.
    """
    if _NOT_XML.search(given):
        raise Members.fault("etag", "an ETag, without control characters")
    return given


def page(request: web.Request) -> tuple[bool, int, int]:
    """``state``, ``page`` and ``size`` of the list of sessions."""
    query = request.query
    if set(query) - {"state", "page", "size"} or len(query) != len(set(query)):
        raise Fault("invalid_query", "The list takes state, page and size, each once.")
    state = query.get("state", "open")
    if state not in {"open", "all"}:
        raise Fault("invalid_query", "state is open or all.")
    return (
        state == "all",
        _number(query.get("page", "1"), "page", MAX_PAGE),
        _number(query.get("size", str(PAGE_SIZE)), "size", MAX_PAGE_SIZE),
    )


def _number(text: str, name: str, maximum: int) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= maximum:
        raise Fault("invalid_query", f"{name} is an integer from 1 to {maximum}.")
    return int(text)
