"""HTTP of the upload service: parse, call one method of a service, render."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass

from aiohttp import web

from services.kit.codec import Members, parse_uuid
from services.kit.errors import Fault
from services.kit.trail import about
from services.kit.web.answers import json_response
from services.kit.web.app import Handler, user_of
from services.kit.web.body import BODY_PACE, json_value, pieces, refuse_encoding
from services.kit.web.forms import Form, is_form
from services.kit.web.sweep import sweep
from services.upload import inputs, inputs_whole, views
from services.upload.model import RegisteredPart
from services.upload.service.batch import BatchService
from services.upload.service.chunks import ChunkService
from services.upload.service.management import ManagementService
from services.upload.service.multipart import MultipartService
from services.upload.service.onefile import OneFileService
from services.upload.service.proxied import ProxiedService
from services.upload.service.single import SingleService
from services.upload.service.whole import WholeFiles

MAX_ETAG_CHARACTERS = 255


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a handler may call."""

    proxied: ProxiedService
    chunks: ChunkService
    multipart: MultipartService
    single: SingleService
    whole: WholeFiles
    one_file: OneFileService
    batch: BatchService
    management: ManagementService


SERVICES = web.AppKey("SERVICES", Services)


async def proxy_session(request: web.Request) -> web.Response:
    wanted, _ = inputs.wanted(request, await json_value(request))
    session = await request.app[SERVICES].proxied.open(wanted, request.query.get("finalise"))
    return json_response(views.proxy_session(session))


async def proxy_chunk(request: web.Request) -> web.Response:
    refuse_encoding(request)
    send = inputs.send(request)
    about(send.upload_uuid)
    async with aclosing(pieces(request, request.app[BODY_PACE])) as body:
        taken = await request.app[SERVICES].chunks.receive(send, body)
    return json_response(views.chunk(taken))


async def multipart_session(request: web.Request) -> web.Response:
    wanted, members = inputs.wanted(request, await json_value(request), "part_size_bytes")
    part_size_bytes = members.integer("part_size_bytes", minimum=1)
    opened = await request.app[SERVICES].multipart.open(wanted, part_size_bytes)
    return json_response(views.multipart_session(opened))


async def multipart_presign(request: web.Request) -> web.Response:
    members = Members(await json_value(request), frozenset({"upload_uuid", "part_numbers"}))
    upload_uuid, numbers = about(members.uuid("upload_uuid")), inputs.part_numbers(members)
    urls, until = await request.app[SERVICES].multipart.presign(upload_uuid, user_of(request), numbers)
    return json_response(views.presigned(upload_uuid, urls, until))


async def multipart_part(request: web.Request) -> web.Response:
    known = frozenset({"upload_uuid", "part_number", "size_bytes", "etag"})
    members = Members(await json_value(request), known)
    upload_uuid = about(members.uuid("upload_uuid"))
    number = members.integer("part_number")
    size_bytes = members.integer("size_bytes")
    etag = inputs.etag(members.string("etag", maximum=MAX_ETAG_CHARACTERS))
    inputs.judge_part_number(number)
    part = RegisteredPart(number, size_bytes, etag)
    await request.app[SERVICES].multipart.register(upload_uuid, user_of(request), part)
    return json_response(views.registered(upload_uuid, part))


async def multipart_complete(request: web.Request) -> web.Response:
    members = Members(await json_value(request), frozenset({"upload_uuid"}))
    session = await request.app[SERVICES].multipart.complete(
        about(members.uuid("upload_uuid")), user_of(request)
    )
    return json_response(views.completed(session))


async def single_session(request: web.Request) -> web.Response:
    wanted, _ = inputs.wanted(request, await json_value(request))
    return json_response(views.single_session(await request.app[SERVICES].single.open(wanted)))


async def single_complete(request: web.Request) -> web.Response:
    members = Members(await json_value(request), frozenset({"upload_uuid", "etag"}))
    upload_uuid = about(members.uuid("upload_uuid"))
    etag = members.string("etag", maximum=MAX_ETAG_CHARACTERS, default=None)
    session = await request.app[SERVICES].single.complete(upload_uuid, user_of(request), etag)
    return json_response(views.completed(session))


async def file(request: web.Request) -> web.Response:
    refuse_encoding(request)
    service, pace = request.app[SERVICES].one_file, request.app[BODY_PACE]
    mode = service.mode(inputs_whole.mode(request))
    if not is_form(request):
        wanted = inputs_whole.raw_file(request)
        async with aclosing(pieces(request, pace)) as body:
            return json_response(await service.upload(wanted, mode, body), 201)
    async with Form(request, pace, service.max_bytes) as form:
        wanted, of_form = await inputs_whole.form_file(request, form)
        async with aclosing(of_form) as body:
            return json_response(await service.upload(wanted, mode, body), 201)


async def batch(request: web.Request) -> web.Response:
    refuse_encoding(request)
    service, key = request.app[SERVICES].batch, inputs.idempotency_key(request)
    async with Form(request, request.app[BODY_PACE], service.max_bytes) as form:
        results = await service.upload(user_of(request), key, inputs_whole.batch_files(form))
    return json_response(views.batch(results))


async def status(request: web.Request) -> web.Response:
    given = request.query.get("upload_uuid")
    if not given:
        raise Fault("missing_field", "The query needs upload_uuid.", details={"field": "upload_uuid"})
    upload_uuid = about(parse_uuid(given, "upload_uuid"))
    progress = await request.app[SERVICES].management.status(upload_uuid, user_of(request))
    return json_response(views.status(progress))


async def sessions(request: web.Request) -> web.Response:
    ended_too, page, size = inputs.page(request)
    found, total = await request.app[SERVICES].management.own(
        user_of(request), ended_too=ended_too, page=page, size=size
    )
    more = page * size < total and page < inputs.MAX_PAGE
    return json_response(
        {
            "sessions": [views.listed(progress) for progress in found],
            "total": total,
            "page": page,
            "size": size,
            "next_page": page + 1 if more else None,
        }
    )


async def session_abort(request: web.Request) -> web.Response:
    upload_uuid = about(parse_uuid(request.match_info["upload_uuid"], "upload_uuid"))
    await request.app[SERVICES].management.abort(upload_uuid, user_of(request))
    return web.Response(status=204)


HANDLERS: Mapping[str, Handler] = {
    "proxy_session": proxy_session,
    "proxy_chunk": proxy_chunk,
    "multipart_session": multipart_session,
    "multipart_presign": multipart_presign,
    "multipart_part": multipart_part,
    "multipart_complete": multipart_complete,
    "single_session": single_session,
    "single_complete": single_complete,
    "file": file,
    "batch": batch,
    "status": status,
    "sessions": sessions,
    "session_abort": session_abort,
    "sweep": sweep,
}
