"""Finding lines in logs of any size: blocks are searched whole, only lines that match are cut out.

One block and the unfinished line behind it are in memory. A line that never ends is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator

LINE_BYTES_MAX = 1 << 18
Search = Callable[[bytes, int], int]  # text and where to begin: position of the next match, or -1
_REQUEST_ID = re.compile(rb'"request_id":"([^"]+)"')


def mentions(wanted: str) -> Search:
    """Lines that hold this text anywhere."""
    needle = wanted.encode()
    return lambda text, start: text.find(needle, start)


def of_requests(wanted: Collection[str]) -> Search:
    """Lines of these requests."""
    ids = frozenset(one.encode() for one in wanted)

    def search(text: bytes, start: int) -> int:
        for match in _REQUEST_ID.finditer(text, start):
            if match[1] in ids:
                return match.start()
        return -1

    return search


def lines(blocks: Iterable[bytes], search: Search) -> Iterator[bytes]:
    """Every complete line in which `search` finds something, without its line end."""
    rest, too_long = b"", False
    for block in blocks:
        text = rest + block
        end = text.rfind(b"\n") + 1
        rest = text[end:]
        if end and too_long:  # the end of the line whose beginning was dropped
            text, too_long = text[text.find(b"\n") + 1 : end], False
            end = len(text)
        yield from _matching(text[:end], search)
        if len(rest) > LINE_BYTES_MAX:
            rest, too_long = b"", True


def _matching(text: bytes, search: Search) -> Iterator[bytes]:
    at = 0
    while (found := search(text, at)) >= 0:
        end = text.find(b"\n", found)
        yield text[text.rfind(b"\n", 0, found) + 1 : end]
        at = end + 1
