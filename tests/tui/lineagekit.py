"""A small past for the fixed catalog: data, code, two versions of a model, a release that is live, and a hub."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

from mlconsole.catalog.lineage import put_edge, put_node, put_run
from mlconsole.catalog.models import AliasChange, NewModel, move_alias, put_model
from mlconsole.domain.lineage import NodeKind
from mlconsole.domain.models import ModelFile, Signature, Tensor
from mlconsole.domain.times import from_us, to_us

HUB = 30


def fill_past(db: sqlite3.Connection, at_us: int, runs: tuple[int, int]) -> None:
    """Write it; the hub is a commit that thirty further things were made from."""
    data = put_node(db, NodeKind.DATASET, f"blake3:{'da' * 32}", "digits", at_us)
    code = put_node(db, NodeKind.CODE, f"git:{'c0de' * 10}", "commit c0dec0dec0de", at_us)
    env = put_node(db, NodeKind.ENVIRONMENT, f"environment:{'e' * 64}", "Python 3.11.7, 88 packages", at_us)
    tensors = (Tensor("w", "F32", (10, 64)), Tensor("b", "F32", (10,)))
    for version, run in enumerate(runs, 1):
        key = put_run(db, run)
        for above, role in ((data, "used"), (code, "code"), (env, "environment")):
            put_edge(db, key, above, role)
        (run_id,) = db.execute("SELECT id FROM run WHERE n = ?", (run,)).fetchone()
        at = from_us(at_us) + timedelta(minutes=version)
        files = [ModelFile("weights.safetensors", 2_680, f"{version:02x}" * 32, Signature("safetensors", tensors))]
        metrics = {"val/acc": 0.9 + version / 100, "val/loss": 0.3 / version}
        put_model(db, NewModel("digits", f"blake3:{f'{version:02x}' * 32}", run_id, "ada", files, metrics, at))
        model = put_node(db, NodeKind.MODEL, f"version:digits@{version}", f"digits@{version}", to_us(at))
        put_edge(db, model, key, "registered")
        move_alias(db, AliasChange("digits", "champion", version, None, "ada", at))
    release = put_node(db, NodeKind.RELEASE, f"release:blake3:{'f' * 64}", "spring", at_us)
    put_edge(db, release, "version:digits@2", "model")
    put_edge(db, release, data, "data")
    live = put_node(db, NodeKind.DEPLOYMENT, "deployment:shop:1", "shop #1", at_us)
    put_edge(db, live, release, "deployed")
    for number in range(HUB):
        other = put_node(db, NodeKind.RUN, f"run:other{number:02}", f"other-{number:02}", at_us)
        put_edge(db, other, code, "code")
