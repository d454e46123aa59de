"""Asks the services of a checkout for their settings: a program, run by that checkout's own interpreter in
its folder, so that a revision answers for itself.

    PYTHON -P compose/settings_of.py < asked.json > said.json

Standard input is ``{arm: {process: environment}}``, where the process's service is the word before its first
hyphen. The answer holds, by service, what each setting expects; and by arm the settings that each process
would have, or its problems. Nothing starts.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

PACKAGES = {
    "gateway": "gateway",
    "auth": "services.auth",
    "upload": "services.upload",
    "files": "services.files",
}


def main() -> None:
    """Process edge."""
    asked = json.load(sys.stdin)
    kit = importlib.import_module("services.kit.settings")
    classes = {
        name: importlib.import_module(f"{package}.settings").Settings for name, package in PACKAGES.items()
    }
    said = {
        "known": {name: _known(kit, cls) for name, cls in classes.items()},
        "arms": {
            arm: {
                process: _tried(kit, classes[process.partition("-")[0]], environment)
                for process, environment in processes.items()
            }
            for arm, processes in asked.items()
        },
    }
    json.dump(said, sys.stdout)


def _known(kit: Any, cls: Any) -> dict[str, str]:
    """What every setting that is no secret expects, by variable."""
    properties: Mapping[str, Any] = cls.model_json_schema()["properties"]
    return {name: kit.expected(schema) for name, schema in properties.items() if not schema.get("writeOnly")}


def _tried(kit: Any, cls: Any, environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings under an environment, as ``GET /settings`` will show them, or what is wrong."""
    os.environ.clear()
    os.environ.update(environment)
    try:
        return {"settings": kit.public(kit.load(cls)), "problems": []}
    except kit.SettingsError as error:
        return {"settings": {}, "problems": error.problems}


if __name__ == "__main__":
    main()
