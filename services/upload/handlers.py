"""HTTP of the upload service: parse, call one method of a service, render."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass

from services.kit.body import json_value, pieces, refuse_encoding
from services.kit.codec import Members, parse_uuid
from services.kit.errors import Fault
from services.kit.http.message import Request, Response
from services.kit.trail import about
from services.kit.web import Handler, json_response, user_of
from services.upload import inputs, views
from services.upload.model import RegisteredPart
from services.upload.service.chunks import ChunkService
from services.upload.service.management import ManagementService
from services.upload.service.multipart import MultipartService
from services.upload.service.proxied import ProxiedService
from services.upload.service.single import SingleService

MAX_ETAG_CHARACTERS = 255


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a handler may call."""

    proxied: ProxiedService
    chunks: ChunkService
    multipart: MultipartService
    single: SingleService
    management: ManagementService


class Handlers:
    def __init__(self, services: Services) -> None:
        self._services = services

    def table(self) -> Mapping[str, Handler]:
        return {
            "proxy_session": self.proxy_session,
            "proxy_chunk": self.proxy_chunk,
            "multipart_session": self.multipart_session,
            "multipart_presign": self.multipart_presign,
            "multipart_part": self.multipart_part,
            "multipart_complete": self.multipart_complete,
            "single_session": self.single_session,
            "single_complete": self.single_complete,
            "status": self.status,
            "sessions": self.sessions,
            "session_abort": self.session_abort,
        }

    async def proxy_session(self, request: Request) -> Response:
        wanted, _ = inputs.wanted(request, await json_value(request))
        session = await self._services.proxied.open(wanted, request.query.get("finalise"))
        return json_response(views.proxy_session(session))

    async def proxy_chunk(self, request: Request) -> Response:
        refuse_encoding(request)
        send = inputs.send(request)
        about(send.upload_uuid)
        async with aclosing(pieces(request)) as body:
            taken = await self._services.chunks.receive(send, body)
        return json_response(views.chunk(taken))

    async def multipart_session(self, request: Request) -> Response:
        wanted, members = inputs.wanted(request, await json_value(request), "part_size_bytes")
        part_size_bytes = members.integer("part_size_bytes", minimum=1)
        opened = await self._services.multipart.open(wanted, part_size_bytes)
        return json_response(views.multipart_session(opened))

    async def multipart_presign(self, request: Request) -> Response:
        members = Members(await json_value(request), frozenset({"upload_uuid", "part_numbers"}))
        upload_uuid, numbers = about(members.uuid("upload_uuid")), inputs.part_numbers(members)
        urls, until = await self._services.multipart.presign(upload_uuid, user_of(request), numbers)
        return json_response(views.presigned(upload_uuid, urls, until))

    async def multipart_part(self, request: Request) -> Response:
        known = frozenset({"upload_uuid", "part_number", "size_bytes", "etag"})
        members = Members(await json_value(request), known)
        upload_uuid = about(members.uuid("upload_uuid"))
        number = members.integer("part_number")
        size_bytes = members.integer("size_bytes")
        etag = members.string("etag", maximum=MAX_ETAG_CHARACTERS)
        inputs.judge_part_number(number)
        part = RegisteredPart(number, size_bytes, etag)
        await self._services.multipart.register(upload_uuid, user_of(request), part)
        return json_response(views.registered(upload_uuid, part))

    async def multipart_complete(self, request: Request) -> Response:
        members = Members(await json_value(request), frozenset({"upload_uuid"}))
        session = await self._services.multipart.complete(
            about(members.uuid("upload_uuid")), user_of(request)
        )
        return json_response(views.completed(session))

    async def single_session(self, request: Request) -> Response:
        wanted, _ = inputs.wanted(request, await json_value(request))
        return json_response(views.single_session(await self._services.single.open(wanted)))

    async def single_complete(self, request: Request) -> Response:
        members = Members(await json_value(request), frozenset({"upload_uuid", "etag"}))
        upload_uuid = about(members.uuid("upload_uuid"))
        etag = members.string("etag", maximum=MAX_ETAG_CHARACTERS, default=None)
        session = await self._services.single.complete(upload_uuid, user_of(request), etag)
        return json_response(views.completed(session))

    async def status(self, request: Request) -> Response:
        given = request.query.get("upload_uuid")
        if not given:
            raise Fault("missing_field", "The query needs upload_uuid.", details={"field": "upload_uuid"})
        upload_uuid = about(parse_uuid(given, "upload_uuid"))
        progress = await self._services.management.status(upload_uuid, user_of(request))
        return json_response(views.status(progress))

    async def sessions(self, request: Request) -> Response:
        ended_too, page, size = inputs.page(request)
        found, total = await self._services.management.own(
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

    async def session_abort(self, request: Request) -> Response:
        upload_uuid = about(parse_uuid(request.path_values["upload_uuid"], "upload_uuid"))
        await self._services.management.abort(upload_uuid, user_of(request))
        return Response(204)
