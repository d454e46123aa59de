"""The parts of the gateway that decide without talking to anybody."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from gateway.context import RequestContext
from gateway.limits import Claim, MemoryCounts, Proxies, RateLimits
from gateway.routes import Entry, RouteTable, entries
from gateway.settings import DEFAULT_TIERS, Settings
from gateway.target import BadTargetError, split
from services.kit.codec import encode
from services.kit.errors import Fault
from services.kit.metrics import rate_limited
from services.kit.settings import SettingsError, public
from services.kit.trail import Trail
from services.kit.upstream import upstream
from services.kit.web import listener
from services.kit.web.routing import Route
from tests.environment import load
from tests.unit.gateway.support import KEY, environment

pytestmark = pytest.mark.unit
PATHS = st.text(st.sampled_from("abI/.%2eEfF5cC?&=~é"), max_size=40)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/a/b", "/a/b", ""),
        ("/a/b/", "/a/b/", ""),
        ("/a//b", "/a/b", ""),
        ("/a/./b/.", "/a/b/", ""),
        ("/a/b/..", "/a/", ""),
        ("/../../a", "/a", ""),
        ("/a?x=/../y", "/a", "x=/../y"),
        ("/a%2Fb", "/a/b", ""),
        ("/a%252Fb", "/a%2Fb", ""),
        ("/.hidden", "/.hidden", ""),
        ("http://host/a?b", "/a", "b"),
        ("HTTP://host", "/", ""),
        ("/a?é", "/a", "%C3%A9"),
    ],
)
def test_targets_have_one_form(target: str, path: str, query: str) -> None:
    assert split(target) == (path, query)


@pytest.mark.parametrize("target", ["*", "host:80", "a", "ftp://host/a", "/a#b", "/a?b#c", ""])
def test_other_targets_are_refused(target: str) -> None:
    with pytest.raises(BadTargetError):
        split(target)


@given(PATHS)
def test_a_normalised_path_has_no_dots_and_no_empty_segments(text: str) -> None:
    segments = split("/" + text)[0].split("/")[1:]
    assert not [segment for segment in segments[:-1] if segment in {"", ".", ".."}]
    assert segments[-1] not in {".", ".."}


@given(PATHS)
def test_nothing_forwarded_is_internal_or_outside_the_table(text: str) -> None:
    table = RouteTable(entries())
    for prefix in ("/api/files/", "/api/upload/", "/auth/", "/"):
        path, _ = split(prefix + text)
        try:
            entry, forwarded = table.match("GET", path)
        except Fault as fault:
            assert fault.code in {"route_not_found", "method_not_allowed"}
            continue
        assert not forwarded.lower().startswith("/internal")
        assert forwarded.count("/") == entry.route.template.count("/")


def test_literal_segments_win_over_parameters() -> None:
    table = RouteTable(
        Entry("/p" + route.template, "/p", "s", route)
        for route in (Route("GET", "/f/{id}", "one"), Route("GET", "/f/all", "all"))
    )
    assert table.match("GET", "/p/f/all")[0].route.name == "all"
    assert table.match("HEAD", "/p/f/any")[1] == "/f/any"


@given(st.integers(1, 20), st.integers(0, 40))
async def test_exactly_the_limit_passes_in_a_window(limit: int, requests: int) -> None:
    counts = MemoryCounts(lambda: 59.5)
    answers = [await counts.hit(Claim("key", limit), None) for _ in range(requests)]
    assert answers.count((0, 0)) == min(limit, requests)
    assert set(answers) <= {(0, 0), (1, 0)}


async def test_a_new_minute_forgets_the_old_one() -> None:
    now = [0.0]
    counts = MemoryCounts(lambda: now[0])
    assert [await counts.hit(Claim(key, 1), None) for key in "aab"] == [(0, 0), (60, 0), (0, 0)]
    now[0] = 60.0
    assert await counts.hit(Claim("a", 1), None) == (0, 0)
    assert len(counts._counts) == 1


async def test_a_user_is_not_charged_for_what_the_address_may_not_send() -> None:
    counts = MemoryCounts(lambda: 30.0)
    assert await counts.hit(Claim("here", 1), Claim("me", 1)) == (0, 0)
    assert await counts.hit(Claim("here", 1), Claim("you", 1)) == (30, 0)
    assert await counts.hit(Claim("there", 2), Claim("me", 1)) == (0, 30)
    assert await counts.hit(Claim("there", 2), Claim("you", 1)) == (0, 0)


async def test_a_refusal_counts_once_and_does_not_use_up_the_window() -> None:
    registry = CollectorRegistry()
    refused = rate_limited(registry, ("ip", "user"))
    limits = RateLimits(MemoryCounts(lambda: 0.0), 0, DEFAULT_TIERS, refused)
    context = RequestContext(make_mocked_request("GET", "/"), Trail("id"), "peer", "client")
    with pytest.raises(Fault, match="rate_limited"):
        await limits.check(context)
    assert registry.get_sample_value("rate_limited_total", {"scope": "ip", "tier": "none"}) == 1


@pytest.mark.parametrize(
    ("peer", "lines", "client"),
    [
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["1.1.1.1, 2.2.2.2"], "2.2.2.2"),
        ("10.0.0.1", ["1.1.1.1", "2.2.2.2, 10.0.0.2"], "2.2.2.2"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("9.9.9.9", ["1.1.1.1"], "9.9.9.9"),
        ("unix", ["1.1.1.1"], "unix"),
        ("10.0.0.1", ["1.1.1.1:5678"], "1.1.1.1"),
        ("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::1"),
        ("10.0.0.1", ["2001:DB8:0:0::1"], "2001:db8::1"),
        ("10.0.0.1", ["::ffff:1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["fe80::1%" + "x" * 7_000], "fe80::1"),
        ("::ffff:10.0.0.1", ["1.1.1.1"], "1.1.1.1"),
        ("::ffff:9.9.9.9", ["1.1.1.1"], "9.9.9.9"),
        ("10.0.0.1", ["1.1.1.1, 10.0.0.2:80"], "1.1.1.1"),
        ("10.0.0.1", ["some text"], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1, garbage, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["1.1.1.1,"], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1:"], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1:80:80"], "10.0.0.1"),
        ("10.0.0.1", ["[::1"], "10.0.0.1"),
    ],
)
def test_the_client_is_the_right_most_untrusted_address(peer: str, lines: list[str], client: str) -> None:
    settings = load(Settings, environment(1, TRUSTED_PROXIES="10.0.0.0/8"))
    assert Proxies(settings.trusted_proxies).client(peer, lines) == client


@given(st.lists(st.text(st.sampled_from("0123456789abcf:.,[]% x"), max_size=40)))
def test_a_key_is_always_an_address_and_short(lines: list[str]) -> None:
    settings = load(Settings, environment(1, TRUSTED_PROXIES="10.0.0.0/8,::1"))
    key = Proxies(settings.trusted_proxies).client("10.0.0.1", lines)
    assert str(ip_address(key)) == key
    assert len(key) <= 39


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("JWT_SECRET", "short"),
        ("RATE_LIMIT_TIERS", "premium=5"),
        ("RATE_LIMIT_TIERS", "standard=-1"),
        ("RATE_LIMIT_TIERS", "standard=x"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("AUTH_URLS", "auth:9001"),
        ("UPLOAD_URLS", ","),
        ("HEAD_TIMEOUT_S", "0"),
        ("UPSTREAM_POOL", "0"),
    ],
)
def test_a_bad_setting_stops_the_start(key: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(Settings, environment(1, **{key: value}))
    assert [problem.split(" ")[0] for problem in caught.value.problems] == [key]


def test_every_missing_setting_is_named_and_no_secret_is_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        load(Settings, {})
    missing = {problem.split(" ")[0] for problem in caught.value.problems}
    assert {"JWT_SECRET", "AUTH_URLS", "UPLOAD_URLS", "FILES_URLS", "PORT"} <= missing
    settings = load(Settings, environment(1, TRUSTED_PROXIES="10.0.0.0/8,::1"))
    shown = encode(public(settings)).decode()
    assert KEY not in shown
    assert '"RATE_LIMIT_TIERS":{"standard":100000}' in shown
    assert '"TRUSTED_PROXIES":["10.0.0.0/8","::1/128"]' in shown
    assert KEY not in repr(settings)


def test_idle_limits_let_the_side_that_asks_close_first() -> None:
    assert listener.KEEPALIVE_S == 75
    assert upstream.KEEPALIVE_S == 60
