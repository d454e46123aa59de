"""YAML that people write: no key hides another, and every mistake is one line with its key and value."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import ValidationError


class _EachKeyOnce(yaml.SafeLoader):
    """YAML in which no key hides another of the same name."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise yaml.constructor.ConstructorError(None, None, f"{twice} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def parse(text: str) -> Any:
    """Raises ``yaml.YAMLError``."""
    return yaml.load(text, _EachKeyOnce)  # noqa: S506  # a safe loader


def problems(error: ValidationError) -> list[str]:
    """Each of pydantic's errors as a line: key, value, what was expected."""
    return [_problem(one) for one in error.errors()]


def _problem(found: Any) -> str:
    key = ".".join(str(part) for part in found["loc"] if part != "[key]") or "(whole file)"
    if found["type"] == "extra_forbidden":
        return f"{key}: this key is not known"
    if found["type"] == "missing":
        return f"{key}: missing"
    return f"{key}: {found['input']!r}: {found['msg'].removeprefix('Value error, ')}"
