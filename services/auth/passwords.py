"""Password schemes: how a password becomes a string that can be kept.

Every scheme salts. The stored string names its scheme and parameters (PHC format; bcrypt keeps its own
``$2b$`` form), so verifying never depends on the setting in effect: accounts made under another setting
keep working. All functions here block for up to hundreds of milliseconds and belong in a thread.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Literal, Protocol

import argon2
import bcrypt

SALT_BYTES = 16
DIGEST_BYTES = 32
HMAC_BLOCK_BYTES = 64  # of SHA-256: a shorter key is filled up with NUL, a longer one hashed
Observe = Callable[[str, str, float], None]  # scheme, hash or verify, seconds


class Scheme(Protocol):
    """One way to hash; ``prefix`` is what its stored strings start with."""

    name: str
    prefix: str

    def hash(self, password: bytes, salt: bytes) -> str:
        """A string to store; ``salt`` is 16 random bytes."""

    def verify(self, password: bytes, stored: str) -> bool:
        """Whether ``stored``, made by this scheme, belongs to ``password``.

        Raises:
            ValueError: the stored string is damaged.
        """


class Argon2id:
    """RFC 9106 with 19 MiB, two passes, one lane: the usual minimum for servers."""

    name, prefix = "argon2id", "$argon2id$"

    def __init__(self) -> None:
        self._hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)

    def hash(self, password: bytes, salt: bytes) -> str:
        return self._hasher.hash(password, salt=salt)

    def verify(self, password: bytes, stored: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except argon2.exceptions.VerifyMismatchError:
            return False
        except (argon2.exceptions.InvalidHashError, argon2.exceptions.VerificationError) as error:
            raise ValueError("damaged argon2id string") from error


class Scrypt:
    """RFC 7914: ``$scrypt$ln=14,r=8,p=1$salt$digest``, 16 MiB."""

    name, prefix = "scrypt", "$scrypt$"

    def __init__(self, log2_n: int = 14, r: int = 8, p: int = 1) -> None:
        self._log2_n, self._r, self._p = log2_n, r, p

    def hash(self, password: bytes, salt: bytes) -> str:
        digest = _scrypt(password, salt, self._log2_n, self._r, self._p)
        return _phc("scrypt", f"ln={self._log2_n},r={self._r},p={self._p}", salt, digest)

    def verify(self, password: bytes, stored: str) -> bool:
        parameters, salt, digest = _parse(stored)
        found = _scrypt(password, salt, parameters["ln"], parameters["r"], parameters["p"])
        return hmac.compare_digest(found, digest)


class Pbkdf2:
    """PBKDF2-HMAC-SHA256: ``$pbkdf2-sha256$i=600000$salt$digest``."""

    name, prefix = "pbkdf2", "$pbkdf2-sha256$"

    def __init__(self, rounds: int = 600_000) -> None:
        self._rounds = rounds

    def hash(self, password: bytes, salt: bytes) -> str:
        digest = _pbkdf2(password, salt, self._rounds)
        return _phc("pbkdf2-sha256", f"i={self._rounds}", salt, digest)

    def verify(self, password: bytes, stored: str) -> bool:
        parameters, salt, digest = _parse(stored)
        found = _pbkdf2(password, salt, parameters["i"])
        return hmac.compare_digest(found, digest)


class Sha256:
    """One salted SHA-256: for comparison with systems that do no more; guessing it is cheap."""

    name, prefix = "sha256", "$sha256$"

    def hash(self, password: bytes, salt: bytes) -> str:
        return _phc("sha256", "i=1", salt, hashlib.sha256(salt + password).digest())

    def verify(self, password: bytes, stored: str) -> bool:
        _, salt, digest = _parse(stored)
        return hmac.compare_digest(hashlib.sha256(salt + password).digest(), digest)


class Bcrypt:
    """bcrypt, cost 10. It reads 72 bytes at most, of the password over and over with a NUL behind it."""

    name, prefix = "bcrypt", "$2b$"
    _READ_BYTES = 72

    def __init__(self, cost: int = 10) -> None:
        self._cost = cost

    def hash(self, password: bytes, salt: bytes) -> str:
        del salt  # bcrypt makes its own, in its own alphabet
        return bcrypt.hashpw(_unique(password, self._READ_BYTES), bcrypt.gensalt(self._cost)).decode()

    def verify(self, password: bytes, stored: str) -> bool:
        return bcrypt.checkpw(_unique(password, self._READ_BYTES), stored.encode())


SchemeName = Literal["argon2id", "scrypt", "pbkdf2", "sha256", "bcrypt"]
SCHEMES: Mapping[SchemeName, Callable[[], Scheme]] = {
    "argon2id": Argon2id,
    "scrypt": Scrypt,
    "bcrypt": Bcrypt,
    "pbkdf2": Pbkdf2,
    "sha256": Sha256,
}
DEFAULT_SCHEME: SchemeName = "argon2id"


class Passwords:
    """Hashes with one scheme, verifies with whichever the stored string names, and times both."""

    def __init__(self, scheme: str, salt: Callable[[], bytes], observe: Observe) -> None:
        self._known = tuple(make() for make in SCHEMES.values())
        self._scheme = next(known for known in self._known if known.name == scheme)
        self._salt, self._observe = salt, observe
        self.dummy = self._scheme.hash(salt(), salt())  # costs an unknown e-mail what a known one costs

    def hash(self, password: bytes) -> str:
        started = perf_counter()
        stored = self._scheme.hash(password, self._salt())
        self._observe(self._scheme.name, "hash", perf_counter() - started)
        return stored

    def verify(self, password: bytes, stored: str) -> bool:
        """Raises ValueError for a string that no scheme knows."""
        for scheme in self._known:
            if stored.startswith(scheme.prefix):
                started = perf_counter()
                good = scheme.verify(password, stored)
                self._observe(scheme.name, "verify", perf_counter() - started)
                return good
        raise ValueError("no scheme knows this stored password")


def _unique(password: bytes, limit_bytes: int) -> bytes:
    """What a scheme gets that is not told where a password ends, and reads so many bytes of it.

    A password with NUL, or a longer one, would be the same to it as some other password. Its hash stands
    in for it, behind a byte that UTF-8, and so no password, has.
    """
    if b"\0" not in password and len(password) <= limit_bytes:
        return password
    return b"\xff" + base64.b64encode(hashlib.sha256(password).digest())


def _pbkdf2(password: bytes, salt: bytes, rounds: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", _unique(password, HMAC_BLOCK_BYTES), salt, rounds)


def _scrypt(password: bytes, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    needed_bytes = 128 * r * (2**log2_n + p + 2)
    key, maximum = _unique(password, HMAC_BLOCK_BYTES), 2 * needed_bytes
    return hashlib.scrypt(key, salt=salt, n=2**log2_n, r=r, p=p, maxmem=maximum, dklen=DIGEST_BYTES)


def _phc(name: str, parameters: str, salt: bytes, digest: bytes) -> str:
    return f"${name}${parameters}${_b64(salt)}${_b64(digest)}"


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _parse(stored: str) -> tuple[dict[str, int], bytes, bytes]:
    """Parameters, salt and digest of a PHC string."""
    try:
        _, _, parameters, salt, digest = stored.split("$")
        pairs = (item.split("=") for item in parameters.split(","))
        return {name: int(value) for name, value in pairs}, _unb64(salt), _unb64(digest)
    except (ValueError, binascii.Error) as error:
        raise ValueError("damaged password string") from error
