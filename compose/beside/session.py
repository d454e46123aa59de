"""The stacks of one comparison: prepared, started, made anew in turn, and gone at the end."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from compose import asking, life, scaling, settings, stack, topology
from compose.asking import Json
from compose.beside import base as bases
from compose.beside import data, leftovers, revisions
from compose.beside.base import Base
from compose.beside.place import Place, Wish, draw
from compose.beside.revisions import Tree
from compose.part import Part
from compose.stack import Stack


class BesideError(Exception):
    """The comparison cannot be set up; the text says why."""


class Session:
    """What one comparison has beside the running testbed. All of it is in `folder` or bears its name.

    The order of calls is `know`, `prepare`, `start`, then `renew` as often as wanted, then `end`. Processes
    are started from the calling thread and end with it.
    """

    def __init__(self, now: settings.Settings, folder: Path, say: Callable[[str], None]) -> None:
        self._now, self._folder, self._say = now, folder, say
        self._trees: dict[str, Tree] = {}
        self._known_here: dict[str, dict[str, str]] = {}
        self._settable_by: dict[str | None, dict[str, dict[str, str]]] = {}
        self._base: Base | None = None
        self._wishes: dict[str, Wish] = {}
        self._places: list[Place] = []
        self._programs: dict[str, str] = {}
        self._own_store = False

    def know(self, revision_of: Mapping[str, str | None]) -> Json:
        """The settings that somebody may choose, and what each expects: by arm and service."""
        for revision in dict.fromkeys(one for one in revision_of.values() if one is not None):
            folder = self._folder / "trees" / str(len(self._trees))
            self._trees[revision] = revisions.take(revision, folder, self._now.run_dir / "venvs", self._say)
        self._known_here = _asked(None, {})["known"]
        self._settable_by = {revision: self._settable(revision) for revision in revision_of.values()}
        return {"known": {arm: self._settable_by[revision] for arm, revision in revision_of.items()}}

    def prepare(self, wishes: Mapping[str, Wish], *, own_store: bool, chosen_store: str) -> Json:
        """Finds or starts databases and store, and tries every arm's settings in the code that will run.

        The answer's `problems` are sentences; `settings` holds by arm and process what must be in effect;
        `trees` names by arm the commit and the digest of the code.
        """
        found = bases.found(self._now)
        self._base = base = found or bases.started(self._folder / leftovers.OWN_BASE, chosen_store)
        self._wishes, self._own_store = dict(wishes), own_store
        self._places = draw(self._folder, self._folder.name, list(wishes.values()), own_store=own_store)
        self._programs = bases.programs(("postgres", *self._wanted()))
        parts = {arm: self._parts(self._places[n], arm)[1] for n, arm in enumerate(wishes)}
        said = {arm: self._tried(arm, parts[arm]) for arm in wishes}
        problems = [
            f"{arm}: {process.partition('-')[0]}: {problem}"
            for arm, processes in said.items()
            for process, one in processes.items()
            for problem in one["problems"]
        ]
        problems += self._too_many_connections(base, parts) if not problems else []
        return {
            "problems": list(dict.fromkeys(problems)),
            "settings": {
                arm: {process: self._chosen(arm, process, one["settings"]) for process, one in some.items()}
                for arm, some in said.items()
            },
            "trees": {arm: self._named(wish) for arm, wish in wishes.items()},
            "shared": {"ours": base.ours, "run_dir": str(base.run_dir)},
        }

    def start(self, order: Sequence[str]) -> Json:
        """Makes databases and keys and starts the stacks; `order` names the arm of each place."""
        base = self._base_there()
        if not self._own_store:
            for place in self._places:
                data.give_key(
                    base.env, place.names, place.secrets["S3_ACCESS_KEY"], place.secrets["S3_SECRET_KEY"]
                )
        return self._make(order, time.monotonic())

    def renew(self, order: Sequence[str]) -> Json:
        """Ends all stacks and starts them from nothing, each arm where `order` puts it."""
        began, base = time.monotonic(), self._base_there()
        with ThreadPoolExecutor(max_workers=len(self._places)) as pool:
            list(pool.map(lambda place: life.stop(place.run_dir), self._places))
        if self._own_store:
            for place in self._places:
                shutil.rmtree(place.run_dir / "s3")
        else:
            client = data.root_client(base.env)
            for place in self._places:
                multiparts = asyncio.run(data.open_multiparts(base.env, place.names))
                data.remove_bucket(client, place.names.bucket, multiparts)
        for place in self._places:
            shutil.rmtree(place.run_dir / "spool")
        return self._make(order, began)

    def end(self) -> list[str]:
        """Everything goes; what was taken away besides processes and files. May be called at any time."""
        leftovers.end_stacks(self._folder)
        gone: list[str] = []
        if self._base is not None:
            if not self._base.ours:
                gone = leftovers.take_away(self._base, self._folder.name)
            bases.ended(self._base)
        elif (self._folder / leftovers.OWN_BASE).exists():  # its start failed
            Stack(self._folder / leftovers.OWN_BASE, {}).destroy()
        shutil.rmtree(self._folder, ignore_errors=True)
        return gone

    def _make(self, order: Sequence[str], began: float) -> Json:
        base = self._base_there()
        if sorted(order) != sorted(self._wishes):
            raise BesideError(f"the places are for {', '.join(self._wishes)}, not {', '.join(order)}")
        emptied = time.monotonic()
        asyncio.run(data.make_databases(base.env, [place.names for place in self._places]))
        made = time.monotonic()
        started: dict[str, Stack] = {}
        for place, arm in zip(self._places, order, strict=True):
            env, parts = self._parts(place, arm)
            if not self._own_store:  # one of its own is prepared by its stack
                data.make_bucket(base.env, place.names, env["S3_ACCESS_KEY"])
            started[arm] = place.launch(env, parts)
        for one in started.values():
            stack.wait_healthy(one)
        return {
            "stacks": {
                arm: {"run_dir": str(one.run_dir), "env": dict(one.env)} for arm, one in started.items()
            },
            "took_s": {
                "ending": round(emptied - began, 2),
                "databases": round(made - emptied, 2),
                "starting": round(time.monotonic() - made, 2),
            },
        }

    def _parts(self, place: Place, arm: str) -> tuple[dict[str, str], list[Part]]:
        wish, own_store = self._wishes[arm], self._own_store
        env = place.env(self._base_there(), wish, self._programs, own_store=own_store)
        tree = None if wish.revision is None else self._trees[wish.revision]
        return env, place.parts(env, wish, tree, own_store=own_store)

    def _wanted(self) -> Iterable[str]:
        """External programs that some arm's stack runs."""
        for wish in self._wishes.values():
            env = scaling.extended(settings.read({}).env, wish.environment, 1)
            yield from scaling.programs({**wish.environment, **env, **wish.redis()})
            if self._own_store:
                yield wish.environment["STORE"]

    def _tried(self, arm: str, parts: Sequence[Part]) -> Json:
        """What each process of ours would make of its environment."""
        ours = {
            part.name: dict(part.env) for part in parts if scaling.service_of(part.name) in scaling.REPLICATED
        }
        tree = self._wishes[arm].revision
        said: Json = _asked(None if tree is None else self._trees[tree], {arm: ours})["arms"][arm]
        return said

    def _settable(self, revision: str | None) -> dict[str, dict[str, str]]:
        """By service: what the start-up hands on, and what only this revision knows."""
        tree = None if revision is None else self._trees[revision]
        known: dict[str, dict[str, str]] = self._known_here if tree is None else _asked(tree, {})["known"]
        found = {}
        for service, expected in known.items():
            chosen = topology.optional(service) | (set(expected) - set(self._known_here[service]))
            found[service] = {name: text for name, text in sorted(expected.items()) if name in chosen}
        return found

    def _chosen(self, arm: str, process: str, effective: Mapping[str, Any]) -> Json:
        """Of the settings in effect those that do not follow from the place."""
        settable = self._settable_by[self._wishes[arm].revision][scaling.service_of(process)]
        return {name: value for name, value in effective.items() if name in settable or name == "POOLER"}

    def _too_many_connections(self, base: Base, parts: Mapping[str, Sequence[Part]]) -> list[str]:
        """Pools that the databases have no room for. Behind a pooler, its own limit holds."""
        found = []
        for service in scaling.POOLED:
            wanted = 0
            for some in parts.values():
                pooled = any(part.name == "pgbouncer" for part in some)
                own = [part for part in some if scaling.service_of(part.name) == service]
                pools = sum(int(part.env.get("DB_POOL_MAX") or scaling.POOL) for part in own)
                wanted += scaling.POOLER_CONNECTIONS if pooled else pools
                wanted += len(own) * scaling.CONNECTIONS_BESIDE_POOL
            free = asyncio.run(data.free_connections(base.env, service))
            if wanted > free:
                found.append(
                    f"the stacks could open {wanted} connections to the database of {service}, which has room"
                    f" for {free} more. Stop the testbed (make down): then databases with more are started"
                )
        return found

    def _named(self, wish: Wish) -> Json:
        if wish.revision is None:
            return {"commit": "", "digest": ""}
        tree = self._trees[wish.revision]
        return {"commit": tree.commit, "digest": tree.digest}

    def _base_there(self) -> Base:
        if self._base is None:
            raise BesideError("nothing is prepared yet")
        return self._base


def _asked(tree: Tree | None, asked: Mapping[str, Any]) -> Json:
    """What the services of a revision, or of this checkout, say. Raises `AskingError`."""
    folder, python = (settings.ROOT, sys.executable) if tree is None else (tree.folder, tree.python)
    return asking.ask(folder, python, asked)
