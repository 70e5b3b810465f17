"""Reads price books, TOML or CSV, and refuses a book that cannot be right: each wrong row by its name and line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from mlconsole.domain.prices import Price, Tenure, microusd
from mlconsole.errors import UsageError
from mlconsole.records import record

MOST_SHOWN = 8
MOST_USD_PER_H = Decimal(100_000)
MOST_GPUS = 1024
TEXTS = ("provider", "instance", "gpu", "region", "source")
COLUMNS = {*TEXTS, "count", "as_of", *Tenure}
NEEDED = ("provider", "instance", "as_of", "source")
# What people write where they do not know yet.
PLACEHOLDER = re.compile(
    r"tb[adc]|t\.b\.d\.?|todo|fixme|n/?a|none|null|unknown|x{2,}|\?+|-+|\.{2,}|placeholder|0*\.?0*", re.IGNORECASE
)
ALL_NINES = re.compile(r"9{3,}(\.9*)?|9{3,}\.0*")
_TABLE = re.compile(r"\s*\[\[\s*price\s*\]\]")


@record
class Entry:
    """One row as the file has it, and the line it begins on."""

    line: int
    fields: Mapping[str, object]

    @property
    def name(self) -> str:
        """How messages call it."""
        words = [str(self.fields.get(name) or "") for name in ("provider", "instance", "region")]
        return " ".join(word for word in words if word) or "a row without a name"


def read(name: str, text: str, today: date) -> list[Price]:
    """The prices of a book.

    Args:
        name: the file's name; its ending says the format.
        text: what is in it.
        today: no price may be of a later day.

    Raises:
        UsageError: a row cannot be right; the message names each one, its line and what is wrong.
    """
    entries = list(_csv(name, text) if name.lower().endswith(".csv") else _toml(name, text))
    if not entries:
        raise UsageError(f'"{name}" holds no price.', "A TOML book has [[price]] tables, a CSV book a line of titles.")
    prices: list[Price] = []
    wrong: list[str] = []
    lines: dict[object, int] = {}
    for entry in entries:
        found = list(_problems(entry, today))
        if not found:
            price = _price(entry)
            first = lines.setdefault((*price.key, price.as_of), entry.line)
            if first != entry.line:
                found = [f"stands there twice, first on line {first}"]
            prices.append(price)
        wrong += [f"line {entry.line}, {entry.name}: {problem}" for problem in found]
    if wrong:
        more = f"; and {len(wrong) - MOST_SHOWN} more" if len(wrong) > MOST_SHOWN else ""
        raise UsageError(f'"{name}" was refused: {"; ".join(wrong[:MOST_SHOWN])}{more}.', "Nothing of it was taken.")
    return prices


def _toml(name: str, text: str) -> Iterator[Entry]:
    import tomllib  # 4 ms, needed only where there is a book to read

    try:
        found = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f'"{name}" is no TOML: {error}.', "A price book may also be a .csv file.") from error
    tables = found.get("price", [])
    if set(found) - {"price"} or not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise UsageError(f'"{name}" may hold [[price]] tables only.')
    starts = [number for number, line in enumerate(text.splitlines(), 1) if _TABLE.match(line)]
    numbers = starts if len(starts) == len(tables) else range(1, len(tables) + 1)
    for number, table in zip(numbers, tables, strict=True):
        yield Entry(number, table)


def _csv(name: str, text: str) -> Iterator[Entry]:
    import csv  # 2 ms

    rows = csv.DictReader(text.splitlines(), skipinitialspace=True, restkey="extra")
    try:
        for row in rows:
            given = {key.strip().lower() if key else "": value for key, value in row.items()}
            yield Entry(rows.line_num, {key: value for key, value in given.items() if value not in (None, "")})
    except csv.Error as error:
        raise UsageError(f'"{name}" is no CSV: {error} (line {rows.line_num}).') from error


def _problems(entry: Entry, today: date) -> Iterator[str]:
    fields = entry.fields
    yield from (f'no field is called "{name}"' for name in fields if name not in COLUMNS)
    yield from (f"no {name}" for name in NEEDED if fields.get(name) in (None, ""))
    yield from (f'"{fields[name]}" is no {name}' for name in TEXTS if name in fields and not _is_text(fields[name]))
    yield from _count_problems(fields.get("count", 0))
    if fields.get("as_of") not in (None, ""):
        day = _day(fields["as_of"])
        if day is None:
            yield f'"{fields["as_of"]}" is no day (write 2025-06-30)'
        elif day > today:
            yield f"its day {day} is still to come"
    if not any(tenure in fields for tenure in Tenure):
        yield "no price at all"
    for tenure in Tenure:
        yield from _price_problems(tenure, fields)


def _price_problems(tenure: Tenure, fields: Mapping[str, object]) -> Iterator[str]:
    if tenure not in fields:
        return
    shown, usd = str(fields[tenure]).strip(), _usd(fields[tenure])
    if PLACEHOLDER.fullmatch(shown) or ALL_NINES.fullmatch(shown):
        yield f"{tenure} {shown} is a placeholder"
    elif usd is None:
        yield f'{tenure} "{shown}" is no price'
    elif usd < 0:
        yield f"{tenure} {shown} is negative"
    elif usd > MOST_USD_PER_H or microusd(usd) == 0:
        yield f"{tenure} {shown} is no price of an hour"
    elif tenure is Tenure.SPOT and (full := _usd(fields.get(Tenure.ON_DEMAND))) is not None and usd > full > 0:
        yield f"spot {shown} is above on-demand {fields[Tenure.ON_DEMAND]}"


def _count_problems(value: object) -> Iterator[str]:
    count = _whole(value)
    if count is None or not 0 <= count <= MOST_GPUS:
        yield f'"{value}" is no count of GPUs'


def _price(entry: Entry) -> Price:
    fields = entry.fields
    provider, instance, gpu, region, source = (str(fields.get(name, "")).strip() for name in TEXTS)
    day = _day(fields["as_of"])
    assert day is not None
    return Price(
        provider.lower(),
        instance.lower(),
        gpu,
        _whole(fields.get("count", 0)) or 0,
        region.lower(),
        day,
        source,
        *(None if (usd := _usd(fields.get(tenure))) is None else microusd(usd) for tenure in Tenure),
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not PLACEHOLDER.fullmatch(value.strip())


def _usd(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        return None
    try:
        usd = Decimal(str(value).strip().removeprefix("$"))
    except InvalidOperation:
        return None
    return usd if usd.is_finite() else None


def _whole(value: object) -> int | None:
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _day(value: object) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value).strip())
    except ValueError:
        return None
