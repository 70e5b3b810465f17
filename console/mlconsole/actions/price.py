"""Price books: what is known, and taking in one's own."""

from __future__ import annotations

import shlex
from pathlib import Path

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.rates import book
from mlconsole.catalog.prices import put_prices
from mlconsole.domain import price_files
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.prices import Price
from mlconsole.domain.results import Done, Listing
from mlconsole.errors import UsageError
from mlconsole.records import record

MOST_BYTES = 8 << 20


@record
class ListParams:
    """Which prices."""

    word: str | None = param(None, help="only what has this in its name", positional=True, metavar="TEXT")


def list_prices(ctx: Context, params: ListParams) -> Listing[Price]:
    """The prices that hold today: the imported ones, and public list prices of where there is none."""
    word = (params.word or "").lower()
    prices = [price for price in book(ctx) if word in " ".join((*price.key, price.gpu)).lower()]
    return Listing("price", prices)


@record
class ImportParams:
    """Which book."""

    file: str = param(help="a price book, .toml or .csv", positional=True, metavar="FILE")


def read_book(ctx: Context, params: ImportParams) -> list[Price]:
    """The prices of a book.

    Raises:
        UsageError: it cannot be read, or holds a row that cannot be right.
    """
    path = Path(params.file)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f'"{path}" is too large for a price book.')
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f'Cannot read the price book "{path}": {why}.') from error
    return price_files.read(path.name, text, ctx.clock().date())


def plan_import(ctx: Context, params: ImportParams) -> Plan:
    """What would be taken."""
    steps = [
        Step(f"take the price of {' '.join(word for word in price.key if word)}") for price in read_book(ctx, params)
    ]
    command = f"mlconsole price import {shlex.quote(params.file)}"
    return Plan("price import", Effect.WRITE, tuple(steps), command=command)


def import_book(ctx: Context, params: ImportParams) -> Done:
    """Take a price book in, whole or not at all."""
    prices = read_book(ctx, params)
    now = ctx.clock()
    new, changed, same = ctx.write(lambda db: put_prices(db, prices, now))
    text = f'"{params.file}": {new} new, {changed} changed, {same} as they were.'
    return Done("price", text, fields={"new": new, "changed": changed, "same": same})


LIST = Action("price list", "List what machines cost an hour", ListParams, Effect.READ, list_prices)
IMPORT = Action(
    "price import",
    "Take in a price book",
    ImportParams,
    Effect.WRITE,
    import_book,
    plan_import,
    target=lambda p: p.file,
)
