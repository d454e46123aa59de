"""What the settings of each process are when nobody sets them: reports name those of a run that differ."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from typing import Any

import yaml

from compose.settings import ROOT

PARTS = ROOT / "compose" / "native.yaml"


def text(processes: Mapping[str, str]) -> str:
    """Of every setting that somebody may set at ``make up``, by process, as ``/settings`` shows it.
    ``processes`` are packages by process."""
    parts = yaml.safe_load(PARTS.read_text(encoding="utf-8"))["parts"]
    found = {name: _of(package, parts[name].get("optional", [])) for name, package in processes.items()}
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


def _of(package: str, settable: list[str]) -> dict[str, Any]:
    cls = importlib.import_module(f"{package}.settings").Settings
    known = cls.model_json_schema(mode="serialization")["properties"]
    return {name: known[name]["default"] for name in settable if "default" in known.get(name, {})}
