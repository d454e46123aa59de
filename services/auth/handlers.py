"""HTTP of the auth service: parse, one call, render."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from services.auth import fields
from services.auth.service import AuthService, Credentials, Session
from services.kit.codec import Members
from services.kit.errors import Fault
from services.kit.names import normal_email
from services.kit.web.answers import json_response
from services.kit.web.app import Handler
from services.kit.web.body import json_value

MAX_RESOLVED = 100
SERVICE = web.AppKey("SERVICE", AuthService)


async def signup(request: web.Request) -> web.Response:
    service = request.app[SERVICE]
    service.admit_signup()
    members = Members(await json_value(request), known=None)
    username, email = fields.username(members), fields.email(members)
    password = fields.password(members, minimum_bytes=fields.MIN_PASSWORD_BYTES)
    session = await service.sign_up(username, Credentials(email, password), _connected(request))
    return json_response({"message": "signup successful", **_rendered(session)})


async def login(request: web.Request) -> web.Response:
    service = request.app[SERVICE]
    service.admit_login()
    members = Members(await json_value(request), known=None)
    credentials = Credentials(fields.email(members), fields.password(members))
    return json_response(_rendered(await service.log_in(credentials, _connected(request))))


async def resolve_users(request: web.Request) -> web.Response:
    emails = _emails(await json_value(request))
    return json_response(await request.app[SERVICE].resolve(emails))


def _emails(value: object) -> list[str]:
    if not isinstance(value, list):
        raise Fault("invalid_json", "The body must be a JSON array of e-mails.")
    if not value:
        raise Fault("missing_field", "At least one e-mail is required.", details={"field": "emails"})
    if len(value) > MAX_RESOLVED or not all(isinstance(item, str) and "\0" not in item for item in value):
        raise Members.fault("emails", f"1 to {MAX_RESOLVED} strings")
    return [normal_email(item) for item in value]


def _rendered(session: Session) -> dict[str, str]:
    return {"token": session.token, "username": session.username, "email": session.email}


def _connected(request: web.Request) -> Callable[[], None]:
    def check() -> None:
        if request.transport is None or request.transport.is_closing():
            raise ConnectionResetError("the client left while it waited for a hash")

    return check


HANDLERS: Mapping[str, Handler] = {"signup": signup, "login": login, "resolve_users": resolve_users}
