"""Process edge: the stacks of one comparison, for as long as whoever started this holds our standard input.

    python -m compose.beside                 one JSON request per line in, one JSON answer per line out
    python -m compose.beside --leftovers     takes away what killed comparisons left, and says what it was

Requests are ``{"op": …}`` with the arguments of `Session`'s method of that name. An answer has `ok`, and
`error` when it is false. At the end of the input, also when the other side was killed, everything is taken
away. Words for people go to standard error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import asyncpg
from minio.error import MinioException

from compose import control, envfile, life, postgres, settings, stack
from compose.asking import AskingError
from compose.beside import leftovers
from compose.beside.place import Wish
from compose.beside.revisions import RevisionError
from compose.beside.session import BesideError, Session
from compose.installer.cache import ToolError

TROUBLE = (
    AskingError,
    BesideError,
    RevisionError,
    ToolError,
    stack.StackError,
    life.LifeError,
    control.ControlError,
    envfile.EnvError,
    postgres.PostgresError,
    asyncpg.PostgresError,
    MinioException,
    OSError,
)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Runs until the input ends."""
    now = settings.read(_quiet(os.environ))
    if sys.argv[1:] == ["--leftovers"]:
        for line in leftovers.remove_all(now):
            say(line)
        return 0
    # Ctrl-C is for the one that started us: it closes our input when it is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    for line in leftovers.remove_all(now):
        say(line)
    with leftovers.owned_folder(now.run_dir) as folder:
        session = Session(now, folder, say)
        try:
            for line in sys.stdin:
                print(json.dumps(_answer(session, json.loads(line))), flush=True)
        except (BrokenPipeError, SystemExit):
            pass
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            session.end()
    return 0


def _answer(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    operations: dict[str, Callable[[], dict[str, Any]]] = {
        "know": lambda: session.know(request["revisions"]),
        "prepare": lambda: session.prepare(
            {arm: Wish(**wish) for arm, wish in request["wishes"].items()},
            own_store=request["own_store"],
            chosen_store=request["store"],
        ),
        "start": lambda: session.start(request["order"]),
        "renew": lambda: session.renew(request["order"]),
    }
    try:
        return {"ok": True, **operations[request["op"]]()}
    except TROUBLE as error:
        return {"ok": False, "error": str(error) or type(error).__name__}


def _quiet(environ: os._Environ[str]) -> dict[str, str]:
    """Without the words of the start-up: what is in our environment must not reach a stack."""
    return {name: value for name, value in environ.items() if name not in settings.CHOICES or name == "ALL"}


def _leave(*_: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
