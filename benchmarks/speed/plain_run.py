"""The plain path's whole runs: a test and an epoch of training, looped as the papers' code loops.

python -m benchmarks.speed.plain_run --cfg X.yaml KEY VALUE ...        the test, asked for as tools/test.py is

Only the network, the configuration and the codec's constants are heatpose's. An image is read anew for each box, crops
are normalised in float by the data set, which also draws a target joint by joint, at test time too; heatmaps go to
NumPy for the mirrored output, the accuracy of every batch and the decoding, a joint at a time. See plain.py.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from heatpose.codecs import build_codec
from heatpose.codecs.base import Codec
from heatpose.config import data_path, load_config
from heatpose.core.weights import load_weights
from heatpose.dataset.skeletons import COCO as SKELETON
from heatpose.models import build_model

from . import plain, plain_scores


class Boxes(Dataset):
    """One detected box an item: input, target, weight, and what leads back to the image. Codec gaussian only."""

    def __init__(self, cfg: Any, codec: Codec):
        if codec.name != "gaussian":
            raise ValueError(f"MODEL.CODEC is {codec.name}: the plain test is written for gaussian; set it to that")
        root = Path(data_path(cfg, cfg.DATASET.ROOT))
        self.codec, self.color_rgb = codec, cfg.DATASET.COLOR_RGB
        self._loader: DataLoader | None = None
        self.folder = root / "images" / cfg.DATASET.TEST_SET
        self.truth = plain_scores.open_truth(root / f"annotations/person_keypoints_{cfg.DATASET.TEST_SET}.json")
        width, height = codec.input_size
        self.people = plain_scores.load_detections(Path(data_path(cfg, cfg.TEST.COCO_BBOX_FILE)), width / height)

    def loader(self, cfg: Any, device: torch.device) -> DataLoader:
        """Batches, by processes that live as long as this, as heatpose's do."""
        if self._loader is None:
            self._loader = DataLoader(
                self, cfg.TEST.BATCH_SIZE_PER_GPU, num_workers=cfg.WORKERS, pin_memory=device.type == "cuda",
                persistent_workers=cfg.WORKERS > 0,
            )  # fmt: skip
        return self._loader

    def __len__(self) -> int:
        return len(self.people)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        person, joints = self.people[index], self.codec.num_joints
        image = plain.read_image(self.folder / self.truth.imgs[person["image"]]["file_name"])
        if self.color_rgb:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        center, scale = person["center"], person["scale"] * np.float32(200)
        matrix = self.codec.warp_matrix(center, scale)
        points = np.zeros((joints, 2), np.float32)  # the forks give a detection joints at (0, 0), all visible
        for joint in range(joints):
            points[joint] = plain.transform(points[joint], matrix)
        target, weight = plain.encode(self.codec, points, np.ones(joints, np.float32))
        return plain.crop(image, matrix, self.codec.input_size), target, weight, {"center": center, "scale": scale}


@torch.no_grad()
def test(cfg: Any, codec: Codec, model: nn.Module, boxes: Boxes, results: Path, device: torch.device) -> list[float]:
    """COCO's ten numbers; writes the results file."""
    model.eval()
    found, losses, hits = np.zeros((len(boxes), codec.num_joints, 3), np.float32), Mean(), Mean()
    done = 0
    for images, target, weight, box in boxes.loader(cfg, device):
        output = flip_tested(model, images.to(device), codec) if cfg.TEST.FLIP_TEST else model(images.to(device))
        target, weight = target.to(device, non_blocking=True), weight.to(device, non_blocking=True)
        losses.add(joints_mse(output, target, weight).item(), len(images))
        hits.add(*accuracy(output.cpu().numpy(), target.cpu().numpy()))
        rows, heatmaps = slice(done, done + len(images)), output.clone().cpu().numpy()
        found[rows, :, :2], found[rows, :, 2] = plain.decode(
            codec, heatmaps, box["center"].numpy(), box["scale"].numpy()
        )
        done += len(images)
    entries = plain_scores.results(
        found, boxes.people, np.asarray(SKELETON.sigmas), cfg.TEST.IN_VIS_THRE, cfg.TEST.OKS_THRE
    )
    results.write_text(json.dumps(entries))
    return plain_scores.evaluate(boxes.truth, results)


