"""``python -m services.auth``"""

from services.auth.app import serve
from services.auth.settings import Settings
from services.kit.run import main

if __name__ == "__main__":
    main(Settings, serve, "auth")
