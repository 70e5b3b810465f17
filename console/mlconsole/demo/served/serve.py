"""Answers which digit an image shows: ``serve.py RELEASE PORT [LOG]``, on loopback.

``GET /health`` is 200 once the weights are read. ``POST /predict`` takes ``{"images": [[64 numbers from 0 to 16],
...]}`` and answers ``{"digits": [...], "confidences": [...], "model": NAME, "release": ID}``. With LOG, what was asked
is appended to that file, a line of JSON for each image: figures of the image, the answer, and the release that gave
it; what is asked with ``"log": false``, to try the model, is not. It needs torch, and nothing of mlconsole.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import torch
from torch import nn

PIXEL_MAX = 16.0
MOST_BYTES = 8 << 20


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file: a header in JSON, then raw numbers; nothing is unpickled."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    body = bytearray(data[8 + length :])
    found = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        found[name] = torch.frombuffer(body[start:end], dtype=torch.float32).reshape(entry["shape"])
    return found


def network(weights: dict[str, torch.Tensor]) -> nn.Module:
    """The network with one hidden layer that the weights are of."""
    width = weights["1.weight"].shape[0]
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.LeakyReLU(), nn.Linear(width, 10))
    model.load_state_dict(weights)
    return model.eval()


def figures(image: list[float]) -> dict[str, float]:
    """What a monitor looks at: how much ink there is, and where, from 0 to 16."""
    rows = [image[8 * row : 8 * row + 8] for row in range(8)]
    return {
        "ink": round(sum(image) / 64, 4),
        "top": round(sum(map(sum, rows[:4])) / 32, 4),
        "bottom": round(sum(map(sum, rows[4:])) / 32, 4),
        "left": round(sum(sum(row[:4]) for row in rows) / 32, 4),
        "right": round(sum(sum(row[4:]) for row in rows) / 32, 4),
        "darkest": round(max(image), 4),
    }


class Answers:
    """The model of a release, and the log of what it was asked.

    Args:
        release: the release's folder, as it was laid out.
        log: where to append; None for nowhere.
    """

    def __init__(self, release: Path, log: Path | None) -> None:
        self.path = next(path for path in sorted((release / "model").rglob("*")) if path.is_file())
        self._model = network(read_weights(self.path))
        self._release = os.environ.get("MLCONSOLE_RELEASE", release.name)
        self._log = log
        self._lock = threading.Lock()

    def predict(self, images: list[list[float]], *, is_logged: bool = True) -> dict[str, object]:
        """The digit that each image shows, how sure that is, and who says so."""
        with torch.no_grad():
            chances = self._model(torch.tensor(images, dtype=torch.float32) / PIXEL_MAX).softmax(1)
        sure, digits = (found.tolist() for found in chances.max(1))
        if self._log is not None and is_logged:
            self._write(images, digits, sure)
        sure = [round(one, 4) for one in sure]
        return {"digits": digits, "confidences": sure, "model": self.path.name, "release": self._release}

    def _write(self, images: list[list[float]], digits: list[int], sure: list[float]) -> None:
        assert self._log is not None
        at = round(time.time(), 3)
        lines = [
            json.dumps({**figures(image), "digit": str(digit), "confidence": one, "at": at, "release": self._release})
            for image, digit, one in zip(images, digits, sure, strict=True)
        ]
        with self._lock, self._log.open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))


class Handler(BaseHTTPRequestHandler):
    """HTTP in front of :class:`Answers`."""

    answers: Answers
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Health."""
        if self.path == "/health":
            self._send(200, {"model": self.answers.path.name})
        else:
            self._send(404, {"error": "ask /health or /predict"})

    def do_POST(self) -> None:
        """Predictions."""
        size = int(self.headers.get("Content-Length") or 0)
        if self.path != "/predict" or size > MOST_BYTES:
            self._send(404 if self.path != "/predict" else 413, {"error": "POST at most 8 MiB to /predict"})
            return
        try:
            asked = json.loads(self.rfile.read(size))
            self._send(200, self.answers.predict(asked["images"], is_logged=asked.get("log", True) is True))
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            self._send(400, {"error": f"{type(error).__name__}: {error}"})

    def _send(self, status: int, document: dict[str, object]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of each request."""


def main() -> None:
    """Serve until ended."""
    torch.set_num_threads(1)
    release, port, *log = sys.argv[1:]
    Handler.answers = Answers(Path(release), Path(log[0]) if log else None)
    print(f"serving {Handler.answers.path.name} on port {port}", flush=True)
    ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
