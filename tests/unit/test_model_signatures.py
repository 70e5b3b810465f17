"""Saved models are described by their headers; what is hostile is unreadable at once, and nothing is executed."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from mlconsole.content.signatures import signature_of
from mlconsole.domain.models import Signature, Tensor

TEN_GB = 10 << 30
SLACK = 3
"""A shared machine takes more processor time than the quiet one of the limits."""


def safetensors(header: object, claimed: int | None = None) -> bytes:
    data = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(data) if claimed is None else claimed) + data


def field(number: int, *content: bytes | int | str) -> bytes:
    """A protobuf field; several contents are one message."""
    if len(content) == 1 and isinstance(content[0], int):
        return varint(number << 3) + varint(content[0])
    data = b"".join(c.encode() if isinstance(c, str) else c for c in content if not isinstance(c, int))
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def value_info(name: str, kind: int, *dims: int | str) -> bytes:
    shape = b"".join(field(1, field(1, dim) if isinstance(dim, int) else field(2, dim)) for dim in dims)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, shape)))


ONNX = field(1, 9) + field(
    7,
    field(2, "graph"),
    field(5, field(1, 3), field(1, 4), field(2, 1), field(8, "w"), field(9, bytes(48))),
    field(11, value_info("x", 1, "batch", 3)),
    field(11, value_info("w", 1, 3, 4)),
    field(12, value_info("y", 7, "batch", 4)),
)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed",)


def archive(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, data in members.items():
            made.writestr(name.replace("_", "/", 1).replace("_", "."), data)
    return out.getvalue()


def lzma_alone(data: bytes) -> bytes:
    return lzma.compress(data, lzma.FORMAT_ALONE)


def read(folder: Path, name: str, data: bytes) -> Signature:
    (folder / name).write_bytes(data)
    return signature_of(str(folder / name))


def test_safetensors_name_their_tensors(tmp_path: Path) -> None:
    header = {"__metadata__": {"a": "b"}, "w": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}}

    assert read(tmp_path, "m.safetensors", safetensors(header) + bytes(48)) == Signature(
        "safetensors", (Tensor("w", "F32", (3, 4)),)
    )


@pytest.mark.parametrize("there", [0, 47])
def test_safetensors_that_are_cut_short_say_what_is_missing(tmp_path: Path, there: int) -> None:
    header = {"w": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}, "odd": {"dtype": "I8", "shape": []}}

    found = read(tmp_path, "m.safetensors", safetensors(header) + bytes(there))

    assert found.note == f"it is cut short: {48 - there} bytes of its tensors are missing"
    assert [tensor.name for tensor in found.tensors] == ["w", "odd"]


def test_onnx_has_inputs_outputs_and_weights(tmp_path: Path) -> None:
    found = read(tmp_path, "m.onnx", ONNX)

    assert found.format == "onnx"
    assert found.inputs == (Tensor("x", "float32", ("batch", 3)),)
    assert found.outputs == (Tensor("y", "int64", ("batch", 4)),)
    assert found.tensors == (Tensor("w", "float32", (3, 4)),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ["m.pkl", "m.joblib", "m.bin", "m.pt"])
def test_what_a_pickle_would_call_is_named_and_not_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)

    found = read(tmp_path, name, pickle.dumps([1, Evil()], protocol))

    assert found.format == "pickle"
    assert found.calls == ("posix.system",)
    assert "executes" in found.note
    assert not (tmp_path / "executed").exists()


def test_a_pickle_under_another_name_is_known_by_its_start(tmp_path: Path) -> None:
    assert read(tmp_path, "weights", pickle.dumps(Evil())).calls == ("posix.system",)


def test_a_name_that_is_recalled_from_the_memo_is_found(tmp_path: Path) -> None:
    # The texts stand on the stack long before they are used, and others in between.
    data = b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x8c\x04math\x8c\x03sin0000h\x00h\x01\x93\x8c\x04true\x85R."

    assert "posix.system" in read(tmp_path, "m.pkl", data).calls


def test_the_second_pickle_of_a_file_is_looked_at_too(tmp_path: Path) -> None:
    assert read(tmp_path, "m.pt", pickle.dumps(1) + pickle.dumps(Evil()) + b"\xff" * 100).calls == ("posix.system",)


def test_the_pickle_inside_an_archive_is_looked_at(tmp_path: Path) -> None:
    found = read(tmp_path, "m.pt", archive(m_data_pkl=pickle.dumps(Evil()), m_version=b"3"))

    assert (found.format, found.calls) == ("pickle", ("posix.system",))


def test_what_torch_loads_is_looked_at_before_other_pickles_and_those_left_out_are_counted(tmp_path: Path) -> None:
    others = {f"m_{number}_pkl": pickle.dumps(number) for number in range(6)}

    found = read(tmp_path, "m.pt", archive(**others, m_data_pkl=pickle.dumps(Evil())))

    assert found.calls == ("posix.system",)
    assert "3 more pickles" in found.note


def test_pickles_that_were_not_read_are_never_called_plain(tmp_path: Path) -> None:
    found = read(tmp_path, "m.pt", archive(**{f"m_{number}_pkl": pickle.dumps(number) for number in range(6)}))

    assert "executes" in found.note


def test_names_beyond_those_kept_are_counted(tmp_path: Path) -> None:
    many = b"".join(b"cpackage\nname%d\n0" % number for number in range(250))

    found = read(tmp_path, "m.pkl", b"\x80\x02" + many + b"cposix\nsystem\n.")

    assert (len(found.calls), found.more) == (200, 51)


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress, bz2.compress, lzma.compress, lzma_alone])
def test_a_compressed_pickle_is_looked_into_and_not_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert read(tmp_path, "m.joblib", pack(pickle.dumps(Evil()))).calls == ("posix.system",)
    assert not (tmp_path / "executed").exists()


def test_a_real_torch_model_is_listed(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.zeros(2)}, tmp_path / "m.pt")

    assert "torch._utils._rebuild_tensor_v2" in signature_of(str(tmp_path / "m.pt")).calls


def test_plain_values_are_no_reason_to_warn_of_calls(tmp_path: Path) -> None:
    found = read(tmp_path, "m.pkl", pickle.dumps({"a": [1, 2.0, "x"]}))

    assert (found.calls, found.note) == ((), "a pickle of plain values")


DIRECTORY = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 60000, 60000, TEN_GB & 0x7FFFFFFF or 1 << 30, 0, 0)
HOSTILE = {
    "10 GB header": ("m.safetensors", safetensors(b"{}", TEN_GB)),
    "header past the end": ("m.safetensors", safetensors(b"{}", 3)),
    "largest header": ("m.safetensors", safetensors(b"{}", (1 << 64) - 1)),
    "empty": ("m.safetensors", b""),
    "header that is a list": ("m.safetensors", safetensors([1])),
    "deep header": ("m.safetensors", safetensors(b"[" * 100_000)),
    "header of noise": ("m.safetensors", safetensors(bytes(range(256)))),
    "shape that is none": ("m.safetensors", safetensors({"w": {"dtype": "F32", "shape": [-1]}})),
    "tensor that is none": ("m.safetensors", safetensors({"w": 1})),
    "onnx of noise": ("m.onnx", os.urandom(100_000)),
    "onnx of zeros": ("m.onnx", bytes(1 << 20)),
    "onnx with a field of 10 GB": ("m.onnx", varint(7 << 3 | 2) + varint(TEN_GB)),
    "onnx of a million fields": ("m.onnx", field(1, 1) * 1_000_000),
    "onnx empty": ("m.onnx", b""),
    "pickle of noise": ("m.pkl", b"\xff" * 1000),
    "pickle empty": ("m.pkl", b""),
    "pickle of a 10 GB text": ("m.pkl", b"\x80\x04\x8d" + struct.pack("<Q", TEN_GB) + b"x."),
    "pickle of more opcodes than are read": ("m.pkl", b"\x80\x02" + b"N0" * 300_000 + pickle.dumps(Evil(), 0)),
    "compressed pickle cut short": ("m.joblib", zlib.compress(pickle.dumps(Evil()))[:10]),
    "compressed noise": ("m.joblib", b"\xfd7zXZ\0" + os.urandom(1000)),
    "header of the longest kind": ("m.safetensors", safetensors(b'{"w":{"dtype":"F","shape":[' + b"1," * (8 << 20))),
    "zip cut short": ("m.pt", archive(m_data_pkl=pickle.dumps(1))[:60]),
    "zip of noise": ("m.pt", b"PK\x03\x04" + os.urandom(1000)),
    "zip that claims a large directory": ("m.pt", b"PK\x03\x04" + DIRECTORY),
}


@pytest.mark.parametrize("label", HOSTILE)
def test_what_is_hostile_is_unreadable_in_under_a_second(tmp_path: Path, label: str) -> None:
    name, data = HOSTILE[label]
    began = time.process_time()

    found = read(tmp_path, name, data)

    assert time.process_time() - began < 1 * SLACK
    assert found.format == "unreadable"
    assert found.note


def test_an_archive_that_unpacks_to_much_is_read_to_a_limit(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        for number in range(30):
            made.writestr(f"{number}.pkl", b"\x80\x04" + b"N0" * (16 << 20))
    began = time.process_time()

    found = read(tmp_path, "m.pt", out.getvalue())

    assert time.process_time() - began < 2 * SLACK
    assert found.format in ("pickle", "unreadable")


def test_a_pipe_and_a_link_are_not_followed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "link.pt").symlink_to("/etc/passwd")

    assert [signature_of(str(tmp_path / name)).format for name in ("pipe.pt", "link.pt")] == ["unreadable"] * 2


def test_a_file_of_another_kind_has_no_signature(tmp_path: Path) -> None:
    assert read(tmp_path, "readme.md", b"# hello") == Signature()
