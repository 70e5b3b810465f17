"""Reading the audit log."""

from __future__ import annotations

from mlconsole.actions.base import Action, NoParams, param
from mlconsole.actions.context import Context
from mlconsole.domain.audit import AuditRow
from mlconsole.domain.plans import Effect
from mlconsole.domain.results import Done, Listing
from mlconsole.errors import CheckFailed
from mlconsole.records import record

COMPARE = "Compare with a backup: mlconsole restore --dry-run FILE"


@record
class AuditParams:
    """How much of the log."""

    limit: int = param(50, help="the most rows to show", metavar="N")


def list_audit(ctx: Context, params: AuditParams) -> Listing[AuditRow]:
    """The newest rows of the audit log first."""
    rows = ctx.catalog.audit.newest(params.limit + 1)
    return Listing("audit", rows[: params.limit], more=len(rows) > params.limit)


def verify(ctx: Context, params: NoParams) -> Done:
    """Check the chain of the audit log.

    Raises:
        CheckFailed: a row was changed, removed or put elsewhere, and the message names the first one; or nothing is
            left to tell whether rows were cut off the end.
    """
    audit = ctx.catalog.audit
    bad = audit.first_bad()
    if bad is not None:
        raise CheckFailed(f"The audit log is broken at row {bad}.", COMPARE)
    if audit.newest(1) and not audit.anchor_path.exists():
        raise CheckFailed(
            f'The rows of the audit log are whole, but "{audit.anchor_path}" is gone: a cut tail would not show.',
            COMPARE,
        )
    return Done("audit", "The audit log is whole.")


LIST = Action("audit list", "List who changed what, and what came of it", AuditParams, Effect.READ, list_audit)
VERIFY = Action("audit verify", "Check that no audit row was changed or removed", NoParams, Effect.READ, verify)
