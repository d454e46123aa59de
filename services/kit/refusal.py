"""A start that cannot succeed as things are, and the exit code that says so."""

from __future__ import annotations

EXIT_CODE = 78  # EX_CONFIG of sysexits.h: whoever starts us again gets the same


class StartRefused(Exception):
    """Trying again cannot help; the message is one sentence with what does."""
