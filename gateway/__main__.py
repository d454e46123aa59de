"""``python -m gateway``."""

from gateway.app import served
from gateway.metrics import Metrics
from gateway.settings import Settings
from services.kit.run import main

main("gateway", Settings, Metrics, served)
