"""Makes the members of a release: what each one is, where its bytes lie, and the contract that they tell of."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from mlconsole.actions import checkout
from mlconsole.actions.context import Context
from mlconsole.catalog.releases import NewMember
from mlconsole.content import declared, kept
from mlconsole.content.hashing import Hasher
from mlconsole.content.identity import fingerprint, named
from mlconsole.domain.contracts import Axis, Contract, Requirement
from mlconsole.domain.datasets import DatasetVersion, EntryKind
from mlconsole.domain.lineage import Way
from mlconsole.domain.models import ModelFile, ModelPage, ModelVersion
from mlconsole.domain.releases import Member, MemberFile
from mlconsole.domain.run_details import RunDetails
from mlconsole.errors import ActionFailed, NotFound, UsageError

FRAMEWORKS = {
    "torch": "torch",
    "sklearn": "scikit-learn",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "catboost": "catboost",
    "tensorflow": "tensorflow",
    "keras": "keras",
}
"""Libraries that a pickle names by module, by the name they are installed under."""


class Maker:
    """Makes members for one release.

    Args:
        ctx: the session.
        model: the model's version, whose run tells of the rest; None without one.
        home: the folder below which code, configuration and lock are kept.
    """

    def __init__(self, ctx: Context, model: ModelVersion | None, home: Path) -> None:
        self._ctx = ctx
        self._model = model
        self._home = home
        self.hasher = Hasher(cancelled=ctx.cancelled.is_set)

    @cached_property
    def run(self) -> RunDetails | None:
        """The run that the model is of, if it is known."""
        if self._model is None:
            return None
        try:
            return self._ctx.catalog.runs.details(self._model.run_id)
        except NotFound:
            return None

    @cached_property
    def learned_from(self) -> DatasetVersion | None:
        """The dataset in the catalog that the model learned from, the nearest first."""
        if self._model is None:
            return None
        catalog = self._ctx.catalog
        try:
            node = catalog.lineage.find(f"version:{self._model.label}")
        except NotFound:
            return None
        past = catalog.lineage.closure(node, Way.UP, depth=4)
        for one in past.nodes:
            if one.kind == "dataset" and one.key.startswith("blake3:"):
                try:
                    return catalog.datasets.get(one.key)
                except NotFound:
                    continue
        return None

    def model(self) -> NewMember:
        """The model itself."""
        version = self._model
        assert version is not None
        page = self._ctx.catalog.models.page(version.label)
        path, files = self._model_files(page)
        contract = _model_contract(page, self.learned_from, self._packages())
        member = Member(Axis.MODEL, version.label, version.digest, version.label, contract, f"version:{version.label}")
        return NewMember(named(member), files, path)

    def _model_files(self, page: ModelPage) -> tuple[str, tuple[MemberFile, ...]]:
        files = tuple(MemberFile(one.path, one.digest, one.size_bytes) for one in page.files)
        folder = os.path.realpath(self._ctx.catalog.run_directory(page.version.run_id) / "artifacts")
        if all(_is_file(os.path.join(folder, one.path)) for one in files):
            return folder, files
        if self.run is not None and (place := _left_where_it_lies(self.run, page.files)):
            return place, files
        raise ActionFailed(f'The files of "{page.version.label}" are not on this machine.', f'They were in "{folder}".')

    def _packages(self) -> Mapping[str, object]:
        found = self.run.environment.get("packages") if self.run else None
        return found if isinstance(found, Mapping) else {}

    def data(self, word: str | None) -> NewMember | None:
        """The dataset that a word means, or else the one that the model learned from."""
        datasets = self._ctx.catalog.datasets
        version = datasets.get(word) if word else self.learned_from
        if version is None:
            return None
        files = tuple(
            MemberFile(one.path, one.digest, one.size_bytes, one.is_executable)
            for one in datasets.entries(version)
            if one.kind is EntryKind.FILE
        )
        here = [place.source for place in version.places if place.host == self._ctx.settings.host]
        pattern = any(place.is_pattern and place.source == here[0] for place in version.places) if here else False
        path = _root_of(here[0]) if pattern else here[0] if here else ""
        member = Member(Axis.DATA, version.id, version.id, version.label, _data_contract(version), version.id)
        return NewMember(named(member), files, path)

    def config(self, path: str | None) -> NewMember | None:
        """A configuration file."""
        return self._file(Axis.CONFIG, path, declared.config_contract) if path else None

    def env(self, path: str | None) -> NewMember | None:
        """The libraries: a lock file, or else those that the model's run had."""
        if path:
            return self._file(Axis.ENV, path, declared.lock_contract)
        packages = self._packages()
        if not packages or self.run is None:
            return None
        with tempfile.TemporaryDirectory() as folder:
            lock = os.path.join(folder, "requirements.txt")
            with open(lock, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.writelines(f"{name}=={version}\n" for name, version in sorted(packages.items()))
            made = self._file(Axis.ENV, lock, declared.lock_contract)
        label = f"{len(packages)} packages of run {self.run.run.name}"
        return made._replace(member=named(_relabelled(made.member, label)))

    def _file(self, axis: Axis, path: str, contract_of: object) -> NewMember:
        full = _existing(path)
        if not os.path.isfile(full):
            raise UsageError(f'"{path}" is no file.')
        digest, files, place = kept.keep(self._home, full, self.hasher)
        assert callable(contract_of)
        contract = contract_of(os.path.join(place, files[0].path))
        return NewMember(named(Member(axis, digest, digest, os.path.basename(full), contract, digest)), files, place)

    def code(self, word: str | None) -> NewMember | None:
        """The code: a folder or file, a commit, or else the commit of the model's run with its changes."""
        if word and os.path.exists(os.path.expanduser(word)):
            return self._code_at(_existing(word), "", os.path.basename(_existing(word)))
        if word:
            root = self._repository() or os.getcwd()
            commit = checkout.commit_of(root, word)
            return self._code_of(root, commit, "")
        found = self.run.code if self.run else {}
        commit = str(found.get("commit") or "")
        if self.run is None or not commit:
            return None
        patch = str(found.get("diff_path") or "")
        full = os.path.join(self._ctx.catalog.run_directory(self.run.run.id), patch) if patch else ""
        try:
            return self._code_of(str(found.get("root") or ""), commit, full)
        except ActionFailed as error:
            self._ctx.say(f"The code is named and not kept: {error}")
            return NewMember(
                named(_code(commit, "", Contract(note="the code's bytes are not here"), bool(patch))), (), ""
            )

    def _repository(self) -> str:
        root = str(self.run.code.get("root") or "") if self.run else ""
        return root if os.path.isdir(root) else ""

    def _code_of(self, root: str, commit: str, patch: str) -> NewMember:
        if not os.path.isdir(root):
            raise ActionFailed(f'its repository "{root}" is not on this machine')
        with tempfile.TemporaryDirectory(prefix="mlconsole-code-") as folder:
            checkout.take_out(root, commit, folder, patch)
            return self._code_at(folder, commit, "", has_changes=bool(patch))

    def _code_at(self, folder: str, commit: str, label: str, *, has_changes: bool = False) -> NewMember:
        digest, files, place = kept.keep(self._home, folder, self.hasher)
        contract = declared.code_contract(place)
        if commit:
            return NewMember(named(_code(commit, digest, contract, has_changes)), files, place)
        return NewMember(named(Member(Axis.CODE, digest, digest, label or "code", contract, digest)), files, place)


def _code(commit: str, content: str, contract: Contract, has_changes: bool) -> Member:
    label = f"commit {commit[:12]}" + (" with changes" if has_changes else "")
    identity = f"git:{commit}" + (f"+{content.removeprefix('blake3:')[:12]}" if has_changes else "")
    return Member(Axis.CODE, identity, content, label, contract, f"git:{commit}")


def _relabelled(member: Member, label: str) -> Member:
    return Member(member.axis, member.id, member.content, label, member.contract, member.node)


def _existing(path: str) -> str:
    full = os.path.realpath(os.path.expanduser(path))
    if "\0" in path or not os.path.exists(full):
        raise UsageError(f'No file or folder "{path}".')
    return full


def _is_file(path: str) -> bool:
    return os.path.isfile(path) and not os.path.islink(path)


def _left_where_it_lies(run: RunDetails, files: tuple[ModelFile, ...]) -> str:
    """The folder that holds a model's files where the run left them, when they are below one; empty otherwise."""
    for artifact in run.artifacts:
        if not os.path.isabs(artifact.path) or not artifact.path.endswith(f"/{artifact.name}"):
            continue
        folder = artifact.path.removesuffix(f"/{artifact.name}")
        if all(_is_file(os.path.join(folder, one.path)) for one in files):
            return folder
    return ""


def _root_of(pattern: str) -> str:
    from mlconsole.content.tree import source_from

    return source_from(pattern, True).root


def _data_contract(version: DatasetVersion) -> Contract:
    schema = version.schema
    if schema.columns is None:
        return Contract(requires=(), note=f"the schema of {version.label} is not known: {schema.note}")
    return Contract({"schema": schema_fingerprint(version)}, (), is_closed=True)


def schema_fingerprint(version: DatasetVersion) -> str:
    """A digest of the names and types of the columns, in their order."""
    return fingerprint([list(column) for column in version.schema.columns or ()])


def _model_contract(page: ModelPage, data: DatasetVersion | None, packages: Mapping[str, object]) -> Contract:
    provides: dict[str, str] = {}
    faces = [[one.path, one.signature.inputs, one.signature.outputs] for one in page.files]
    if any(inputs or outputs for _, inputs, outputs in faces):
        provides["interface"] = fingerprint(faces)
    needs = [_needed(name, packages) for name in _frameworks(page)]
    if data is None or data.schema.columns is None:
        note = "the schema of what it learned from is not known" if data else "what it learned from is no dataset here"
        return Contract(provides, tuple(needs) or None, note=note)
    needs.append(Requirement(Axis.DATA, "schema", f"=={schema_fingerprint(data)}"))
    return Contract(provides, tuple(needs))


def _frameworks(page: ModelPage) -> list[str]:
    modules = {call.partition(".")[0] for one in page.files for call in one.signature.calls}
    return sorted(FRAMEWORKS[name] for name in modules & set(FRAMEWORKS))


def _needed(name: str, packages: Mapping[str, object]) -> Requirement:
    """A library that a pickle needs, in the version that it was written with or a later one of the same major."""
    version = str(packages.get(name) or "")
    parts = version.partition("+")[0].split(".")
    if not parts[0].isdecimal() or len(parts) < 2 or not parts[1].isdecimal():
        return Requirement(Axis.ENV, name)
    return Requirement(Axis.ENV, name, f">={parts[0]}.{parts[1]},<{int(parts[0]) + 1}")


def amended(made: NewMember, provides: Mapping[str, str], requires: list[Requirement], waived: set[str]) -> NewMember:
    """The member with what a person says of its contract: added or changed, and taken away."""
    member, contract = made.member, made.member.contract
    if not provides and not requires and not waived:
        return made
    kept_needs = [
        need
        for need in contract.requires or ()
        if f"{need.axis.value}:{need.key}" not in waived
        and (need.axis, need.key) not in {(one.axis, one.key) for one in requires}
    ]
    needs = (*kept_needs, *requires)
    is_known = contract.requires is not None or bool(requires or waived)
    changed = Contract(
        {**contract.provides, **provides}, needs if is_known else None, contract.is_closed, contract.note
    )
    return made._replace(
        member=named(Member(member.axis, member.id, member.content, member.label, changed, member.node))
    )


def kept_of(ctx: Context, member: Member) -> NewMember:
    """A member of another release, as it is kept."""
    places = ctx.catalog.releases.places(member, ctx.settings.host)
    return NewMember(member, ctx.catalog.releases.files(member), places[0] if places else "")
