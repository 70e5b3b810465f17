"""Reading runs: by id, prefix or name, with params, metrics and tags."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlconsole.catalog.jobs import Job, job_of, live_jobs
from mlconsole.catalog.rows import (
    RUN_COLUMNS,
    all_json_of,
    by_run,
    run_of,
    summary_of,
)
from mlconsole.catalog.store import Store, Values, storable
from mlconsole.domain.runs import MetricSummary, Run
from mlconsole.errors import AmbiguousName, NotFound

if TYPE_CHECKING:
    from mlconsole.domain.experiments import Experiment
    from mlconsole.domain.run_details import RunDetails

SELECT_RUNS = f"""
SELECT {RUN_COLUMNS}
FROM json_each(:numbers) AS wanted
CROSS JOIN run ON run.n = wanted.value
JOIN experiment ON experiment.n = run.experiment
"""
SELECT_PARAMS = """
SELECT param.run, key.name, param.value
FROM json_each(:numbers) AS wanted
CROSS JOIN param ON param.run = wanted.value
JOIN key ON key.n = param.key
ORDER BY key.name
"""
SELECT_METRICS = """
SELECT metric.run, key.name, metric.last, metric.min, metric.max, metric.step, metric.count
FROM json_each(:numbers) AS wanted
CROSS JOIN metric ON metric.run = wanted.value
JOIN key ON key.n = metric.key
ORDER BY key.name
"""
SELECT_SOME_METRICS = """
SELECT metric.run, key.name, metric.last, metric.min, metric.max, metric.step, metric.count
FROM json_each(:keys) AS named
CROSS JOIN key ON key.name = named.value
CROSS JOIN json_each(:numbers) AS wanted
CROSS JOIN metric ON metric.run = wanted.value AND metric.key = key.n
"""
SELECT_TAGS = """
SELECT tag.run, key.name, tag.value
FROM json_each(:numbers) AS wanted
CROSS JOIN tag ON tag.run = wanted.value
JOIN key ON key.n = tag.key
ORDER BY key.name
"""
SELECT_DATASETS = """
SELECT artifact.run, CASE WHEN artifact.digest != '' THEN artifact.digest ELSE artifact.name END
FROM json_each(:numbers) AS wanted
CROSS JOIN artifact ON artifact.run = wanted.value
WHERE artifact.kind = 'dataset'
ORDER BY artifact.n
"""
SELECT_BY_ID = "SELECT n FROM run WHERE id = :word"
SELECT_BY_PREFIX = "SELECT n, id FROM run WHERE id >= :word AND id < :after ORDER BY id LIMIT 5"
SELECT_BY_NAME = "SELECT n, id FROM run WHERE name = :word ORDER BY n DESC LIMIT 5"
SELECT_LIVE = """
SELECT n FROM run WHERE state IN ('submitting', 'queued', 'starting', 'running', 'stopping') ORDER BY n
"""
SELECT_COUNTS = """
SELECT outcome, count(*) FROM run WHERE outcome IS NOT NULL GROUP BY outcome
UNION ALL
SELECT state, count(*) FROM run WHERE outcome IS NULL GROUP BY state
"""
SELECT_METRIC_NAMES = """
SELECT key.name
FROM (SELECT n FROM run ORDER BY n DESC LIMIT :runs) AS newest
CROSS JOIN metric ON metric.run = newest.n
JOIN key ON key.n = metric.key
GROUP BY key.n
ORDER BY count(*) DESC, key.name
LIMIT :most
"""
SELECT_VARIED_PARAMS = """
SELECT key.name
FROM (SELECT n FROM run ORDER BY n DESC LIMIT :runs) AS newest
CROSS JOIN param ON param.run = newest.n
JOIN key ON key.n = param.key
GROUP BY key.n
HAVING count(DISTINCT param.text) > 1
ORDER BY count(*) DESC, count(DISTINCT param.text) DESC, key.name
LIMIT :most
"""
LAST_CHARACTER = "\U0010ffff"


class Runs:
    """Runs of one catalog."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, word: str) -> int:
        """The number of the run with this id, name, or unique prefix of an id.

        Raises:
            NotFound: no run answers to it.
            AmbiguousName: several do; the message lists some.
        """
        values: Values = {"word": storable(word), "after": storable(word) + LAST_CHARACTER}
        found = self._store.read(SELECT_BY_ID, {"word": values["word"]})
        if found:
            return int(found[0][0])
        found = self._store.read(SELECT_BY_NAME, {"word": values["word"]}) if word else []
        if word and not found:
            found = self._store.read(SELECT_BY_PREFIX, values)
        if not found:
            raise NotFound(f'No run "{word}" in this catalog.', "List them: mlconsole run list")
        if len(found) > 1:
            ids = ", ".join(str(row[1]) for row in found[:4]) + (", ..." if len(found) > 4 else "")
            raise AmbiguousName(f'"{word}" fits several runs: {ids}.', "Give more of the id.")
        return int(found[0][0])

    def has(self, word: str) -> bool:
        """True when this is the whole id, or the name, of a run."""
        values: Values = {"word": storable(word)}
        return bool(word) and any(self._store.read(query, values) for query in (SELECT_BY_ID, SELECT_BY_NAME))

    def get(self, word: str) -> Run:
        """The run with this id, name, or unique prefix of an id."""
        number = self.find(word)
        found = self.load([number])
        if not found:
            raise NotFound(f'The run "{word}" was deleted just now.')
        return found[0]

    def load(self, numbers: Sequence[int], metrics: Sequence[str] | None = None) -> list[Run]:
        """Runs by number, in the order given; only the named metrics where ``metrics`` is given."""
        values: Values = {"numbers": json.dumps(list(numbers))}
        read = self._store.read
        rows = {row[0]: row for row in read(SELECT_RUNS, values)}
        given = read(SELECT_PARAMS, values)
        params = by_run(given, all_json_of([row[2] for row in given]))
        tagged = read(SELECT_TAGS, values)
        tags = by_run(tagged, [str(row[2]) for row in tagged])
        summaries = self._metrics(values, metrics)
        datasets: dict[int, list[str]] = {}
        for run, dataset in read(SELECT_DATASETS, values):
            datasets.setdefault(run, []).append(str(dataset))
        return [
            run_of(rows[n], params.get(n, {}), summaries.get(n, {}), tags.get(n, {}), datasets.get(n, ()))
            for n in numbers
            if n in rows
        ]

    def metric_names(self, runs: int, most: int) -> list[str]:
        """Names of at most so many metrics of the newest runs, those that most of them have first."""
        return [str(row[0]) for row in self._store.read(SELECT_METRIC_NAMES, {"runs": runs, "most": most})]

    def varied_params(self, runs: int, most: int) -> list[str]:
        """Names of at most so many params that differ among the newest runs, those that most of them have first."""
        return [str(row[0]) for row in self._store.read(SELECT_VARIED_PARAMS, {"runs": runs, "most": most})]

    def _metrics(self, values: Values, metrics: Sequence[str] | None) -> dict[int, dict[str, MetricSummary]]:
        if metrics is None:
            rows = self._store.read(SELECT_METRICS, values)
        elif metrics:
            names = json.dumps([storable(name) for name in metrics])
            rows = self._store.read(SELECT_SOME_METRICS, {**values, "keys": names})
        else:
            rows = []
        return by_run(rows, [summary_of(row[2:]) for row in rows])

    def details(self, word: str) -> RunDetails:
        """Everything that a run's page shows."""
        from mlconsole.catalog.run_details import details_of  # 2 ms, for one run's page

        return details_of(self._store, self.get(word))

    def live(self) -> list[int]:
        """Numbers of the runs that may still change by themselves."""
        return [row[0] for row in self._store.read(SELECT_LIVE)]

    def live_jobs(self) -> list[Job]:
        """The backend side of every live run that was launched."""
        return live_jobs(self._store)

    def job(self, number: int) -> Job | None:
        """The backend side of one run, None for a run that no backend started."""
        return job_of(self._store, number)

    def experiments(self) -> list[Experiment]:
        """Every experiment, the one with the newest run first."""
        from mlconsole.catalog.experiments import all_experiments  # 1 ms, for lists of experiments

        return all_experiments(self._store)

    def counts(self) -> dict[str, int]:
        """How many runs there are by outcome, or by state for those that have not ended."""
        return {str(word): count for word, count in self._store.read(SELECT_COUNTS)}
