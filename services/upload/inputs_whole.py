"""Reading requests that bring whole files: raw bodies, and forms of one or many files."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from urllib.parse import unquote

from aiohttp import web

from services.kit.codec import parse_sha256
from services.kit.errors import Fault
from services.kit.names import file_name
from services.kit.web.app import user_of
from services.kit.web.forms import Form, FormPart, invalid_form
from services.upload.inputs import idempotency_key
from services.upload.model import Method
from services.upload.service.arrival import FileWanted
from services.upload.service.batch import BatchFile

MAX_BATCH_FILES = 100


def mode(request: web.Request) -> str | None:
    given = request.query.getall("mode", [])
    if len(given) > 1:
        raise Fault("invalid_query", "mode is given twice.")
    return given[0] if given else None


def _checksum(request: web.Request) -> str | None:
    given = request.headers.get("Checksum")
    return None if given is None else parse_sha256(given)


def raw_file(request: web.Request) -> FileWanted:
    """A file whose bytes are the body: lengths first, then the other inputs."""
    size_bytes = request.content_length
    if size_bytes is None:
        raise Fault("length_required", "A file that is sent as it is needs a Content-Length.")
    given = request.headers.get("X-File-Name")
    if not given:
        raise Fault(
            "missing_header", "The header X-File-Name is required.", details={"header": "X-File-Name"}
        )
    try:
        name = unquote(given, errors="strict")
    except UnicodeDecodeError as error:
        raise Fault("invalid_file_name", "X-File-Name must be UTF-8, percent-encoded.") from error
    checksum, key = _checksum(request), idempotency_key(request)
    return FileWanted(user_of(request), Method.FILE, name, size_bytes, checksum, key)


async def form_file(request: web.Request, form: Form) -> tuple[FileWanted, AsyncGenerator[bytes, None]]:
    """The one file of a form, and its bytes; behind them the form must end."""
    checksum, key = _checksum(request), idempotency_key(request)
    part = await form.next()
    if part is None or part.name != "file" or not part.file_name:
        raise invalid_form("The form must hold one part, the field 'file' with a file name.")
    wanted = FileWanted(user_of(request), Method.FILE, part.file_name, None, checksum, key)
    return wanted, _only(form, part)


async def _only(form: Form, part: FormPart) -> AsyncGenerator[bytes, None]:
    async with aclosing(part.pieces()) as pieces:
        async for data in pieces:
            yield data
            del data  # nothing is kept while the next piece is waited for
    if await form.next() is not None:
        raise invalid_form("The form must hold one part, the field 'file'.")


async def batch_files(form: Form) -> AsyncIterator[BatchFile]:
    """The files of a batch, each to be read before the next one."""
    prefix, count = "", 0
    while (part := await form.next()) is not None:
        if part.name == "folder" and part.file_name is None and not count and not prefix:
            prefix = _folder(await part.text())
            continue
        if part.name != "files" or not part.file_name:
            raise invalid_form("A batch holds fields 'files', each with a file name, after one 'folder'.")
        count += 1
        if count > MAX_BATCH_FILES:
            raise invalid_form(f"A batch has at most {MAX_BATCH_FILES} files.")
        async with aclosing(part.pieces()) as pieces:
            yield BatchFile(part.file_name, prefix + part.file_name, pieces)
    if not count:
        raise invalid_form("A batch holds at least one file.")


def _folder(given: str) -> str:
    """What stands before every name."""
    try:
        return f"{file_name(given)}/"
    except Fault as fault:
        raise invalid_form(f"The folder breaks a rule of file names. {fault.message}") from fault
