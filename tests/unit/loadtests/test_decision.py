"""What each way costs and makes possible: right sums, given and measured apart, the same words everywhere."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape
from rich.console import Console

from loadtests.harness.analysis.decision import decision, money
from loadtests.harness.clients.strategies import evaluate, load_strategies
from loadtests.harness.commands.report import report
from loadtests.harness.plan.planning import make_plan
from loadtests.harness.plan.prices import EXAMPLE, PricesError, read_prices
from loadtests.harness.question import load_question
from loadtests.harness.records.bundle import Bundle, BundleWriter
from loadtests.harness.records.plan import Plan
from loadtests.harness.records.result import Cost, Decision, Result
from loadtests.harness.records.vocabulary import Validity
from loadtests.harness.records.ways import ABILITIES, Abilities, Ability
from loadtests.harness.report.decision import TITLE, decision_tables, reasons, short_decision
from loadtests.harness.report.page import view_of
from loadtests.harness.report.table import Table
from loadtests.harness.report.template import html, markdown
from loadtests.harness.report.terminal import print_result
from loadtests.harness.words import AB, ASK, WordsError, as_typed, read_ab, read_question
from tests.unit.loadtests import fabricate as make
from tests.unit.loadtests.fabricate import PROXY, SINGLE
from tests.unit.loadtests.test_report import write_bundle

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
STRATEGIES = load_strategies()


@pytest.fixture(scope="module")
def result() -> Result:
    return make.result()


def found(result: Result) -> Decision:
    assert result.decision is not None
    return result.decision


def cost(result: Result, of: str, arm: str) -> Cost:
    costs = next(one for one in found(result).costs if one.of == of)
    return next(one for one in costs.costs if one.arm == arm)


class TestSums:
    """12 ms of CPU, 4 ms of the store's, 84 uploads a second, 1 MiB, 1.02 gateway bytes for each byte."""

    def test_a_million_uploads(self, result: Result) -> None:
        proxy = cost(result, "million", PROXY)
        assert proxy.core_hours.value == pytest.approx(0.012 * 1e6 / 3600)
        assert proxy.core_hours.low == pytest.approx(0.97 * 0.012 * 1e6 / 3600)
        assert proxy.store_core_hours.value == pytest.approx(0.004 * 1e6 / 3600)
        # 80 MiB of the gateway (the store's 240 are not ours) for the 3.3 hours that they take
        assert proxy.memory_gib_hours == pytest.approx(80 / 1024 * 1e6 / 84 / 3600)
        assert proxy.gateway_gb == pytest.approx(1.02 * 1048.576)
        assert (proxy.store_requests, proxy.statements) == (1e6, 5e6)

    def test_requests_that_clients_send_to_the_store_count(self, result: Result) -> None:
        assert cost(result, "million", SINGLE).store_requests == 2e6, "one of ours and the client's PUT"

    def test_a_terabyte_is_as_many_uploads_as_it_takes(self, result: Result) -> None:
        million, terabyte = cost(result, "million", PROXY), cost(result, "terabyte", PROXY)
        uploads = 1e12 / 1048576
        assert terabyte.core_hours.value == pytest.approx((million.core_hours.value or 0) * uploads / 1e6)
        assert terabyte.gateway_gb == pytest.approx(1020)

    def test_money_is_the_sum_of_amounts_and_prices(self, result: Result) -> None:
        paid = cost(result, "million", PROXY).money
        assert paid is not None and paid.value is not None and paid.low is not None
        cores, rest = 0.04 * 0.012 * 1e6 / 3600, 10.69548 + 5 + 0.005 * 80 / 1024 * 1e6 / 84 / 3600
        assert paid.value == pytest.approx(cores + rest, rel=1e-5)
        assert paid.low == pytest.approx(0.97 * cores + rest, rel=1e-5)

    def test_what_has_a_price_and_was_not_measured_leaves_no_sum(self, result: Result) -> None:
        known = cost(result, "million", PROXY)
        assert money(known.model_copy(update={"gateway_gb": None}), make.UNIT_PRICES) is None
        free = known.model_copy(update={"statements": None})
        assert money(free, make.UNIT_PRICES) == known.money, "statements cost nothing there"

    def test_only_cores_that_cost_nothing(self, result: Result) -> None:
        given = make.UNIT_PRICES.model_copy(update={"core_hour": 0.0})
        paid = money(cost(result, "million", PROXY), given)
        assert paid is not None and paid.value is not None and paid.low is None


def test_without_ways_or_a_comparison_there_is_nothing_to_decide(result: Result) -> None:
    assert decision(make.plan(result), result.compare, result.prices) is None
    planned = make.plan(result, ways=make.ways())
    assert decision(planned, None, result.prices) is None
    cut = make.comparison(blocks=0)
    assert decision(planned, cut, result.prices) is None


