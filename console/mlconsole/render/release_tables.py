"""Releases, environments and rollouts as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from mlconsole.domain.contracts import Axis
from mlconsole.domain.environments import Environment, EnvironmentPage, Move, Observed, Standing
from mlconsole.domain.gates import brief
from mlconsole.domain.releases import Release, ReleaseDiff, ReleasePage, short
from mlconsole.domain.rollouts import Rollout, RolloutPage
from mlconsole.domain.times import iso
from mlconsole.render import numbers
from mlconsole.render.sanitise import clean
from mlconsole.render.tables import table

MOST_LINES = 50
MARKS = {
    Standing.EMPTY: "○ empty",
    Standing.ROLLING: "◌ rolling",
    Standing.HELD: "▲ held",
    Standing.LIVE: "● live",
    Standing.UNHEALTHY: "✖ unhealthy",
    Standing.DRIFTED: "▲ drifted",
    Standing.UNKNOWN: "? unknown",
    Standing.WITHDRAWN: "■ withdrawn",
}


def lines(result: object, now: datetime) -> list[str] | None:
    """The lines of a result about releases; None for any other."""
    if isinstance(result, Release):
        parts = (result.short, result.name, ", ".join(one.label for one in result.members.values()))
        return ["  ".join(clean(part, 300) for part in (*parts, result.verdict.value) if part)]
    if isinstance(result, ReleasePage):
        return list(_release(result))
    if isinstance(result, ReleaseDiff):
        heads = ("", clean(result.before.label, 40), clean(result.after.label, 40))
        return table(heads, result.rows) if result.rows else ["They do not differ."]
    if isinstance(result, EnvironmentPage):
        return list(_environment(result, now))
    return list(_rollout(result)) if isinstance(result, RolloutPage) else None


def listing(items: Sequence[object], now: datetime) -> list[str] | None:
    """The lines of a list about releases; None for any other."""
    if isinstance(items[0], ReleasePage):
        titles = ("RELEASE", "NAME", "MODEL", "DATA", "CODE", "CONFIG", "ENV", "CONTRACTS", "LIVE IN", "CREATED")
        return table(titles, [_row(one, now) for one in items if isinstance(one, ReleasePage)])
    if isinstance(items[0], EnvironmentPage):
        heads = ("ENVIRONMENT", "STATE", "RELEASE", "GEN", "MODEL", "DATA", "CODE", "OBSERVED")
        return table(heads, [_slot(one, now) for one in items if isinstance(one, EnvironmentPage)], {3})
    return _moves([one for one in items if isinstance(one, Move)], now) if isinstance(items[0], Move) else None


def _row(page: ReleasePage, now: datetime) -> tuple[str, ...]:
    release = page.release
    parts = [_label(release, axis) for axis in (Axis.MODEL, Axis.DATA, Axis.CODE, Axis.CONFIG, Axis.ENV)]
    how = "quarantined" if page.quarantine else release.verdict.value
    return release.short, release.name, *parts, how, ", ".join(page.live), numbers.ago(release.created_at, now)


def _label(release: Release | None, axis: Axis) -> str:
    member = release.members.get(axis) if release else None
    return member.label if member else "-"


def _slot(page: EnvironmentPage, now: datetime) -> tuple[str, ...]:
    found = page.environment
    parts = [_label(found.release, axis) for axis in (Axis.MODEL, Axis.DATA, Axis.CODE)]
    release = found.release.label if found.release else "-"
    return found.name, MARKS[page.standing], release, str(found.pointer.generation), *parts, _seen(found.observed, now)


def _seen(seen: Observed, now: datetime) -> str:
    if seen.at is None:
        return "not looked at yet"
    return f"{seen.unreachable or seen.words or 'seen'}, {numbers.ago(seen.at, now)}"


def _release(page: ReleasePage) -> Iterator[str]:
    release = page.release
    pairs = [
        ("release", release.id),
        ("name", release.name),
        ("live in", ", ".join(page.live)),
        ("quarantine", f"{page.quarantine.reason} ({page.quarantine.by})" if page.quarantine else ""),
        ("contracts", release.verdict.value),
        ("created", f"{iso(release.created_at)} by {release.created_by}"),
    ]
    yield from (f"{title:12}{clean(text, 2000)}" for title, text in pairs if text)
    rows = [(axis.value, one.label, one.id, page.places.get(axis, "not here")) for axis, one in release.members.items()]
    yield ""
    yield from table(("PART", "NAME", "ID", "BYTES"), rows)
    if release.checks:
        yield ""
        yield from (f"{one.verdict.value:10}{clean(one.words, 300)}" for one in release.checks)


def _environment(page: EnvironmentPage, now: datetime) -> Iterator[str]:
    found = page.environment
    live = f"{found.release.label} ({short(found.release.id)})" if found.release else "nothing"
    state = f"as it was at {iso(page.at)}" if page.at else MARKS[page.standing]
    pairs = [
        ("environment", f"{found.name}  {state}"),
        ("release", f"{live}, generation {found.pointer.generation}"),
        ("observed", "" if page.at else _seen(found.observed, now)),
        ("endpoint", found.observed.endpoint or ""),
        ("drift", found.drift),
        ("repair", page.repair),
        ("breaker", found.breaker),
        ("target", _target(found)),
        ("may move", ", ".join(found.allowed) or "anyone who may write the catalog"),
        *(("pinned", pin.words) for pin in page.pins),
        *(("freeze", freeze.words_at(now)) for freeze in page.freezes),
    ]
    yield from (f"{title:13}{clean(text, 500)}" for title, text in pairs if text)
    if found.release is not None:
        yield ""
        yield from table(("PART", "NAME", "ID"), [(a.value, m.label, m.id) for a, m in found.release.members.items()])
    yield from _gates(found, page.rollout or page.last)
    if page.rollout is not None:
        yield from ("", clean(page.rollout.words, 500))
    if page.history:
        yield ""
        yield from _moves(page.history[:MOST_LINES], now)


def _target(found: Environment) -> str:
    settings = ", ".join(f"{key}={value}" for key, value in found.settings.items())
    return f"{found.target} on {found.host}" + (f": {settings}" if settings else "")


def _gates(found: Environment, rollout: Rollout | None) -> Iterator[str]:
    answers = {one.gate: one for one in rollout.answers} if rollout else {}
    rows = []
    for gate in found.gates:
        told = answers.pop(gate.words, None)
        rows.append((brief(gate.words), told.answer.value if told else "not asked", told.words if told else ""))
    rows += [(brief(one.gate), one.answer.value, one.words) for one in answers.values()]
    yield ""
    yield from table(("GATE", "ANSWER", ""), rows) if rows else ["no gate: nothing says whether a release is good"]


def _moves(moves: Sequence[Move], now: datetime) -> list[str]:
    rows = [
        (
            str(one.generation),
            one.name or short(one.release_id),
            one.outcome,
            one.by,
            numbers.ago(one.at, now),
            one.reason,
        )
        for one in moves
    ]
    return table(("GEN", "RELEASE", "OUTCOME", "BY", "WHEN", "WHY"), rows, {0})


def _rollout(page: RolloutPage) -> Iterator[str]:
    found = page.rollout
    head = (found.name, f"generation {found.generation}", short(found.release_id), found.state.value, found.message)
    yield "  ".join(clean(part, 300) for part in head if part)
    if found.answers:
        yield from table(
            ("GATE", "ANSWER", ""), [(brief(one.gate), one.answer.value, one.words) for one in found.answers]
        )
