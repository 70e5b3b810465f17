"""A policy's own clock: cron expressions in a time zone. What Debian's cron does at a change to or from summer time is
done here too: a fixed time that does not exist comes right after the gap, one that exists twice comes once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

LONGEST_BACK = timedelta(days=2)
MOST = 3000


def check(expression: str, zone: str) -> str:
    """What is wrong with an expression or a time zone; empty when nothing is."""
    from cronsim import CronSim, CronSimError  # 3 ms, where a policy has a clock

    try:
        where = ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        return f'no time zone is called "{zone}"; they are called as in Europe/Berlin'
    if len(expression.split()) != 5:
        return f'"{expression}" has {len(expression.split())} fields; cron has five: minute hour day month weekday'
    try:
        next(CronSim(expression, datetime(2026, 1, 1, tzinfo=where)))
    except CronSimError as error:
        return f'"{expression}" is no cron expression: {str(error).lower()}'
    except StopIteration:
        return f'"{expression}" never comes'
    return ""


def slots(expression: str, zone: str, after: datetime, until: datetime) -> list[datetime]:
    """The moments of an expression after one moment and up to another, in UTC; of long times the last two days."""
    from cronsim import CronSim  # 3 ms, where a policy has a clock

    found: list[datetime] = []
    begin = max(after, until - LONGEST_BACK).astimezone(ZoneInfo(zone))
    for moment in CronSim(expression, begin):
        slot = moment.astimezone(UTC)
        if slot > until or len(found) >= MOST:
            break
        if slot > after:
            found.append(slot)
    return found