class TestPlans:
    def ask(self, name: str, **words: str) -> Plan:
        asked = load_question(name)
        known = as_typed(asked.arms)
        typed = read_question(words, ASK, STRATEGIES, known, texts=asked.arms, load=asked.load)
        return make_plan("run", asked, typed, STRATEGIES)

    @pytest.mark.parametrize(
        ("name", "ways"), [("proxy-or-direct", 3), ("size", 3), ("distance", 6), ("slow-clients", 5)]
    )
    def test_questions_of_ways_have_a_decision(self, name: str, ways: int) -> None:
        plan = self.ask(name)
        assert [way.arm for way in plan.ways] == [arm.name for arm in plan.arms]
        assert (len(plan.ways), plan.prices) == (ways, None)
        assert Plan.model_validate_json(plan.model_dump_json()) == plan

    def test_other_questions_have_one_only_where_prices_are_named(self) -> None:
        assert self.ask("hash").ways == ()
        plan = self.ask("hash", PRICES=str(ROOT / EXAMPLE))
        assert len(plan.ways) == len(plan.arms) and plan.prices is not None
        assert plan.prices.currency == "USD"

    def test_another_implementation_is_not_priced(self) -> None:
        typed = read_ab(
            {"TARGET": "http://127.0.0.1:1", "PRICES": str(ROOT / EXAMPLE)}, STRATEGIES, {"A": {}, "B": {}}
        )
        plan = make_plan("run", load_question("ab"), typed, STRATEGIES)
        assert [way.arm for way in plan.ways] == ["A"]


class TestPriceFiles:
    def bad(self, tmp_path: Path, text: str) -> tuple[str, ...]:
        (tmp_path / "prices.yaml").write_text(text)
        with pytest.raises(PricesError) as caught:
            read_prices(tmp_path / "prices.yaml")
        return caught.value.problems

    def test_the_example_is_whole_and_has_its_date(self) -> None:
        prices = read_prices(ROOT / EXAMPLE)
        assert prices.date.isoformat() in (ROOT / EXAMPLE).read_text()
        assert prices.million_store_requests == 5

    def test_every_problem_at_once_with_key_value_and_what_was_expected(self, tmp_path: Path) -> None:
        text = (ROOT / EXAMPLE).read_text()
        for good, bad in (
            ("core_hour: 0.04 ", "core_hour: -1 "),
            ("gib_hour: 0.005", "gib_hour: yes"),
            ("gateway_gb: 0.01", "gateway_gb: .nan"),
            ("date: 2026-11-30", "date: soon"),
            ("million_statements: 0", "million_statement: 0"),
            ("currency: USD", "currency: ''"),
        ):
            assert good in text
            text = text.replace(good, bad, 1)
        problems = "\n".join(self.bad(tmp_path, text))
        for said in (
            "core_hour: -1: Input should be greater than or equal to 0",
            "gib_hour: True: expected a number, 0 or more",
            "gateway_gb: nan: Input should be a finite number",
            "date: 'soon': Input should be a valid date",
            "million_statements: missing",
            "million_statement: this key is not known",
            "currency: '': String should have at least 1 character",
        ):
            assert said in problems

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("- 1", "[1]: expected keys and values as in loadtests/prices/example.yaml"),
            ("a: [", "is not YAML"),
            ("core_hour: 1\ncore_hour: 2", "core_hour is there twice"),
        ],
    )
    def test_what_is_no_list_of_prices(self, tmp_path: Path, text: str, said: str) -> None:
        assert said in self.bad(tmp_path, text)[0]

    def test_the_word_is_refused_with_the_other_words(self, tmp_path: Path) -> None:
        (tmp_path / "p.yaml").write_text("currency: EUR\n")
        with pytest.raises(WordsError) as caught:
            read_ab({"PRICES": f"{tmp_path}/p.yaml", "SEED": "x"}, STRATEGIES, {})
        problems = caught.value.problems
        assert f"PRICES={tmp_path}/p.yaml: core_hour: missing" in problems
        assert "SEED=x: expected a whole number from 0 to 2147483647" in problems
        with pytest.raises(WordsError, match=r"PRICES=nowhere: cannot be read \(No such file or directory\)"):
            read_ab({"PRICES": "nowhere"}, STRATEGIES, {})
        assert "PRICES" in AB


