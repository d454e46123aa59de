"""``POST /file``: one file in one request, raw and as a form, in every body mode."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract import flows, forms
from tests.contract.api import Api
from tests.contract.flows import MIB
from tests.contract.forms import Field, file, form

pytestmark = pytest.mark.contract

PATH = "/api/upload/file"
SUMMARY = {
    "file_id",
    "owner_id",
    "name",
    "mime_type",
    "size_bytes",
    "created_at",
    "is_public",
    "updated_at",
    "permission",
    "checksum",
}
MODES = pytest.mark.parametrize("mode", ["streamed", "spooled", "buffered"])
FORMS = pytest.mark.parametrize("kind", ["raw", "checked", "form", "chunked form"])


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def raw(data: bytes, name: str = "testfile.bin", **headers: str) -> dict[str, Any]:
    return {"data": data, "headers": {"X-File-Name": quote(name), **headers}}


def sent(kind: str, data: bytes, name: str = "testfile.bin", **headers: str) -> dict[str, Any]:
    """Arguments of a call that sends a file in one of its forms."""
    match kind:
        case "raw":
            return raw(data, name, **headers)
        case "checked":
            return raw(data, name, Checksum=sha256(data).upper(), **headers)
        case _:
            return forms.given(form(file(data, name)), headers, chunked=kind.startswith("chunked"))


@MODES
@FORMS
@pytest.mark.parametrize("size", [0, 1, 70_000, 9 * MIB])
async def test_a_file_is_durable_when_it_is_answered(user: Api, mode: str, kind: str, size: int) -> None:
    data = flows.payload(size)
    made = await user.ok("POST", PATH, 201, params={"mode": mode}, **sent(kind, data))
    assert set(made) == SUMMARY | {"upload_uuid"}
    assert made["upload_uuid"] == made["file_id"]
    assert (made["size_bytes"], made["checksum"]) == (size, sha256(data))
    assert (made["name"], made["permission"], made["is_public"]) == ("testfile.bin", "owner", False)
    assert made["owner_id"] == str(user.user_id)
    (listed,) = await flows.owned(user)
    assert listed == {name: value for name, value in made.items() if name != "upload_uuid"}
    assert await flows.content(user, made["file_id"]) == data
    status = await user.ok("GET", "/api/upload/status", params={"upload_uuid": made["upload_uuid"]})
    assert set(status) == flows.STATUS_MEMBERS
    assert (status["status"], status["method"], status["file_id"]) == ("completed", "file", made["file_id"])
    assert (status["file_size_bytes"], status["received_bytes"]) == (size, size)
    assert status["uploaded_chunks"] == []


async def test_streamed_is_what_is_not_asked_for(user: Api) -> None:
    made = await user.ok("POST", PATH, 201, **raw(b"abcd"))
    assert made["size_bytes"] == 4


@FORMS
async def test_names_and_types(user: Api, kind: str) -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(100)
    made = await user.ok("POST", PATH, 201, **sent(kind, png, "Größe/ä;b;c e"))
    assert (made["name"], made["mime_type"]) == ("Größe/ä;b;c e", "image/png")
    made = await user.ok("POST", PATH, 201, **sent(kind, png, "a.txt"))
    assert made["mime_type"] == "text/plain"


async def test_a_body_of_any_type_is_raw(user: Api) -> None:
    for content_type in ("application/json", "multipart/mixed; boundary=x", "nonsense"):
        made = await user.ok("POST", PATH, 201, **raw(b"abcd", **{"Content-Type": content_type}))
        assert made["size_bytes"] == 4


BAD_RAW: Mapping[str, tuple[str, dict[str, Any]]] = {
    "no name": ("missing_header", {"data": b"abcd"}),
    "a name that breaks the rule": ("invalid_file_name", raw(b"abcd", "a/../b")),
    "a name that is not UTF-8": ("invalid_file_name", {"data": b"a", "headers": {"X-File-Name": "%ff"}}),
    "no hash": ("invalid_checksum", raw(b"abcd", Checksum="abc")),
    "another mode": ("invalid_query", {**raw(b"abcd"), "params": {"mode": "Streamed"}}),
    "two modes": ("invalid_query", {**raw(b"abcd"), "path": f"{PATH}?mode=streamed&mode=spooled"}),
    "no length": ("length_required", {**raw(b"abcd"), "data": forms.in_pieces(b"abcd")}),
    "a coding": ("unsupported_media_type", raw(b"abcd", **{"Content-Encoding": "gzip"})),
    "a key with blanks": ("invalid_field", raw(b"abcd", **{"Idempotency-Key": "a b"})),
    "another hash": ("checksum_mismatch", raw(b"abcd", Checksum=sha256(b"abce"))),
    "another hash of nothing": ("checksum_mismatch", raw(b"", Checksum=sha256(b"a"))),
}


@MODES
@pytest.mark.parametrize("case", BAD_RAW)
async def test_what_a_raw_request_cannot_be(user: Api, case: str, mode: str) -> None:
    code, given = BAD_RAW[case]
    if not isinstance(given["data"], bytes):
        given = {**given, "data": forms.in_pieces(b"abcd")}
    call = {"params": {"mode": mode}, "path": PATH, **given}
    if "?" in call["path"]:
        call.pop("params")
    await user.refused("POST", call.pop("path"), code, **call)
    await nothing_stays(user)


async def test_an_early_refusal_arrives_however_much_is_still_to_come(user: Api) -> None:
    given = raw(bytes(20 * MIB), Checksum="abc")
    for _ in range(40):
        await user.refused("POST", PATH, "invalid_checksum", **given)


async def nothing_stays(user: Api) -> None:
    """No file, and no upload that is open."""
    assert await flows.owned(user) == []
    assert (await user.ok("GET", "/api/upload/sessions"))["sessions"] == []


NESTED = "Content-Type: multipart/mixed; boundary=inner\r\n"
ENCODED = "Content-Transfer-Encoding: base64\r\n"
BAD_FORMS: Mapping[str, bytes] = {
    "nothing": b"",
    "no part": form(),
    "no form at all": b"abcd" * 10,
    "a text field": form(Field("file", b"abcd")),
    "an empty file name": form(file(b"abcd", "")),
    "another field": form(file(b"abcd", name="files")),
    "two files": form(file(b"abcd"), file(b"abcd")),
    "a field behind the file": form(file(b"abcd"), Field("folder", b"a")),
    "a field before the file": form(Field("folder", b"a"), file(b"abcd")),
    "no last boundary": form(file(b"abcd"))[:-10],
    "no end of the headers": f"--{forms.BOUNDARY}\r\nContent-Disposition: form-data".encode(),
    "a form in a form": form(Field("file", b"--inner--\r\n", "a.bin", NESTED)),
    "a part in base64": form(Field("file", b"abcd", "a.bin", ENCODED)),
    "a part without a name": b"--%s\r\n\r\nabcd\r\n--%s--\r\n" % ((forms.BOUNDARY.encode(),) * 2),
    "a charset first": form(Field("_charset_", b"utf-8"), file(b"abcd")),
    "lines before the first part": b"\r\n" * 100_000 + form(file(b"abcd")),
    "a long line before the first part": b"a" * 100_000 + form(file(b"abcd")),
    "many headers": form(Field("file", b"abcd", "a.bin", "X-A: b\r\n" * 200)),
    "a long header": form(Field("file", b"abcd", "a.bin", f"X-A: {'b' * 10_000}\r\n")),
}


@MODES
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("case", BAD_FORMS)
async def test_what_a_form_cannot_be(user: Api, case: str, chunked: bool, mode: str) -> None:
    given = forms.given(BAD_FORMS[case], chunked=chunked)
    await user.refused("POST", PATH, "invalid_form", params={"mode": mode}, **given)
    await nothing_stays(user)


async def test_a_form_needs_a_boundary(user: Api) -> None:
    for boundary in ("", "; boundary=", f"; boundary={'b' * 71}"):
        headers = {"Content-Type": f"multipart/form-data{boundary}"}
        await user.refused("POST", PATH, "invalid_form", data=form(file(b"abcd")), headers=headers)


@MODES
async def test_a_form_has_a_checksum_too(user: Api, mode: str) -> None:
    data, params = flows.payload(9 * MIB), {"mode": mode}
    given = forms.given(form(file(data)), {"Checksum": sha256(data)})
    await user.ok("POST", PATH, 201, params=params, **given)
    given = forms.given(form(file(data)), {"Checksum": sha256(b"")})
    await user.refused("POST", PATH, "checksum_mismatch", params=params, **given)
    assert len(await flows.owned(user)) == 1


@MODES
@FORMS
async def test_the_same_key_makes_one_file(user: Api, mode: str, kind: str) -> None:
    data = flows.payload(100_000)
    key = {"Idempotency-Key": f"{mode}/{kind}".replace(" ", "-")}
    both = [user.ok("POST", PATH, 201, params={"mode": mode}, **sent(kind, data, **key)) for _ in range(2)]
    first, second = await asyncio.gather(*both)
    again = await user.ok("POST", PATH, 201, params={"mode": mode}, **sent(kind, data, **key))
    assert first == second == again
    assert len(await flows.owned(user)) == 1
    other = bytes([data[0] ^ 1]) + data[1:]
    await user.refused("POST", PATH, "idempotency_conflict", **sent(kind, other, **key))
    await user.refused("POST", PATH, "idempotency_conflict", **sent(kind, data, "b.bin", **key))
    body = {"file_name": "testfile.bin", "file_size_bytes": len(data)}
    await user.refused("POST", flows.Proxy.session, "idempotency_conflict", json=body, headers=key)


async def test_a_refused_send_frees_its_key(user: Api) -> None:
    key = {"Idempotency-Key": "k"}
    await user.refused("POST", PATH, "checksum_mismatch", **raw(b"abcd", Checksum=sha256(b""), **key))
    made = await user.ok("POST", PATH, 201, **raw(b"abcd", **key))
    assert made["size_bytes"] == 4


async def test_a_file_that_was_deleted_is_not_made_again_by_its_key(user: Api) -> None:
    key = {"Idempotency-Key": "k"}
    made = await user.ok("POST", PATH, 201, **raw(b"abcd", **key))
    await user.ok("DELETE", f"/api/files/f/{made['file_id']}", 204)
    answer = await user.refused("POST", PATH, "file_not_found", **raw(b"abcd", **key))
    assert answer.json["details"] == {"upload_uuid": made["upload_uuid"]}


async def test_an_upload_in_one_request_is_no_other_kind(user: Api) -> None:
    made = await user.ok("POST", PATH, 201, **raw(b"abcd"))
    headers = {"Upload-UUID": made["upload_uuid"]}
    path = "/api/upload/proxy/chunk?id=0"
    await user.refused("POST", path, "wrong_upload_method", data=b"abcd", headers=headers)
    body = {"upload_uuid": made["upload_uuid"]}
    await user.refused("POST", "/api/upload/single/complete", "wrong_upload_method", json=body)
    await user.refused("DELETE", f"/api/upload/session/{made['upload_uuid']}", "upload_not_open")
