"""HTTP of one file, of lists, and of registration: parse, one call, render."""

from __future__ import annotations

import re
from collections.abc import Mapping

from aiohttp import web

from services.files import views
from services.files.handlers.parts import SERVICES, file_id_of
from services.files.model import Registration, Scope
from services.files.parameters import list_query, one_of
from services.kit.codec import Members, parse_sha256
from services.kit.errors import Fault
from services.kit.names import file_name
from services.kit.trail import about
from services.kit.web.answers import json_response
from services.kit.web.app import CALLER, Handler, user_id_of, user_of
from services.kit.web.body import json_value
from services.kit.web.sweep import sweep

REGISTRAR = "upload"
SOURCES = ("postgres", "s3")
DELIVERIES = ("presigned", "proxied")
_MIME_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")
_FACTS = frozenset(
    {
        "file_uuid",
        "upload_uuid",
        "user_id",
        "name",
        "mime_type",
        "storage_key",
        "size_bytes",
        "checksum",
        "etag",
    }
)


async def list_owned(request: web.Request) -> web.Response:
    source = one_of(request.query, "source", SOURCES)
    return await _list(request, Scope.STORE if source == "s3" else Scope.OWNED, source)


async def list_shared(request: web.Request) -> web.Response:
    return await _list(request, Scope.SHARED)


async def list_shortcuts(request: web.Request) -> web.Response:
    return await _list(request, Scope.SHORTCUTS)


async def _list(request: web.Request, scope: Scope, source: str = SOURCES[0]) -> web.Response:
    query = list_query(request.query, scope)
    page = await request.app[SERVICES].files.list(source, query, user_of(request))
    return json_response(views.page(query, page))


async def summary(request: web.Request) -> web.Response:
    file = await request.app[SERVICES].files.summary(file_id_of(request), user_id_of(request))
    return json_response(views.summary(file))


async def rename(request: web.Request) -> web.Response:
    file_id, user_id = file_id_of(request), user_of(request)
    members = Members(await json_value(request), known=frozenset({"name"}))
    name = file_name(members.string("name", nul=True))
    await request.app[SERVICES].files.rename(file_id, user_id, name)
    return web.Response(status=204)


async def delete(request: web.Request) -> web.Response:
    await request.app[SERVICES].files.delete(file_id_of(request), user_of(request))
    return web.Response(status=204)


async def download(request: web.Request) -> web.StreamResponse:
    services = request.app[SERVICES]
    file_id, user_id = file_id_of(request), user_id_of(request)
    if one_of(request.query, "delivery", DELIVERIES) == "proxied":
        file = await services.files.readable(file_id, user_id)
        return await services.downloads.send(request, file, user_id)
    link, name = await services.files.link(file_id, user_id)
    return json_response(views.link(link, name))


async def copy(request: web.Request) -> web.Response:
    copied = await request.app[SERVICES].copying.copy(file_id_of(request), user_of(request))
    return json_response(views.summary(copied), status=201)


async def register(request: web.Request) -> web.Response:
    _from_upload(request)
    facts = _facts(Members(await json_value(request), known=_FACTS))
    registered = await request.app[SERVICES].files.register(facts)
    return json_response(
        views.registered(facts.file_id, registered), status=201 if registered.created else 200
    )


async def void(request: web.Request) -> web.Response:
    _from_upload(request)
    await request.app[SERVICES].files.void(file_id_of(request))
    return web.Response(status=204)


def _from_upload(request: web.Request) -> None:
    if request[CALLER].issuer != REGISTRAR:
        raise Fault("service_credential_invalid", "This caller may not use this route.")


HANDLERS: Mapping[str, Handler] = {
    "list_owned": list_owned,
    "list_shared": list_shared,
    "list_shortcuts": list_shortcuts,
    "summary": summary,
    "rename": rename,
    "delete": delete,
    "download": download,
    "copy": copy,
    "register": register,
    "void": void,
    "sweep": sweep,
}


def _facts(members: Members) -> Registration:
    mime_type = members.string("mime_type")
    if not _MIME_TYPE.fullmatch(mime_type):
        raise Members.fault("mime_type", "a MIME type")
    checksum = members.string("checksum", default=None)
    return Registration(
        file_id=members.uuid("file_uuid"),
        upload_id=about(members.uuid("upload_uuid")),
        owner_id=members.uuid("user_id"),
        name=file_name(members.string("name")),
        mime_type=mime_type,
        storage_key=members.string("storage_key", maximum=1_024),
        size_bytes=members.integer("size_bytes", minimum=0),
        checksum=parse_sha256(checksum) if checksum is not None else None,
        etag=members.string("etag", maximum=255, default=None),
    )
