"""The house: who may import whom, and what must never be in the tree."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.unit.module_graph import OURS, ROOT, circles, hidden_circles, imports, module_graph, sources

pytestmark = pytest.mark.unit

SERVICES = ("auth", "upload", "files")
KIT = "services.kit"
TABLES = tuple(f"services.{name}.{table}" for name in SERVICES for table in ("routes", "operations"))

# Folder: the only modules of ours that it may import
ARROWS: dict[str, tuple[str, ...]] = {
    "services/kit": (KIT,),
    **{f"services/{name}": (KIT, f"services.{name}") for name in SERVICES},
    "gateway": (KIT, "gateway", *TABLES),
    "compose": ("compose",),
    "grafana": ("grafana",),
    # The dashboards' list of panels.
    "loadtests": ("loadtests", "grafana"),
}
# Layer: what a module of this name, or in a folder of this name, may not import in a service
LAYERS: dict[str, tuple[str, ...]] = {
    "handlers": ("asyncpg", "services.kit.db", "services.kit.s3", "*.repository"),
    "service": ("aiohttp", "asyncpg", "*.handlers", "*.app"),
    "repository": ("aiohttp", "*.handlers", "*.service", "*.app", "services.kit.web"),
    "routes": ("aiohttp", "asyncpg", "*.handlers", "*.service", "*.repository", "*.settings"),
}


# Inside these packages: layer by layer, lowest first, which modules each holds. A module may import those of
# its own layer and of lower ones.
ORDER: dict[str, dict[str, str]] = {
    "services.kit": {
        "words": "errors refusal clock trail snapshot log memory settings codec names origins health tokens "
        "patience deadline fair peer",
        "metrics": "metrics",
        "databases": "db lock migrate redis cache",
        "client": "client",
        "edges": "s3 sweeping upstream web",
        "process": "run workers",
    },
    "compose": {
        "facts": "cores envfile run_folder part process prom postgres switches scaling store grafana "
        "settings credentials room ports topology control probes",
        "files": "installer joints scraping prepare",
        "rights": "roles store_key",
        "supervision": "unit supervisor life behind",
        "testbed": "asking settings_of changes neighbours stack view logs ready roll trace",
        "commands": "doctor top clean up beside suite",
        "edge": "cli __main__ bootstrap",
    },
    "loadtests.harness": {
        "records": "records",
        "before a run": "background wording yaml_file words clients testbeds question plan order stacks",
        "what is seen": "k6 watch metrics",
        "audit": "ledger clean",
        "judgement": "intervals periods verdict latency cost comparison knee analysis checks validity "
        "analyse stories sentences claim_figures claim_reasons claims",
        "load": "load",
        "a run": "running alerting run measure",
        "pages": "report panels",
        "a study": "govault",
        "commands": "commands",
    },
}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


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


@pytest.mark.parametrize("package", ORDER)
def test_layers_inside_a_package(package: str) -> None:
    level = {name: number for number, names in enumerate(ORDER[package].values()) for name in names.split()}
    found, wrong = set[str](), []
    for module, imported in module_graph().items():
        own = member(module, package)
        if own is None:
            continue
        found.add(own)
        inside = {one for name in imported if (one := member(name, package)) is not None}
        higher = sorted(one for one in inside if level.get(one, -1) > level.get(own, -1))
        wrong += [f"{module} imports {one}, of a higher layer" for one in higher]
    assert wrong == []
    assert found == set(level), "every module has a layer, and every name in the table is a module"


def member(module: str, package: str) -> str | None:
    """The module or folder directly inside the package that this one is, or is in."""
    inside = module.removeprefix(f"{package}.")
    return None if inside == module else inside.partition(".")[0]


def test_no_module_imports_itself_by_a_detour() -> None:
    assert circles(module_graph()) == []


def test_no_protocol_hides_a_circle() -> None:
    assert hidden_circles(module_graph()) == []


def test_a_circle_is_seen_from_all_of_its_modules_and_from_no_other() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set[str](), "e": {"f"}, "f": {"e"}}
    assert circles(graph) == [["b", "c"], ["e", "f"]]


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
@pytest.mark.parametrize(("table", "kind"), [("routes", "routing"), ("operations", "operations")])
def test_route_tables_are_pure_data(service: str, table: str, kind: str) -> None:
    found = set(imports(ROOT / "services" / service / f"{table}.py"))
    ours = {module for module in found if module.split(".")[0] in OURS}
    assert not [module for module in ours if not module.startswith(f"services.kit.web.{kind}")]


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


READERS = ("services/kit/settings.py", "services/kit/workers.py")  # its own, and to hand on


def test_the_environment_is_read_in_one_place() -> None:
    wrong = [
        named(path)
        for folder in ("services", "gateway")
        for path in sources(folder)
        if "os.environ" in path.read_text(encoding="utf-8") and named(path) not in READERS
    ]
    assert wrong == []


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
    "a well-known password": r"(?<!minio[.])minio" + r"admin|changeme",
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