class TestAbilities:
    def test_every_one_is_asked_for(self) -> None:
        assert set(Abilities.model_fields) == set(ABILITIES)

    @pytest.mark.parametrize("name", STRATEGIES)
    @pytest.mark.parametrize("ability", ABILITIES)
    def test_what_is_said_to_show_it_is_there(self, name: str, ability: str) -> None:
        said: Ability = getattr(STRATEGIES[name].manifest.abilities, ability)
        path, _, what = said.proof.partition("::")
        text = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"\b(def|function) {what}\(", text), said.proof

    @pytest.mark.parametrize("name", STRATEGIES)
    def test_the_store_is_hidden_where_clients_send_it_nothing(self, name: str) -> None:
        manifest = STRATEGIES[name].manifest
        assert manifest.abilities.hide_store.able is (evaluate(manifest.requests.store, 3) == 0)

    def test_a_strategy_goes_on_after_a_break_only_in_pieces(self) -> None:
        for strategy in STRATEGIES.values():
            in_pieces = strategy.manifest.piece_bytes is not None
            assert strategy.manifest.abilities.resume.able is in_pieces, strategy.name


def shown(result: Result, **of_plan: Any) -> tuple[str, str, str]:
    """Page, its twin, and what eighty columns of a terminal say."""
    plan, out = make.plan(result, **of_plan), StringIO()
    view = view_of(result, plan, make.manifest(result))
    print_result(result, plan, Path("results"), Console(file=out, width=80))
    return html(view), markdown(view), " ".join(out.getvalue().split())


def table_of(result: Result, ident: str) -> Table:
    return next(table for table in decision_tables(result) if table.ident == ident)


class TestTables:
    def test_page_and_twin_say_the_same(self, result: Result) -> None:
        page, twin, _ = shown(result)
        tables = decision_tables(result)
        assert [table.ident for table in tables] == ["map", "cost-million", "cost-terabyte", "abilities"]
        for table in tables:
            assert f"<h3>{table.title}</h3>" in page
            assert f"### {table.title}" in twin
            for row in table.rows:
                assert f"| {' | '.join(row)} |" in twin
                for cell in row:
                    assert escape(cell.partition(" (")[0]) in page

    def test_the_terminal_says_few_rows_of_it_cell_by_cell_and_where_the_rest_is(
        self, result: Result
    ) -> None:
        _, _, said = shown(result)
        few, whole = short_decision(result), table_of(result, "cost-million")
        assert few is not None and few.title == whole.title
        assert [row[0] for row in few.rows] == [
            "processors, core-hours", "cores, if all come within a day", "memory, GiB-hours",
            "through the gateway, GB", "store requests", "cost, EUR",
        ]  # fmt: skip
        cells = {row[0]: row[2:] for row in whole.rows}
        assert few.columns == ("what it takes", *whole.columns[2:])
        assert {row[0]: row[1:] for row in few.rows} == {row[0]: cells[row[0]] for row in few.rows}
        assert few.title in said and "In the report: every figure" in said
        for row in few.rows:
            assert all(word in said for cell in row for word in cell.partition(" (")[0].split())
        for table in decision_tables(result):
            assert table.title not in said or table.ident == whole.ident

    def test_the_terminal_s_table_fits_a_screen(self, result: Result) -> None:
        out = StringIO()
        print_result(result, make.plan(result), Path("results"), Console(file=out, width=80))
        lines = out.getvalue().splitlines()
        begin = lines.index("A million uploads")
        end = next(at for at, line in enumerate(lines) if line.startswith("Report "))
        assert end - begin <= 24
        assert max(map(len, lines[begin:end])) <= 80

    @pytest.mark.parametrize("width", [80, 120])
    def test_many_ways_are_rows_and_no_figure_is_broken(self, width: int) -> None:
        ways = [
            (short, way, rtt) for rtt in (0, 20, 80) for short, way in (("proxy", PROXY), ("direct", SINGLE))
        ]
        arms = tuple(
            make.arm(f"{short} at {rtt} ms", strategy=way, asked={"STRATEGY": way, "RTT_MS": str(rtt)})
            for short, way, rtt in ways
        )
        made, out = make.result(arms), StringIO()
        print_result(made, make.plan(made), Path("results"), Console(file=out, width=width))
        few, whole = short_decision(made), table_of(made, "cost-million")
        assert few is not None
        assert few.columns == (
            "way", "processors\ncore-hours", "memory\nGiB-hours", "gateway\nGB", "store\nrequests",
            "cost\nEUR",
        )  # fmt: skip
        assert [row[0] for row in few.rows] == [f"{short.capitalize()} at {rtt} ms" for short, _, rtt in ways]
        by_name = {row[0]: row[2:] for row in whole.rows}
        assert [row[1] for row in few.rows] == list(by_name["processors, core-hours"])
        assert [row[-1] for row in few.rows] == list(by_name["cost, EUR"])
        lines = out.getvalue().splitlines()
        begin = lines.index("A million uploads")
        shown = lines[begin : next(at for at, line in enumerate(lines) if line.startswith("Report "))]
        assert max(map(len, shown)) <= 80 and len(shown) <= 24
        pieces = [
            piece for row in few.rows for cell in row for piece in cell.replace(" (", "\n(").split("\n")
        ]
        heads = [piece for name in few.columns for piece in name.split("\n")]
        assert [piece for piece in (*pieces, *heads) if not any(piece in line for line in shown)] == []

    def test_money_stands_there_only_with_prices(self, result: Result) -> None:
        million = table_of(result, "cost-million")
        assert million.rows[-1][:2] == ("cost, EUR", "measured, times given prices")
        assert "Prices were given, of 2026-09-01 (a test): in EUR a core-hour 0.04" in million.caption
        given = found(result)
        bare = given.model_copy(
            update={
                "prices": None,
                "costs": tuple(
                    one.model_copy(
                        update={"costs": tuple(c.model_copy(update={"money": None}) for c in one.costs)}
                    )
                    for one in given.costs
                ),
            }
        )
        table = table_of(result.model_copy(update={"decision": bare}), "cost-million")
        assert not any(row[0].startswith("cost") for row in table.rows)
        assert f"PRICES={EXAMPLE} adds the sum in money" in table.caption

    def test_what_is_possible_and_why(self, result: Result) -> None:
        abilities = {row[0]: row[1:] for row in table_of(result, "abilities").rows}
        assert abilities[ABILITIES["hide_store"]] == ("yes", "no", "no")
        assert abilities[ABILITIES["resume"]] == ("yes", "yes", "no")
        told = reasons(result)
        assert told is not None
        assert {row[2] for row in told.rows} == {"yes", "no"}
        page, twin, _ = shown(result)
        assert 'id="table-reasons"' in page
        assert all(row[3] in twin for row in told.rows)

    def test_where_nothing_was_decided_nothing_is_said(self) -> None:
        quiet = make.result(decision=None, sizes=None)
        page, twin, said = shown(quiet)
        assert decision_tables(quiet) == () and reasons(quiet) is None and short_decision(quiet) is None
        assert 'id="decision"' not in page and TITLE not in twin and "A million uploads" not in said


