"""A token stands for one job, however often it is submitted or asked for."""

from __future__ import annotations

import json

from mlconsole.conformance.kit import PYTHON, Jobs, holds, refused, same
from mlconsole.plugin_api import Handle, MlconsoleError, Outcome

COUNT = "import sys; open(sys.argv[1], 'a').write('started\\n')"


def keeps_one_job_a_token(jobs: Jobs) -> None:
    """A second submit under a token finds the first job, while it runs and after its end."""
    starts = jobs.folder / "starts"
    spec, token = jobs.spec(*PYTHON, COUNT, str(starts), name="once"), jobs.token("one")
    first, second = jobs.handed_over(spec, token), jobs.handed_over(spec, token)
    jobs.ended(first)
    third = jobs.handed_over(spec, token)
    same((second, third), (first, first), "the handles")
    same(starts.read_text(), "started\n", "how often it was started")


def keeps_lost_replies_findable(jobs: Jobs) -> None:
    """What was submitted is found by its token at once; what never was is not."""
    for number in range(5):
        spec = jobs.spec(*PYTHON, "pass", name=f"found{number}")
        handle = jobs.handed_over(spec, jobs.token(spec.name))
        same(jobs.find(jobs.token(spec.name), spec.directory), handle, "what is found")
    same(jobs.find(jobs.token("never"), str(jobs.folder / "nothing")), None, "what is found of a token never used")


def keeps_handles_as_data(jobs: Jobs) -> None:
    """A handle can be written down and read back."""
    handle = jobs.python("pass")
    same(json.loads(json.dumps(dict(handle.data))), dict(handle.data), "the handle's data")
    same(handle.backend, jobs.backend.name, "the handle's backend")


def keeps_folders_apart(jobs: Jobs) -> None:
    """A folder that holds a job is refused to another token."""
    spec = jobs.spec(*PYTHON, "pass", name="taken")
    jobs.ended(jobs.handed_over(spec, jobs.token("first")))
    refused(MlconsoleError, lambda: jobs.handed_over(spec, jobs.token("second")), "another job")


def keeps_reused_ids_apart(jobs: Jobs) -> None:
    """The number of an ended job, given to another token, does not give that one its end."""
    ended = jobs.python("pass")
    jobs.ended(ended)
    other = Handle(ended.backend, jobs.token("another"), ended.data)
    try:
        (seen,) = jobs.backend.observe([other])
    except MlconsoleError:
        return
    taken = seen.reachable and seen.token == other.token and seen.outcome is Outcome.SUCCEEDED
    holds(not taken, "the answer about another job was taken for its own")
