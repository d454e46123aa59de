"""Finds the route of a request in a process's own table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar
from urllib.parse import unquote

from services.kit.errors import Fault
from services.kit.routing import Route

T = TypeVar("T")
_PARAMETER = re.compile(r"\{(\w+)\}")
_NO_VALUES: Mapping[str, str] = {}


class Router(Generic[T]):
    """Maps method and path to what was given for the route; a GET route answers HEAD too."""

    def __init__(self, entries: Iterable[tuple[Route, T]]) -> None:
        self._literal: dict[str, dict[str, tuple[Route, T]]] = {}
        self._patterns: dict[str, re.Pattern[str]] = {}
        self._methods: dict[str, dict[str, tuple[Route, T]]] = {}
        for route, entry in entries:
            methods = self._methods.setdefault(route.template, {})
            methods[route.method] = (route, entry)
            if route.method == "GET":
                methods.setdefault("HEAD", (route, entry))
            if "{" in route.template:
                pattern = _PARAMETER.sub(r"(?P<\1>[^/]+)", route.template)
                self._patterns[route.template] = re.compile(pattern)
            else:
                self._literal[route.template] = methods

    def match(self, method: str, target: str) -> tuple[Route, T, Mapping[str, str]]:
        """Route, entry and the values of the path's parameters.

        Raises:
            Fault: ``route_not_found``; ``method_not_allowed`` with ``Allow``.
        """
        path = target.partition("?")[0]
        methods, values = self._literal.get(path), _NO_VALUES
        if methods is None:
            methods, values = self._pattern(unquote(path, errors="surrogateescape"))
        found = methods.get(method)
        if found is None:
            allow = {"Allow": ", ".join(sorted(methods))}
            raise Fault("method_not_allowed", "The path has other methods.", headers=allow)
        return found[0], found[1], values

    def _pattern(self, path: str) -> tuple[dict[str, tuple[Route, T]], Mapping[str, str]]:
        if path in self._literal:
            return self._literal[path], _NO_VALUES
        for template, pattern in self._patterns.items():
            match = pattern.fullmatch(path)
            if match is not None:
                return self._methods[template], match.groupdict()
        raise Fault("route_not_found", "There is no such path.")
