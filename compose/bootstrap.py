"""Makes the virtual environment, then becomes the command in it.

    python3 compose/bootstrap.py [--dev] MODULE [ARGUMENT ...]     (this is how make calls it)

Needs nothing but Python: standard library only, in a syntax that Python 3.6 still reads, so that an old one
gets a sentence instead of a traceback. Packages come from requirements-bench.lock (with --dev from
requirements-dev.lock), every file checked against its hash. A marker inside `.venv` is written last and
names the locks that were installed; when it is missing or names other ones, the installation is repeated,
which repairs whatever an interruption left.

A checkout that cannot be written to has its environment in the tool cache. An environment that somebody else
made is never touched: ours has the marker from its first moment on.

The interpreter is the one that PYTHON names. Without it a new environment gets the newest CPython that was
built with profile-guided optimisation: one without it costs more than a newer version saves (3.13 without was
a seventh slower than 3.11 without, and that an eighth slower than 3.11 with). Without any such one it is the
interpreter that runs this, if it will do, else the newest. A complete environment stays until its lock
changes, or PYTHON names another interpreter.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

OLDEST, NEWEST = (3, 11), (3, 14)  # every package of the locks has a wheel for each of these
ROOT = Path(__file__).resolve().parent.parent


def place() -> Path:
    """Where the environment, its lock and its log are."""
    if os.access(str(ROOT), os.W_OK) or (ROOT / ".venv").exists():
        return ROOT
    home = os.environ.get("HOME")
    cache = Path(home, ".cache") if home else Path("/var/tmp")  # noqa: S108  (ours, by the checkout's name)
    tools = os.environ.get("VAULTBENCH_TOOLS") or os.environ.get("XDG_CACHE_HOME") or str(cache)
    return Path(tools) / "vaultbench-environments" / hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]


PLACE = place()
VENV = PLACE / ".venv"
PYTHON = VENV / "bin" / "python"
MARKER = VENV / "vaultbench.json"
LOG = PLACE / ".run" / "logs" / "venv.log"
LOCKS = {"bench": ROOT / "requirements-bench.lock", "dev": ROOT / "requirements-dev.lock"}
USUAL_S = 30
LINE_EVERY_S = 5.0
FULL = (errno.ENOSPC, errno.EDQUOT)


def main() -> None:
    """Process edge."""
    arguments = sys.argv[1:]
    kind = "bench"
    if arguments[:1] == ["--dev"]:
        kind, arguments = "dev", arguments[1:]
    named = None
    if os.environ.get("PYTHON"):
        check_python()
        named = probe(sys.executable)
    if not installed(kind, named):
        try:
            with_lock(kind, named)
        except OSError as exc:
            if exc.errno not in FULL:
                raise
            sys.exit(no_room())
    os.chdir(str(ROOT))
    # Becomes it, so signals arrive.
    os.execve(str(PYTHON), [str(PYTHON), "-m", *arguments], environment())  # noqa: S606


def environment() -> "dict[str, str]":
    """What the command and pip get of ours: the names that make.sh hands over, from its lists.

    Everything that Python, pip, Go or git would read besides stays outside. Texts are UTF-8 whatever the
    locale says, and no configuration file of pip makes it refuse a virtual environment.
    """
    kept = os.environ.get("VAULTBENCH_KEPT")
    own = (
        {name: os.environ[name] for name in kept.split() if name in os.environ} if kept else dict(os.environ)
    )
    return {**own, "PYTHONUTF8": "1", "PIP_USER": "0"}


class Found(NamedTuple):
    """An interpreter. `build` is what an environment is made from: a patch release leaves it the same."""

    optimised: bool
    final: bool
    version: "tuple[int, ...]"
    path: str
    build: str


PROBE = """
import ensurepip, json, platform, ssl, sys, sysconfig, venv
said = sysconfig.get_config_var
if platform.python_implementation() != "CPython" or said("Py_GIL_DISABLED"):
    sys.exit(1)
