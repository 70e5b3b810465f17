"""Costs, prices and budgets at the command line, with real runs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from moneykit import book, priced

from mlconsole.domain.budgets import Period
from program import Program, wait_until

AXES = ("run", "attempt", "experiment", "user", "tag", "gpu", "host", "day")
SLEEP = ("sleep", "600")


@pytest.fixture
def rich(cli: Program) -> Program:
    """A machine without GPUs at $36,000 an hour: ten dollars a second."""
    return priced(cli, "usd_per_h = 36000", "gpus = 0")


def test_without_a_price_costs_are_unknown_not_zero(cli: Program) -> None:
    run = cli.launch("true")
    cli.ended(run)

    shown = cli.json("cost", "show")

    assert cli.json("run", "show", run)["cost_usd"] is None
    assert [item["usd"] for item in shown["items"]] in ([], [None])
    assert (shown["idle_usd"], shown["total_usd"]) == (None, None)
    assert "unknown" in cli("cost", "show").out


def test_a_run_on_a_machine_without_gpus_pays_for_the_machine_while_it_lives(rich: Program) -> None:
    run = rich.launch("sleep", "0.5")

    rich.ended(run)
    shown = rich.json("cost", "show")["items"]
    cost = rich.json("run", "show", run)["cost_usd"]

    assert 4 < cost < 100
    assert shown == [
        {"key": run, "label": "job", "usd": cost, "gpu_hours": 0.0, "kwh": None},
    ]


@pytest.mark.parametrize("axis", AXES)
def test_runs_and_idle_add_up_to_the_total(rich: Program, axis: str) -> None:
    for _ in range(2):
        rich.ended(rich.launch("true"))

    shown = rich.json("cost", "show", "--by", axis)

    assert {"kind", "items", "idle_usd", "total_usd"} <= set(shown)
    assert all({"key", "usd", "gpu_hours", "kwh"} <= set(item) for item in shown["items"])
    assert sum(item["usd"] for item in shown["items"]) + shown["idle_usd"] == pytest.approx(
        shown["total_usd"], abs=1e-6
    )


def test_the_sum_that_must_hold_is_shown_to_the_micro_dollar_with_the_price_and_who_said_it(rich: Program) -> None:
    rich.ended(rich.launch("true"))

    found = rich.json("cost", "show")
    words = rich("cost", "show").out

    assert found["machines_usd"] == found["total_usd"]
    assert found["runs_usd"] + found["idle_usd"] == pytest.approx(found["machines_usd"], abs=1e-9)
    (price,) = found["prices"]
    assert (price["usd_per_h"], price["tenure"], price["source"]) == (36000, "on_demand", "the settings file")
    sums = re.search(r"runs \$([\d,.]+) \+ IDLE \$([\d,.]+) = \$([\d,.]+), what the machine time cost", words)
    assert sums is not None, words
    runs, idle, whole = (Decimal(each.replace(",", "")) for each in sums.groups())
    assert runs + idle == whole
    assert f"{price['host']} costs $36,000.00/h, on demand: the settings file" in words


def test_a_live_run_is_charged_up_to_now(rich: Program) -> None:
    run = rich.launch(*SLEEP)

    def cost() -> float:
        (item,) = rich.json("cost", "show")["items"]
        return float(item["usd"])

    before = cost()
    wait_until(lambda: cost() > before + 1, "a live run to cost more")
    assert rich.json("cost", "show")["burn_usd_per_h"] == 36000
    assert rich.json("cost", "show")["idle_usd_per_h"] == 0
    assert rich("run", "stop", run, "--grace", "0", "--yes").code == 0


def test_costs_can_be_shown_from_a_read_only_session(rich: Program) -> None:
    rich.ended(rich.launch("true"))

    shown = rich.json("--read-only", "cost", "show")

    assert shown["total_usd"] > 0


def test_the_plan_of_a_launch_says_what_it_costs(cli: Program) -> None:
    node = priced(cli, 'instance = "p4d.24xlarge"', "gpus = 0")

    plan = node.json("launch", "--time-limit", "2h", "--dry-run", "--", "true")

    assert plan["cost_usd"] == 65.5452
    assert any("$32.77/h" in step["text"] for step in plan["steps"])
    assert not node.home.exists()


def test_the_plan_of_a_launch_without_a_price_says_that_it_is_unknown(cli: Program) -> None:
    plan = cli.json("launch", "--dry-run", "--", "true")

    assert plan["cost_usd"] is None
    assert any("unknown" in step["text"] for step in plan["steps"])


def test_a_node_at_90_dollars_an_hour_for_a_day_is_2160(cli: Program) -> None:
    node = priced(cli, "usd_per_h = 90", "gpus = 8")

    assert node.json("cost", "estimate", "--gpus", "8", "--time-limit", "24h")["usd"] == 2160
    assert node.json("cost", "estimate", "--gpus", "2", "--time-limit", "24h")["usd"] == 540


def test_an_instance_that_no_book_has_is_said_and_nothing_is_charged(cli: Program) -> None:
    node = priced(cli, 'instance = "x9.metal"')

    found = node.json("cost", "estimate")

    assert found["usd_per_h"] is None
    assert '"x9.metal"' in found["why"]


def test_an_imported_price_goes_before_the_list_price(cli: Program) -> None:
    node = priced(cli, 'instance = "p4d.24xlarge"')
    path = book(cli.cwd, "aws,p4d.24xlarge,A100,8,us-east-1,20,10,2025-06-01,our contract")

    done = node.json("price", "import", path)

    assert (done["new"], done["changed"], done["same"]) == (1, 0, 0)
    assert node.json("cost", "estimate", "--gpus", "8")["usd_per_h"] == 20
    (found,) = node.json("price", "list", "p4d.24")["items"]
    assert (found["on_demand_usd_per_h"], found["as_of"], found["source"]) == (20, "2025-06-01", "our contract")


def test_a_book_with_a_wrong_row_is_refused_whole(cli: Program) -> None:
    path = book(cli.cwd, "aws,good,A100,8,,20,10,2025-06-01,us", "aws,bad,A100,8,,20,30,2025-06-01,us")

    done = cli("--json", "price", "import", path)

    assert done.code == 2
    assert "line 3" in done.error["message"] and "bad" in done.error["message"]
    assert cli.json("price", "list", "good")["items"] == []


def test_a_book_that_cannot_be_read_is_one_clear_line(cli: Program) -> None:
    done = cli("price", "import", "no-such-book.toml")

    assert done.code == 2
    assert done.err == 'mlconsole: Cannot read the price book "no-such-book.toml": No such file or directory.\n'


def test_the_import_of_prices_is_in_the_audit(cli: Program) -> None:
    cli.json("price", "import", book(cli.cwd, "aws,good,A100,8,,20,10,2025-06-01,us"))

    assert [row["action"] for row in cli.json("audit", "list")["items"]] == ["price import"] * 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("budget", "set", "b", "--usd", "lots"), '"lots"'),
        (("budget", "set", "b", "--usd", "0"), '"0"'),
        (("budget", "set", "b", "--usd", "-5"), '"-5"'),
        (("budget", "set", "b", "--usd", "5", "--scope", "user:"), '"user:"'),
        (("budget", "set", "b", "--usd", "5", "--scope", "team:x"), '"team:x"'),
        (("budget", "set", "b"), "--usd"),
        (("cost", "show", "--since", "soon"), '"soon"'),
        (("cost", "show", "--by", "colour"), "colour"),
        (("cost", "estimate", "--time-limit", "soon"), '"soon"'),
        (("launch", "--gpus", "-1", "--", "true"), '"-1"'),
        (("launch", "--gpus", "1", "--env", "CUDA_VISIBLE_DEVICES=0", "--", "true"), "CUDA_VISIBLE_DEVICES"),
    ],
)
def test_a_wrong_word_is_one_clear_line(cli: Program, words: tuple[str, ...], said: str) -> None:
    done = cli(*words)

    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_budget_tells_once_when_it_is_spent(rich: Program) -> None:
    rich.ended(rich.launch("sleep", "0.3"))
    rich("budget", "set", "lab", "--usd", "1")

    first, again = rich("cost", "show").err, rich("cost", "show").err

    (state,) = rich.json("budget", "list")["items"]
    assert (state["name"], state["level"], state["hard"]) == ("lab", 100, False)
    assert 'Budget "lab": 100 % reached' in first
    assert again == ""


def test_a_hard_budget_refuses_a_launch_with_the_figures(rich: Program) -> None:
    rich.ended(rich.launch("true"))
    rich("budget", "set", "lab", "--usd", "20000", "--hard")

    done = rich("--json", "launch", "--time-limit", "1h", "--", "true")
    plan = rich.json("launch", "--time-limit", "1h", "--dry-run", "--", "true")

    assert done.code == 1
    assert "spent + $0.00 committed + $36,000.00 for this run" in done.error["message"]
    assert any("as things stand it will be refused: budget" in step["text"] for step in plan["steps"])
    assert len(rich.json("run", "list")["items"]) == 1


def test_a_hard_budget_counts_what_live_runs_are_bound_to_cost(rich: Program) -> None:
    run = rich.json("launch", "--time-limit", "1h", "--", *SLEEP)["id"]
    rich("budget", "set", "lab", "--usd", "36001", "--hard")
    end = Period.MONTH.around(datetime.now(UTC))[1]

    done = rich("--json", "launch", "--time-limit", "1h", "--", "true")

    hours = min(1.0, (end - datetime.now(UTC)) / timedelta(hours=1))
    committed = re.search(r"\$([\d,.]+) committed", done.error["message"])
    assert done.code == 1 and committed
    assert float(committed[1].replace(",", "")) == pytest.approx(36_000 * hours, abs=1_800)
    rich("run", "stop", run, "--grace", "0", "--yes")


def test_under_a_hard_budget_a_run_needs_a_time_limit(rich: Program) -> None:
    rich("budget", "set", "lab", "--usd", "50000", "--hard")

    done = rich("launch", "--", "true")

    assert done.code == 1
    assert "--time-limit" in done.err


def test_under_a_hard_budget_an_unknown_cost_is_refused(cli: Program) -> None:
    cli("budget", "set", "lab", "--usd", "50000", "--hard")

    done = cli("launch", "--time-limit", "1h", "--", "true")

    assert done.code == 1
    assert "not known" in done.err


def test_a_hard_budget_of_somebody_else_refuses_nothing(rich: Program) -> None:
    rich("budget", "set", "lab", "--usd", "1", "--hard", "--scope", "user:somebody")

    assert rich("launch", "--", "true").code == 0


def test_a_removed_budget_refuses_nothing(rich: Program) -> None:
    rich("budget", "set", "lab", "--usd", "1", "--hard")
    rich("budget", "remove", "lab")

    assert rich("launch", "--", "true").code == 0
    assert rich("budget", "remove", "lab").code == 4


def test_the_page_of_costs_stands_alone_and_has_the_days_the_month_the_axes_and_the_budgets(rich: Program) -> None:
    rich.ended(rich.launch("true", name="<b>dear"))
    assert rich("budget", "set", "lab", "--usd", "50000").code == 0

    assert rich("report", "cost", "--by", "user", "-o", "cost.html").out.startswith("Wrote what 1 day cost")
    page = (rich.cwd / "cost.html").read_text(encoding="utf-8")

    for words in ("Each day, by user", "of that IDLE", "by its end", "Budgets", "lab $50,000.00", "By run", "By host"):
        assert words in page
    assert "&lt;b&gt;dear" in page and "<b>dear" not in page
    assert "<link" not in page and "<script src" not in page


def test_without_a_price_there_is_no_page_of_costs_but_the_way_to_one(cli: Program) -> None:
    done = cli("report", "cost")
    assert done.code == 1 and "nobody said a price" in done.err and "[machine]" in done.err
    assert not (cli.cwd / "cost.html").exists()
