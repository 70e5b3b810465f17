"""What the pages of an environment say, as lines of spans."""

from __future__ import annotations

from datetime import datetime

from mlconsole.domain.contracts import Verdict
from mlconsole.domain.environments import EnvironmentPage, Move, Observed, Standing
from mlconsole.domain.gates import Answer, brief
from mlconsole.domain.releases import short
from mlconsole.domain.rollouts import Rollout, RolloutPage, RolloutState
from mlconsole.domain.times import iso
from mlconsole.render import numbers
from mlconsole.render.release_tables import MARKS
from mlconsole.tui.widgets.line import Span

Lines = list[list[Span]]
LABEL = 12
TOKENS = {
    Standing.EMPTY: "state.idle",
    Standing.ROLLING: "state.waiting",
    Standing.HELD: "warn",
    Standing.LIVE: "state.good",
    Standing.UNHEALTHY: "state.bad",
    Standing.DRIFTED: "warn",
    Standing.UNKNOWN: "state.unknown",
    Standing.WITHDRAWN: "state.idle",
}
ANSWERS = {
    Answer.PASS: ("✔ pass", "state.good"),
    Answer.FAIL: ("✖ fail", "state.bad"),
    Answer.INCONCLUSIVE: ("? inconclusive", "warn"),
    Answer.ERROR: ("▲ error", "warn"),
    Answer.NONE: ("· none", "dim"),
}
VERDICTS = {
    Verdict.PROVEN: ("✔ proven", "state.good"),
    Verdict.UNPROVEN: ("? unproven", "warn"),
    Verdict.BROKEN: ("✖ broken", "state.bad"),
}
OUTCOMES = {
    RolloutState.DONE: ("✔", "good", "state.good"),
    RolloutState.ROLLED_BACK: ("✖", "rolled back", "state.bad"),
    RolloutState.FAILED: ("✖", "failed", "state.bad"),
    RolloutState.SUPERSEDED: ("■", "superseded", "state.idle"),
}
PATH = (
    RolloutState.PLANNED,
    RolloutState.PREFLIGHT,
    RolloutState.PREPARED,
    RolloutState.COMMITTED,
    RolloutState.APPLYING,
    RolloutState.VERIFYING,
    RolloutState.DONE,
)


def standing(page: EnvironmentPage) -> Span:
    """How an environment stands: glyph, word, and the colour for it."""
    return MARKS[page.standing], TOKENS[page.standing]


def seen(found: Observed, now: datetime) -> str:
    """What was seen last, and when."""
    if found.at is None:
        return "not looked at yet"
    return f"{found.unreachable or found.words or 'seen'}, {numbers.ago(found.at, now)}"


def head(page: EnvironmentPage, now: datetime) -> Lines:
    """The head of an environment: what is live, whether that is what was seen, and what stands in the way."""
    found = page.environment
    release = found.release
    live: list[Span] = [("nothing" if found.withdrawn else "nothing yet", "dim")]
    if release is not None and not found.withdrawn:
        live = [(release.label, "strong"), (f"  {release.short}  generation {found.pointer.generation}", "dim")]
    rows: list[tuple[str, list[Span]]] = [
        ("live", live),
        ("seen", [(seen(found.observed, now), "value"), (f"  {found.observed.endpoint or ''}", "accent")]),
        ("withdrawn", [(found.withdrawn, "warn")]),
        ("drift", [(found.drift, "warn")]),
        ("repair", [(page.repair, "accent")]),
        ("rollout", [(_under_way(page.rollout), "warn")]),
        ("waits for", [(page.rollout.message if page.rollout else "", "value")]),
        ("breaker", [(found.breaker, "error")]),
        *(("pinned", [(pin.words, "warn")]) for pin in page.pins),
        *(("freeze", [(freeze.words_at(now), "warn")]) for freeze in page.freezes),
    ]
    return [[(f"{label:{LABEL}}", "label"), *spans] for label, spans in rows if spans[0][0]]


def _under_way(one: Rollout | None) -> str:
    if one is None:
        return ""
    return f"{one.kind.value} to {short(one.release_id)} {'held' if one.held else one.state.value}"


def timeline(page: EnvironmentPage, now: datetime) -> Lines:
    """The generations, the newest on top, with what each one replaced and how it ended."""
    if not page.history:
        return [[("Nothing was ever live here. Roll a release out: p", "dim")]]
    width = max(len(_name(move)) for move in page.history)
    out: Lines = []
    for number, move in enumerate(page.history):
        is_live = number == 0 and not page.environment.withdrawn
        out.append(_generation(move, is_live=is_live, width=min(width, 32), now=now))
        why = [(f"  │   {move.reason}", "dim")] if move.reason not in ("rollout", "") else []
        out += [why] if why else []
        out += [[("  │", "grid")]] if number + 1 < len(page.history) else []
    return out


