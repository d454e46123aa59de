"""The rule for file names and the type that a name implies; uploads and renames share it.

A name is normalised to NFC and trimmed of white space before it is judged, and the normalised form is
what is stored. ``/`` separates folders.
"""

from __future__ import annotations

import mimetypes
import re
import unicodedata
from pathlib import PurePosixPath

from services.kit.errors import Fault

MAX_NAME_CHARACTERS = 255
OCTET_STREAM = "application/octet-stream"
_FORBIDDEN = re.compile(
    "[\\u0000-\\u001f\\u007f-\\u009f"  # control characters (Cc)
    "\\u2028\\u2029"  # line and paragraph separators
    "\\u202a-\\u202e\\u2066-\\u2069"  # bidirectional controls: they hide what a name really ends with
    "\\ud800-\\udfff]"  # lone surrogates cannot be stored
)
# Unicode's White_Space; str.strip() alone would also drop the control characters U+001C to U+001F.
_SPACE = (
    "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
# The table of the standard library without the host's own files, so that every machine answers alike.
_TYPES = mimetypes.MimeTypes()


def trimmed(text: str) -> str:
    """Without the white space at both ends."""
    return text.strip(_SPACE)


def normal_email(text: str) -> str:
    """An e-mail as accounts keep it: equality of this form is what counts."""
    return trimmed(text).lower()


def _fault(rule: str) -> Fault:
    return Fault("invalid_file_name", f"The file name {rule}.")


def file_name(raw: str) -> str:
    """The name as it is stored: NFC, trimmed.

    Raises:
        Fault: ``invalid_file_name``; the message names the rule that is broken.
    """
    name = trimmed(unicodedata.normalize("NFC", raw))
    if not name:
        raise _fault("must not be empty")
    if len(name) > MAX_NAME_CHARACTERS:
        raise _fault(f"may have at most {MAX_NAME_CHARACTERS} characters")
    if _FORBIDDEN.search(name):
        raise _fault("must not contain control characters or text direction marks")
    segments = name.split("/")
    if "" in segments:
        raise _fault("must not begin or end with '/' or contain '//'")
    if "." in segments or ".." in segments:
        raise _fault("must not contain '.' or '..' as a folder")
    return name


def base_name(name: str) -> str:
    """The part after the last ``/`` or ``\\``."""
    return re.split(r"[/\\]", name)[-1]


def type_by_name(name: str) -> str | None:
    """The MIME type of the extension, or None when it is unknown."""
    kind, encoding = _TYPES.guess_type(
        "name" + PurePosixPath(base_name(name)).suffix
    )  # else it is read as a URL
    if encoding == "gzip":
        return "application/gzip"
    return None if encoding else kind
