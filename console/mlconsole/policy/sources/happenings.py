"""What events say of what they are about: a run that failed, a check, a rollout, and those that went well again."""

from __future__ import annotations

from mlconsole.domain.alerts import Part, Severity, Signal, Verdict
from mlconsole.domain.events import Event

FAILED = frozenset({"failed", "oom", "timed_out", "node_lost", "never_started"})


def signal_of(event: Event) -> Signal | None:
    """The look that an event is; None for one that says nothing of the kind."""
    if event.kind == "run.ended":
        return _run(event)
    if event.kind in ("check.failed", "check.passed"):
        return _check(event)
    if event.kind in ("rollout.failed", "rollout.done"):
        return _rollout(event)
    return None


def _run(event: Event) -> Signal | None:
    """Runs of one experiment that fail one after the other are one incident, until one succeeds."""
    data, outcome = event.data, event.data.get("outcome")
    if outcome not in FAILED and outcome != "succeeded":
        return None
    verdict = Verdict.BAD if outcome in FAILED else Verdict.CLEAN
    experiment, why = data.get("experiment"), data.get("reason") or outcome
    title = f'run "{data.get("name")}" in "{experiment}" {_words(str(outcome))}: {why}'
    part = Part(str(data.get("run")), f"{data.get('name')}: {why}")
    return Signal(f"experiment:{experiment}", "run", event.subject, verdict, title, parts=(part,), data=data)


def _words(outcome: str) -> str:
    return "failed" if outcome in ("failed", "oom") else outcome.replace("_", " ")


def _check(event: Event) -> Signal:
    what = event.data.get("dataset") or event.data.get("path") or event.subject
    if event.kind == "check.failed":
        first = event.data.get("first") or ""
        found = f"found {event.data.get('failed', 'something')}: {first}".rstrip(": ")
        verdict = Verdict.BAD
    else:
        found, verdict = "found nothing wrong", Verdict.CLEAN
    title = f'the check of "{what}" {found}'
    return Signal(f"check:{what}", "check", event.subject, verdict, title, Severity.CRITICAL, data=event.data)


def _rollout(event: Event) -> Signal:
    environment = event.data.get("environment")
    if event.kind == "rollout.failed":
        verdict, came = Verdict.BAD, f"failed: {event.data.get('reason') or 'no reason was given'}"
    else:
        verdict, came = Verdict.CLEAN, "is done"
    title = f'the rollout of "{environment}" {came}'
    subject = f"environment:{environment}"
    return Signal(f"rollout:{environment}", "environment", subject, verdict, title, Severity.CRITICAL, data=event.data)
