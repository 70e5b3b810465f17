"""Trains a small network on scikit-learn's bundled digits, and records it: an ordinary training script.

1,797 images of 8 by 8 pixels, ten classes; a few seconds on one core. It needs torch and scikit-learn, and of
mlconsole only the recorder. Run it as ``mlconsole launch -- python digits.py --lr 0.1``, or without the launch.
"""

from __future__ import annotations

import argparse
import csv
import json
import struct
import tempfile
import time
from pathlib import Path

import sklearn
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F

import mlconsole

PIXEL_MAX = 16.0
DATA_FILE = Path(sklearn.__file__).parent / "datasets" / "data" / "digits.csv.gz"


def options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description="Train a small network on scikit-learn's digits.")
    parser.add_argument("--model", choices=("mlp", "cnn"), default="mlp")
    parser.add_argument("--hidden", type=int, default=64, help="width of the hidden layer, or channels")
    parser.add_argument("--optimizer", choices=("sgd", "adam"), default="sgd")
    parser.add_argument("--lr", type=float, default=0.1, help="learning rate")
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--batch", type=int, default=64, help="images in a step")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--norm", action="store_true", help="normalise the hidden layer over the batch")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--recent", default="", help="CSV of labelled images that came in lately, to learn from as well"
    )
    parser.add_argument("--kept", default="", help="CSV of such images that are kept back, to judge by")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds to rest after a step")
    parser.add_argument("--minutes", type=float, default=0.0, help="end after the epoch in which they have passed")
    return parser.parse_args()


def network(args: argparse.Namespace) -> nn.Module:
    """The network: one hidden layer, or two convolutions with a pooling each."""
    width = args.hidden
    if args.model == "mlp":
        norm = [nn.BatchNorm1d(width)] if args.norm else []
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), *norm, nn.LeakyReLU(), nn.Linear(width, 10))
    first = (nn.Conv2d(1, width, 3, padding=1), nn.LeakyReLU(), nn.MaxPool2d(2))
    second = (nn.Conv2d(width, 2 * width, 3, padding=1), nn.LeakyReLU(), nn.MaxPool2d(2))
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(2 * width * 4, 10))


def train(args: argparse.Namespace, run: mlconsole.Run) -> nn.Module:
    """Train to the end, logging every step and every epoch."""
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images / PIXEL_MAX, labels, test_size=0.2, random_state=args.seed, stratify=labels)
    x, x_val = (torch.tensor(part, dtype=torch.float32).reshape(-1, 1, 8, 8) for part in parts[:2])
    y, y_val = (torch.tensor(part) for part in parts[2:])
    if args.recent:
        new_x, new_y = labelled(args.recent)
        x, y = torch.cat((x, new_x)), torch.cat((y, new_y))
        run.log_dataset(args.recent, name="digits-recent")
    model = network(args)
    run.log_params({"weights": sum(p.numel() for p in model.parameters()), "images": len(x)})
    momentum = {"momentum": args.momentum} if args.optimizer == "sgd" else {}
    rule = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[args.optimizer]
    optimizer = rule(model.parameters(), lr=args.lr, **momentum)
    started, step = time.monotonic(), 0
    for epoch in range(1, args.epochs + 1):
        model.train()
        for chosen in torch.randperm(len(x)).split(args.batch):
            loss = F.cross_entropy(model(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            run.log({"train/loss": loss.item()}, step=step)
            time.sleep(args.pause)
        val_loss, accuracy = evaluate(model, x_val, y_val)
        run.log({"val/loss": val_loss, "val/acc": accuracy, "epoch": epoch}, step=step)
        if args.kept:
            run.log({"recent/acc": evaluate(model, *labelled(args.kept))[1]}, step=step)
        print(f"epoch {epoch}/{args.epochs}  train/loss {loss.item():.4g}  val/loss {val_loss:.4g}  acc {accuracy:.3f}")
        if args.minutes and time.monotonic() - started > 60 * args.minutes:
            print(f"{args.minutes:g} minutes have passed: enough.")
            break
    return model


def labelled(path: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and digits of a CSV file without a header: 64 pixels and the digit in each line."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = [[float(cell) for cell in row] for row in csv.reader(file)]
    found = torch.tensor(rows)
    return found[:, :64].reshape(-1, 1, 8, 8) / PIXEL_MAX, found[:, 64].long()


def evaluate(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    """Loss and accuracy on images that were kept back."""
    model.eval()
    with torch.no_grad():
        scores = model(x)
    return F.cross_entropy(scores, y).item(), (scores.argmax(1) == y).float().mean().item()


def save(model: nn.Module, path: Path) -> None:
    """Write the weights in the safetensors format: a header in JSON, then the raw numbers; nothing to unpickle."""
    header: dict[str, object] = {}
    blobs: list[bytes] = []
    offset = 0
    for name, tensor in model.state_dict().items():
        blobs.append(tensor.to(torch.float32).contiguous().numpy().astype("<f4").tobytes())
        end = offset + len(blobs[-1])
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def main() -> None:
    """Train and record one run."""
    args = options()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    with mlconsole.start_run(experiment="digits", params=vars(args)) as run:
        run.log_dataset(DATA_FILE, name="digits")
        print(f"training a {args.model} with {args.hidden} hidden on {DATA_FILE.name}, lr {args.lr:g}", flush=True)
        model = train(args, run)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "weights.safetensors")
            save(model, path)
            run.log_model(path, name="digits-" + args.model)


if __name__ == "__main__":
    main()
