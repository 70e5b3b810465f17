"""The inputs and outputs of an ONNX graph, read from its protobuf without the weights.

Field numbers are those of onnx.proto3 (onnx/onnx, IR version 3 and later): ModelProto.graph 7; GraphProto.initializer
5, input 11, output 12; ValueInfoProto.name 1, type 2; TypeProto.tensor_type 1; TypeProto.Tensor.elem_type 1, shape 2;
TensorShapeProto.dim 1; Dimension.dim_value 1, dim_param 2; TensorProto.dims 1, data_type 2, name 8. The wire format is
that of Protocol Buffers, "Encoding".
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

from mlconsole.domain.models import Signature, Tensor

MOST_FIELDS = 200_000
MOST_MESSAGE = 1 << 20
MOST_TENSORS = 10_000
TYPES = ("undefined", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16",
         "float64", "uint32", "uint64", "complex64", "complex128", "bfloat16")  # fmt: skip
VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5

Field = tuple[int, int, int, int]
"""(number, wire type, value or begin of the bytes, end of the bytes)"""


class _Message:
    """Fields of a message that lies in a file, its long fields skipped and not read."""

    def __init__(self, file: BinaryIO, budget: list[int]) -> None:
        self._file = file
        self._budget = budget

    def fields(self, begin: int, end: int) -> Iterator[Field]:
        """The fields between two offsets.

        Raises:
            ValueError: they are no message.
        """
        at = begin
        while at < end:
            self._budget[0] -= 1
            if self._budget[0] < 0:
                raise ValueError("too many fields")
            tag, at = self.varint(at, end)
            number, wire = tag >> 3, tag & 7
            if wire == VARINT:
                value, at = self.varint(at, end)
                yield number, wire, value, at
            elif wire == BYTES:
                length, at = self.varint(at, end)
                if not number or length > end - at:
                    raise ValueError("a field is longer than the file")
                yield number, wire, at, at + length
                at += length
            elif wire in (FIXED_64, FIXED_32):
                at += 8 if wire == FIXED_64 else 4
            else:
                raise ValueError("not a protobuf message")

    def text(self, begin: int, end: int) -> str:
        """A text field, its first thousand bytes."""
        return self._bytes(begin, min(end, begin + 1000)).decode("utf-8", "backslashreplace")

    def varint(self, at: int, end: int) -> tuple[int, int]:
        """The number at an offset, and the offset behind it."""
        data = self._bytes(at, min(end, at + 10))
        value = 0
        for i, byte in enumerate(data):
            value |= (byte & 0x7F) << (7 * i)
            if byte < 0x80:
                return value, at + i + 1
        raise ValueError("a number does not end")

    def _bytes(self, begin: int, end: int) -> bytes:
        self._file.seek(begin, os.SEEK_SET)
        return self._file.read(end - begin)


def read(file: BinaryIO, size: int) -> Signature:
    """The graph's inputs, outputs and weights by name.

    Raises:
        ValueError: it is no ONNX model.
    """
    message = _Message(file, [MOST_FIELDS])
    graphs = [(a, b) for number, wire, a, b in message.fields(0, size) if (number, wire) == (7, BYTES)]
    if not graphs:
        raise ValueError("there is no graph in it")
    parts: dict[int, list[Tensor]] = {5: [], 11: [], 12: []}
    more = 0
    for number, wire, begin, end in message.fields(*graphs[-1]):
        if wire == BYTES and number in parts:
            if len(parts[number]) >= MOST_TENSORS:
                more += 1
            else:
                parts[number].append((_weight if number == 5 else _value)(message, begin, end))
    weights = {tensor.name for tensor in parts[5]}
    inputs = tuple(tensor for tensor in parts[11] if tensor.name not in weights)
    return Signature("onnx", tuple(parts[5]), inputs, tuple(parts[12]), more=more)


def _weight(message: _Message, begin: int, end: int) -> Tensor:
    name, kind, shape = "", 0, list[int | str]()
    for number, wire, a, b in message.fields(begin, end):
        if number == 1 and wire == VARINT:
            shape.append(a)
        elif number == 1 and wire == BYTES and b - a <= MOST_MESSAGE:
            shape += _packed(message, a, b)
        elif number == 2 and wire == VARINT:
            kind = a
        elif number == 8 and wire == BYTES:
            name = message.text(a, b)
    return Tensor(name, _type(kind), tuple(shape[:64]))


def _packed(message: _Message, at: int, end: int) -> list[int]:
    out: list[int] = []
    while at < end and len(out) < 64:
        value, at = message.varint(at, end)
        out.append(value)
    return out


def _value(message: _Message, begin: int, end: int) -> Tensor:
    name, kind, shape = "", 0, list[int | str]()
    for number, wire, a, b in message.fields(begin, end):
        if number == 1 and wire == BYTES:
            name = message.text(a, b)
        elif number == 2 and wire == BYTES:
            for tensor in _inner(message, a, b, 1):
                for inner, how, c, d in message.fields(*tensor):
                    if (inner, how) == (1, VARINT):
                        kind = c
                    elif (inner, how) == (2, BYTES):
                        shape = [_size(message, *dim) for dim in _inner(message, c, d, 1)]
    return Tensor(name, _type(kind), tuple(shape[:64]))


def _size(message: _Message, begin: int, end: int) -> int | str:
    for number, wire, a, b in message.fields(begin, end):
        if (number, wire) == (1, VARINT):
            return a
        if (number, wire) == (2, BYTES):
            return message.text(a, b)
    return "?"


def _inner(message: _Message, begin: int, end: int, wanted: int) -> list[tuple[int, int]]:
    return [(a, b) for number, wire, a, b in message.fields(begin, end) if (number, wire) == (wanted, BYTES)]


def _type(kind: int) -> str:
    return TYPES[kind] if kind < len(TYPES) else f"type {kind}"
