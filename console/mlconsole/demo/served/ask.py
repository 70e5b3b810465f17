"""A gate: asks the endpoint of a release which digits labelled images show, ``ask.py LABELLED LEAST_ACCURACY``.

LABELLED is a CSV file without a header, 64 pixels and the digit in each line. Ends with 0 when enough answers are
right, 1 when they are not, and 75 (EX_TEMPFAIL of sysexits.h: nobody knows) when the endpoint does not answer.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import urllib.error
import urllib.request

UNKNOWN = 75


def main() -> int:
    """Ask, and compare."""
    labelled, least = sys.argv[1:]
    with open(labelled, newline="", encoding="utf-8") as file:
        rows = [[float(cell) for cell in row] for row in csv.reader(file)]
    body = json.dumps({"images": [row[:64] for row in rows]}).encode()
    url = os.environ["MLCONSOLE_ENDPOINT"].rstrip("/") + "/predict"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=20) as answer:
            digits = json.load(answer)["digits"]
    except (urllib.error.URLError, OSError, ValueError) as error:
        print(f"no answer from {url}: {error}")
        return UNKNOWN
    right = sum(digit == int(row[64]) for digit, row in zip(digits, rows, strict=True)) / len(rows)
    print(f"{right:.1%} of {len(rows)} labelled images are told right; {float(least):.0%} are asked for")
    return 0 if right >= float(least) else 1


if __name__ == "__main__":
    sys.exit(main())