# Distributions optimise without the option that says so.
optimised = sys.base_prefix == "/usr" or "--enable-optimizations" in (said("CONFIG_ARGS") or "")
print(json.dumps([optimised, sys.version_info, sys.prefix, sys.base_prefix]))
"""


def probe(path: str) -> "Found | None":
    """What an interpreter is; nothing when it cannot make environments, or belongs to our own."""
    try:
        said = subprocess.check_output([path, "-I", "-c", PROBE], stderr=subprocess.DEVNULL, timeout=30)
        optimised, version, prefix, base = json.loads(said.decode())
    except (OSError, ValueError, subprocess.SubprocessError):
        return None  # a shim of a version that is not activated, an installation without its parts
    if Path(prefix).resolve() == VENV.resolve():
        return None
    build = "{}.{} {}".format(*version[:2], base)
    return Found(optimised, version[3] == "final", tuple(version[:3]), path, build)


def candidates() -> "list[str]":
    """This interpreter, and those of the tested versions on PATH and of pyenv."""
    home = os.environ.get("HOME") or "/nonexistent"
    pyenv = Path(os.environ.get("PYENV_ROOT") or str(Path(home, ".pyenv"))) / "versions"
    folders = [Path(name) for name in os.get_exec_path()] + sorted(pyenv.glob("*/bin"))
    names = [f"python3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)]
    found = [str(folder / name) for folder in folders for name in names if (folder / name).exists()]
    return list(dict.fromkeys([sys.executable, *found]))


def chosen() -> Found:
    """The best interpreter of this machine; ends with a sentence when there is none."""
    known = filter(None, map(probe, candidates()))
    found = [one for one in known if one.final and OLDEST <= one.version[:2] <= NEWEST]
    if not found:
        check_python()
        sys.exit(f"No Python here can make a virtual environment (tried: {', '.join(candidates())}).")
    running = [one for one in found if one.path == sys.executable]
    optimised = [one for one in found if one.optimised]
    return max(optimised or running or found, key=lambda one: one.version)


def check_python() -> None:
    """Says what is wrong with this interpreter, if anything, and ends."""
    if sys.version_info[:2] < OLDEST:
        have, need = (".".join(map(str, version)) for version in (sys.version_info[:2], OLDEST))
        sys.exit(
            f"vaultbench needs Python {need} or later, but {sys.executable} is {have}.\n"
            f"Install a newer one and name it: make PYTHON=python{need} up"
        )
    try:
        import ensurepip  # noqa: F401, PLC0415  (Debian's python3 comes without)
    except ImportError:
        sys.exit(f"{sys.executable} has no venv module. On Debian: apt-get install python3-venv")


def installed(kind: str, named: "Found | None" = None) -> bool:
    """Whether the environment is complete for a kind, and made from the interpreter that PYTHON names.

    The dev lock holds everything of the bench lock.
    """
    marker = recorded()
    fitting = [name for name in ("dev", kind) if marker.get(name) == digest(name)]
    right = named is None or marker.get("python") == named.build
    return bool(fitting) and right and PYTHON.exists()


def recorded() -> "dict[str, str]":
    """What the marker says; nothing while the environment itself is being made."""
    try:
        marker = json.loads(MARKER.read_text())
    except (OSError, ValueError):
        return {}
    return dict(marker)


def digest(kind: str) -> str:
    """Names the content of a lock."""
    return hashlib.sha256(LOCKS[kind].read_bytes()).hexdigest()


def with_lock(kind: str, named: "Found | None") -> None:
    """Installs, one process at a time."""
    try:
        LOG.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        if exc.errno in FULL:
            raise
        sys.exit(
            f"The virtual environment needs a folder, and {LOG.parent} cannot be made: {exc.strerror}.\n"
            "Name another one for tools and environment: make up VAULTBENCH_TOOLS=folder"
        )
    with (PLACE / ".run" / "venv.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("another make prepares the virtual environment; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed(kind, named):
            install(kind, named or chosen())


def install(kind: str, python: Found) -> None:
    """Makes or repairs the environment; the marker last."""
    expected = usual()
    say(f"preparing the virtual environment (.venv), {expected}; log: {LOG}")
    say("with Python {}.{}.{} ({}); PYTHON=... takes another one".format(*python.version, python.path))
    began = time.monotonic()
    if VENV.exists() and not MARKER.exists() and any(VENV.iterdir()):
        sys.exit(
            f"{VENV} was made by somebody else, so it is left alone. Move it away, for example to\n"
            ".venv-mine, then run make again."
        )
    if recorded().get("python") != python.build or not sound(python.build):
        shutil.rmtree(str(VENV), ignore_errors=True)
        VENV.mkdir()
        MARKER.write_text("{}\n")  # half a pip can be imported, and installs nothing
        run([python.path, "-I", "-m", "venv", str(VENV)], began, expected)
    MARKER.write_text(json.dumps({"python": python.build}) + "\n")
    pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--require-hashes"]
    pip += ["--progress-bar", "off"]  # the log and our own lines show its words, not its bars
    run([*pip, "-r", str(LOCKS[kind])], began, expected)
    beside = MARKER.with_suffix(".tmp")
    took_s = round(time.monotonic() - began)
    beside.write_text(json.dumps({kind: digest(kind), "python": python.build, "took_s": took_s}) + "\n")
    beside.replace(MARKER)
    say(f"virtual environment ready after {took_s} s")


def usual() -> str:
    """How long it took last, else how long it usually takes."""
    try:
        return "{:.0f} s last time".format(json.loads(MARKER.read_text())["took_s"])
    except (OSError, ValueError, KeyError):
        return f"usually {USUAL_S} s"


def sound(build: str) -> bool:
    """Whether there is an environment that pip can work in, made from this very Python."""
    program = "import pip, sys; print('{}.{}'.format(*sys.version_info), sys.base_prefix)"
    asked = [str(PYTHON), "-c", program]
    try:
        said = subprocess.check_output(asked, stderr=subprocess.DEVNULL, env=environment())
    except (OSError, subprocess.CalledProcessError):
        return False
    return said.decode().strip() == build


def run(command: "list[str]", began: float, expected: str) -> None:
    """Runs one step with a line of progress now and then; ends with the last lines when it fails."""
    with LOG.open("ab") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, env=environment())
        said = time.monotonic()
        try:
            while child.poll() is None:
                time.sleep(0.05)
                if time.monotonic() - said >= LINE_EVERY_S:
                    said = time.monotonic()
                    say(f"virtual environment: {said - began:.0f} s ({expected}); {last_line()}")
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
    if child.returncode != 0:
        sys.path.insert(0, str(ROOT))
        from compose.installer import trouble  # noqa: PLC0415  (of no use to an old Python)

        lines = LOG.read_text(errors="replace").splitlines()[-15:]
        if trouble.is_full(lines, [PLACE, temporaries()]):
            sys.exit(no_room())
        why = trouble.remedy(lines, environment())
        sys.exit(
            "{}\n\nThe virtual environment could not be made (log: {}). {}\n"
            "The next make continues; nothing needs to be removed.".format("\n".join(lines), LOG, why)
        )


def temporaries() -> Path:
    """Where pip unpacks; not asked of `tempfile`, which wants to write there to find out."""
    named = Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108  (only looked at)
    return named if named.is_dir() else PLACE


def no_room() -> str:
    """What to do about a full disk, which may be either of two."""
    elsewhere = "`TMPDIR=folder make up` takes another disk for the files"
    if PLACE != ROOT:
        elsewhere += ", `make up VAULTBENCH_TOOLS=folder` for the environment"
    return (
        f"No space is left on a disk for the virtual environment ({VENV}) or for pip's temporary files\n"
        f"({temporaries()}): make room and run make again, which continues; {elsewhere}."
    )


def last_line() -> str:
    """What pip is doing."""
    lines = LOG.read_text(errors="replace").split("\n")
    return next((line.strip()[:70] for line in reversed(lines) if line.strip()), "")


def say(text: str) -> None:
    """Progress goes to standard error: standard output belongs to the command."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
