"""An async S3 client with just the operations this system uses.

Path style, region ``us-east-1``, Signature V4 by the minio package's signer, transport by aiohttp.
Bodies stream in bounded memory; everything rare (bucket set-up, listings) goes through the minio SDK
in threads, in ``admin``.
"""

from services.kit.s3.errors import (
    ChecksumMismatchError,
    InvalidPartError,
    NoSuchUploadError,
    NotFoundError,
    PreconditionFailedError,
    RangeError,
    RefusedError,
    StoreError,
    UnavailableError,
)
from services.kit.s3.model import ByteRange, Download, ObjectInfo, Part, Stored
from services.kit.s3.protocol import ObjectStore, PutExchange

__all__ = [
    "ByteRange",
    "ChecksumMismatchError",
    "Download",
    "InvalidPartError",
    "NoSuchUploadError",
    "NotFoundError",
    "ObjectInfo",
    "ObjectStore",
    "Part",
    "PreconditionFailedError",
    "PutExchange",
    "RangeError",
    "RefusedError",
    "StoreError",
    "Stored",
    "UnavailableError",
]
