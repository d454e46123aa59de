"""Users' tokens and service credentials, with and without their caches."""

from __future__ import annotations

import base64
import json
import random
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest

from gateway.connection import LINE_BYTES
from services.kit import tokens
from services.kit.errors import Fault
from services.kit.tokens import CredentialChecker, CredentialSigner, UserTokens

pytestmark = pytest.mark.unit

KEY, OTHER = "k" * 32, "o" * 32
USER = UUID(int=5)


class Clock:
    def __init__(self, at: float = 1_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def users(now: Clock | None = None) -> UserTokens:
    return UserTokens(KEY, "issuer", "audience", now or Clock(), life_s=100)


def issue(keeper: UserTokens) -> str:
    return keeper.issue(USER, "ada", "ada@example.org", "standard", UUID(int=9))


def code_of(keeper: UserTokens, token: str) -> str:
    with pytest.raises(Fault) as caught:
        keeper.verify(token)
    assert caught.value.headers["WWW-Authenticate"] == "Bearer"
    return caught.value.code


class TestUserTokens:
    def test_round_trip(self) -> None:
        keeper = users()
        user = keeper.verify(issue(keeper))
        assert (user.user_id, user.username, user.email, user.tier) == (
            USER,
            "ada",
            "ada@example.org",
            "standard",
        )
        assert user.expires_at == 1_000_100

    def test_the_longest_name_and_email_fit_into_a_token(self) -> None:
        keeper, widest = users(), "\U0001f600"
        token = keeper.issue(USER, widest * 64, widest * 252 + "@x", "standard", UUID(int=9))
        assert keeper.verify(token).username == widest * 64
        assert len(f"Authorization: Bearer {token}") < LINE_BYTES

    def test_expiry_is_checked_on_every_hit(self) -> None:
        now = Clock()
        keeper = users(now)
        token = issue(keeper)
        keeper.verify(token)
        now.at += 99.9
        keeper.verify(token)
        now.at += 0.1
        assert code_of(keeper, token) == "token_expired"
        now.at -= 50
        assert keeper.verify(token).user_id == USER  # nothing about the refusal was kept

    @pytest.mark.parametrize("text", ["", "x", "a.b", "a.b.c", "....", "x" * 5000, "é.é.é"])
    def test_what_is_no_token(self, text: str) -> None:
        assert code_of(users(), text) == "token_malformed"

    def test_other_algorithms_and_critical_headers(self) -> None:
        keeper = users()
        claims = jwt.decode(issue(keeper), options={"verify_signature": False})
        assert code_of(keeper, jwt.encode(claims, "k" * 64, "HS512")) == "token_invalid"
        assert code_of(keeper, jwt.encode(claims, KEY, "HS256", headers={"crit": ["x"]})) == "token_invalid"
        for name in ("none", "None", "nOnE"):
            head = base64.urlsafe_b64encode(json.dumps({"alg": name}).encode()).decode().rstrip("=")
            assert code_of(keeper, f"{head}.{issue(keeper).split('.')[1]}.") == "token_invalid"

    @pytest.mark.parametrize(
        "change",
        [{name: None} for name in ("user_id", "iss", "aud", "iat", "exp", "jti")]
        + [
            {"iss": "other"},
            {"aud": "other"},
            {"aud": 5},
            {"exp": "1000"},
            {"exp": 10**9 + 0.5},
            {"exp": True},
            {"exp": 10**400},
            {"iat": "x"},
            {"user_id": 5},
            {"user_id": "5"},
            {"jti": 5},
            {"username": 5},
            {"tier": None, "email": []},
        ],
    )
    def test_claims(self, change: dict[str, Any]) -> None:
        claims = {"user_id": str(USER), "iss": "issuer", "aud": "audience", "iat": 1, "exp": 2 * 10**9}
        claims |= {"jti": str(uuid4()), **change}
        token = jwt.encode({name: v for name, v in claims.items() if v is not None}, KEY, "HS256")
        assert code_of(users(), token) == "token_invalid"

    def test_optional_claims(self) -> None:
        claims = {"user_id": str(USER), "iss": "issuer", "aud": ["x", "audience"], "iat": 1, "exp": 2 * 10**9}
        user = users().verify(jwt.encode({**claims, "jti": str(uuid4())}, KEY, "HS256"))
        assert (user.tier, user.username) == ("standard", "")

    def test_ten_thousand_mutants_get_the_same_verdict_with_a_warm_cache(self) -> None:
        """No flip of any byte is believed, also after the true token was."""
        warm, rng = users(), random.Random(4)
        token = issue(warm)
        warm.verify(token)
        alphabet = "ABCabc019-_.=+/"
        refused = 0
        for _ in range(10_000):
            at = rng.randrange(len(token))
            mutant = token[:at] + rng.choice(alphabet) + token[at + 1 :]
            verdicts = []
            for keeper in (warm, users()):
                try:
                    verdicts.append(keeper.verify(mutant).user_id)
                except Fault as fault:
                    verdicts.append(UUID(int=hash(fault.code) & (2**128 - 1)))
            assert verdicts[0] == verdicts[1]
            refused += verdicts[0] != USER
        assert refused > 9_000  # the rest left the token as it was, or only padding bits changed

    def test_the_cache_forgets_the_oldest_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tokens, "CACHE_ENTRIES", 2)
        keeper = users()
        made = [keeper.issue(USER, "a", "a@b", "t", UUID(int=number)) for number in range(3)]
        for token in made:
            keeper.verify(token)
        assert list(keeper._cache) == made[1:]

    def test_rejected_tokens_take_no_room(self) -> None:
        keeper = users()
        for number in range(10):
            code_of(keeper, f"{number}.b.c")
        assert len(keeper._cache) == 0


