"""Why pip, apt or Go could not do their work, read from what they wrote, and what to do about it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "PIP_PROXY")
SOURCES = ("GOPROXY", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")
_USERINFO = re.compile(r"(?<=://)[^/@]+@")
FULL = re.compile(r"no space left on device|errno 28|disk quota exceeded", re.IGNORECASE)
# Whoever failed beside less than this wanted more: the log may be on the same disk and lack the reason.
AS_GOOD_AS_FULL_BYTES = 16 << 20
MAKE_ROOM = (
    "The disk is full. Make room, or set VAULTBENCH_TOOLS (TMPDIR for temporary files) to a folder on "
    "another one."
)

# The first that fits counts: a refusing proxy is also an unreachable host, a full disk many things.
KINDS: tuple[tuple[str, str], ...] = (
    (FULL.pattern, MAKE_ROOM),
    (
        r"signal: killed",
        "The kernel ended the compiler, most likely for want of memory. Close other programs and try again.",
    ),
    (
        r"proxyconnect|ProxyError|proxy authentication|407 |cannot connect to proxy|tunnel connection failed",
        "The proxy does not let it through ({proxies}). Correct the address, with name and password where it "
        "wants them (http://name:password@host:port), or unset it.",
    ),
    (
        r"x509:|certificate.verify.failed|SSLCertVerificationError|certificate verification failed",
        "The certificate on the way is not known here, as in networks that open TLS. Name your network's "
        "certificates: SSL_CERT_FILE=/path/to/bundle.pem for Go, PIP_CERT= with the same file for pip.",
    ),
    (
        r"checksum mismatch|SECURITY ERROR|do not match the hashes|hash sum mismatch",
        "What arrived is not what this project pins: something on the way changes files, or serves others "
        "({sources}). Nothing of it was used. Try another network or mirror, and tell us if it stays.",
    ),
    (
        r"no such host|name resolution|could not resolve|temporary failure resolving|network is unreachable|"
        r"i/o timeout|timed? ?out|connection refused|failed to establish|connection reset|unable to connect|"
        r"unexpected EOF",
        "There is no way to the network from here ({proxies}). With a proxy, set HTTPS_PROXY; without a "
        "network, run `make tools` where there is one and bring its tool cache (VAULTBENCH_TOOLS=folder).",
    ),
    (
        r"\b(?:403 forbidden|404 not found|410 gone|451 )|no matching distribution|unable to locate package|"
        r"disabled by GOPROXY=off|could not find a version",
        "Whoever was asked does not have it, or does not give it ({sources}). A mirror may lack it: "
        "ask another one.",
    ),
    (
        r"permission denied|operation not permitted",
        "A file or folder may not be used. Is the tool cache yours, and may programs run from there? "
        "VAULTBENCH_TOOLS= names another folder.",
    ),
)


def is_full(said: Sequence[str], folders: Iterable[Path]) -> bool:
    """Whether what failed wanted room: it says so, or there is none where it writes."""
    if FULL.search("\n".join(said)):
        return True
    return any(shutil.disk_usage(str(folder)).free < AS_GOOD_AS_FULL_BYTES for folder in folders)


def remedy(said: Sequence[str], env: Mapping[str, str]) -> str:
    """A sentence for what failed in this environment; "" when nobody knows."""
    text = "\n".join(said)
    for pattern, sentence in KINDS:
        if re.search(pattern, text, re.IGNORECASE):
            return sentence.format(proxies=_in_effect(PROXIES, env), sources=_in_effect(SOURCES, env))
    return ""


def _in_effect(names: Sequence[str], env: Mapping[str, str]) -> str:
    """These variables as they are set, without passwords."""
    given = [f"{name}={_USERINFO.sub('…@', env[name])}" for name in names if env.get(name)]
    return ", ".join(given) or f"none of {', '.join(names)} is set"
