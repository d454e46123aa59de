"""What handlers share: the services they call, and the ids in their paths."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from aiohttp import web

from services.files.downloads import Downloads
from services.files.service.copying import Copying
from services.files.service.files import FileService
from services.files.service.folders import FolderService
from services.files.service.sharing import Sharing
from services.kit.codec import parse_uuid
from services.kit.metrics import Counters
from services.kit.trail import about


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a handler may call; ``batch_files`` counts the entries of batches."""

    files: FileService
    downloads: Downloads
    copying: Copying
    sharing: Sharing
    folders: FolderService
    batch_files: Counters


SERVICES = web.AppKey("SERVICES", Services)


def file_id_of(request: web.Request) -> UUID:
    return about(parse_uuid(request.match_info["file_id"], "The file id"))  # it is the upload's id too
