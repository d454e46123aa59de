"""The routes of the auth service, as it sees them."""

from services.kit.web.routing import Route, Token, health_routes

ROUTES: tuple[Route, ...] = (
    Route("POST", "/signup", "signup", token=Token.NONE, body="json"),
    Route("POST", "/login", "login", token=Token.NONE, body="json"),
    Route("POST", "/internal/resolve-users", "resolve_users", token=Token.NONE, body="json", internal=True),
    *health_routes(),
)