def _generation(move: Move, *, is_live: bool, width: int, now: datetime) -> list[Span]:
    known = {state.value: told for state, told in OUTCOMES.items()}
    glyph, word, token = known.get(move.outcome, ("◌", move.outcome, "state.waiting"))
    glyph = "●" if is_live and move.outcome == RolloutState.DONE.value else glyph
    return [
        (f"  {glyph} ", token),
        (f"#{move.generation:<5}", "strong" if is_live else "value"),
        (f"{_name(move):{width}}  ", "name"),
        (f"{word:<12}", token),
        (f"{numbers.ago(move.at, now):>10}  ", "dim"),
        (move.by, "value"),
        ("  live" if is_live else "", "strong"),
    ]


def _name(move: Move) -> str:
    return move.name or short(move.release_id)


def parts(page: EnvironmentPage) -> Lines:
    """The members of what is live: what each is, provides and requires."""
    release = page.environment.release
    if release is None:
        return [[("Nothing is live.", "dim")]]
    out: Lines = []
    for axis, member in release.members.items():
        contract = member.contract
        out.append([(f"{axis.value:{LABEL}}", "label"), (member.label, "strong"), (f"  {member.id}", "dim")])
        given = [f"{key}={value}" for key, value in contract.provides.items()]
        shown = ", ".join(given[:6]) + (f" and {len(given) - 6} more" if len(given) > 6 else "")
        out += [[(f"{'':{LABEL}}", "label"), (f"provides {shown}", "value")]] if given else []
        needs = ", ".join(need.words for need in contract.requires or ())
        out += [[(f"{'':{LABEL}}", "label"), (f"requires {needs}", "value")]] if needs else []
        out += [[(f"{'':{LABEL}}", "label"), (contract.note, "warn")]] if contract.note else []
        out.append([])
    made = f"made {iso(release.created_at)} by {release.created_by}"
    return [
        *out,
        [(f"{'release':{LABEL}}", "label"), (release.id, "value")],
        [(f"{'':{LABEL}}", "label"), (made, "dim")],
    ]


def gates(page: EnvironmentPage) -> Lines:
    """What is asked of a release, and the last answers."""
    found = page.environment
    last = page.rollout or page.last
    answers = {one.gate: one for one in last.answers} if last else {}
    out: Lines = []
    for words in dict.fromkeys([*(gate.words for gate in found.gates), *answers]):
        told = answers.get(words)
        mark, token = ANSWERS[told.answer] if told else ("· not asked", "dim")
        out.append([(f"{mark:16}", token), (brief(words), "name"), (f"  {told.words if told else ''}", "dim")])
    if not out:
        out = [[("· none", "dim"), ("  No gate is asked: nothing says whether a release is good.", "warn")]]
    bake = f"looked at for {numbers.duration(found.bake_s)}" if found.bake_s else "asked at once"
    return [*out, [], [(f"{bake}, by {found.target} on {found.host}", "dim")]]


def contracts(page: EnvironmentPage) -> Lines:
    """Every requirement held against what is there, the worst first."""
    release = page.environment.release
    if release is None:
        return [[("Nothing is live.", "dim")]]
    if not release.checks:
        return [[("Nothing is required of anything.", "dim")]]
    return [
        [(f"{VERDICTS[one.verdict][0]:12}", VERDICTS[one.verdict][1]), (one.words, "value")] for one in release.checks
    ]


def rollout(found: RolloutPage | None, now: datetime) -> Lines:
    """The last rollout, step by step."""
    if found is None:
        return [[("Nothing was rolled out here yet. p rolls a release out.", "dim")]]
    one = found.rollout
    goal = f"{one.kind.value} #{one.number} to {short(one.release_id)}, generation {one.generation}"
    out: Lines = [
        [(goal, "strong"), (f"  asked by {one.asked_by} {numbers.ago(one.asked_at, now)}", "dim")],
        _bar(one),
        [],
    ]
    for step in found.steps:
        glyph, token = ("✔", "state.good") if step.state in PATH else ("■", "state.bad")
        out.append(
            [
                (f"  {glyph} ", token),
                (f"{step.state.value:14}", "name"),
                (f"{iso(step.at)}  ", "dim"),
                (step.words, "value"),
            ]
        )
    if not one.state.is_over:
        out.append([("  ◌ ", "state.waiting"), (one.message or "goes on by itself", "warn" if one.held else "dim")])
    return out


def _bar(one: Rollout) -> list[Span]:
    """Where on its way it is."""
    if one.state not in PATH:
        return [(f"  {one.state.value.replace('_', ' ')}: {one.message}", "warn")]
    at = PATH.index(one.state)
    out: list[Span] = [("  ", "value")]
    for number, state in enumerate(PATH):
        token = "state.good" if number < at or one.state is RolloutState.DONE else "strong" if number == at else "dim"
        out += [(state.value, token), (" › " if number + 1 < len(PATH) else "", "grid")]
    return out
