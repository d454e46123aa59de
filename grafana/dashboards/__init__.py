"""All dashboards, in the order of their links: what it costs first, the machine last."""

from __future__ import annotations

from grafana.dashboards import behind, client, gateway, host, pipeline, proxy_direct, services
from grafana.model import Dashboard

DASHBOARDS: tuple[Dashboard, ...] = (
    proxy_direct.dashboard(),
    behind.dashboard(),
    gateway.dashboard(),
    pipeline.dashboard(),
    services.dashboard(),
    host.dashboard(),
    client.dashboard(),
)
