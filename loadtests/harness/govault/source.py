"""What GoVault's study did and published. Its ramps and rounds are scripts: ``loadtests/k6/govault``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Method = Literal["proxy", "direct"]
METHODS: tuple[Method, ...] = ("proxy", "direct")
NAMES: Mapping[Method, str] = {"proxy": "through the server", "direct": "direct in parts"}
STRATEGIES: Mapping[Method, str] = {"proxy": "proxy-chunked", "direct": "direct-multipart"}  # of ours
UPLOAD_METHODS: Mapping[Method, str] = {"proxy": "proxy", "direct": "multipart"}  # as its script calls them
# Steps of a round in their order; the pauses between them are a second each.
STEPS: Mapping[Method, tuple[str, ...]] = {
    "proxy": ("login", "list", "session", "chunk"),
    "direct": ("login", "list", "session", "put", "register", "complete"),
}
FILE_BYTES = 1024**2
LEVELS = (200, 400, 600, 750, 850, 925, 1000)  # VUs at the peak of a ramp
PEAK_VUS = 1000  # of the ramp as it is written; a level is a part of it
RAMP_S = 360.0
GRACE_S = 30.0  # that rounds have after the ramp; k6's own


def is_success(status: int) -> bool:
    """As k6 counts failed requests: every status outside 200 to 399 is one, and so is no answer (0)."""
    return 200 <= status < 400


@dataclass(frozen=True, slots=True)
class Published:
    """One cell of its table. ``errors`` is a share; ``files_per_s`` was recomputed from its logs and left out
    where they count failed uploads too."""

    rps: float
    median_ms: float
    p95_ms: float
    errors: float
    files_per_s: float | None = None


PUBLISHED: Mapping[tuple[int, Method], Published] = {
    (200, "proxy"): Published(142, 59, 1490, 0.0, 35.4),
    (200, "direct"): Published(208, 51, 780, 0.0, 34.5),
    (400, "proxy"): Published(140, 188, 5500, 0.0, 34.6),
    (400, "direct"): Published(202, 172, 4150, 0.0, 33.4),
    (600, "proxy"): Published(126, 287, 9910, 0.0001),
    (600, "direct"): Published(203, 233, 8050, 0.0, 33.3),
    (750, "proxy"): Published(132, 373, 10_000, 0.05, 33.7),
    (750, "direct"): Published(202, 492, 9020, 0.0, 33.2),
    (850, "proxy"): Published(155, 357, 9840, 0.14),
    (850, "direct"): Published(170, 437, 10_500, 0.0073, 27.6),
    (925, "direct"): Published(178, 492, 10_400, 0.0189, 29.2),
    (1000, "direct"): Published(176, 496, 11_900, 0.0227, 28.8),
}
