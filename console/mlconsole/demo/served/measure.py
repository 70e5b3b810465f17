"""An evaluation of what is live: ``measure.py ENDPOINT LABELLED`` records the share of right answers as recent/acc.

The run is tagged with the release that answered, so that gates can compare a later release with it. It needs nothing
but the recorder.
"""

from __future__ import annotations

import sys

from ask import ask, images_of, right_share  # type: ignore[import-not-found]

import mlconsole


def main() -> None:
    """Ask, and record."""
    endpoint, labelled = sys.argv[1:]
    images, shown = images_of(labelled)
    with mlconsole.start_run(experiment="measure") as run:
        run.log_dataset(labelled, name="digits-kept")
        answer = ask(endpoint, images)
        right = right_share(answer["digits"], shown)
        run.set_tags({"release": answer["release"]})
        run.log({"recent/acc": right})
        print(f"{right:.1%} of {len(shown)} images that came in lately are told right")


if __name__ == "__main__":
    main()
