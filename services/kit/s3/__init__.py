"""An async S3 client with just the operations this system uses.

Path style, region ``us-east-1``, signed by the minio package, carried by ``kit.client``. Bodies stream in
bounded memory; what clients pace has connections of its own, so that slow ones cannot stop the rest. What is
rare (making the bucket) goes through the minio SDK in threads.
"""

from services.kit.s3.bucket import allow_origins, prepare_bucket
from services.kit.s3.client import MOST_DELETED, S3Client, open_client
from services.kit.s3.download import Download
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
from services.kit.s3.health import StoreHealth
from services.kit.s3.model import ByteRange, ObjectEntry, ObjectInfo, OpenUpload, Part, Stored, same_etag
from services.kit.s3.put import StreamedPut
from services.kit.s3.selftest import Capabilities, self_test
from services.kit.s3.signing import S3Address
from services.kit.s3.transport import BODY_CONNECTIONS, CONTROL_CONNECTIONS

__all__ = [
    "BODY_CONNECTIONS",
    "CONTROL_CONNECTIONS",
    "MOST_DELETED",
    "ByteRange",
    "Capabilities",
    "ChecksumMismatchError",
    "Download",
    "InvalidPartError",
    "NoSuchUploadError",
    "NotFoundError",
    "ObjectEntry",
    "ObjectInfo",
    "OpenUpload",
    "Part",
    "PreconditionFailedError",
    "RangeError",
    "RefusedError",
    "S3Address",
    "S3Client",
    "StoreError",
    "StoreHealth",
    "Stored",
    "StreamedPut",
    "UnavailableError",
    "allow_origins",
    "open_client",
    "prepare_bucket",
    "same_etag",
    "self_test",
]
