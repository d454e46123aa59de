"""The gateway's route table, made from the tables of the services.

A route that is not in a service's table, or is internal there, does not exist here: only what the table
names is forwarded, and it is forwarded in the form in which it was matched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.target import escaped
from services.auth.routes import ROUTES as AUTH
from services.files.routes import ROUTES as FILES
from services.kit.errors import Fault
from services.kit.web.routing import Route, Token, health_routes
from services.upload.routes import ROUTES as UPLOAD

OWN = "gateway"
TABLES: Mapping[str, tuple[str, tuple[Route, ...]]] = {
    "auth": ("/auth", AUTH),
    "upload": ("/api/upload", UPLOAD),
    "files": ("/api/files", FILES),
    OWN: ("", (*health_routes(), Route("GET", "/openapi.json", "openapi", token=Token.NONE))),
}
BENCH = (
    Route("GET", "/bench/status", "bench_status", token=Token.NONE),
    Route("GET", "/bench/echo", "bench_items", token=Token.NONE),
    Route("POST", "/bench/echo", "bench_echo", token=Token.NONE, body="json"),
    Route("GET", "/bench/users", "bench_users"),
    Route("GET", "/bench/browse", "bench_browse"),
    Route("POST", "/bench/submit", "bench_submit", body="json"),
)
SLASH_ALLOWED = frozenset({"/api/files/f/{file_id}", "/api/files/f/{file_id}/shares"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One route as clients see it: ``template`` with the prefix, ``prefix`` to be cut off again."""

    template: str
    prefix: str
    service: str
    route: Route

    @property
    def own(self) -> bool:
        return self.service == OWN


@dataclass(slots=True)
class _Node:
    """One step of a path: literal segments first, then the one parameter."""

    literals: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    methods: dict[str, Entry] = field(default_factory=dict)

    def child(self, segment: str) -> _Node:
        if segment.startswith("{"):
            self.parameter = self.parameter or _Node()
            return self.parameter
        return self.literals.setdefault(segment, _Node())


class RouteTable:
    """Finds the entry of a method and a normalised path.

    ``rests`` holds the beginnings of those paths whose rest is one parameter, and their methods.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._root = _Node()
        self.rests: dict[str, dict[str, Entry]] = {}
        self.entries = tuple(entries)
        for entry in self.entries:
            self._methods_of(entry)[entry.route.method] = entry
        for entry in self.entries:
            if entry.route.method == "GET":
                self._methods_of(entry).setdefault("HEAD", entry)

    def _methods_of(self, entry: Entry) -> dict[str, Entry]:
        if entry.route.rest:
            return self.rests.setdefault(entry.template.rpartition("{")[0], {})
        node = self._root
        for segment in entry.template.split("/")[1:]:
            node = node.child(segment)
        return node.methods

    def _node(self, path: str) -> _Node:
        node = self._root
        for segment in path.split("/")[1:]:
            following = node.literals.get(segment) or (node.parameter if segment else None)
            if following is None:
                raise _not_found()
            node = following
        return node

    def match(self, method: str, path: str) -> tuple[Entry, str]:
        """The entry, and the path to forward without its prefix.

        Raises:
            Fault: ``route_not_found``; ``method_not_allowed`` with ``Allow``.
        """
        bare, methods = self._found(path)
        entry = methods.get(method)
        if entry is None:
            allow = ", ".join(sorted(methods))
            raise Fault("method_not_allowed", "The path has other methods.", headers={"Allow": allow})
        if "{" not in entry.template:
            return entry, entry.route.template
        return entry, _forwarded(entry, bare)

    def _found(self, path: str) -> tuple[str, Mapping[str, Entry]]:
        """The path as it counts, and its methods."""
        for beginning, methods in self.rests.items():
            if path.startswith(beginning):
                return path, methods
        bare = path[:-1] if path.endswith("/") else path
        methods = self._node(bare).methods
        if not methods or (bare != path and _template(methods) not in SLASH_ALLOWED):
            raise _not_found()
        return bare, methods


def _template(methods: Mapping[str, Entry]) -> str:
    return next(iter(methods.values())).template


def _forwarded(entry: Entry, path: str) -> str:
    return "/".join(escaped(segment) for segment in path[len(entry.prefix) :].split("/"))


def _not_found() -> Fault:
    return Fault("route_not_found", "There is no such path.")


def entries(*, bench: bool = False) -> tuple[Entry, ...]:
    """Every public route of every service, and the gateway's own, with those for experiments or without."""
    found = tuple(
        Entry(prefix + route.template, prefix, service, route)
        for service, (prefix, routes) in TABLES.items()
        for route in routes
        if not route.internal
    )
    return found + tuple(Entry(route.template, "", OWN, route) for route in BENCH) if bench else found
