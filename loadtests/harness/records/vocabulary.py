"""The words of the records: how valid a run is, what became of an upload."""

from __future__ import annotations

import re
from enum import StrEnum

# Of the harness's users. Reserved: clean state deletes what belongs to it and nothing else.
EMAIL_DOMAIN = "harness.vaultbench.invalid"
# Object stores by the name of their part; one of them runs.
STORES = ("minio", "versitygw")
# Flag of an upload whose content the audit read back and hashed.
HASHED = "hashed"
# Flag of an upload that counts as lost, as it never came to its end, and whose file is there all the same.
UNFINISHED = "unfinished"
# Flags of a sample that is a download, and of one whose rest was asked for by range after it had been cut.
DOWNLOADED, RESUMED = "download", "resumed"
# States of an upload that has not ended, as rows and answers name them.
OPEN_STATES = frozenset({"pending", "assembling", "uploading", "completing"})
_REPLICA = re.compile(r"(.+)-[0-9]+")


def service_of(part: str) -> str:
    """What a part is: ``upload-2`` is the second replica of ``upload``; every other part is itself."""
    replica = _REPLICA.fullmatch(part)
    return replica[1] if replica else part


class Severity(StrEnum):
    INFO = "info"
    CAUTION = "caution"
    INVALID = "invalid"


class Validity(StrEnum):
    VALID = "valid"
    CAUTIONS = "valid with cautions"
    INVALID = "invalid"


class LedgerClass(StrEnum):
    """What became of one intent. ``PENDING`` still progressed when settling was cut off."""

    VERIFIED = "verified"
    PENDING = "pending"
    CLEAN_FAILURE = "G-00"
    NO_TRACE = "G-01"
    LOST = "G-02"
    CORRUPT = "G-03"
    ORPHAN_ROW = "G-05"
    STUCK = "G-06"
    DUPLICATE = "G-07"
    LATE_SUCCESS = "G-08"


class LedgerFlag(StrEnum):
    """What the ledger says beside the classes: of an upload, or of something that no upload explains."""

    ORPHAN_OBJECT = "G-04"
    LEFTOVER = "G-09"
    EARLY_ACK = "G-10"  # acknowledged before it was durable
    FOREIGN = "G-11"
    HOLLOW = "G-12"  # the client was through with it, and it is not verified
