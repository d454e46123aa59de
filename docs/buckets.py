"""Every histogram's buckets, as a file: what draws and measures knows them without the services' code."""

from __future__ import annotations

import json

from gateway.metrics import Metrics as Gateway
from services.auth.metrics import Metrics as Auth
from services.files.metrics import Metrics as Files
from services.kit.metrics_types import Histograms
from services.upload.metrics import Metrics as Upload


def text() -> str:
    """``grafana/buckets.json``: upper bounds by the histogram's name."""
    found: dict[str, tuple[float, ...]] = {}
    for metrics in (Gateway, Auth, Upload, Files):
        for collector in metrics().registry._collector_to_names:
            if isinstance(collector, Histograms):
                same = found.setdefault(collector.name, collector.bounds)
                if same != collector.bounds:
                    raise ValueError(f"{collector.name} has different buckets in two processes")
    lines = [f"  {json.dumps(name)}: {json.dumps(bounds)}" for name, bounds in sorted(found.items())]
    return "{\n" + ",\n".join(lines) + "\n}\n"
