"""HTTP of the auth service: parse, one call, render."""

from __future__ import annotations

from collections.abc import Callable

from services.auth import fields
from services.auth.service import AuthService, Credentials, Session
from services.kit.body import json_value
from services.kit.codec import Members
from services.kit.errors import Fault
from services.kit.http.message import Request, Response
from services.kit.names import trimmed
from services.kit.web import Handler, json_response

MAX_RESOLVED = 100


class Handlers:
    def __init__(self, service: AuthService) -> None:
        self._service = service

    def table(self) -> dict[str, Handler]:
        return {"signup": self.signup, "login": self.login, "resolve_users": self.resolve_users}

    async def signup(self, request: Request) -> Response:
        self._service.admit_signup()
        members = Members(await json_value(request), known=None)
        username, email = fields.username(members), fields.email(members)
        password = fields.password(members, minimum_bytes=fields.MIN_PASSWORD_BYTES)
        session = await self._service.sign_up(username, Credentials(email, password), _connected(request))
        return json_response({"message": "signup successful", **_rendered(session)})

    async def login(self, request: Request) -> Response:
        self._service.admit_login()
        members = Members(await json_value(request), known=None)
        credentials = Credentials(fields.email(members), fields.password(members))
        return json_response(_rendered(await self._service.log_in(credentials, _connected(request))))

    async def resolve_users(self, request: Request) -> Response:
        emails = _emails(await json_value(request))
        return json_response(await self._service.resolve(emails))


def _emails(value: object) -> list[str]:
    if not isinstance(value, list):
        raise Fault("invalid_json", "The body must be a JSON array of e-mails.")
    if not value:
        raise Fault("missing_field", "At least one e-mail is required.", details={"field": "emails"})
    if len(value) > MAX_RESOLVED or not all(isinstance(item, str) and "\0" not in item for item in value):
        raise Members.fault("emails", f"1 to {MAX_RESOLVED} strings")
    return [trimmed(item).lower() for item in value]


def _rendered(session: Session) -> dict[str, str]:
    return {"token": session.token, "username": session.username, "email": session.email}


def _connected(request: Request) -> Callable[[], None]:
    def check() -> None:
        if not request.carrier.connected():
            raise ConnectionResetError("the client left while it waited for a hash")

    return check
