"""One place for a stack: folder, ports, names and secrets that stay while the arms change places."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compose import credentials, envfile, life, ports, postgres, scaling, settings, stack, store, switches
from compose.beside.base import CLUSTERS, Base
from compose.beside.data import Names
from compose.beside.revisions import Tree
from compose.cores import cores
from compose.part import Part
from compose.prepare import prepare
from compose.stack import Stack

OF_DATABASES = tuple(f"PG_{name.upper()}_PORT" for name in postgres.DATABASES)
OF_STORE = ("S3_PORT", "S3_CONSOLE_PORT")


@dataclass(frozen=True, slots=True)
class Wish:
    """What an arm asks of its stack.

    `environment` is for the start-up and for every process that reads it, `processes` for those of one
    service. Presigned URLs are signed for `public_store`, where it is said.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    processes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    revision: str | None = None  # None: the checkout itself
    public_store: str = ""

    def replicas(self) -> dict[str, str]:
        """How many processes of each service, by the start-up's variable."""
        return scaling.counts(self.environment, cores())

    def redis(self) -> dict[str, str]:
        """Redis runs when any process of the stack asks for it."""
        return {
            setting: switches.REDIS
            for setting in switches.REDIS_USERS
            if any(own.get(setting) == switches.REDIS for own in self.processes.values())
        }


@dataclass(frozen=True, slots=True)
class Place:
    """`ports` are by variable, for every process that some arm has."""

    run_dir: Path
    names: Names
    ports: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)

    def env(self, base: Base, wish: Wish, programs: Mapping[str, str], *, own_store: bool) -> dict[str, str]:
        """The environment of a stack here, as `stack.resolve` takes it. Makes the folder."""
        shared = {name: base.env[name] for name in (*OF_DATABASES, *(() if own_store else OF_STORE))}
        chosen = {**self.ports, **shared, "S3_BUCKET": self.names.bucket}
        if wish.public_store:
            chosen["S3_PUBLIC_ENDPOINT"] = wish.public_store
        resolved = envfile.resolve(envfile.read(settings.PORTS), chosen)
        extended = scaling.extended(resolved, {**wish.environment, **chosen}, cores())
        asked = {"STORE": store.chosen(base.env), **wish.environment, **wish.redis()}
        given = {**asked, **extended, **programs, **self._secrets(base, own_store=own_store)}
        return prepare(self.run_dir, {**given, **self.names.databases()}, clusters=False)

    def parts(self, env: Mapping[str, str], wish: Wish, tree: Tree | None, *, own_store: bool) -> list[Part]:
        """What runs here: never the databases, and the store only where it is compared."""
        code = {} if tree is None else {"ROOT": str(tree.folder), "PYTHON": tree.python}
        without = {*CLUSTERS, "prometheus", *(() if own_store else store.STORES)}
        added = self._by_process(env, wish)
        found = stack.resolve({**env, **code}, without=without, environment=added)
        here = str(settings.ROOT)  # what runs once before the services is the start-up's own
        return [dataclasses.replace(one, cwd=here) if one.oneshot else one for one in found]

    def launch(self, env: Mapping[str, str], parts: Sequence[Part]) -> Stack:
        """Starts it; it ends with the calling thread at the latest. Raises `StackError`: a port is taken."""
        stack.check_ports(parts, env)
        life.launch(self.run_dir, parts, tied=True)
        return Stack(self.run_dir, env)

    def _secrets(self, base: Base, *, own_store: bool) -> dict[str, str]:
        """Roles belong to the clusters, so their passwords are the base's; all other secrets are our own."""
        of_base = [name for name in self.secrets if name.startswith(("PG_", "DB_"))]
        if not own_store:
            of_base += ["MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"]
            if store.chosen(base.env) != store.MINIO:  # it knows the keys that it was started with
                of_base += ["S3_ACCESS_KEY", "S3_SECRET_KEY"]
        return {**self.secrets, **{name: base.env[name] for name in of_base}}

    @staticmethod
    def _by_process(env: Mapping[str, str], wish: Wish) -> dict[str, dict[str, str]]:
        """Each process's own settings; who did not ask for Redis does not use it because another does."""
        found: dict[str, dict[str, str]] = {}
        quiet = {"RATE_LIMIT_BACKEND": switches.MEMORY, "CACHE": switches.NONE}
        for service in scaling.REPLICATED:
            own = {
                setting: wish.environment.get(setting) or quiet[setting]
                for setting, users in switches.REDIS_USERS.items()
                if service in users and env.get(setting)
            }
            own |= wish.processes.get(service, {})
            found |= dict.fromkeys(scaling.parts_of(env, service), own)
        return found


def draw(folder: Path, word: str, wishes: Sequence[Wish], *, own_store: bool) -> list[Place]:
    """As many places as arms, each good for every arm. No port is given twice."""
    raw = [name for name in envfile.read(settings.PORTS) if name.endswith("_PORT")]
    shared = {*OF_DATABASES, *(() if own_store else OF_STORE)}
    of_replicas = {name for wish in wishes for name in scaling.default_ports(wish.replicas())}
    names = [name for name in (*raw, *sorted(of_replicas)) if name not in shared]
    numbers = iter(ports.free(len(names) * len(wishes)))
    places = []
    for place in range(len(wishes)):
        own = Names(f"{word}_{place}")
        secrets = {**credentials.generate(), "S3_ACCESS_KEY": own.bucket}
        found = {name: str(next(numbers)) for name in names}
        places.append(Place(folder / f"stack-{place}", own, found, secrets))
    return places
