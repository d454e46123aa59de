"""HTTP of the files service."""

from __future__ import annotations

from collections.abc import Mapping

from services.files.handlers import files, many, sharing
from services.kit.web.app import Handler

HANDLERS: Mapping[str, Handler] = {**files.HANDLERS, **sharing.HANDLERS, **many.HANDLERS}
