"""What the page of a GPU says, as lines of spans."""

from __future__ import annotations

from collections.abc import Sequence

from mlconsole.domain.gpu import FIGURES, NOT_VISIBLE, GpuHealth, GpuProcess, Value
from mlconsole.domain.gpu_rows import GpuRow
from mlconsole.domain.idle import IdleClass, Step
from mlconsole.render import numbers
from mlconsole.render.money_tables import per_hour
from mlconsole.render.spark import bar, gauge
from mlconsole.tui.widgets.line import Span

GAUGE_CELLS = 60
BAR_CELLS = 20
J_A_KWH = 3_600_000
UNITS = {"_bytes_per_s": "B/s", "_percent": "%", "_mib": "MiB", "_mhz": "MHz", "_w": "W", "_j": "kWh", "_c": "C"}
PROPER = {"ecc": "ECC", "pcie": "PCIe", "nvlink": "NVLink", "sm ": "SM "}
TOKENS = {
    IdleClass.BUSY: "state.good",
    IdleClass.STALLED: "state.waiting",
    IdleClass.HELD: "warn",
    IdleClass.ZOMBIE: "state.bad",
    IdleClass.EMPTY: "state.idle",
}
Lines = list[list[Span]]


def head_lines(row: GpuRow, past: Sequence[float], *, is_ascii: bool, idle: str) -> Lines:
    """What it is, how it is used, who holds it, what that costs, and what is proposed."""
    gpu = row.reading
    use = gpu.utilization_percent.value
    drawn = "?  " if use is None else f"{bar(use / 100, BAR_CELLS, is_ascii=is_ascii)} {use:3.0f}%  "
    state: list[Span] = [("early to say", "dim")]
    if gpu.health is not GpuHealth.OK:
        state = [(gpu.health.words, "state.bad")]
    elif row.idle_class is not None:
        long = f" for {numbers.duration(row.for_s)}" if row.for_s >= 1 else ""
        state = [
            (f"{row.idle_class.value.upper()}{long}", TOKENS.get(row.idle_class, "value")),
            (f"  {row.why}", "dim"),
        ]
    price = row.price_microusd_per_h
    cost = "nobody said what this machine costs" if price is None else per_hour(price)
    wasted: Span = ("  wasted", "warn") if row.is_wasted and row.price_microusd_per_h else ("", "dim")
    held = row.run_name or row.run_id or ("a lease" if row.lease else "no run")
    trend = gauge(past, GAUGE_CELLS, is_ascii=is_ascii).lstrip()
    lines: Lines = [
        [("GPU         ", "label"), (f"{gpu.index}  {gpu.name}", "name"), (f"  {gpu.uuid} on {gpu.host}", "dim")],
        [("use         ", "label"), (drawn, "accent"), (trend, "accent")],
        [("held by     ", "label"), (held, "strong"), (f"  {row.user}", "value")],
        [("costs       ", "label"), (cost, "warn" if wasted[0] else "value"), wasted],
        [("state       ", "label"), *state],
    ]
    if row.is_far:
        seen: Span = (f"{numbers.age(gpu.age_s)} ago on {gpu.host}", "value")
        lines.append([("seen        ", "label"), seen, (f"  {row.away}", "warn")])
    if gpu.troubles:
        lines.append([("trouble     ", "label"), ("; ".join(gpu.troubles), "state.bad")])
    if row.keep is not None:
        words = f"until {row.keep.until:%Y-%m-%d %H:%M} UTC by {row.keep.who}: {row.keep.why}"
        lines.append([("kept        ", "label"), (words, "accent")])
    elif proposal := proposed(row, idle):
        lines.append([("proposed    ", "label"), *proposal])
    return lines


def proposed(row: GpuRow, idle: str) -> list[Span]:
    """What is to come, in words; nothing where nothing is."""
    if idle == "off" or row.step in (Step.NONE, Step.MARK):
        return []
    price = row.price_microusd_per_h
    saved = "" if price is None else f" and saves {per_hour(price)}"
    if not row.run_id:
        return [(f"ask {row.user or 'its owner'}", "warn"), (": no run of this catalog holds it; K keeps it", "dim")]
    if row.step is Step.NOTIFY:
        return [("T ends what holds it", "warn"), (f"{saved}; K keeps it", "dim")]
    what = "stop" if row.step is Step.STOP else "teardown"
    when = f" in {numbers.duration(row.left_s)}" if row.left_s else " now"
    if idle == "acting":
        return [(f"{what}{when}, by the watcher", "state.bad"), (f"{saved}; K keeps it", "dim")]
    return [(f"{what}{when}", "warn"), (f": T does it{saved}; K keeps it", "dim")]