class TestCredentials:
    def pair(self, now: Clock) -> tuple[CredentialSigner, CredentialChecker]:
        checker = CredentialChecker("upload", {"gateway": KEY, "operator": OTHER}, now)
        return CredentialSigner("gateway", "upload", KEY, now), checker

    def refused(self, checker: CredentialChecker, token: str | None, user: str | None = None) -> bool:
        try:
            checker.check(token, user)
        except Fault as fault:
            assert (fault.code, fault.status) == ("service_credential_invalid", 401)
            assert "WWW-Authenticate" not in fault.headers
            return True
        return False

    def test_round_trip_with_and_without_a_user(self) -> None:
        signer, checker = self.pair(Clock())
        caller = checker.check(signer.token(str(USER)), str(USER).upper())
        assert (caller.issuer, caller.user_id) == ("gateway", USER)
        assert checker.check(signer.token(None), None).user_id is None

    def test_a_claimed_user_must_be_the_credentials(self) -> None:
        signer, checker = self.pair(Clock())
        assert self.refused(checker, signer.token(str(USER)), str(uuid4()))
        assert self.refused(checker, signer.token(None), str(USER))
        assert self.refused(checker, signer.token(str(USER)), "")

    def test_reused_for_half_its_life_then_made_anew(self) -> None:
        now = Clock()
        signer, _ = self.pair(now)
        first = signer.token(str(USER))
        now.at += 29.9
        assert signer.token(str(USER)) == first
        now.at += 0.1
        assert signer.token(str(USER)) != first

    def test_clocks_may_differ_by_three_minutes(self) -> None:
        now = Clock()
        signer, checker = self.pair(now)
        token = signer.token(None)
        for offset, good in ((-100_000, True), (60 + 179.9, True), (60 + 180, False)):
            now.at = 1_000_000 + offset
            assert self.refused(checker, token) is not good

    @pytest.mark.parametrize("token", [None, "", "x", "a.b.c", "x" * 5000])
    def test_what_is_no_credential(self, token: str | None) -> None:
        _, checker = self.pair(Clock())
        assert self.refused(checker, token)

    def test_issuer_key_and_audience_belong_together(self) -> None:
        now = Clock()
        _, checker = self.pair(now)
        for issuer, audience, key in (
            ("gateway", "files", KEY),
            ("gateway", "upload", OTHER),
            ("operator", "upload", KEY),
            ("files", "upload", KEY),
        ):
            assert self.refused(checker, CredentialSigner(issuer, audience, key, now).token(None))
        assert checker.check(CredentialSigner("operator", "upload", OTHER, now).token(None), None)

    def test_a_users_token_is_no_credential(self) -> None:
        now = Clock()
        _, checker = self.pair(now)
        token = UserTokens("j" * 32, "gateway", "upload", now).issue(USER, "", "", "", USER)
        assert self.refused(checker, token, str(USER))
