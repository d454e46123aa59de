"""Makes the virtual environment, then becomes the command in it.

    python3 compose/bootstrap.py [--dev] MODULE [ARGUMENT ...]     (this is how make calls it)

Needs nothing but Python: standard library only, in a syntax that Python 3.6 still reads, so that an old one
gets a sentence instead of a traceback. Packages come from requirements-bench.lock (with --dev from
requirements-dev.lock), every file checked against its hash. A marker inside `.venv` is written last and
names the locks that were installed; when it is missing or names other ones, the installation is repeated,
which repairs whatever an interruption left.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
MARKER = VENV / "vaultbench.json"
LOG = ROOT / ".run" / "logs" / "venv.log"
LOCKS = {"bench": ROOT / "requirements-bench.lock", "dev": ROOT / "requirements-dev.lock"}
USUAL_S = 30
LINE_EVERY_S = 5.0


def main() -> None:
    """Process edge."""
    arguments = sys.argv[1:]
    kind = "bench"
    if arguments[:1] == ["--dev"]:
        kind, arguments = "dev", arguments[1:]
    check_python()
    if not installed(kind):
        with_lock(kind)
    os.chdir(str(ROOT))
    os.execv(str(PYTHON), [str(PYTHON), "-m", *arguments])  # noqa: S606  (becomes it, so signals arrive)


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


def installed(kind: str) -> bool:
    """Whether the environment is complete for a kind; the dev lock holds everything of the bench lock."""
    try:
        marker = json.loads(MARKER.read_text())
    except (OSError, ValueError):
        return False
    fitting = [name for name in ("dev", kind) if marker.get(name) == digest(name)]
    return bool(fitting) and PYTHON.exists()


def digest(kind: str) -> str:
    """Names the content of a lock."""
    return hashlib.sha256(LOCKS[kind].read_bytes()).hexdigest()


def with_lock(kind: str) -> None:
    """Installs, one process at a time."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with (ROOT / ".run" / "venv.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("another make prepares the virtual environment; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed(kind):
            install(kind)


def install(kind: str) -> None:
    """Makes or repairs the environment; the marker last."""
    say(f"preparing the virtual environment (.venv), usually {USUAL_S} s; log: {LOG}")
    began = time.monotonic()
    if MARKER.exists():
        MARKER.unlink()
    if not sound():
        shutil.rmtree(str(VENV), ignore_errors=True)
        run([sys.executable, "-m", "venv", str(VENV)], began)
    pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--require-hashes"]
    pip += ["--progress-bar", "off"]  # the log and our own lines show its words, not its bars
    run([*pip, "-r", str(LOCKS[kind])], began)
    beside = MARKER.with_suffix(".tmp")
    beside.write_text(json.dumps({kind: digest(kind)}) + "\n")
    beside.replace(MARKER)
    say(f"virtual environment ready after {time.monotonic() - began:.0f} s")


def sound() -> bool:
    """Whether there is an environment that pip can work in, of this very Python version."""
    asked = [str(PYTHON), "-c", "import pip, sys; print(sys.version_info[:2])"]
    try:
        said = subprocess.run(asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return False
    return said.decode().strip() == str(sys.version_info[:2])


def run(command: "list[str]", began: float) -> None:
    """Runs one step with a line of progress now and then; ends with the last lines when it fails."""
    with LOG.open("ab") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log)
        said = time.monotonic()
        try:
            while child.poll() is None:
                time.sleep(0.05)
                if time.monotonic() - said >= LINE_EVERY_S:
                    said = time.monotonic()
                    say(f"virtual environment: {said - began:.0f} s (usually {USUAL_S} s); {last_line()}")
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
    if child.returncode != 0:
        lines = "\n".join(LOG.read_text(errors="replace").splitlines()[-15:])
        sys.exit(
            f"{lines}\n\nThe virtual environment could not be made (log: {LOG}). Is the Python package index "
            "reachable, with your proxy settings? The next make continues; nothing needs to be removed."
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
