"""``python -m services.upload``"""

from services.kit.run import main
from services.upload.app import served
from services.upload.metrics import Metrics
from services.upload.settings import Settings

if __name__ == "__main__":
    main("upload", Settings, Metrics, served)
