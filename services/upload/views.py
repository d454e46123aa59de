"""Rendering values as the JSON of the contract."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.kit.codec import rfc3339
from services.upload.model import RegisteredPart, Session, State
from services.upload.repository.sessions import Progress
from services.upload.service.batch import BatchResult
from services.upload.service.chunks import ChunkTaken
from services.upload.service.multipart import MultipartOpened
from services.upload.service.presigned import PartUrl
from services.upload.service.single import SingleOpened


def proxy_session(session: Session) -> dict[str, Any]:
    return {
        "upload_uuid": session.upload_uuid,
        "total_chunks": session.total_chunks,
        "expires_at": rfc3339(session.expires_at),
    }


def chunk(taken: ChunkTaken) -> dict[str, Any]:
    send = taken.send
    return {
        "upload_uuid": send.upload_uuid,
        "chunk_index": send.index,
        "size_bytes": send.size_bytes,
        "received_bytes": taken.received_bytes,
        "status": taken.status,
        "file_id": send.upload_uuid if taken.status is State.COMPLETED else None,
    }


def urls(parts: list[PartUrl]) -> list[dict[str, Any]]:
    return [{"part_number": part.number, "url": part.url} for part in parts]


def presigned(upload_uuid: UUID, parts: list[PartUrl], until: datetime) -> dict[str, Any]:
    return {"upload_uuid": upload_uuid, "parts": urls(parts), "urls_expire_at": rfc3339(until)}


def registered(upload_uuid: UUID, part: RegisteredPart) -> dict[str, Any]:
    return {
        "upload_uuid": upload_uuid,
        "part_number": part.number,
        "size_bytes": part.size_bytes,
        "etag": part.etag,
    }


def multipart_session(opened: MultipartOpened) -> dict[str, Any]:
    return {
        "upload_uuid": opened.session.upload_uuid,
        "total_chunks": opened.session.total_chunks,
        "storage_upload_id": opened.store_upload_id,
        "parts": urls(opened.parts),
        "urls_expire_at": rfc3339(opened.urls_expire_at),
        "expires_at": rfc3339(opened.session.expires_at),
    }


def single_session(opened: SingleOpened) -> dict[str, Any]:
    return {
        "upload_uuid": opened.session.upload_uuid,
        "url": opened.url,
        "method": "PUT",
        "urls_expire_at": rfc3339(opened.urls_expire_at),
        "expires_at": rfc3339(opened.session.expires_at),
    }


def completed(session: Session) -> dict[str, Any]:
    return {
        "upload_uuid": session.upload_uuid,
        "status": State.COMPLETED,
        "file_id": session.upload_uuid,
        "size_bytes": session.file_size_bytes,
    }


def batch(results: Sequence[BatchResult]) -> dict[str, Any]:
    failed = sum(result.fault is not None for result in results)
    return {
        "results": [_batch_entry(index, result) for index, result in enumerate(results)],
        "uploaded": len(results) - failed,
        "failed": failed,
    }


def _batch_entry(index: int, result: BatchResult) -> dict[str, Any]:
    entry = {"index": index, "file_name": result.file_name, "success": result.fault is None}
    if result.fault is None:
        return {**entry, "file_id": result.file_id, "size_bytes": result.size_bytes}
    return {**entry, "error": result.fault.code, "message": result.fault.message}


def listed(progress: Progress) -> dict[str, Any]:
    session = progress.session
    fault = None
    if session.error_code is not None:
        fault = {"code": session.error_code, "message": session.error_message}
    return {
        "upload_uuid": session.upload_uuid,
        "status": session.status,
        "total_chunks": session.total_chunks,
        "received_bytes": progress.received_bytes,
        "file_id": session.upload_uuid if session.status is State.COMPLETED else None,
        "error": fault,
        "file_name": session.file_name,
        "file_size_bytes": session.file_size_bytes,
        "method": session.method,
        "created_at": rfc3339(session.created_at),
        "updated_at": rfc3339(session.updated_at),
        "expires_at": rfc3339(session.expires_at),
    }


def status(progress: Progress) -> dict[str, Any]:
    return {**listed(progress), "uploaded_chunks": progress.stored}
