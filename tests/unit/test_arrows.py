"""The house: who may import whom, how long things get, and what must never be in the tree."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
OURS = ("gateway", "services", "compose", "grafana", "loadtests", "docs", "tests")
SERVICES = ("auth", "upload", "files")
FILE_LINES, FUNCTION_LINES = 300, 40
KIT, ROUTES = "services.kit", tuple(f"services.{name}.routes" for name in SERVICES)

# folder: the only modules of ours that it may import
ARROWS: dict[str, tuple[str, ...]] = {
    "services/kit": (KIT,),
    **{f"services/{name}": (KIT, f"services.{name}") for name in SERVICES},
    "gateway": (KIT, "gateway", *ROUTES),
    "compose": ("compose",),
    "grafana": ("grafana",),
    # The dashboards' list of panels.
    "loadtests": ("loadtests", "grafana"),
}
# layer: what a module of this name, or in a folder of this name, may not import in a service
LAYERS: dict[str, tuple[str, ...]] = {
    "handlers": ("asyncpg", "services.kit.db", "services.kit.s3", "*.repository"),
    "service": ("aiohttp", "asyncpg", "*.handlers", "*.app"),
    "repository": ("aiohttp", "*.handlers", "*.service", "*.app", "services.kit.web"),
    "routes": ("aiohttp", "asyncpg", "*.handlers", "*.service", "*.repository", "*.settings"),
}


def sources(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[str]:
    """Full names of what a file imports, from inside functions too."""
    package = ".".join(path.relative_to(ROOT).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def within(module: str, allowed: tuple[str, ...]) -> bool:
    """Whether a module is one of these, below one, or a package on the way to one."""
    return any(f"{module}.".startswith(f"{one}.") or f"{one}.".startswith(f"{module}.") for one in allowed)


@pytest.mark.parametrize("folder", ARROWS)
def test_arrows_point_one_way(folder: str) -> None:
    wrong = [
        f"{named(path)} imports {module}"
        for path in sources(folder)
        for module in imports(path)
        if module.split(".")[0] in OURS and not within(module, ARROWS[folder])
    ]
    assert wrong == []


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("layer", LAYERS)
def test_layers_of_a_service(service: str, layer: str) -> None:
    home = ROOT / "services" / service
    members = [home / f"{layer}.py", *(home / layer).rglob("*.py")]
    wrong = []
    for path in filter(Path.exists, members):
        for module in imports(path):
            for refused in LAYERS[layer]:
                full = refused.replace("*", f"services.{service}")
                if f"{module}.".startswith(f"{full}."):
                    wrong.append(f"{named(path)} imports {module}")
    assert wrong == []


@pytest.mark.parametrize("service", SERVICES)
def test_route_tables_are_pure_data(service: str) -> None:
    found = set(imports(ROOT / "services" / service / "routes.py"))
    assert {module for module in found if module.split(".")[0] in OURS} <= {
        "services.kit.web.routing",
        *(f"services.kit.web.routing.{name}" for name in ("Route", "Token", "health_routes")),
    }


def test_only_metrics_modules_declare_metrics() -> None:
    kinds = {f"prometheus_client.{kind}" for kind in ("Counter", "Gauge", "Histogram", "Summary", "Info")}
    kinds.add("services.kit.metrics.Family")
    wrong = [
        named(path)
        for folder in ("services", "gateway")
        for path in sources(folder)
        if path.name != "metrics.py" and kinds & set(imports(path))
    ]
    assert wrong == []


def test_the_environment_is_read_in_one_place() -> None:
    readers = [
        named(path)
        for folder in ("services", "gateway")
        for path in sources(folder)
        if "os.environ" in path.read_text(encoding="utf-8")
    ]
    # The parent of several workers hands its own environment on.
    assert sorted(readers) == ["services/kit/settings.py", "services/kit/workers.py"]


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("folder", ["services", "gateway", "compose", "grafana", "loadtests", "docs"])
def test_files_and_functions_stay_short(folder: str) -> None:
    files = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources(folder)}
    assert {name: lines for name, lines in files.items() if lines > FILE_LINES} == {}
    long = {
        f"{named(path)}:{name}": lines
        for path in sources(folder)
        for name, lines in functions(path)
        if lines > FUNCTION_LINES
    }
    assert long == {}


def tracked() -> list[Path]:
    """Every text file under version control, or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


GREPPING = ("test_arrows.py", "test_topology.py")  # tests that look for such words hold them
FORBIDDEN = {
    "a package registry": r"pypi\.org|pythonhosted|proxy\.golang|registry\.npmjs|deb\.debian|docker\.io",
    "a path of one machine": r"(?<![\w.$}~-])/(?:work|tmp|root|home/\w+)/\w",
    "a well-known password": r"minio" + r"admin|changeme",
    "unfinished work": r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b",
    "a private key": r"BEGIN [A-Z ]*PRIVATE" + r" KEY",
    "a document outside the tree": r"\.\./shared|(?:design|contract|dataplane|runtime|experiments)\.md",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_never_in_the_tree(what: str) -> None:
    pattern, found = re.compile(FORBIDDEN[what]), []
    for path in tracked():
        if path.suffix == ".lock" or path.name in GREPPING:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [
            f"{named(path)}:{number}: {line.strip()[:100]}"
            for number, line in enumerate(text.splitlines(), 1)
            if pattern.search(line)
        ]
    assert found == []


def test_secrets_and_data_are_ignored() -> None:
    names = {named(path) for path in tracked()}
    assert not [name for name in names if name.split("/")[0] in {".env", ".run", ".venv", "results"}]


def test_every_requirement_is_locked_with_hashes() -> None:
    for lock in ROOT.glob("requirements-*.lock"):
        entries = re.split(r"\n(?=[a-z0-9])", lock.read_text(encoding="utf-8"))
        bare = [entry.split()[0] for entry in entries if re.match(r"[a-z0-9._-]+(\[.*\])?==", entry)]
        assert bare
        assert [
            entry.split()[0] for entry in entries if "==" in entry and "--hash=sha256:" not in entry
        ] == []
