"""The words of the records: what a trial is for, how valid a run is, what became of an upload."""

from __future__ import annotations

import re
from enum import StrEnum

# Of the harness's users. Reserved: clean state deletes what belongs to it and nothing else.
EMAIL_DOMAIN = "harness.vaultbench.invalid"
# Object stores by the name of their part; one of them runs.
STORES = ("minio", "versitygw")
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


class Question(StrEnum):
    """What a trial was made for."""

    CAPACITY = "capacity"  # closed loop without think time, paired
    SATURATION = "saturation"  # the same VUs and 1.5 times as many by turns: the proof
    SINGLE = "single"  # direct-single beside the pairs, no verdict
    LARGE = "large"  # several chunks and parts, unpaired
    RAMP = "ramp"  # stepped ramp to the knee
    NEIGHBOURS = "neighbours"  # login and list beside open-arrival uploads, and alone
    RAW = "raw"  # bare presigned PUTs: the reference of the benchmark
    JOURNEY = "journey"  # GoVault's own shape with its think times
    BENCH = "bench"  # the benchmark table
