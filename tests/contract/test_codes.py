"""Every error code was answered by some test of this session, or says where else it is provoked."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from services.kit.errors import STATUS
from tests.contract.described import PAGE, SEEN

pytestmark = pytest.mark.contract

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).parent
OTHERS = ("test_gateway", "test_smuggling", "test_govault")  # they have systems and clients of their own
# Codes that need a fault, a limit or a switch which the shared system does not have: the test that
# provokes them on a system or part of its own.
ELSEWHERE = {
    "overloaded": "integration/auth/test_service.py",
    "internal_error": "integration/auth/test_service.py",
    "queue_timeout": "contract/test_gateway_admission.py",
    "circuit_open": "contract/test_gateway_breaker.py",
    "registration_conflict": "integration/files/test_registration.py",
    "deadline_exceeded": "contract/test_gateway_time.py",
    "request_timeout": "contract/test_gateway_time.py",
    "insufficient_storage": "unit/upload/test_spool.py",
}


def test_every_code_was_seen(request: pytest.FixtureRequest, seen: Counter[str]) -> None:
    ran = {item.path for item in request.session.items}
    needed = {path for path in HERE.glob("test_*.py") if not path.stem.startswith(OTHERS)}
    if not needed <= ran or request.config.option.keyword:
        pytest.skip("only part of the contract suite was asked for")
    missing = set(STATUS) - set(seen) - set(ELSEWHERE)
    assert not missing, f"no test provokes {sorted(missing)}"

    successes = {
        (one["operationId"], int(status))
        for path in PAGE["paths"].values()
        for one in path.values()
        for status in one["responses"]
        if int(status) < 400
    }
    assert successes <= SEEN, f"no test gets {sorted(successes - SEEN)}"


@pytest.mark.parametrize(("code", "path"), ELSEWHERE.items())
def test_the_other_place_exists_and_names_the_code(code: str, path: str) -> None:
    assert code in (ROOT / path).read_text(encoding="utf-8")


def test_nothing_is_answered_that_is_not_in_the_table(seen: Counter[str]) -> None:
    assert set(seen) <= set(STATUS)
