"""What the upload service serves, as data; the gateway adds its own prefix."""

from __future__ import annotations

from services.kit.web.routing import Route, Token, health_routes

CHUNK_DEADLINE_S = 60.0  # a finalisation is waited for up to 55 s; the answer must still pass the gateway
FILE_DEADLINE_S = 300.0  # a body that was held first is sent to the store after its end

ROUTES: tuple[Route, ...] = (
    Route("POST", "/proxy/session", "proxy_session", body="json"),
    Route("POST", "/proxy/chunk", "proxy_chunk", body="raw", deadline_s=CHUNK_DEADLINE_S),
    Route("POST", "/multipart/session", "multipart_session", body="json"),
    Route("POST", "/multipart/presign", "multipart_presign", body="json"),
    Route("POST", "/multipart/part", "multipart_part", body="json"),
    Route("POST", "/multipart/complete", "multipart_complete", body="json", deadline_s=CHUNK_DEADLINE_S),
    Route("POST", "/single/session", "single_session", body="json"),
    Route("POST", "/single/complete", "single_complete", body="json", deadline_s=CHUNK_DEADLINE_S),
    Route("POST", "/file", "file", body="form", deadline_s=FILE_DEADLINE_S),
    Route("POST", "/batch", "batch", body="form", deadline_s=FILE_DEADLINE_S),
    Route("GET", "/status", "status"),
    Route("GET", "/sessions", "sessions"),
    Route("DELETE", "/session/{upload_uuid}", "session_abort"),
    Route("POST", "/internal/sweep", "sweep", token=Token.NONE, internal=True),
    *health_routes(),
)
