"""Whatever contracts there are: what the pointer names goes together, and untouched parts stay as they are."""

from __future__ import annotations

import os
import random
from pathlib import Path

from mlconsole.actions.execute import execute, plan
from mlconsole.actions.release import CREATE, CreateParams
from mlconsole.actions.rollback import ROLLBACK, RollbackParams
from mlconsole.domain.contracts import Axis, Verdict, between
from mlconsole.domain.releases import Release
from mlconsole.errors import MlconsoleError, NotFound
from shopkit import Shop

WORLDS = 40 if os.environ.get("MLCONSOLE_FAULTS") == "full" else 3
AXES = (Axis.CODE, Axis.CONFIG, Axis.ENV)
FLAGS = {Axis.CODE: "code", Axis.CONFIG: "config", Axis.ENV: "lock"}


def random_release(shop: Shop, dice: random.Random, name: str) -> Release | None:
    """A release of random parts with random contracts between them; None where those are refused."""
    given: dict[str, str] = {}
    provides, requires = [], []
    for axis in AXES:
        version = dice.randint(0, 3)
        path = shop.folder / f"{axis.value}-{version}.json"
        path.write_text(f'{{"v": {version}, "made": "{axis.value}"}}')
        given[FLAGS[axis]] = str(path)
        provides.append(f"{axis.value}=api:{version % 2}")
        other = dice.choice([one for one in AXES if one is not axis])
        if dice.random() < 0.5:
            requires.append(f"{axis.value}={other.value}:api=={(version + len(other.value)) % 2}")
    ctx = shop.context()
    params = CreateParams(**given, name=name, provides=tuple(provides), requires=tuple(requires))
    try:
        made = execute(ctx, CREATE, params)
    except MlconsoleError:
        return None
    finally:
        ctx.close()
    assert isinstance(made, Release)
    return made


def bytes_of(shop: Shop) -> dict[str, bytes]:
    """What is live, by the path of each file."""
    root = (shop.place / "current").resolve()
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "release.json"
    }


def test_the_pointer_always_names_a_valid_release_and_untouched_parts_stay(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    rolled_back = 0
    for world in range(WORLDS):
        shop = Shop(tmp_path / str(world))
        shop.folder.mkdir()
        shop.environment()
        made = [random_release(shop, dice, f"r{n}") for n in range(16)]
        ids = [one.id for one in made if one is not None]
        for _ in range(8 if ids else 0):
            rolled_back += step(shop, dice, ids)
        shop.check()
    assert rolled_back


def step(shop: Shop, dice: random.Random, ids: list[str]) -> int:
    """Roll something out, then take one part back; 1 when that went."""
    try:
        shop.rollout(dice.choice(ids))
    except MlconsoleError as error:
        raise AssertionError(f"a release that could be made cannot be rolled out: {error}") from error
    before, parts = bytes_of(shop), present(shop)
    axis = dice.choice(AXES)
    ctx = shop.context()
    try:
        said = plan(ctx, ROLLBACK, RollbackParams("prod", axis=axis.value))
        execute(ctx, ROLLBACK, RollbackParams("prod", axis=axis.value), confirmed=True)
    except NotFound:
        return 0
    finally:
        ctx.close()
    after, now = bytes_of(shop), present(shop)
    changed = {one for one in AXES if parts.members[one].digest != now.members[one].digest}
    assert axis in changed and now.verdict is not Verdict.BROKEN
    assert all(
        (f"{one.value} changes" in " ".join(each.text for each in said.steps)) == (one in changed) for one in AXES
    )
    for one in set(AXES) - changed:
        prefix = f"{one.value}/"
        assert {k: v for k, v in before.items() if k.startswith(prefix)} == {
            k: v for k, v in after.items() if k.startswith(prefix)
        }
    if len(changed) > 1:
        wanted = now.members[axis].contract
        alone = {one: parts.members[one].contract for one in AXES} | {axis: wanted}
        pairs = [between(a, alone[a], b, alone[b]) for a in AXES for b in AXES if a < b]
        assert Verdict.BROKEN in pairs, "companions went along that nothing forced"
    return 1


def present(shop: Shop) -> Release:
    ctx = shop.context()
    found = ctx.catalog.environments.get("prod").release
    ctx.close()
    assert found is not None
    return found