test.__test__ = False  # type: ignore[attr-defined]


def flip_tested(model: nn.Module, images: Tensor, codec: Any) -> Tensor:
    """The mean of both ways round; mirroring is done in NumPy."""
    output = model(images)
    mirrored = torch.from_numpy(np.flip(images.cpu().numpy(), 3).copy()).to(images.device)
    return (output + flipped_back(model(mirrored), codec)) * 0.5


def flipped_back(output: Tensor, codec: Any) -> Tensor:
    """The output of mirrored images as that of unmirrored ones, by way of NumPy."""
    flipped = plain.flip_back(output.cpu().numpy(), SKELETON.flip_pairs, codec)
    back = torch.from_numpy(flipped.copy()).to(output.device)
    if getattr(codec, "shift_heatmap", False):
        back[:, :, :, 1:] = back.clone()[:, :, :, :-1]
    return back


def joints_mse(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """JointsMSE, joint by joint in PyTorch."""
    count, joints = output.shape[:2]
    total: Any = 0
    for joint in range(joints):
        found, wanted = (maps[:, joint].reshape(count, -1) * weight[:, joint] for maps in (output, target))
        total = total + 0.5 * nn.functional.mse_loss(found, wanted)
    return total / joints


def accuracy(output: np.ndarray, target: np.ndarray) -> tuple[float, int]:
    """The forks' accuracy of heatmaps, and how many joints it is the mean of; see heatpose.metrics.heatmap_accuracy."""
    count, joints, height, width = output.shape
    found, wanted = (_maxima(maps) for maps in (output, target))
    unit, shares = np.array([height / 10, width / 10]), []
    for joint in range(joints):
        near = []
        for person in range(count):
            if wanted[person, joint, 0] > 1 and wanted[person, joint, 1] > 1:
                near.append(np.linalg.norm((found[person, joint] - wanted[person, joint]) / unit) < 0.5)
        if near:
            shares.append(float(np.mean(near)))
    return (float(np.mean(shares)) if shares else 0.0), len(shares)


def _maxima(maps: np.ndarray) -> np.ndarray:
    flat = maps.reshape(*maps.shape[:2], -1)
    places = flat.argmax(axis=2)
    points = np.stack([places % maps.shape[3], places // maps.shape[3]], axis=2).astype(np.float32)
    return points * (flat.max(axis=2) > 0)[..., None]


class Mean:
    """A weighted mean, summed on the CPU."""

    def __init__(self) -> None:
        self.total, self.weight = 0.0, 0.0

    def add(self, value: float, weight: float) -> None:
        self.total, self.weight = self.total + value * weight, self.weight + weight

    @property
    def value(self) -> float:
        return self.total / max(self.weight, 1)


def train(
    model: nn.Module, loader: DataLoader, optimizer: torch.optim.Optimizer, device: torch.device
) -> tuple["Mean", "Mean"]:
    """Means of loss and accuracy of one epoch; both are taken to the CPU at every step."""
    model.train()
    losses, hits = Mean(), Mean()
    for images, target, weight in loader:
        output = model(images.to(device, non_blocking=True))
        target, weight = target.to(device, non_blocking=True), weight.to(device, non_blocking=True)
        loss = joints_mse(output, target, weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.add(loss.item(), len(images))
        hits.add(*accuracy(output.detach().cpu().numpy(), target.detach().cpu().numpy()))
    return losses, hits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cfg", required=True)
    parser.add_argument("opts", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    cfg = load_config(options.cfg, options.opts)
    codec, model = build_codec(cfg), build_model(cfg)
    load_weights(model, Path(cfg.TEST.MODEL_FILE))
    output = Path(cfg.OUTPUT_DIR)
    output.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(test(cfg, codec, model.to(device), Boxes(cfg, codec), output / "plain_results.json", device))


if __name__ == "__main__":
    main()
