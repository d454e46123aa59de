"""``python -m services.upload``"""

from services.kit.run import main
from services.upload.app import serve
from services.upload.settings import Settings

if __name__ == "__main__":
    main(Settings, serve, "upload")
