"""Every histogram's buckets, as a file: what draws and measures knows them without the services' code."""

from __future__ import annotations

import json

from prometheus_client import Histogram

from docs.families import declared
from gateway.metrics import Metrics as Gateway
from services.auth.metrics import Metrics as Auth
from services.files.metrics import Metrics as Files
from services.upload.metrics import Metrics as Upload


def text() -> str:
    """``grafana/buckets.json``: upper bounds by the histogram's name."""
    found: dict[str, list[float]] = {}
    for metrics in (Gateway, Auth, Upload, Files):
        for metric, _ in declared(metrics().registry):
            if isinstance(metric, Histogram):
                bounds = metric._upper_bounds[:-1]  # the last is infinity
                if found.setdefault(metric._name, bounds) != bounds:
                    raise ValueError(f"{metric._name} has different buckets in two processes")
    lines = [f"  {json.dumps(name)}: {json.dumps(bounds)}" for name, bounds in sorted(found.items())]
    return "{\n" + ",\n".join(lines) + "\n}\n"
