"""Names in ``Content-Disposition``: one form for old clients, one for all characters."""

from __future__ import annotations

import re
from urllib.parse import quote

from services.kit.names import base_name

NAMELESS = "download"
_NOT_PLAIN = re.compile(r'[^\x20-\x7e]|["\\%]')
_ATTRIBUTE = "!#$&+-.^_`|~"  # RFC 5987 attr-char besides letters and digits


def download_name(name: str) -> str:
    """The base name; a name that ends in a backslash has none of its own."""
    return base_name(name) or NAMELESS


def attachment(name: str) -> str:
    """RFC 6266: ``filename`` in ASCII, ``filename*`` exact."""
    base = download_name(name)
    plain, exact = _NOT_PLAIN.sub("_", base), quote(base, safe=_ATTRIBUTE)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}"
