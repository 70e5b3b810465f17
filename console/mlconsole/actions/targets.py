"""What a teardown is asked for: runs by name, or those that hold a GPU or live on a host. A stranger is never one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlconsole.actions.attribution import Marks
from mlconsole.actions.context import Context
from mlconsole.domain.gpu import GpuReading, GpuSnapshot, ProcessKind
from mlconsole.domain.leases import holder_words
from mlconsole.domain.runs import Run
from mlconsole.errors import ActionFailed, NotFound
from mlconsole.records import record


@record
class Target:
    """What was asked for.

    Attributes:
        label: the words it was asked for with.
        runs: the runs that it comes to, each one once.
        held_gpus: the uuids of the GPUs whose memory each run's processes hold, by the run's id.
        left_alone: what is there and is not ours to end, in words.
        is_host: a whole host was asked for.
    """

    label: str
    runs: tuple[Run, ...]
    held_gpus: Mapping[str, tuple[str, ...]]
    left_alone: tuple[str, ...] = ()
    is_host: bool = False


@record
class _Held:
    """Whose processes hold which GPU: run ids by uuid, and the holders of no run in words."""

    runs: Mapping[str, tuple[str, ...]]
    strangers: Mapping[str, tuple[str, ...]]


def find(ctx: Context, words: Sequence[str]) -> Target:
    """The runs that these words mean.

    Raises:
        NotFound: a word is no run, GPU or host.
        ActionFailed: a run was not launched by us, or a GPU is held by nothing of ours.
    """
    snapshot = ctx.gpus(ctx.settings.host)
    held = _held(snapshot)
    runs: dict[str, Run] = {}
    alone: list[str] = []
    is_host = False
    for word in words:
        if word.lower().startswith("gpu-") or word.startswith("gpu:"):
            found, left = _on_gpu(ctx, word, snapshot, held)
        elif (run := _run(ctx, word)) is not None:
            found, left = [run], []
        else:
            found, left, is_host = *_on_host(ctx, word, held), True
        runs |= {run.id: run for run in found}
        alone += left
    for run in runs.values():
        if run.backend is None:
            raise ActionFailed(
                f'Run "{run.name}" was not launched by mlconsole.', f"End its process on {run.host} yourself."
            )
    by_run: dict[str, tuple[str, ...]] = {}
    for uuid, ids in held.runs.items():
        for run_id in ids:
            by_run[run_id] = (*by_run.get(run_id, ()), uuid)
    return Target(" ".join(words), tuple(runs.values()), by_run, tuple(dict.fromkeys(alone)), is_host)


def _run(ctx: Context, word: str) -> Run | None:
    try:
        return ctx.catalog.runs.get(word)
    except NotFound:
        return None


def _held(snapshot: GpuSnapshot) -> _Held:
    marks, runs, strangers = Marks(), {}, {}
    for gpu in snapshot.gpus:
        holders = [each for each in gpu.processes.value or () if each.kind is not ProcessKind.GRAPHICS]
        found = [(each, marks.run_of(each.pid, each.started_ticks) if each.visible else "") for each in holders]
        runs[gpu.uuid] = tuple(dict.fromkeys(run_id for _, run_id in found if run_id))
        strangers[gpu.uuid] = tuple(f"{holder_words(each)} on GPU {gpu.index}" for each, run_id in found if not run_id)
    return _Held(runs, strangers)


def _on_gpu(ctx: Context, word: str, snapshot: GpuSnapshot, held: _Held) -> tuple[list[Run], list[str]]:
    gpu = gpu_named(word, snapshot)
    ids = [lease.run_id for lease in ctx.catalog.leases.open() if lease.gpu_uuid == gpu.uuid]
    runs = [run for run_id in dict.fromkeys([*ids, *held.runs[gpu.uuid]]) if (run := _run(ctx, run_id)) is not None]
    left = list(held.strangers[gpu.uuid])
    if not runs:
        why = f": {'; '.join(left)}" if left else ", and nothing else that could be seen"
        raise ActionFailed(f"No run of this catalog holds GPU {gpu.index}{why}.", "Look: mlconsole gpu list")
    return runs, left


def gpu_named(word: str, snapshot: GpuSnapshot) -> GpuReading:
    """The GPU of this machine that ``gpu:0`` or the begin of a uuid means.

    Raises:
        NotFound: there is none, or more than one.
        ActionFailed: the driver has not told its uuid, so that nobody can say whose it is.
    """
    index = word.removeprefix("gpu:").lower()
    found = [
        gpu
        for gpu in snapshot.gpus
        if (index.isdecimal() and gpu.index == int(index)) or (index and gpu.uuid.lower().startswith(index))
    ]
    if len(found) != 1:
        how = "No GPU" if not found else "More than one GPU"
        there = snapshot.words if not snapshot.gpus else "List them: mlconsole gpu list"
        raise NotFound(f'{how} "{word}" on {snapshot.host}.', there)
    if not found[0].uuid:
        words = found[0].health.words
        raise ActionFailed(f"Who holds GPU {found[0].index} cannot be said: {words}.", "Name the run instead.")
    return found[0]


def _on_host(ctx: Context, word: str, held: _Held) -> tuple[list[Run], list[str]]:
    numbers = ctx.catalog.teardowns.on_host(word)
    if not numbers and word != ctx.settings.host:
        raise NotFound(f'No run, GPU or host "{word}" in this catalog.', "List runs: mlconsole run list")
    runs = ctx.catalog.runs.load(numbers)
    ours = [run for run in runs if run.backend is not None]
    left = [f'run "{run.name}" of {run.user}, which mlconsole did not launch' for run in runs if run.backend is None]
    if word == ctx.settings.host:
        known = {run.id for run in ours}
        ids = [run_id for ids in held.runs.values() for run_id in ids if run_id not in known]
        ours += [run for run_id in dict.fromkeys(ids) if (run := _run(ctx, run_id)) is not None]
        left += [text for texts in held.strangers.values() for text in texts]
    if not ours:
        raise ActionFailed(
            f'Nothing of this catalog is left on "{word}".', "List runs: mlconsole run list state:running"
        )
    return ours, left
