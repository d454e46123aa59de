"""``python -m services.auth``"""

from services.auth.app import served
from services.auth.metrics import Metrics
from services.auth.settings import Settings
from services.kit.run import main

if __name__ == "__main__":
    main("auth", Settings, Metrics, served)
