"""Puts a folder's tests into another order, and leaves those of all other folders where they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def sort_those_of(folder: Path, items: list[pytest.Item], key: Callable[[pytest.Item], Any]) -> None:
    """Sort, in place, the tests of ``folder`` among themselves."""
    here = [index for index, item in enumerate(items) if item.path.parent == folder]
    for index, item in zip(here, sorted((items[index] for index in here), key=key), strict=True):
        items[index] = item
