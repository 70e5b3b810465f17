"""Price books: what is taken, and what is refused by name and line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

import mlconsole
from mlconsole.domain.price_files import read
from mlconsole.domain.prices import Price, Tenure, matching, newest
from mlconsole.errors import UsageError

TODAY = date(2025, 6, 30)
TITLES = "provider,instance,gpu,count,region,on_demand,spot,reserved,owned,as_of,source\n"
SOUND = "aws,p4d.24xlarge,A100,8,us-east-1,32.7726,12.5,19.22,,2025-01-01,our invoice"


def csv(*rows: str) -> list[Price]:
    return read("book.csv", TITLES + "\n".join(rows) + "\n", TODAY)


def toml(**fields: object) -> list[Price]:
    given = {"provider": '"aws"', "instance": '"p4d"', "as_of": "2025-01-01", "source": '"invoice"', **fields}
    text = "# prices\n\n[[price]]\n" + "".join(f"{name} = {value}\n" for name, value in given.items() if value)
    return read("book.toml", text, TODAY)


def test_a_csv_row_is_a_price_in_whole_micro_dollars() -> None:
    (price,) = csv(SOUND)

    assert price == Price(
        *("aws", "p4d.24xlarge", "A100", 8, "us-east-1", date(2025, 1, 1), "our invoice"),
        *(32_772_600, 12_500_000, 19_220_000, None),
    )


def test_a_toml_table_is_a_price_to_the_last_digit_written() -> None:
    (price,) = toml(on_demand="0.123457", count="4")

    assert (price.on_demand, price.gpu_count, price.region) == (123_457, 4, "")


def test_a_dollar_sign_is_no_mistake() -> None:
    assert csv(SOUND.replace("32.7726", "$32.7726"))[0].on_demand == 32_772_600


WRONG = [
    (SOUND.replace("12.5", "40"), "spot 40 is above on-demand 32.7726"),
    (SOUND.replace("32.7726", "0"), "on_demand 0 is a placeholder"),
    (SOUND.replace("32.7726", "0.00"), "on_demand 0.00 is a placeholder"),
    (SOUND.replace("32.7726", "9999"), "on_demand 9999 is a placeholder"),
    (SOUND.replace("32.7726", "999.99"), "on_demand 999.99 is a placeholder"),
    (SOUND.replace("32.7726", "TBD"), "on_demand TBD is a placeholder"),
    (SOUND.replace("32.7726", "n/a"), "on_demand n/a is a placeholder"),
    (SOUND.replace("19.22", "-3"), "reserved -3 is negative"),
    (SOUND.replace("32.7726", "cheap"), '"cheap" is no price'),
    (SOUND.replace("32.7726", "NaN"), '"NaN" is no price'),
    (SOUND.replace("32.7726", "1e9"), "is no price of an hour"),
    (SOUND.replace("32.7726", "1e-9"), "is no price of an hour"),
    (SOUND.replace("our invoice", "TODO"), '"TODO" is no source'),
    (SOUND.replace("our invoice", ""), "no source"),
    (SOUND.replace("p4d.24xlarge", ""), "no instance"),
    (SOUND.replace("2025-01-01", "last year"), '"last year" is no day'),
    (SOUND.replace("2025-01-01", "2025-07-02"), "still to come"),
    (SOUND.replace(",8,", ",eight,"), '"eight" is no count'),
    (SOUND.replace(",8,", ",-8,"), '"-8" is no count'),
    (SOUND.replace("32.7726,12.5,19.22,,", ",,,,"), "no price at all"),
]


@pytest.mark.parametrize(("row", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_row_that_cannot_be_right_is_refused_by_name_and_line(row: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        csv("gcp,a2-highgpu-1g,A100,1,us-central1,3.67,,,,2025-01-01,list", row)

    assert "line 3" in refused.value.message
    assert "us-east-1" in refused.value.message
    assert said in refused.value.message


def test_the_same_thing_twice_is_refused_with_both_lines() -> None:
    with pytest.raises(UsageError, match=r"line 4, aws p4d.24xlarge us-east-1: stands there twice, first on line 2"):
        csv(SOUND, SOUND.replace("p4d", "p5"), SOUND.replace("32.7726", "30"))


def test_a_later_day_is_another_price_of_the_same_thing() -> None:
    assert len(csv(SOUND, SOUND.replace("2025-01-01", "2025-02-01"))) == 2


def test_every_wrong_row_is_named_not_the_first_alone() -> None:
    with pytest.raises(UsageError) as refused:
        csv(SOUND.replace("32.7726", "0"), SOUND.replace("19.22", "-1"))

    assert "line 2" in refused.value.message
    assert "line 3" in refused.value.message


def test_a_toml_table_is_named_by_the_line_it_begins_on() -> None:
    with pytest.raises(UsageError, match=r"line 3, aws p4d: on_demand -2 is negative"):
        toml(on_demand="-2")


def test_a_field_nobody_knows_is_refused() -> None:
    with pytest.raises(UsageError, match='no field is called "on-demand"'):
        toml(**{"on-demand": "3"})


@pytest.mark.parametrize("text", ["", "[[price]\n", "[other]\nx = 1\n", "price = 3\n"])
def test_a_file_that_is_no_book_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"book\.toml"):
        read("book.toml", text, TODAY)


def test_the_price_of_today_is_the_latest_one_that_has_begun() -> None:
    prices = csv(SOUND, SOUND.replace("2025-01-01", "2025-03-01").replace("32.7726", "20"))

    assert newest(prices, date(2025, 2, 1))[prices[0].key].on_demand == 32_772_600
    assert newest(prices, date(2025, 3, 1))[prices[0].key].on_demand == 20_000_000
    assert newest(prices, date(2024, 1, 1))[prices[0].key].on_demand == 32_772_600


def test_a_price_of_the_region_goes_before_one_that_holds_everywhere() -> None:
    prices = csv(SOUND, SOUND.replace("us-east-1", ""))

    assert [price.region for price in matching(prices, "P4D.24xlarge", region="us-east-1")] == ["us-east-1"]
    assert [price.region for price in matching(prices, "p4d.24xlarge", region="eu-west-1")] == [""]


def test_the_shipped_book_is_a_sound_one_with_a_day_and_a_source_in_each_row() -> None:
    path = Path(mlconsole.__file__).parent / "prices" / "default.toml"
    prices = read(path.name, path.read_text(encoding="utf-8"), TODAY)

    assert {price.provider for price in prices} == {"aws", "gcp", "azure", "lambda"}
    assert all(price.source and price.gpu and price.gpu_count and price.of(Tenure.ON_DEMAND) for price in prices)
