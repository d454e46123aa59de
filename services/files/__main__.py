"""``python -m services.files``"""

from services.files.app import serve
from services.files.settings import Settings
from services.kit.run import main

if __name__ == "__main__":
    main(Settings, serve, "files")
