"""Headless Chromium for the browser layer: found, or the layer is skipped with the reason."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TIMEOUT_S = 60


def find() -> str | None:
    """``CHROMIUM_BIN`` if set (even where it is wrong: then the test says so), else the first on PATH."""
    return os.environ.get("CHROMIUM_BIN") or next(
        (path for name in NAMES if (path := shutil.which(name))), None
    )


def run(program: str, profile: Path, *arguments: str) -> str:
    """Run one headless page without network and return its standard output."""
    done = subprocess.run(
        [
            program,
            "--headless=new",
            "--no-sandbox",  # containers of CI run as root; the page is a local file of ours
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={profile}",
            "--virtual-time-budget=5000",
            *arguments,
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    return done.stdout
