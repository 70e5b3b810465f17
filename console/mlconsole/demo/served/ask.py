"""A gate: asks the endpoint of a release which digits labelled images show, ``ask.py LABELLED LEAST_ACCURACY``.

LABELLED is a CSV file without a header, 64 pixels and the digit in each line. Ends with 0 when enough answers are
right, 1 when they are not, and 75 (EX_TEMPFAIL of sysexits.h: nobody knows) when the endpoint does not answer.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import urllib.request
from typing import Any

UNKNOWN = 75


def images_of(path: str) -> tuple[list[list[float]], list[int]]:
    """The images of a file, and the digits that they show."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = [[float(cell) for cell in row] for row in csv.reader(file)]
    return [row[:64] for row in rows], [int(row[64]) for row in rows]


def ask(endpoint: str, images: list[list[float]], *, is_logged: bool = False) -> Any:
    """What the endpoint answers.

    Raises:
        OSError: it does not.
        ValueError: that is no answer.
    """
    body = json.dumps({"images": images, "log": is_logged}).encode()
    request = urllib.request.Request(endpoint.rstrip("/") + "/predict", body)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def right_share(digits: list[int], shown: list[int]) -> float:
    """The share of answers that are right."""
    return sum(one == other for one, other in zip(digits, shown, strict=True)) / len(shown)


def main() -> int:
    """Ask, and compare."""
    labelled, least = sys.argv[1:]
    images, shown = images_of(labelled)
    try:
        right = right_share(ask(os.environ["MLCONSOLE_ENDPOINT"], images)["digits"], shown)
    except (OSError, ValueError, KeyError) as error:
        print(f"no answer: {error}")
        return UNKNOWN
    print(f"{right:.1%} of {len(shown)} labelled images are told right; {float(least):.0%} are asked for")
    return 0 if right >= float(least) else 1


if __name__ == "__main__":
    sys.exit(main())
