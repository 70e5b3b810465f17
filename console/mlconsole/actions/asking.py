"""Asks gates: metrics in the catalog, commands without a shell, and HTTP health answers."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping

from mlconsole.actions.context import Context
from mlconsole.config import launch_environment
from mlconsole.domain.contracts import Axis
from mlconsole.domain.environments import Environment
from mlconsole.domain.gates import (
    DEADLINE_S,
    INCONCLUSIVE_CODE,
    Answer,
    Gate,
    GateAnswer,
    GateKind,
    argv_of,
    metric_answer,
)
from mlconsole.domain.releases import Release
from mlconsole.domain.rollouts import Rollout, RolloutKind
from mlconsole.errors import NotFound

LONGEST_WORDS = 200
TAG = "release"
"""Runs with this tag, its value a release's id, the 12 digits shown of it, or its name, are its evaluations."""


def ask(ctx: Context, environment: Environment, rollout: Rollout, folder: str) -> list[GateAnswer]:
    """The answers of an environment's gates about the release that is being rolled out.

    What compares with the release before is asked where another takes its place for being better, and there alone.
    """
    release = ctx.catalog.releases.by_id(rollout.release_id)
    before = ctx.catalog.releases.by_id(rollout.before_id) if rollout.before_id else None
    out = []
    for gate in environment.gates:
        if why := not_compared(gate, rollout.kind, before):
            out.append(GateAnswer(gate.words, Answer.NONE, why))
        elif gate.kind is GateKind.METRIC:
            present = metrics_of(ctx, before) if before and gate.is_relative else {}
            out.append(metric_answer(gate, metrics_of(ctx, release), present))
        elif gate.kind is GateKind.COMMAND:
            out.append(_command(gate, environment, rollout, folder))
        else:
            out.append(_http(gate, environment))
    return out


def not_compared(gate: Gate, kind: RolloutKind, before: Release | None) -> str:
    """Why a gate is not asked; empty where it is."""
    if not gate.is_relative:
        return ""
    if kind is RolloutKind.REPAIR:
        return "what is repaired is not compared with itself"
    if kind is not RolloutKind.ROLLOUT:
        return "a way back is not compared with what it leaves"
    return "" if before else "nothing was live to compare with"


def metrics_of(ctx: Context, release: Release) -> Mapping[str, float | None]:
    """What is known of a release in figures: its model's metrics, and over them those of its evaluations."""
    found: dict[str, float | None] = {}
    model = release.members.get(Axis.MODEL)
    if model is not None:
        try:
            found |= ctx.catalog.models.get(model.id).metrics
        except NotFound:
            pass
    for run in ctx.catalog.runs.load(ctx.catalog.releases.evaluations(release, TAG)):
        found |= {key: summary.last for key, summary in run.metrics.items()}
    return found


def _command(gate: Gate, environment: Environment, rollout: Rollout, folder: str) -> GateAnswer:
    """Run a command: 0 passes, 75 does not know, anything else fails; one that cannot be run is an error."""
    env = {
        **launch_environment(),
        "MLCONSOLE_ENVIRONMENT": environment.name,
        "MLCONSOLE_RELEASE": rollout.release_id,
        "MLCONSOLE_GENERATION": str(rollout.generation),
        "MLCONSOLE_ENDPOINT": environment.observed.endpoint or "",
    }
    try:
        process = subprocess.Popen(
            argv_of(gate.text), cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        return GateAnswer(gate.words, Answer.ERROR, f"it cannot be run: {error}")
    try:
        said, _ = process.communicate(timeout=DEADLINE_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return GateAnswer(gate.words, Answer.ERROR, f"it has not ended within {DEADLINE_S:g} s")
    lines = said.decode("utf-8", "replace").strip().splitlines()
    words = lines[-1][:LONGEST_WORDS] if lines else f"it ended with {process.returncode}"
    if process.returncode < 0:
        return GateAnswer(gate.words, Answer.ERROR, f"it was ended by signal {-process.returncode}")
    known = {0: Answer.PASS, INCONCLUSIVE_CODE: Answer.INCONCLUSIVE}
    return GateAnswer(gate.words, known.get(process.returncode, Answer.FAIL), words)


def _http(gate: Gate, environment: Environment) -> GateAnswer:
    """Ask a URL: 2xx passes, 3xx does not know, other answers fail; no answer is an error."""
    endpoint = environment.observed.endpoint or ""
    if gate.text.startswith("/") and not endpoint.startswith(("http://", "https://")):
        where = f'its endpoint is "{endpoint}"' if endpoint else "it has no endpoint"
        return GateAnswer(gate.words, Answer.ERROR, f"{where}, where HTTP cannot be asked")
    url = endpoint.rstrip("/") + gate.text if gate.text.startswith("/") else gate.text
    import httpx  # 60 ms, where a gate asks by HTTP

    try:
        answer = httpx.get(url, timeout=DEADLINE_S, follow_redirects=False, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return GateAnswer(gate.words, Answer.ERROR, f"no answer: {type(error).__name__}")
    words = f"it answered {answer.status_code}"
    if answer.is_success:
        return GateAnswer(gate.words, Answer.PASS, words)
    return GateAnswer(gate.words, Answer.INCONCLUSIVE if answer.is_redirect else Answer.FAIL, words)
