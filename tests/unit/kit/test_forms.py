"""Forms, however their bytes are cut: every byte of every part, and no more memory than a few pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest
from aiohttp import StreamReader, web
from aiohttp.test_utils import make_mocked_request
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.kit.errors import Fault
from services.kit.web.body import Pace
from services.kit.web.forms import OVERHEAD_BYTES, Form, FormFault

pytestmark = [
    pytest.mark.unit,
    pytest.mark.filterwarnings("ignore::aiohttp.multipart.BadContentDispositionHeader"),
    pytest.mark.filterwarnings("ignore::aiohttp.multipart.BadContentDispositionParam"),
]

BOUNDARY = "xyz"
TYPE = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
MIB = 1024 * 1024


class Cut:
    """A body that arrives in these pieces, then stands still or ends."""

    def __init__(self, pieces: Iterator[bytes], *, ends: bool = True) -> None:
        self._pieces, self._ends = pieces, ends
        self.total_bytes = 0

    async def readany(self) -> bytes:
        data = next(self._pieces, b"")
        if not data and not self._ends:
            await asyncio.Event().wait()
        self.total_bytes += len(data)
        return data


def cut(body: bytes, size: int) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


def part(disposition: str, content: bytes = b"abcd", more: str = "") -> bytes:
    return f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n{more}\r\n".encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def form_of(content: Cut, headers: dict[str, str] | None = None, max_bytes: int = 10 * MIB) -> Form:
    request = make_mocked_request("POST", "/", headers=headers or TYPE, payload=cast(StreamReader, content))
    return Form(request, Pace(0.2, 0, 60.0), max_bytes)


async def parts(content: Cut, **more: Any) -> list[tuple[str, str | None, bytes]]:
    found = []
    async with form_of(content, **more) as form:
        while (one := await form.next()) is not None:
            found.append((one.name, one.file_name, b"".join([data async for data in one.pieces()])))
    return found


async def code(body: bytes, **more: Any) -> str:
    with pytest.raises(Fault) as caught:
        await parts(Cut(cut(body, 1000)), **more)
    return caught.value.code


@settings(max_examples=150)
@given(
    contents=st.lists(
        st.lists(
            st.sampled_from([b"\r\n", b"--xyz", b"\r\n--xy", b"-", b"\r", b"\n", b"a" * 70_000, b"b"]),
            max_size=6,
        ).map(b"".join),
        min_size=1,
        max_size=4,
    ),
    size=st.sampled_from([1, 2, 3, 7, 64, 1000, 65_536, 200_000]),
)
async def test_every_byte_comes_out_however_they_are_cut(contents: list[bytes], size: int) -> None:
    assume(not any(b"\r\n--xyz" in b"\r\n" + content for content in contents))
    assume(sum(map(len, contents)) <= size * 5_000)  # not a piece for every byte of much
    name = 'form-data; name="files"; filename="a.bin"'
    body = b"".join(part(name, content) for content in contents) + END
    found = await parts(Cut(cut(body, size)))
    assert found == [("files", "a.bin", content) for content in contents]


@pytest.mark.parametrize(
    ("disposition", "name", "file_name"),
    [
        ('form-data; name="file"', "file", None),
        ("form-data; name=file; filename=a.bin", "file", "a.bin"),
        ('form-data; name="file"; filename=""', "file", ""),
        ('form-data; name="file"; filename="a;b;c=d.bin"', "file", "a;b;c=d.bin"),
        ('form-data; name="file"; filename="Größe.bin"', "file", "Größe.bin"),
        ('form-data; name="file"; filename="a\\"b.bin"', "file", 'a"b.bin'),
        ("form-data; name=file; filename*=UTF-8''%e2%82%ac.bin", "file", "€.bin"),
        ('Form-Data; NAME="file"; FileName="/a/b.bin";', "file", "/a/b.bin"),
    ],
)
async def test_names(disposition: str, name: str, file_name: str | None) -> None:
    (found,) = await parts(Cut(cut(part(disposition) + END, 1000)))
    assert found == (name, file_name, b"abcd")


@pytest.mark.parametrize(
    "disposition",
    ["", "form-data", 'form-data; filename="a"', 'attachment; name="file"', ";;;", 'form-data; name=""'],
)
async def test_a_part_without_a_name(disposition: str) -> None:
    assert await code(part(disposition) + END) == "invalid_form"


async def test_a_name_that_is_not_text() -> None:
    body = part('form-data; name="file"; filename="?"').replace(b"?", b"\xff") + END
    assert await code(body) == "invalid_form"


@pytest.mark.parametrize(
    "member", ["name*=unicode_escape''%5Cud800; filename=a", "name=file; filename*=unicode_escape''%5Cud800"]
)
async def test_a_name_in_a_charset_of_its_own_that_is_not_text(member: str) -> None:
    """It could not be told in an answer, and that of a batch holds every name."""
    assert await code(part(f"form-data; {member}") + END) == "invalid_form"


async def test_two_names() -> None:
    body = part('form-data; name="a"', more='Content-Disposition: form-data; name="b"\r\n') + END
    assert await code(body) == "invalid_form"


async def test_what_a_part_leaves_unread_is_skipped() -> None:
    body = part('form-data; name="a"', bytes(300_000)) + part('form-data; name="b"') + END
    async with form_of(Cut(cut(body, 65_536))) as form:
        first, second = await form.next(), await form.next()
        assert first is not None
        assert second is not None
        assert [data async for data in second.pieces()] == [b"abcd"]
        assert await form.next() is None


async def test_a_form_is_not_longer_than_allowed() -> None:
    body = part('form-data; name="a"; filename="a"', bytes(MIB + OVERHEAD_BYTES)) + END
    assert await code(body, max_bytes=MIB) == "body_too_large"
    with pytest.raises(Fault) as caught:
        form_of(Cut(iter(())), {**TYPE, "Content-Length": str(3 * MIB)}, MIB)
    assert caught.value.code == "body_too_large"


@pytest.mark.parametrize("content_type", ["", "text/plain", "multipart/mixed; boundary=xyz"])
async def test_other_content_is_no_form(content_type: str) -> None:
    with pytest.raises(Fault) as caught:
        form_of(Cut(iter(())), {"Content-Type": content_type})
    assert caught.value.code == "unsupported_media_type"


async def test_a_form_that_stands_still() -> None:
    body = part('form-data; name="a"; filename="a"', bytes(100_000))
    with pytest.raises(Fault) as caught:
        await parts(Cut(cut(body, 10_000), ends=False))
    assert (caught.value.code, caught.value.headers["Connection"]) == ("request_timeout", "close")


@pytest.mark.parametrize(
    ("error", "raised"),
    [(ConnectionResetError("gone"), ConnectionResetError), (web.RequestPayloadError("cut"), FormFault)],
)
async def test_a_body_that_breaks_off(error: Exception, raised: type[Exception]) -> None:
    """A client that leaves sent no malformed form; bytes that are not framed right are none either."""

    class Broken(Cut):
        async def readany(self) -> bytes:
            data = await super().readany()
            if not data:
                raise error
            return data

    with pytest.raises(raised):
        await parts(Broken(cut(part('form-data; name="a"', bytes(100_000)), 10_000)))


async def test_no_more_than_a_few_pieces_are_held() -> None:
    """Of a form that never gives its boundary; and of a text that never ends."""
    async with form_of(Cut(cut(part('form-data; name="folder"', bytes(MIB)) + END, 65_536))) as form:
        text = await form.next()
        assert text is not None
        with pytest.raises(Fault):
            await text.text()
    longest = 0
    body = part('form-data; name="a"; filename="a"', bytes(8 * MIB)) + END
    async with form_of(Cut(cut(body, 65_536))) as form:
        one = await form.next()
        assert one is not None
        async for data in one.pieces():
            longest = max(longest, len(data))
    assert longest <= 65_536
