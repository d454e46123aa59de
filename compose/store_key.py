"""Makes the services' bucket, which they may use and do nothing else; runs before them.

Reads ``STORE_URL``, ``MINIO_ROOT_USER`` and ``MINIO_ROOT_PASSWORD``, and the key in ``S3_ACCESS_KEY``,
``S3_SECRET_KEY`` for ``S3_BUCKET``. MinIO learns the key and its rights from its administrator. With
``STORE=versitygw`` the store knows the key already, and its rights are the bucket's policy. Doing it again
changes nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from minio import Minio, MinioAdmin
from minio.credentials.providers import StaticProvider

POLICY = "vaultbench-services"
REGION = "us-east-1"
# Not the bucket's policy, which could open it to everybody.
OF_BUCKET = ("s3:GetBucketLocation", "s3:GetBucketPolicy", "s3:ListBucket", "s3:ListBucketMultipartUploads")
# Where it is the bucket that lets browsers in. MinIO's origins are a setting of the server.
OF_ORIGINS = ("s3:PutBucketCORS",)
OF_OBJECTS = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
)


def policy(bucket: str, of_bucket: Sequence[str] = OF_BUCKET, **who: Any) -> dict[str, Any]:
    """What the key may do; ``who``: the Principal, in a policy that is not given to a key itself."""
    place = f"arn:aws:s3:::{bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": list(of_bucket), "Resource": [place], **who},
            {"Effect": "Allow", "Action": list(OF_OBJECTS), "Resource": [f"{place}/*"], **who},
        ],
    }


def admin(url: str, user: str, password: str) -> MinioAdmin:
    """Root's client of MinIO's administration."""
    place = urlsplit(url)
    credentials = StaticProvider(user, password)
    return MinioAdmin(endpoint=place.netloc, credentials=credentials, secure=place.scheme == "https")


def make_bucket(root: Minio, bucket: str) -> None:
    """Make the bucket unless it is there. Raises S3Error: the store refuses."""
    if not root.bucket_exists(bucket):
        root.make_bucket(bucket)


def give_key(
    client: MinioAdmin, bucket: str, access_key: str, secret_key: str, *, policy_name: str = POLICY
) -> None:
    """Make or change the policy and the key.

    Raises:
        MinioAdminException: the store refuses.
    """
    client.policy_add(policy_name, policy=policy(bucket))
    client.user_add(access_key, secret_key)
    client.policy_set(policy_name, user=access_key)


def open_bucket(root: Minio, bucket: str, access_key: str) -> None:
    """Let a key that the store knows into the bucket. Raises S3Error: the store refuses."""
    rights = policy(bucket, (*OF_BUCKET, *OF_ORIGINS), Principal={"AWS": [access_key]})
    root.set_bucket_policy(bucket, json.dumps(rights))


def main() -> None:
    """Process edge."""
    env = os.environ
    url, user, password = env["STORE_URL"], env["MINIO_ROOT_USER"], env["MINIO_ROOT_PASSWORD"]
    place, bucket = urlsplit(url), env["S3_BUCKET"]
    root = Minio(place.netloc, user, password, secure=place.scheme == "https", region=REGION)
    make_bucket(root, bucket)
    if env.get("STORE") == "versitygw":
        open_bucket(root, bucket, env["S3_ACCESS_KEY"])
    else:
        give_key(admin(url, user, password), bucket, env["S3_ACCESS_KEY"], env["S3_SECRET_KEY"])


if __name__ == "__main__":
    main()