def holders(row: GpuRow) -> Lines:
    """The processes that hold its memory."""
    found = row.reading.processes
    if found.value is None:
        return [[(f"Its processes cannot be seen: {found.why}", "warn")]]
    if not found.value:
        return [[("Nobody holds its memory.", "dim")]]
    out: Lines = [[(f"  {'PID':>9}  {'MEMORY':>9}  {'SM':>5}  {'USER':12}  {'RUN':14}  COMMAND", "dim")]]
    for each in found.value:
        memory = "?" if each.memory_mib.value is None else f"{each.memory_mib.value / 1024:.1f} GiB"
        share = "?" if each.sm_percent.value is None else f"{each.sm_percent.value:.0f}%"
        command = each.command if each.visible else NOT_VISIBLE
        command += f"  in MIG {profile}" if (profile := row.reading.mig_of(each)) else ""
        out.append(
            [
                (f"  {each.pid:>9}  {memory:>9}  {share:>5}  ", "value"),
                (f"{each.user:12}  ", "value"),
                (f"{whose(each)[0]:14}  ", whose(each)[1]),
                (command, "dim"),
            ]
        )
    return out


def whose(process: GpuProcess) -> Span:
    """The run that a process is of; of one that cannot be seen that is not known."""
    if process.run_id:
        return process.run_id, "value"
    return ("of no run", "warn") if process.visible else ("?", "dim")


def evidence(row: GpuRow) -> Lines:
    """Every sign, what it says and how old it is; what is not known counts as at work."""
    tokens = {"active": "state.good", "idle": "state.waiting", "unknown": "state.unknown"}
    out: Lines = [[(f"  {'SIGN':12} {'SAYS':9} {'AGE':>6}  WHAT WAS SEEN", "dim")]]
    for each in row.evidence:
        said = each.activity.value
        out.append(
            [
                (f"  {each.sign.value:12} ", "accent"),
                (f"{said:9} ", tokens[said]),
                (f"{each.age_s:5.0f}s  ", "dim"),
                (each.words, "value"),
            ]
        )
    return [*out, [], [("  What is not known counts as at work: nothing is ever ended on missing evidence.", "dim")]]


def figures(row: GpuRow) -> Lines:
    """Every figure that the driver tells, or the word why it does not."""
    gpu = row.reading
    out: Lines = [
        [(f"  {figure_words(name)[0]:28} ", "accent"), _figure(gpu.figure(name), figure_words(name)[1])]
        for name in FIGURES
    ]
    held = gpu.throttle.value
    words = ", ".join(held) if held else "nothing" if held is not None else gpu.throttle.why
    out.append([(f"  {'clocks held back by':28} ", "accent"), (words, "warn" if held else "value")])
    for each in gpu.mig.value or ():
        used = "?" if each.memory_used_mib.value is None else f"{each.memory_used_mib.value / 1024:.1f} GiB"
        out.append([(f"  {'MIG ' + each.profile:28} ", "accent"), (f"{used}  {each.uuid}", "value")])
    return out + [[(f"  {event.at:%Y-%m-%d %H:%M:%S}  ", "dim"), (event.words, "state.bad")] for event in gpu.xids]


def figure_words(name: str) -> tuple[str, str]:
    """What a figure is called, and its unit, out of the name of its field."""
    base, unit = next(((name.removesuffix(end), unit) for end, unit in UNITS.items() if name.endswith(end)), (name, ""))
    words = base.replace("_", " ").replace("tx", "sent").replace("rx", "received")
    for plain, proper in PROPER.items():
        words = words.replace(plain, proper)
    return words, unit


def _figure(found: Value[float], unit: str) -> Span:
    if found.value is None:
        return found.why, "dim"
    if unit == "MiB":
        return numbers.size(round(found.value * 2**20)), "value"
    if unit == "B/s":
        return f"{numbers.size(round(found.value))}/s", "value"
    if unit == "kWh":
        return f"{found.value / J_A_KWH:,.3f} kWh", "value"
    shown = f"{found.value:,.0f}" if found.value == int(found.value) else numbers.number(found.value)
    return f"{shown} {unit}".rstrip(), "value"
