"""Settings from an environment made for one test."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypeVar
from unittest.mock import patch

from services.kit import settings

S = TypeVar("S", bound=settings.ProcessSettings)


def load(cls: type[S], environ: Mapping[str, str]) -> S:
    """What a process would read that is started with this environment and nothing else."""
    with patch.dict(os.environ, environ, clear=True):
        return settings.load(cls)
