"""What the files service serves, as data; the gateway adds its own prefix."""

from __future__ import annotations

from services.kit.web.routing import Route, Token, health_routes

COPY_S, DELETE_S = 120.0, 120.0  # as long as large objects and full folders may take

ROUTES: tuple[Route, ...] = (
    Route("GET", "/me/owned", "list_owned"),
    Route("GET", "/me/shared", "list_shared"),
    Route("GET", "/me/shortcuts", "list_shortcuts"),
    Route("GET", "/f/{file_id}", "summary", token=Token.OPTIONAL),
    Route("PATCH", "/f/{file_id}", "rename", body="json"),
    Route("DELETE", "/f/{file_id}", "delete"),
    Route("GET", "/f/{file_id}/download", "download", token=Token.OPTIONAL),
    Route("POST", "/f/{file_id}/copy", "copy", deadline_s=COPY_S),
    Route("GET", "/f/{file_id}/shares", "list_shares"),
    Route("POST", "/f/{file_id}/shares", "add_shares", body="json"),
    Route("PATCH", "/f/{file_id}/shares/{user_id}", "change_share", body="json"),
    Route("DELETE", "/f/{file_id}/shares/{user_id}", "remove_share"),
    Route("POST", "/f/{file_id}/public", "publish"),
    Route("DELETE", "/f/{file_id}/public", "unpublish"),
    Route("POST", "/f/{file_id}/shortcut", "add_shortcut"),
    Route("DELETE", "/f/{file_id}/shortcut", "remove_shortcut"),
    Route("GET", "/folders", "list_folders"),
    Route("DELETE", "/folders/{prefix}", "delete_folder", deadline_s=DELETE_S, rest=True),
    Route("POST", "/batch-download", "batch_download", body="json"),
    Route("POST", "/internal/file", "register", token=Token.NONE, body="json", internal=True),
    Route("POST", "/internal/file/{file_id}/void", "void", token=Token.NONE, internal=True),
    Route("POST", "/internal/sweep", "sweep", token=Token.NONE, internal=True),
    *health_routes(),
)
