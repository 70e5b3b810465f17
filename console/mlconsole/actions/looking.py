"""Looks at what is live in an environment, and keeps what was seen beside what is intended."""

from __future__ import annotations

from mlconsole.actions.context import Context
from mlconsole.actions.orders import state_dir
from mlconsole.catalog.environments import looked
from mlconsole.domain.environments import Environment, Observed
from mlconsole.errors import MlconsoleError
from mlconsole.records import replace

LONGEST_WORDS = 500


def look(ctx: Context, environment: Environment) -> Environment:
    """The environment as it is seen now; what could not be seen is said, and is no drift."""
    now = ctx.clock()
    try:
        target = ctx.target(environment.target)
        found = target.observe(environment.name, environment.settings, state_dir(ctx, environment))
    except MlconsoleError as error:
        seen = Observed(unreachable=error.message[:LONGEST_WORDS] or "no answer", at=now)
    else:
        words = found.words[:LONGEST_WORDS]
        seen = Observed(found.release_id, found.generation, found.healthy, found.endpoint, words, at=now)
    if not ctx.settings.read_only:
        ctx.catalog.write(lambda db: looked(db, environment, seen, now))
    return replace(environment, observed=seen)
