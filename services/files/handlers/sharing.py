"""HTTP of shares, public flag and shortcuts."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from aiohttp import web

from services.files import views
from services.files.handlers.parts import SERVICES, file_id_of
from services.files.recipients import permission, recipients
from services.kit.codec import Members, parse_uuid, rfc3339
from services.kit.web.answers import json_response
from services.kit.web.app import Handler, user_of
from services.kit.web.body import json_value


async def add_shares(request: web.Request) -> web.Response:
    file_id, caller = file_id_of(request), user_of(request)
    asked = recipients(Members(await json_value(request), known=frozenset({"recipients"})))
    shares = await request.app[SERVICES].sharing.add(file_id, caller, asked)
    return json_response({"shares": [views.share(share) for share in shares]}, status=201)


async def list_shares(request: web.Request) -> web.Response:
    shares = await request.app[SERVICES].sharing.list(file_id_of(request), user_of(request))
    return json_response([views.share(share) for share in shares])


async def change_share(request: web.Request) -> web.Response:
    file_id, user_id, caller = file_id_of(request), _user_id(request), user_of(request)
    members = Members(await json_value(request), known=frozenset({"permission"}))
    await request.app[SERVICES].sharing.change(file_id, caller, user_id, permission(members))
    return web.Response(status=204)


async def remove_share(request: web.Request) -> web.Response:
    file_id, user_id = file_id_of(request), _user_id(request)
    await request.app[SERVICES].sharing.remove(file_id, user_of(request), user_id)
    return web.Response(status=204)


async def publish(request: web.Request) -> web.Response:
    url = await request.app[SERVICES].sharing.publish(file_id_of(request), user_of(request))
    return json_response({"public_url": url}, status=201)


async def unpublish(request: web.Request) -> web.Response:
    await request.app[SERVICES].sharing.unpublish(file_id_of(request), user_of(request))
    return web.Response(status=204)


async def add_shortcut(request: web.Request) -> web.Response:
    file_id = file_id_of(request)
    number, created_at = await request.app[SERVICES].sharing.pin(file_id, user_of(request))
    body = {"shortcut_id": str(number), "file_id": file_id, "created_at": rfc3339(created_at)}
    return json_response(body, status=201)


async def remove_shortcut(request: web.Request) -> web.Response:
    await request.app[SERVICES].sharing.unpin(file_id_of(request), user_of(request))
    return web.Response(status=204)


HANDLERS: Mapping[str, Handler] = {
    "add_shares": add_shares,
    "list_shares": list_shares,
    "change_share": change_share,
    "remove_share": remove_share,
    "publish": publish,
    "unpublish": unpublish,
    "add_shortcut": add_shortcut,
    "remove_shortcut": remove_shortcut,
}


def _user_id(request: web.Request) -> UUID:
    return parse_uuid(request.match_info["user_id"], "The user id")
