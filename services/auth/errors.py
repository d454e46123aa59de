"""Refusals of the auth service, each with its one wording."""

from __future__ import annotations

from services.kit.errors import Fault


def invalid_credentials() -> Fault:
    """The same for an unknown e-mail and a wrong password, so that it tells nobody who has an account."""
    return Fault("invalid_credentials", "The e-mail or the password is not right.")


def user_exists() -> Fault:
    return Fault("user_exists", "This user name or e-mail is taken.")


def overloaded() -> Fault:
    return Fault("overloaded", "Too many logins are waiting. Please try again.")


def too_many_failures(retry_after_s: int) -> Fault:
    return Fault(
        "rate_limited",
        "Too many failed logins for this e-mail. Please wait a moment.",
        headers={"Retry-After": str(retry_after_s)},
    )
