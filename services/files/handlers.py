"""HTTP of the files service: parse, one call, render."""

from __future__ import annotations

import re
from uuid import UUID

from services.files import views
from services.files.disposition import download_name
from services.files.downloads import Downloads
from services.files.model import Registration, Scope
from services.files.parameters import list_query, one_of
from services.files.service import FileService
from services.kit.body import json_value
from services.kit.codec import Members, parse_sha256, parse_uuid, rfc3339
from services.kit.errors import Fault
from services.kit.http.message import Request, Response
from services.kit.names import file_name
from services.kit.trail import about
from services.kit.web import Handler, json_response, user_of

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


class Handlers:
    def __init__(self, service: FileService, downloads: Downloads) -> None:
        self._service, self._downloads = service, downloads

    def table(self) -> dict[str, Handler]:
        return {
            "list_owned": self.list_owned,
            "list_shared": self.list_shared,
            "list_shortcuts": self.list_shortcuts,
            "summary": self.summary,
            "rename": self.rename,
            "delete": self.delete,
            "download": self.download,
            "register": self.register,
        }

    async def list_owned(self, request: Request) -> Response:
        source = one_of(request.query, "source", SOURCES)
        return await self._list(request, Scope.STORE if source == "s3" else Scope.OWNED, source)

    async def list_shared(self, request: Request) -> Response:
        return await self._list(request, Scope.SHARED)

    async def list_shortcuts(self, request: Request) -> Response:
        return await self._list(request, Scope.SHORTCUTS)

    async def _list(self, request: Request, scope: Scope, source: str = SOURCES[0]) -> Response:
        query = list_query(request.query, scope)
        return json_response(views.page(query, await self._service.list(source, query, user_of(request))))

    async def summary(self, request: Request) -> Response:
        file = await self._service.summary(_file_id(request), request.user_id)
        return json_response(views.summary(file))

    async def rename(self, request: Request) -> Response:
        file_id, user_id = _file_id(request), user_of(request)
        members = Members(await json_value(request), known=frozenset({"name"}))
        await self._service.rename(file_id, user_id, file_name(members.string("name", nul=True)))
        return Response(204)

    async def delete(self, request: Request) -> Response:
        await self._service.delete(_file_id(request), user_of(request))
        return Response(204)

    async def download(self, request: Request) -> Response | None:
        file_id, user_id = _file_id(request), request.user_id
        if one_of(request.query, "delivery", DELIVERIES) == "proxied":
            return await self._downloads.send(request, await self._service.readable(file_id, user_id))
        link, name = await self._service.link(file_id, user_id)
        body = {
            "download_url": link.url,
            "expires_at": rfc3339(link.expires_at),
            "file_name": download_name(name),
        }
        return json_response(body)

    async def register(self, request: Request) -> Response:
        if request.caller is None or request.caller.issuer != REGISTRAR:
            raise Fault("service_credential_invalid", "This caller may not use this route.")
        facts = _facts(Members(await json_value(request), known=_FACTS))
        created = await self._service.register(facts)
        body = {"file_id": facts.file_id, "created": created}
        return json_response(body, status=201 if created else 200)


def _file_id(request: Request) -> UUID:
    return about(parse_uuid(request.path_values["file_id"], "The file id"))  # it is the upload's id too


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
