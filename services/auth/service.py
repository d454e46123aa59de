"""The rules of accounts: who may sign up, who may log in, and what a token says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.auth.errors import invalid_credentials, user_exists
from services.auth.hashing import HashPool
from services.auth.memory import FailureLimiter, Proofs
from services.auth.metrics import Metrics
from services.auth.outcome import LoginResult, ProofLookup
from services.auth.passwords import Passwords
from services.auth.repository import Account, Accounts
from services.kit.clock import World
from services.kit.errors import Fault
from services.kit.tokens import UserTokens

Wanted = Callable[[], None]  # raises when the client has left
_RESULTS = {
    "invalid_credentials": LoginResult.INVALID,
    "rate_limited": LoginResult.LIMITED,
    "overloaded": LoginResult.OVERLOADED,
}


@dataclass(frozen=True, slots=True)
class Session:
    """What a client gets after signup or login."""

    token: str
    username: str
    email: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """``email`` is normalised, ``password`` as sent."""

    email: str
    password: bytes


@dataclass(frozen=True, slots=True)
class AuthService:
    accounts: Accounts
    passwords: Passwords
    pool: HashPool
    proofs: Proofs
    failures: FailureLimiter
    tokens: UserTokens
    world: World
    metrics: Metrics

    def admit_signup(self) -> None:
        """Raises ``overloaded`` before the request's body is read."""
        self.pool.refuse_when_full()

    def admit_login(self) -> None:
        """Like ``admit_signup``, and counted as a login."""
        try:
            self.pool.refuse_when_full()
        except Fault:
            self.metrics.logins(LoginResult.OVERLOADED, self.proofs.miss).inc()
            raise

    async def sign_up(self, username: str, credentials: Credentials, wanted: Wanted) -> Session:
        """Raises:
        Fault: ``user_exists``, ``overloaded``, ``dependency_unavailable``.
        """
        stored = await self.pool.run(lambda: self.passwords.hash(credentials.password), wanted)
        account = await self.accounts.add(username, credentials.email, stored)
        if account is None:
            raise user_exists()
        return self._session(account)

    async def log_in(self, credentials: Credentials, wanted: Wanted) -> Session:
        """Raises:
        Fault: ``invalid_credentials``, ``rate_limited``, ``overloaded``, ``dependency_unavailable``.
        """
        result, cache = LoginResult.ERROR, self.proofs.miss
        try:
            account, cache = await self._known(credentials, wanted)
            result = LoginResult.OK
            return self._session(account)
        except Fault as fault:
            result = _RESULTS.get(fault.code, LoginResult.ERROR)
            if result is LoginResult.LIMITED:
                self.metrics.limited("login", "none").inc()
            raise
        finally:
            self.metrics.logins(result, cache).inc()

    async def _known(self, credentials: Credentials, wanted: Wanted) -> tuple[Account, ProofLookup]:
        """The account whose password this is, and how it was proven."""
        email, password = credentials.email, credentials.password
        self.failures.check(email)
        account = await self.accounts.by_email(email)
        if account and self.proofs.holds(account.user_id, account.password_hash, password):
            return account, ProofLookup.HIT
        stored = account.password_hash if account else self.passwords.dummy

        def before() -> None:
            wanted()
            self.failures.check(email)  # guesses sent all at once are still limited

        good = await self.pool.run(lambda: self.passwords.verify(password, stored), before)
        if account is None or not good:
            self.failures.failed(email)
            raise invalid_credentials()
        self.proofs.remember(account.user_id, account.password_hash, password)
        return account, self.proofs.miss

    def _session(self, account: Account) -> Session:
        token = self.tokens.issue(
            account.user_id, account.username, account.email, account.tier, self.world.new_uuid()
        )
        return Session(token, account.username, account.email)

    async def resolve(self, emails: Sequence[str]) -> dict[str, UUID]:
        """User ids of those normalised e-mails that have an account."""
        return await self.accounts.resolve(emails)
