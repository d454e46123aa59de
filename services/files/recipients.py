"""Whom to share a file with, and how, as requests say it."""

from __future__ import annotations

from services.files.errors import invalid_recipients
from services.files.model import GRANTABLE, Permission, Recipient
from services.kit.codec import Members
from services.kit.errors import Fault
from services.kit.names import normal_email

MAX_RECIPIENTS = 5
MAX_EMAIL_CHARACTERS = 254
_MEMBERS = frozenset({"email", "permission"})


def recipients(members: Members) -> list[Recipient]:
    """1 to 5 people, in the order given.

    Raises:
        Fault: what is wrong with the members; ``invalid_recipients``.
    """
    given = members.array("recipients")
    if len(given) > MAX_RECIPIENTS:
        raise invalid_recipients(f"At most {MAX_RECIPIENTS} recipients at once.")
    if not all(isinstance(one, dict) for one in given):
        raise Members.fault("recipients", "an array of objects")
    found = [_recipient(Members(one, known=_MEMBERS)) for one in given]
    if len({one.email for one in found}) < len(found):
        raise invalid_recipients("An e-mail is given twice.")
    return found


def _recipient(members: Members) -> Recipient:
    email = normal_email(members.string("email"))
    if not email:
        raise Fault("missing_field", "The member 'email' is required.", details={"field": "email"})
    if len(email) > MAX_EMAIL_CHARACTERS:
        raise Members.fault("email", "an e-mail address")
    granted = members.string("permission")
    if granted not in GRANTABLE:
        raise invalid_recipients("A permission is viewer or editor.")
    return Recipient(email, Permission(granted))


def permission(members: Members) -> Permission:
    """Raises:
    Fault: ``invalid_field`` for anything but viewer and editor.
    """
    granted = members.string("permission")
    if granted not in GRANTABLE:
        raise Members.fault("permission", "viewer or editor")
    return Permission(granted)
