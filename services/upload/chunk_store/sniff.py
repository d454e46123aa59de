"""The type of a file by its first bytes, for names that imply none. A few signatures, no more."""

from __future__ import annotations

from services.kit.names import OCTET_STREAM

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b\x08", "application/gzip"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (257, b"ustar", "application/x-tar"),
)
# The signature that ends last.
SNIFF_BYTES = max(offset + len(signature) for offset, signature, _ in _SIGNATURES)


def type_of(first: bytes) -> str:
    """A MIME type for content that begins with ``first``; octet-stream when nothing is known.

    ``first`` is at least ``SNIFF_BYTES`` long, or all there is.
    """
    for offset, signature, mime_type in _SIGNATURES:
        if first.startswith(signature, offset):
            return mime_type
    return OCTET_STREAM
