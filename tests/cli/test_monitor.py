"""Monitors at the command line: windows, verdicts, alerts, replay."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlconsole.actions.context import Context
from mlconsole.actions.monitor import MonitorParams
from mlconsole.actions.monitor_check import check, check_due
from mlconsole.config import load
from mlconsole.domain.monitors import WindowKind, openings, usual_silence_s, window_spec
from mlconsole.errors import UsageError
from program import Indoors, Program

SEED = 11


def table(count: int, shift: float = 0.0, seed: int = SEED, start: datetime | None = None) -> str:
    r = random.Random(seed)
    begin = start or datetime(2026, 3, 1, tzinfo=UTC)
    lines = ["at,age,plan,release"]
    for i in range(count):
        at = (begin + timedelta(minutes=i)).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines.append(f"{at},{r.gauss(40 + 10 * shift, 10):.4f},{r.choice('abc')},{'r1' if i % 2 else 'r2'}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def cli(cli: Program) -> Program:
    """Commands without processes of their own: reading tables loads a third of a second of libraries each time."""
    return Indoors(cli.home, cli.cwd)


@pytest.fixture
def data(cli: Program) -> Path:
    (cli.cwd / "live").mkdir()
    (cli.cwd / "train.csv").write_text(table(2000))
    return cli.cwd


def add(cli: Program, *words: str, window: str = "rows:200", name: str = "churn") -> None:
    common = ("--baseline", "train.csv", "--live", "live/*.csv", "--window", window)
    done = cli("monitor", "add", name, *common, *words)
    assert done.code == 0, done.err


def verdicts(cli: Program, name: str = "churn") -> list[tuple[str, str]]:
    return [(one["window"], one["verdict"]) for one in cli.json("monitor", "show", name)["recent"]]


@pytest.fixture
def session(cli: Program) -> Iterator[Callable[[], Context]]:
    opened = []

    def make() -> Context:
        ctx = Context(load({"HOME": str(cli.cwd)}, catalog=str(cli.home)))
        opened.append(ctx)
        return ctx

    yield make
    for ctx in opened:
        ctx.close()


def test_a_monitor_stays_quiet_on_clean_windows_and_opens_on_drift(cli: Program, data: Path) -> None:
    add(cli)
    (data / "live" / "1.csv").write_text(table(650, seed=2))

    quiet = cli("monitor", "check", "churn", "--json")
    (data / "live" / "2.csv").write_text(table(500, shift=0.6, seed=3))
    loud = cli("monitor", "check", "churn", "--json")

    assert (quiet.code, quiet.document["kind"], quiet.document["verdict"]) == (0, "monitor_check", "ok")
    assert [one["verdict"] for one in quiet.document["windows"]] == ["ok"] * 3 and quiet.document["waiting"] == 50
    assert (loud.code, loud.document["verdict"], loud.document["rows"]) == (6, "drift", 200)
    assert {one["column"]: one["verdict"] for one in loud.document["columns"]}["age"] == "drift"
    alerts = cli.json("alert", "list")["items"]
    assert [(one["state"], one["source"]) for one in alerts] == [("firing", "monitor")]


def test_windows_of_rows_go_on_where_they_stood(cli: Program, data: Path) -> None:
    add(cli)
    whole = table(700, seed=4).splitlines(keepends=True)
    (data / "live" / "1.csv").write_text("".join(whole[:331]))
    cli("monitor", "check", "churn")
    (data / "live" / "1.csv").write_text("".join(whole[:501]))
    (data / "live" / "2.csv").write_text(whole[0] + "".join(whole[501:]))

    again = cli("monitor", "check", "churn", "--json").document

    assert [name for name, _ in verdicts(cli)] == ["rows 1 to 200", "rows 201 to 400", "rows 401 to 600"]
    assert (len(again["windows"]), again["waiting"]) == (2, 100)
    assert cli("monitor", "check", "churn", "--json").document["windows"] == []


def test_a_window_that_is_not_full_is_insufficient(cli: Program, data: Path) -> None:
    cli = Program(cli.home, cli.cwd)  # The program itself, as a process.
    add(cli)
    nothing = cli("monitor", "check", "churn", "--json")
    (data / "live" / "1.csv").write_text(table(60, shift=3))

    few = cli("monitor", "check", "churn", "--json")

    assert (nothing.code, nothing.document["verdict"], nothing.document["rows"]) == (0, "insufficient", 0)
    assert (few.code, few.document["verdict"], few.document["rows"]) == (0, "insufficient", 60)
    assert {one["verdict"] for one in few.document["columns"]} == {"insufficient"}


def test_windows_of_time_are_cut_by_a_column_and_judged_when_they_are_over(cli: Program, data: Path) -> None:
    add(cli, "--time", "at", window="6h")
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0) - timedelta(days=2)
    (data / "live" / "1.csv").write_text(table(800, start=start))
    now = datetime.now(UTC)
    today = now.replace(hour=now.hour // 6 * 6, minute=0, second=0)
    (data / "live" / "2.csv").write_text(table(40, start=today))

    done = cli("monitor", "check", "churn", "--json").document

    assert [one["rows"] for one in done["windows"]] == [360, 360, 80]
    assert done["waiting"] == 40
    assert cli("monitor", "check", "churn", "--json").document["windows"] == []


def test_rows_that_come_late_or_have_no_moment_are_told_and_the_baseline_needs_none(cli: Program, data: Path) -> None:
    (data / "train.csv").write_text("\n".join(line.split(",", 1)[1] for line in table(2000).splitlines()))
    add(cli, "--time", "at", window="1h")
    start = datetime.now(UTC) - timedelta(days=2)
    (data / "live/a.csv").write_text(table(300, start=start))
    first = cli("monitor", "check", "churn")

    (data / "live/b.csv").write_text(table(90, start=start) + ",40,a,r1\nsoon,40,b,r1\n")
    later = cli("monitor", "check", "churn")

    assert "the column is new" not in first.out and "rows came" not in first.out
    assert "90 rows came after their window was judged, and are in none" in later.out
    assert '2 rows have no moment in "at", and are in no window' in later.out


def test_a_file_whose_windows_are_judged_is_not_read_again_until_it_changes(cli: Program, data: Path) -> None:
    add(cli, "--time", "at", window="1h")
    start = datetime(2026, 3, 1, tzinfo=UTC)
    (data / "live/a.csv").write_text(table(120, start=start))
    os.utime(data / "live/a.csv", (1e9, 1e9))
    assert cli("monitor", "check", "churn").code == 0
    size = (data / "live/a.csv").stat().st_size

    (data / "live/a.csv").write_bytes(b"\xff" * size)  # Nobody looks: its size and its time are those it had.
    os.utime(data / "live/a.csv", (1e9, 1e9))
    (data / "live/b.csv").write_text(table(60, start=start + timedelta(hours=2)))
    second = cli("monitor", "check", "churn", "--json").document

    assert [one["rows"] for one in second["windows"]] == [60] and second["unread"] == []
    (data / "live/a.csv").write_text(table(130, start=start))
    third = cli("monitor", "check", "churn")
    assert "rows came after their window was judged" in third.out


def at(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


def test_a_feed_that_brings_nothing_is_an_alert_once_until_it_does(
    cli: Program, data: Path, session: Callable[[], Context]
) -> None:
    add(cli, "--silence", "2h")
    live, begin = data / "live/1.csv", datetime(2026, 5, 4, 12, tzinfo=UTC)
    live.write_text(table(250))
    os.utime(live, (begin.timestamp(), begin.timestamp()))
    ctx = session()

    def look(hours: float) -> list[str]:
        ctx.clock = at(begin + timedelta(hours=hours))
        check(ctx, MonitorParams("churn"))
        return [str(state) for (state,) in ctx.catalog.store.read("SELECT state FROM alert WHERE cause LIKE '%silent'")]

    assert [look(hours) for hours in (0.1, 1.9)] == [[], []]
    live.touch()  # Nothing is in it that was not there before.
    os.utime(live, (begin.timestamp(), begin.timestamp()))
    assert [look(hours) for hours in (2.0, 3.0, 30.0)] == [["firing"]] * 3
    listed = cli("monitor", "list")
    assert "no new rows" in listed.out
    (alert,) = cli.json("alert", "list")["items"]
    assert alert["title"] == "no new rows since 2026-05-04 12:00 UTC; they are expected within 2h00m"
    with live.open("a") as file:
        file.write(table(10).partition("\n")[2])
    later = (begin + timedelta(hours=31)).timestamp()
    os.utime(live, (later, later))
    assert look(31.1) == ["resolved"]


def test_a_file_without_rows_feeds_nobody(cli: Program, data: Path, session: Callable[[], Context]) -> None:
    add(cli, "--silence", "1h")
    ctx, made = session(), datetime.now(UTC)
    (data / "live/1.csv").write_text(table(0))
    ctx.clock = at(made + timedelta(hours=2))

    check(ctx, MonitorParams("churn"))

    (alert,) = cli.json("alert", "list")["items"]
    assert alert["title"].startswith("no new rows since")


def test_what_silence_is_usual_is_learned_from_the_pauses_between_windows() -> None:
    begin, hours = datetime(2026, 5, 4, tzinfo=UTC), (0, 1, 2, 12)
    came = [begin + timedelta(hours=one) for one in hours]

    assert usual_silence_s(came[:3], 300) is None  # Two pauses are no habit.
    assert usual_silence_s(came, 300) == 30 * 3600
    assert usual_silence_s([begin + timedelta(hours=one) for one in range(9)], 300) == 86_400
    assert usual_silence_s([begin] * 40, 300) is None  # All lay there when it began to look.


def test_an_alert_of_a_monitor_that_is_taken_away_is_over(cli: Program, data: Path) -> None:
    add(cli, "--opens", "1/1")
    (data / "live/1.csv").write_text(table(200, shift=1))
    cli("monitor", "check", "churn")
    assert [one["state"] for one in cli.json("alert", "list")["items"]] == ["firing"]

    assert cli("monitor", "remove", "churn", "--yes").code == 0

    (alert,) = cli.json("alert", "list", "--all")["items"]
    assert (alert["state"], alert["why"]) == ("resolved", "the monitor was taken away")


def test_windows_of_time_without_a_column_are_those_of_the_files(cli: Program, data: Path) -> None:
    add(cli, window="24h")
    for day, name in ((3, "1.csv"), (3, "2.csv"), (2, "3.csv")):
        (data / "live" / name).write_text(table(50, seed=day))
        moment = (datetime.now(UTC) - timedelta(days=day)).timestamp()
        os.utime(data / "live" / name, (moment, moment))

    done = cli("monitor", "check", "churn", "--json").document

    assert [one["rows"] for one in done["windows"]] == [100, 50]


def test_the_newest_files_are_judged_again_when_there_is_another(cli: Program, data: Path) -> None:
    add(cli, window="last:2")
    for number in range(3):
        (data / "live" / f"{number}.csv").write_text(table(100, seed=number))
        os.utime(data / "live" / f"{number}.csv", (1e9 + number, 1e9 + number))
        cli("monitor", "check", "churn")
    cli("monitor", "check", "churn")

    assert [(name, verdict) for name, verdict in verdicts(cli)] == [
        ("2 files to 1.csv", "ok"),
        ("2 files to 2.csv", "ok"),
    ]


def test_a_failed_check_suppresses_drift_and_is_one_incident(cli: Program, data: Path) -> None:
    (data / "expect.toml").write_text("[columns.age]\nkind = 'float'\nmax = 200\n")
    add(cli, "--expect", "expect.toml", "--opens", "1/1")
    bad = table(200, shift=2, seed=5).splitlines()
    bad[5] = bad[5].replace(bad[5].split(",")[1], "9999")
    (data / "live" / "1.csv").write_text("\n".join(bad) + "\n")

    done = cli("monitor", "check", "churn", "--json")

    found = {one["column"]: one["verdict"] for one in done.document["columns"]}
    assert (done.code, done.document["verdict"], found["age"]) == (6, "schema", "schema")
    assert len(cli.json("alert", "list")["items"]) == 1


def test_slices_of_a_release_are_judged_on_their_own(cli: Program, data: Path) -> None:
    add(cli, "--slices", "release")
    lines = table(200, seed=6).splitlines()
    moved = [
        line if line.endswith("r1") or i == 0 else line.replace(line.split(",")[1], "75")
        for i, line in enumerate(lines)
    ]
    (data / "live" / "1.csv").write_text("\n".join(moved) + "\n")

    columns = cli("monitor", "check", "churn", "--json").document["columns"]

    found = {(one["slice"], one["column"]): one["verdict"] for one in columns}
    assert (found["release=r2", "age"], found["release=r1", "age"]) == ("drift", "ok")


def test_replay_says_what_was_said_and_what_other_thresholds_would_say(cli: Program, data: Path) -> None:
    add(cli)
    for number, shift in enumerate((0, 0, 0.7, 0.7, 0.25, 0)):
        (data / "live" / f"{number}.csv").write_text(table(200, shift=shift, seed=20 + number))
        os.utime(data / "live" / f"{number}.csv", (1e9 + number * 86_400, 1e9 + number * 86_400))
    cli("monitor", "check", "churn")

    replay = cli.json("monitor", "replay", "churn")
    strict = cli.json("monitor", "replay", "churn", "--floor", "wasserstein=0.5")

    assert [(one["window"], one["verdict"]) for one in replay["windows"]] == verdicts(cli)
    by_factor = {row["factor"]: row for row in replay["thresholds"]}
    assert by_factor[1.0]["drift"] >= by_factor[3.0]["drift"] >= 2
    assert by_factor[1.0]["alerts"] == 1 and 0 < by_factor[1.0]["alerts_per_week"] < 3
    assert sum(one["verdict"] == "drift" for one in strict["windows"]) == 2


def test_a_column_that_had_no_value_moves_no_other_one_in_what_is_kept(cli: Program, data: Path) -> None:
    r = random.Random(SEED)

    def rows(count: int, first: str) -> str:
        return "new,age\n" + "".join(f"{first},{r.gauss(40, 10):.3f}\n" for _ in range(count))

    (data / "train.csv").write_text(rows(1000, ""))
    add(cli, window="rows:100")
    (data / "live/1.csv").write_text(rows(100, ""))
    (data / "live/2.csv").write_text(rows(100, "7") + rows(100, "a").partition("\n")[2])
    cli("monitor", "check", "churn")

    replayed = cli("monitor", "replay", "churn", "--tests", "wasserstein", "--json")

    assert replayed.code == 0, replayed.err
    assert [one["worst"] for one in replayed.document["windows"]] == ["age"] * 3
    assert max(one["effect"] for one in replayed.document["windows"]) < 0.5
    kept = cli.json("monitor", "show", "churn")["recent"]
    assert [one["drifted"] for one in kept] == [0, 1, 1]  # The column that was empty, and not the age.


def test_a_label_that_live_data_lacks_is_said_when_a_monitor_is_made(cli: Program, data: Path) -> None:
    (data / "live/1.csv").write_text("\n".join(line.rpartition(",")[0] for line in table(50).splitlines()))
    common = ("--baseline", "train.csv", "--live", "live/*.csv", "--window", "rows:200")

    told = cli("monitor", "add", "churn", *common).out
    assert 'The live data has no "release"' in told and "--columns" in told
    assert "no window will be" not in cli("monitor", "add", "some", *common, "--columns", "age,plan").out


def test_two_looks_at_once_judge_a_window_once(cli: Program, data: Path, session: Callable[[], Context]) -> None:
    add(cli, "--opens", "1/1")
    (data / "live" / "1.csv").write_text(table(200, shift=1))
    one, other = session(), session()
    from mlconsole.actions.judges import judge_of
    from mlconsole.actions.monitor_check import keep, report_of
    from mlconsole.drift.windows import windows

    monitor = one.catalog.monitors.get("churn")
    judges = [judge_of(ctx, monitor) for ctx in (one, other)]
    cuttings = [judge.cutting() for judge in judges]

    kept = []
    for ctx, judge, cutting in zip((one, other), judges, cuttings, strict=True):
        assert cutting is not None
        window = next(iter(windows(cutting)))
        kept.append(keep(ctx, monitor, judge, window, report_of(judge, window, ctx.clock())))

    assert kept == [True, False]
    events = one.catalog.store.read("SELECT count(*) FROM event WHERE kind = 'drift.opened'")
    assert events == [(1,)]


def test_an_incident_over_many_columns_and_windows_is_one_with_one_end(
    cli: Program, data: Path, session: Callable[[], Context]
) -> None:
    r = random.Random(SEED)
    names = [f"c{i}" for i in range(20)]

    def rows(count: int, shift: float) -> str:
        return (
            "\n".join([",".join(names), *(",".join(f"{r.gauss(shift, 1):.4f}" for _ in names) for _ in range(count))])
            + "\n"
        )

    (data / "train.csv").write_text(rows(1000, 0))
    add(cli, window="rows:100")
    (data / "live" / "1.csv").write_text(rows(300, 0))
    (data / "live" / "2.csv").write_text(rows(1000, 1))
    (data / "live" / "3.csv").write_text(rows(500, 0))
    ctx = session()

    check(ctx, MonitorParams("churn"))

    kinds = [
        row[0] for row in ctx.catalog.store.read("SELECT kind FROM event WHERE subject = 'monitor:churn' ORDER BY n")
    ]
    assert kinds.count("drift.opened") == kinds.count("alert.opened") == kinds.count("alert.resolved") == 1


def test_monitors_that_are_due_are_looked_at_and_one_that_fails_holds_up_none(
    cli: Program, data: Path, session: Callable[[], Context]
) -> None:
    add(cli, name="broken")
    add(cli, name="well")
    (data / "live" / "1.csv").write_text(table(200))
    (data / "bad").mkdir()
    (data / "bad" / "1.csv").write_bytes(b"\x00")
    (data / "bad" / "1.parquet").write_bytes(b"nonsense")
    cli("monitor", "remove", "broken", "--yes")
    cli("monitor", "add", "broken", "--baseline", "train.csv", "--live", "bad/*.parquet", "--window", "rows:10")
    ctx = session()

    first, second = check_due(ctx), check_due(ctx)

    assert (first, second) == (2, 0)
    states = {one["name"]: one for one in cli.json("monitor", "list")["items"]}
    assert "1.parquet" in states["broken"]["trouble"] and states["well"]["verdict"] == "ok"


def test_no_value_that_is_rare_and_no_row_is_in_the_catalog(cli: Program, data: Path) -> None:
    lines = ["age,name", *(f"{i % 60},person-{i:05}" for i in range(500)), *("30,often" for _ in range(50))]
    (data / "train.csv").write_text("\n".join(lines) + "\n")
    (data / "live" / "1.csv").write_text("\n".join(lines[:301]) + "\n")
    add(cli)
    cli("monitor", "check", "churn")

    from mlconsole.catalog import Catalog
    from mlconsole.catalog.profiles import packed
    from mlconsole.domain.drift import CategoryShape

    catalog = Catalog(cli.home, read_only=True)
    try:
        baseline = catalog.monitors.profile(catalog.monitors.get("churn").baseline.number)
    finally:
        catalog.close()
    column = baseline.column("name")
    assert column is not None and isinstance(column.shape, CategoryShape)
    assert (column.shape.values, column.shape.other) == (("often",), 500)
    assert b"person" not in (cli.home / "catalog.db").read_bytes() and packed(baseline)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("monitor", "add", "x"), 2),
        (("monitor", "add", "x", "--baseline", "train.csv", "--live", "live", "--window", "rows:0"), 2),
        (("monitor", "add", "x", "--baseline", "train.csv", "--live", "live", "--window", "soon"), 2),
        (("monitor", "add", "x", "--baseline", "nowhere.csv", "--live", "live"), 2),
        (("monitor", "add", "x", "--baseline", "train.csv", "--live", "live", "--columns", "nonsense"), 2),
        (("monitor", "add", "x", "--baseline", "train.csv", "--live", "live", "--opens", "3/2"), 2),
        (("monitor", "show", "nothing"), 4),
        (("monitor", "check", "nothing"), 4),
        (("monitor", "replay", "nothing"), 4),
        (("monitor", "remove", "nothing", "--yes"), 4),
    ],
)
def test_what_cannot_be_watched_is_one_line_with_its_code(
    cli: Program, data: Path, words: tuple[str, ...], code: int
) -> None:
    cli.json("dataset", "add", "train.csv", "--name", "train")

    done = cli(*words)

    assert (done.code, done.err.count("\n")) == (code, 1), done.err


@pytest.mark.parametrize(
    ("text", "kind", "size"),
    [("rows:1000", WindowKind.ROWS, 1000), ("24h", WindowKind.TIME, 86_400), ("last:5", WindowKind.LAST, 5)],
)
def test_a_window_is_rows_time_or_files(text: str, kind: WindowKind, size: float) -> None:
    assert (window_spec(text).kind, window_spec(text).size) == (kind, size)


@pytest.mark.parametrize("text", ["", "1000", "rows:-1", "10s", "last:", "2000d"])
def test_anything_else_is_no_window(text: str) -> None:
    with pytest.raises(UsageError):
        window_spec(text)


def test_alerts_are_counted_as_they_would_open_and_close() -> None:
    def count(text: str, opens: tuple[int, int] = (2, 3), closes: int = 2) -> int:
        return openings([letter == "b" for letter in text], opens, closes)

    assert [count(text) for text in ("cccc", "cbcc", "cbbc", "bcbcccbb", "bbbbbbbb")] == [0, 0, 1, 2, 1]


def test_a_baseline_is_what_a_run_used_or_the_newest_window_of_a_monitor(cli: Program, data: Path) -> None:
    cli.json("dataset", "add", "train.csv", "--name", "people")
    cli.json("launch", "--data", "people", "--name", "fit", "--", "true")
    used = cli.json("drift", "compare", "run:fit", "train.csv")
    assert (used["verdict"], used["rows_reference"]) == ("ok", 2000)
    assert cli("drift", "compare", "run:none", "train.csv").code == 4

    add(cli)
    (data / "live" / "1.csv").write_text(table(400, shift=1, seed=3))
    assert cli("monitor", "check", "churn").code == 6
    common = ("--live", "live/*.csv", "--window", "rows:200")
    assert cli("monitor", "add", "usual", "--baseline", "window:churn", *common).code == 0
    assert cli("monitor", "check", "usual").code == 0, "what moved has become what is usual"
    (data / "live" / "2.csv").write_text(table(200, seed=4))
    again = cli("monitor", "check", "usual", "--json")
    assert again.code == 6 and again.document["rows_reference"] == 200

    refused = [
        ("window:none", (), 4),
        ("window:churn", ("--columns", "x"), 2),
    ]
    for word, more, code in refused:
        assert cli("monitor", "add", "bad", "--baseline", word, *common, *more).code == code
    assert cli("monitor", "add", "cut", "--baseline", "window:churn", *common, "--slices", "release").code == 0


def test_a_window_whose_rows_are_gone_is_a_baseline_by_its_counts(cli: Program, data: Path) -> None:
    add(cli)
    (data / "live" / "1.csv").write_text(table(400, shift=9, seed=3))
    cli("monitor", "check", "churn")
    common = ("--baseline", "window:churn", "--live", "live/*.csv", "--window", "rows:200")
    anew = cli("monitor", "add", "anew", *common)
    (data / "live" / "1.csv").unlink()

    gone = cli("monitor", "add", "gone", *common)

    assert gone.code == 0 and "as coarse as the counts" in gone.out and "coarse" not in anew.out
    assert cli("monitor", "add", "bad", *common, "--slices", "release").code == 2
    (data / "live" / "2.csv").write_text(table(200, shift=10, seed=4))
    assert cli("monitor", "check", "anew").code == 6, "counted on edges of its own, it sees a little more"


def test_a_new_baseline_judges_new_windows_and_leaves_the_old_ones_their_verdicts(cli: Program, data: Path) -> None:
    add(cli, "--opens", "1/1", "--closes", "1")
    (data / "live" / "1.csv").write_text(table(400, shift=1, seed=3))
    assert cli("monitor", "check", "churn").code == 6
    before = cli.json("monitor", "replay", "churn")["windows"]

    assert cli("monitor", "rebaseline", "churn").code == 2, "it is not said with what"
    assert cli("monitor", "rebaseline", "none", "--baseline", "train.csv").code == 4
    plan = cli.json("monitor", "rebaseline", "churn", "--baseline", "window:churn", "--dry-run")
    done = cli("monitor", "rebaseline", "churn", "--baseline", "window:churn", "--reason", "prices rose")
    assert done.code == 0 and "no more with train.csv" in done.out
    assert plan["effect"] == "write" and "train.csv" in plan["steps"][1]["text"]
    shown = cli("monitor", "check", "churn")
    assert shown.code == 6 and "judged against the last one" in shown.out
    (data / "live" / "2.csv").write_text(table(200, shift=1, seed=4))
    assert cli("monitor", "check", "churn").code == 0

    found = cli.json("monitor", "show", "churn")
    assert [one["verdict"] for one in found["recent"]] == ["drift", "drift", "ok"]
    assert [one["why"] for one in found["baselines"]] == ["prices rose", ""]
    first, second = (one["number"] for one in reversed(found["baselines"]))
    assert [one["baseline"] for one in found["recent"]] == [first, first, second]
    assert found["report"]["rows_reference"] == 200
    replayed = cli.json("monitor", "replay", "churn")["windows"]
    assert replayed[:2] == before and replayed[2]["verdict"] == "ok"
    (alert,) = cli.json("alert", "list", "--all")["items"]
    told = [one["what"] for one in cli.json("alert", "show", alert["id"])["timeline"]]
    assert told.index("monitor.rebaselined") < told.index("alert resolved")
    assert "churn: rows 201 to 400" in cli("monitor", "show", "churn").out
    assert cli.json("audit", "list")["items"] and cli("monitor", "remove", "churn", "--yes").code == 0


def test_an_alert_of_a_missing_column_says_so_and_a_replay_counts_it(cli: Program, data: Path) -> None:
    add(cli, "--opens", "2/3")
    lacking = "\n".join(",".join(line.split(",")[:2]) for line in table(600).splitlines())
    (data / "live/a.csv").write_text(lacking)

    cli("monitor", "check", "churn")
    alert = cli.json("alert", "list")["items"][0]
    replayed = cli.json("monitor", "replay", "churn")

    assert alert["title"] == "in rows 401 to 600 the data is not as expected: plan: the column is missing, and 1 more"
    assert {one["alerts"] for one in replayed["thresholds"]} == {1}
    assert cli.json("monitor", "show", "churn")["recent"][-1]["worst"] == "plan"
    assert "███" in cli("monitor", "list").out, "what cannot be compared is not drawn as calm"


def test_a_column_that_a_window_lacks_is_a_schema_s_failure_though_other_files_have_it(
    cli: Program, data: Path
) -> None:
    add(cli, window="rows:100")
    (data / "live" / "1.csv").write_text(table(100, seed=2))
    lines = table(100, seed=3).splitlines()
    (data / "live" / "2.csv").write_text("\n".join(",".join(line.split(",")[::3]) for line in lines) + "\n")

    done = cli("monitor", "check", "churn", "--json")

    assert [one["verdict"] for one in done.document["windows"]] == ["ok", "schema"] and done.code == 6
    columns = {one["column"]: one["verdict"] for one in done.document["columns"]}
    assert (columns["age"], columns["plan"], columns["release"]) == ("schema", "schema", "ok")


def test_a_file_that_cannot_be_read_is_named_and_an_alert_until_it_can_and_the_rest_is_judged(
    cli: Program, data: Path
) -> None:
    add(cli, "--live", "live/*", window="rows:100")
    (data / "live" / "1.csv").write_text(table(150, seed=2))
    broken = data / "live" / "2.jsonl"
    broken.write_text('{"age": 1}\n{"age": \n')
    ragged = table(80, seed=4) + "2026-01-01T00:00:00Z,1,a,r1,much,more\n"
    (data / "live" / "3.csv").write_text(ragged)
    (data / "live" / "4.csv").write_text(table(150, seed=3))

    done = cli("monitor", "check", "churn", "--json")

    assert done.code == 6 and [one["verdict"] for one in done.document["windows"]] == ["ok"] * 3
    assert len(done.document["unread"]) == 2 and '2.jsonl", line 2: it is not JSON' in done.document["unread"][0]
    assert '3.csv", line 82 as csv: it has more fields than the header' in done.document["unread"][1]
    assert "line 2: it is not JSON" in " ".join(cli.json("monitor", "show", "churn")["report"]["notes"])
    alert = cli.json("alert", "list")["items"][0]
    assert (alert["state"], alert["source"]) == ("firing", "monitor") and "line 2" in alert["title"]

    broken.unlink()
    assert cli("monitor", "check", "churn").code == 6
    (data / "live" / "3.csv").write_text(table(82, seed=4))
    assert cli("monitor", "check", "churn").code == 0
    assert not [one for one in cli.json("alert", "list")["items"] if one["state"] == "firing"]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_a_live_file_that_was_written_anew_is_read_from_its_beginning_however_large_it_is(
    cli: Program, data: Path, suffix: str
) -> None:
    live = data / f"live/export{suffix}"
    _write(live, table(200, seed=1))
    common = ("--baseline", "train.csv", "--live", f"live/*{suffix}", "--window", "rows:200")
    assert cli("monitor", "add", "churn", *common).code == 0
    cli("monitor", "check", "churn")

    _write(live, table(250, shift=3.0, seed=2))
    found = cli("monitor", "check", "churn")

    assert found.code == 6, found.out
    assert verdicts(cli) == [("rows 1 to 200", "ok"), ("rows 201 to 400", "drift")]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_a_live_file_that_grew_or_was_renamed_is_read_on_from_where_it_stood(
    cli: Program, data: Path, suffix: str
) -> None:
    live = data / f"live/log{suffix}"
    rows = table(600, seed=3)
    _write(live, "\n".join(rows.splitlines()[:301]))
    common = ("--baseline", "train.csv", "--live", f"live/*{suffix}", "--window", "rows:200")
    assert cli("monitor", "add", "churn", *common).code == 0
    cli("monitor", "check", "churn")

    _write(live, rows)
    cli("monitor", "check", "churn")
    live.rename(data / f"live/log-old{suffix}")
    _write(live, table(200, seed=4))
    cli("monitor", "check", "churn")
    again = cli("monitor", "check", "churn")

    assert [window for window, _ in verdicts(cli)] == [f"rows {n + 1} to {n + 200}" for n in range(0, 800, 200)]
    assert "no new window" in again.out and "wait" not in again.out


def _write(path: Path, text: str) -> None:
    """A table as the kind of file that its name says."""
    import gzip
    import io

    import polars as pl

    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif path.suffix == ".parquet":
        pl.read_csv(io.StringIO(text)).write_parquet(path)
    else:
        path.write_text(text)
