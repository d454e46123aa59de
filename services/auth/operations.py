"""What clients may ask of auth."""

from __future__ import annotations

from collections.abc import Mapping

from services.kit.web.operations import (
    HEALTH,
    LENIENT_JSON_ERRORS,
    STRING,
    Operation,
    Schema,
    one_of,
    open_record,
    record,
)

_SESSION: Mapping[str, Schema] = {"token": STRING, "username": STRING, "email": STRING}

OPERATIONS: Mapping[str, Operation] = {
    "signup": Operation(
        "Create an account and log in.",
        {200: record("SignedUp", message=one_of("signup successful"), **_SESSION)},
        takes=open_record("Signup", username=STRING, email=STRING, password=STRING),
        errors=(*LENIENT_JSON_ERRORS, "user_exists", "overloaded"),
    ),
    "login": Operation(
        "Log in; members that are not known are ignored.",
        {200: record("LoggedIn", **_SESSION)},
        takes=open_record("Login", email=STRING, password=STRING),
        errors=(*LENIENT_JSON_ERRORS, "invalid_credentials", "overloaded"),
    ),
    **HEALTH,
}
