"""``python -m services.files``"""

from services.files.app import served
from services.files.metrics import Metrics
from services.files.settings import Settings
from services.kit.run import main

if __name__ == "__main__":
    main("files", Settings, Metrics, served)
