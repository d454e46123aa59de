"""``make share``: one run as a small zip that can be given to anybody, and a Markdown block to paste.

Only derived files and small records go in; k6's log and single uploads stay at home. What remains is searched
for secrets, host names, e-mail addresses and paths of the machine, and each is replaced by what it was.
"""

from __future__ import annotations

import io
import re
import socket
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console

from loadtests.harness.commands.runs import Run, read_run
from loadtests.harness.govault import report as study
from loadtests.harness.govault.records import FINDINGS, is_study
from loadtests.harness.records.bundle import (
    COUNTED,
    LEDGER,
    LOAD,
    MANIFEST,
    PLAN,
    STRETCHES,
    WARNINGS,
    Bundle,
    BundleError,
)
from loadtests.harness.records.samples import Manifest
from loadtests.harness.report.conditions import facts
from loadtests.harness.report.page import ANALYSIS, HTML, MARKDOWN, flat, write_report
from loadtests.harness.report.tables import summary
from loadtests.harness.testbeds.connections import settings_in
from loadtests.harness.testbeds.system import ROOT

MOST_BYTES = 5_000_000
BLOCK = "share.md"
# The most wanted first: what would make the zip too large is left out.
SHARED = (HTML, MARKDOWN, ANALYSIS, FINDINGS, MANIFEST, PLAN, WARNINGS, LOAD, STRETCHES, COUNTED, LEDGER)
_NEVER_CHANGED = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold: equal runs give equal zips
_SHORTEST_SECRET = 8
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]", "0.0.0.0", "www.w3.org"})  # noqa: S104  # named, not bound
# How a setting is called that is secret; "PASSWORD_HASH" is none: it says which hash.
_PRIVATE = r"(?:password|passwd|secret|token|credentials?|key)"
_SECRET_NAME = re.compile(rf"{_PRIVATE}(?!.*hash)", re.IGNORECASE)
_SECRET_NAME_END = re.compile(rf"{_PRIVATE}$", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_USERINFO = re.compile(r"(?<=://)[^/\s\"'@]+@")
_URL_HOST = re.compile(r"(?<=://)(\[[0-9a-fA-F:]+\]|[\w.-]+)")
_PATH = re.compile(
    r"(?<![\w.:/<])/(?:bin|boot|data|etc|home|lib|media|mnt|opt|private|root|run|srv|tmp|usr|Users|var|work|Volumes)"
    r"(?:/[\w.@+~-]+)+/?"
)
_SIGNED = re.compile(r"(X-Amz-(?:Signature|Credential|Security-Token)=)[^&\s\"']+", re.IGNORECASE)
_JWT = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}")


def share(path: Path, environ: Mapping[str, str], console: Console) -> int:
    """Write ``<run>.zip`` beside the bundle and print the block to paste; 0. Raises ``BundleError``."""
    if is_study(path):
        found, manifest = study.write_report(path), Bundle(path).manifest()
        text = study.markdown_block(found)
    else:
        write_report(path)
        run = read_run(path)
        manifest, text = run.manifest, markdown_block(run)
    scrubber = Scrubber.of_machine(environ, recorded_secrets(manifest))
    block = scrubber.clean(text)
    data, left_out = packed(path, block, scrubber)
    target = path.parent / f"{path.name}.zip"
    target.write_bytes(data)
    console.print(block, markup=False, highlight=False, soft_wrap=True)
    console.print(f"Zip      {target} ({len(data):,} bytes)", markup=False, highlight=False, soft_wrap=True)
    if left_out:
        console.print(f"Left out, too large: {', '.join(left_out)}", style="yellow")
    return 0


class Scrubber:
    """Replaces what is nobody's business by what it was."""

    def __init__(
        self, secrets: Iterable[str] = (), hosts: Iterable[str] = (), paths: Iterable[str] = ()
    ) -> None:
        self._exact = [(secret, "<secret>") for secret in secrets if len(secret) >= _SHORTEST_SECRET]
        self._exact += [(path, "<path>") for path in paths if len(path) > 1]
        self._exact.sort(key=lambda one: -len(one[0]))
        self._hosts = [
            re.compile(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", re.IGNORECASE)
            for host in hosts
            if host and host.lower() not in _LOCAL_HOSTS
        ]

    @staticmethod
    def of_machine(environ: Mapping[str, str], recorded: Iterable[str] = ()) -> Scrubber:
        """What this machine would give away: names, the checkout, the home folder, secrets of ``.env``."""
        secrets = [value for name, value in environ.items() if _SECRET_NAME.search(name)]
        hosts = {socket.gethostname(), socket.getfqdn(), environ.get("HOSTNAME", "")}
        secrets += [value for name, value in settings_in(ROOT / ".env").items() if _SECRET_NAME.search(name)]
        return Scrubber([*secrets, *recorded], hosts, [str(ROOT), environ.get("HOME", "")])

    def clean(self, text: str) -> str:
        for exact, kind in self._exact:
            text = text.replace(exact, kind)
        text = _SIGNED.sub(r"\1<secret>", text)
        text = _JWT.sub("<secret>", text)
        text = _USERINFO.sub("<secret>@", text)
        text = _EMAIL.sub("<e-mail>", text)
        text = _URL_HOST.sub(lambda found: found[0] if found[1] in _LOCAL_HOSTS else "<host>", text)
        text = _PATH.sub("<path>", text)
        for host in self._hosts:
            text = host.sub("<host>", text)
        return text


def recorded_secrets(manifest: Manifest) -> list[str]:
    """Values in the manifest whose names say that they are secret. There should be none."""
    return [value for name, value in flat(manifest.model_dump(mode="json")) if _SECRET_NAME_END.search(name)]


def packed(
    path: Path, block: str, scrubber: Scrubber, most_bytes: int = MOST_BYTES
) -> tuple[bytes, list[str]]:
    """The zip of a bundle, and the files for which there was no room.

    Raises ``BundleError`` where not even the block fits.
    """
    files = {BLOCK: block}
    for name in SHARED:
        if (path / name).exists():
            files[name] = scrubber.clean((path / name).read_text(encoding="utf-8"))
    left_out: list[str] = []
    while len(data := _zip(path.name, files)) > most_bytes:
        if len(files) == 1:
            raise BundleError(f"what {path.name} found does not fit {most_bytes:,} bytes")
        left_out.append(files.popitem()[0])
    return data, left_out


def _zip(folder: str, files: Mapping[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(f"{folder}/{name}", _NEVER_CHANGED), text, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def markdown_block(run: Run) -> str:
    """What was asked, found and measured, for a comment or a letter."""
    result, table = run.result, summary(run.result)
    lines = [
        f"**{result.asks}**",
        "",
        *(f"{one.text}  " for one in result.sentences if one.kind != "detail"),
        "",
    ]
    if table is not None:
        lines += [f"| {' | '.join(table.columns)} |", "|---|" + "---:|" * (len(table.columns) - 1)]
        lines += [f"| {' | '.join(row)} |" for row in table.rows]
        lines += ["", table.caption, ""]
    lines += [f"- {name}: {text}" for name, text in facts(result) if text]
    lines += [f"- run: {result.run}, {result.validity.value}"]
    return "\n".join(lines) + "\n"
