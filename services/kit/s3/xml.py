"""The few XML bodies of S3, in and out.

The store is ours to trust, and expat bounds entity expansion; names are matched without namespace,
because stores differ in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.etree import ElementTree as ET

from services.kit.s3.errors import StoreError, UnavailableError, refusal
from services.kit.s3.model import ObjectEntry, OpenUpload, Part

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclass(frozen=True, slots=True)
class PartsPage:
    parts: list[Part]
    next_marker: int | None


@dataclass(frozen=True, slots=True)
class UploadsPage:
    """``next_marker`` is the key and the upload id to go on behind; None on the last page."""

    uploads: list[OpenUpload]
    next_marker: tuple[str, str] | None


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _parse(op: str, body: bytes, expected: str) -> ET.Element:
    """The root element ``expected``; anything else is an error, also in a 200.

    Raises:
        StoreError: the error that the body states, or ``UnavailableError`` when it is not XML.
    """
    try:
        root = ET.fromstring(body.strip())  # noqa: S314 - see the module's text
    except ET.ParseError as error:
        raise UnavailableError(op, 200, "malformed") from error
    if _local(root.tag) == expected:
        return root
    stated: StoreError = refusal(op, 200, body)
    raise stated


def _all(root: ET.Element, name: str) -> Iterator[ET.Element]:
    return (child for child in root if _local(child.tag) == name)


def _text(root: ET.Element, name: str) -> str:
    return next((child.text or "" for child in _all(root, name)), "")


def upload_id(op: str, body: bytes) -> str:
    return _text(_parse(op, body, "InitiateMultipartUploadResult"), "UploadId")


def etag_of(op: str, body: bytes, expected: str) -> str:
    return _text(_parse(op, body, expected), "ETag")


def parts_page(op: str, body: bytes) -> PartsPage:
    root = _parse(op, body, "ListPartsResult")
    parts = [
        Part(int(_text(part, "PartNumber")), _text(part, "ETag"), int(_text(part, "Size")))
        for part in _all(root, "Part")
    ]
    more = _text(root, "IsTruncated") == "true"
    return PartsPage(parts, int(_text(root, "NextPartNumberMarker")) if more else None)


def uploads_page(op: str, body: bytes) -> UploadsPage:
    root = _parse(op, body, "ListMultipartUploadsResult")
    uploads = [
        OpenUpload(
            _text(entry, "Key"),
            _text(entry, "UploadId"),
            datetime.fromisoformat(_text(entry, "Initiated")),
        )
        for entry in _all(root, "Upload")
    ]
    more = _text(root, "IsTruncated") == "true"
    marker = (_text(root, "NextKeyMarker"), _text(root, "NextUploadIdMarker"))
    return UploadsPage(uploads, marker if more else None)


def failed_keys(op: str, body: bytes) -> dict[str, str]:
    root = _parse(op, body, "DeleteResult")
    return {_text(error, "Key"): _text(error, "Code") for error in _all(root, "Error")}


def objects(op: str, body: bytes) -> list[ObjectEntry]:
    root = _parse(op, body, "ListBucketResult")
    return [
        ObjectEntry(
            _text(entry, "Key"),
            int(_text(entry, "Size")),
            _text(entry, "ETag"),
            datetime.fromisoformat(_text(entry, "LastModified")),
        )
        for entry in _all(root, "Contents")
    ]


def complete_request(parts: Sequence[Part]) -> bytes:
    root = ET.Element("CompleteMultipartUpload", xmlns=NAMESPACE)
    for part in parts:
        element = ET.SubElement(root, "Part")
        ET.SubElement(element, "PartNumber").text = str(part.number)
        ET.SubElement(element, "ETag").text = part.etag
    return ET.tostring(root)


def delete_request(keys: Sequence[str]) -> bytes:
    root = ET.Element("Delete", xmlns=NAMESPACE)
    ET.SubElement(root, "Quiet").text = "true"
    for key in keys:
        ET.SubElement(ET.SubElement(root, "Object"), "Key").text = key
    return ET.tostring(root)


def cors_request(origins: Sequence[str], methods: Sequence[str]) -> bytes:
    """Any request header may be sent; the answer's ``ETag`` may be read."""
    root = ET.Element("CORSConfiguration", xmlns=NAMESPACE)
    rule = ET.SubElement(root, "CORSRule")
    values = [("AllowedOrigin", origin) for origin in origins]
    values += [("AllowedMethod", method) for method in methods]
    for name, value in [*values, ("AllowedHeader", "*"), ("ExposeHeader", "ETag")]:
        ET.SubElement(rule, name).text = value
    return ET.tostring(root)