class TestMap:
    def test_a_run_of_sizes_has_a_row_for_each(self, result: Result) -> None:
        table = table_of(result, "map")
        assert table.columns == ("file", "0 ms round trip")
        assert [row[0] for row in table.rows] == ["64 KiB", "1 MiB", "8 MiB", "32 MiB"]
        assert table.rows[0][1] == "Direct in one PUT"

    def test_a_run_of_distances_has_a_column_for_each_and_a_mark_where_nothing_was_shown(self) -> None:
        arms = tuple(
            make.arm(f"{way} at {rtt}", strategy=way, asked={"STRATEGY": way, "RTT_MS": str(rtt)})
            for rtt in (0, 80)
            for way in (PROXY, SINGLE)
        )
        near, far = (make.ratio(arms[at].name, arms[at + 1].name, over) for at, over in ((0, 1.0), (2, 0.8)))
        apart = make.result(arms, compare=make.comparison(arms, rates=[near, far], best=None))
        table = table_of(apart, "map")
        assert table.columns == ("file", "0 ms round trip", "80 ms round trip")
        assert table.rows == (("1 MiB", "~", "Through the server in chunks"),)

    @pytest.mark.parametrize("given", [{"profile": "smoke"}, {"validity": Validity.INVALID}])
    def test_who_may_name_no_winner_draws_none(self, result: Result, given: dict[str, Any]) -> None:
        assert "map" not in {table.ident for table in decision_tables(result.model_copy(update=given))}

    def test_one_size_at_one_distance_is_no_map(self) -> None:
        tables = decision_tables(make.result(sizes=None))
        assert "map" not in {table.ident for table in tables}


def test_a_run_is_priced_again(tmp_path: Path) -> None:
    path = write_bundle(tmp_path)
    plan, out = Bundle(path).plan(), StringIO()
    prices = str(ROOT / EXAMPLE)
    with pytest.raises(WordsError, match="r1 compares no different ways, so there is nothing to price"):
        report(path, prices, Console(file=out))
    named = tuple(
        way.model_copy(update={"arm": name}) for way, name in zip(make.ways(), ("A", "B"), strict=False)
    )
    BundleWriter(path).write_plan(plan.model_copy(update={"ways": named}))
    report(path, None, Console(file=out, width=80))
    assert "core-hours" in out.getvalue() and "cost, USD" not in out.getvalue()
    with pytest.raises(WordsError, match=r"PRICES=nowhere: cannot be read"):
        report(path, "nowhere", Console(file=out))
    report(path, prices, Console(file=out, width=80))
    assert "USD" in out.getvalue()
    assert "cost, USD" in (path / "report.md").read_text()
