"""What the files service serves, as data; the gateway adds its own prefix."""

from __future__ import annotations

from services.kit.web.routing import Route, Token, health_routes

ROUTES: tuple[Route, ...] = (
    Route("GET", "/me/owned", "list_owned"),
    Route("GET", "/me/shared", "list_shared"),
    Route("GET", "/me/shortcuts", "list_shortcuts"),
    Route("GET", "/f/{file_id}", "summary", token=Token.OPTIONAL),
    Route("PATCH", "/f/{file_id}", "rename", body="json"),
    Route("DELETE", "/f/{file_id}", "delete"),
    Route("GET", "/f/{file_id}/download", "download", token=Token.OPTIONAL),
    Route("POST", "/internal/file", "register", token=Token.NONE, body="json", internal=True),
    Route("GET", "/internal/file/{file_id}", "registered", token=Token.NONE, internal=True),
    Route("POST", "/internal/file/{file_id}/void", "void", token=Token.NONE, internal=True),
    Route("POST", "/internal/sweep", "sweep", token=Token.NONE, internal=True),
    *health_routes(),
)
