"""Gives MinIO the services' key, which may use their bucket and do nothing else; runs before the services.

Reads ``MINIO_URL``, ``MINIO_ROOT_USER`` and ``MINIO_ROOT_PASSWORD``, and the key in ``S3_ACCESS_KEY``,
``S3_SECRET_KEY`` for ``S3_BUCKET``. Doing it again changes nothing.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

from minio import MinioAdmin
from minio.credentials.providers import StaticProvider

POLICY = "vaultbench-services"
# Not the bucket's policy, which could open it to everybody; MinIO's origins are a setting of the server.
OF_BUCKET = (
    "s3:CreateBucket",
    "s3:GetBucketLocation",
    "s3:GetBucketPolicy",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
)
OF_OBJECTS = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
)


def policy(bucket: str) -> dict[str, Any]:
    """What the key may do."""
    place = f"arn:aws:s3:::{bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": list(OF_BUCKET), "Resource": [place]},
            {"Effect": "Allow", "Action": list(OF_OBJECTS), "Resource": [f"{place}/*"]},
        ],
    }


def admin(url: str, user: str, password: str) -> MinioAdmin:
    """Root's client."""
    place = urlsplit(url)
    credentials = StaticProvider(user, password)
    return MinioAdmin(endpoint=place.netloc, credentials=credentials, secure=place.scheme == "https")


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


def main() -> None:
    """Process edge."""
    env = os.environ
    client = admin(env["MINIO_URL"], env["MINIO_ROOT_USER"], env["MINIO_ROOT_PASSWORD"])
    give_key(client, env["S3_BUCKET"], env["S3_ACCESS_KEY"], env["S3_SECRET_KEY"])


if __name__ == "__main__":
    main()
