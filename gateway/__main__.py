"""``python -m gateway``."""

from gateway.app import serve
from gateway.settings import Settings
from services.kit.run import main

main(Settings, serve, "gateway")
