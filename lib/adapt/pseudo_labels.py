"""Pseudo-labels of unlabelled crops: predicted over views, kept by confidence, handed to a training step.

Labels are keypoints in image px, so that each training crop, however it is augmented, takes them through its own map.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..metrics import longest_side, pck
from ..utils.batch import PixelStatistics, as_images, final_output, standardise
from ..utils.precision import FP32, Precision, untimed
from .perturb import MILD
from .views import inverse, on_heatmaps, random_maps, resample, transform

SHOWN = 32  # crops of a round's picture
ACCURACY_AT = 0.05  # of the box's longest side, as PCK@0.05


@dataclass(frozen=True)
class Views:
    """T views of a crop: itself, and T - 1 that are scaled by 1 +- `scale`, turned by +- `rotation` and recoloured."""

    count: int = 1
    scale: float = 0.25
    rotation: float = 30.0


class Predictor:
    """Keypoints and confidences of all unlabelled crops by a network, in batches on its device.

    `loader` gives crops as `dataset.TestCrops` does, `center` and `scale` (N,2) are the boxes of all records, image px.
    """

    def __init__(
        self,
        codec: Any,
        loader: Any,
        center: np.ndarray,
        scale: np.ndarray,
        device: torch.device,
        pixels: PixelStatistics,
        views: Views = Views(),  # noqa: B008
        most: int = 1024,
        precision: Precision = FP32,
    ):
        """`most` crops are given to the network, which computes in `precision`, at once."""
        self.most, self.precision = most, precision
        self.codec, self.loader, self.device, self.pixels, self.views = codec, loader, device, pixels, views
        self.boxes = torch.from_numpy(np.concatenate([center, scale], axis=1)).to(device)
        self.sample: dict[str, Tensor] | None = None  # crops of the last prediction, from all over the data, and index

    @untimed()
    @torch.no_grad()
    def __call__(self, model: nn.Module) -> tuple[Tensor, Tensor]:
        """Keypoints (N,K,2), image px, and confidences (N,K), the maxima of the mean heatmaps over the views."""
        model.eval()
        keypoints = torch.zeros(len(self.boxes), self.codec.num_joints, 2, device=self.device)
        confidence = torch.zeros(keypoints.shape[:2], device=self.device)
        shown = np.unique(np.linspace(0, len(keypoints) - 1, SHOWN).astype(int))
        seen: list[tuple[Tensor, Tensor]] = []
        for batch in self.loader:
            index = batch["index"].to(self.device, non_blocking=True)
            # an image with many animals makes a large batch
            parts = as_images(batch["crop"], self.device).split(self.most)
            found, scores = self.codec.decode(torch.cat([self.heatmaps(model, part) for part in parts]))
            box = self.boxes[index]
            keypoints[index] = self.codec.to_image(found, box[:, :2], box[:, 2:]).float()
            confidence[index] = scores
            chosen = torch.from_numpy(np.isin(batch["index"].numpy(), shown))
            seen.append((batch["crop"][chosen], batch["index"][chosen]))
        self.sample = dict(zip(("crop", "index"), (torch.cat(parts) for parts in zip(*seen, strict=True)), strict=True))
        return keypoints, confidence

    def heatmaps(self, model: nn.Module, images: Tensor) -> Tensor:
        """The mean (B,K,h,w) over the views, taken back to the crop; where a view does not reach it has no say."""
        total = final_output(self.precision.run(model, standardise(images.clone(), self.pixels)))
        weight = torch.ones_like(total[:, :1])
        for _ in range(self.views.count - 1):
            maps = random_maps(images, self.views.scale, self.views.rotation)
            view = standardise(MILD(resample(images, inverse(maps))), self.pixels)
            output = final_output(self.precision.run(model, view))
            covered = torch.cat([output, torch.ones_like(output[:, :1])], dim=1)
            back = resample(covered, on_heatmaps(maps, self.codec))
            total, weight = total + back[:, :-1], weight + back[:, -1:]
        return total / weight


@dataclass
class LabelReport:
    """What is told of a round of pseudo-labels. Accuracies are PCK@0.05 in percent, NaN where nothing is known.

    `per_joint` are (number kept, accuracy of the kept) of each keypoint. `sample` holds a few crops (n, H, W, 3) with
    their labels (n, K, 2) in input px and whether each was kept (n, K); None in a resumed run before its first round.
    """

    threshold: float
    kept: int
    share: float
    accuracy_kept: float
    accuracy_rejected: float
    per_joint: list[tuple[int, float]]
    sample: dict[str, Tensor] | None


class PseudoLabels:
    """The labels of N unlabelled crops.

    `truth` (N,K,2), image px, and `known` (N,K) are the labels that exist for measuring alone; `boxes` (N,4).
    """

    def __init__(
        self,
        truth: np.ndarray,
        known: np.ndarray,
        boxes: np.ndarray,
        flip_pairs: Sequence[Sequence[int]],
        device: torch.device,
    ):
        self.truth, self.known, self.lengths = truth, known, longest_side(boxes)
        joints = truth.shape[1]
        order = np.arange(joints)
        for left, right in flip_pairs:
            order[[left, right]] = right, left
        self.swapped = torch.from_numpy(order).to(device)
        self.keypoints = torch.zeros(len(truth), joints, 2, device=device)
        self.confidence = torch.zeros(len(truth), joints, device=device)
        self.kept = torch.zeros(len(truth), joints, dtype=torch.bool, device=device)
        self.threshold = float("inf")
        self.predicted = False

    def set(self, keypoints: Tensor, confidence: Tensor) -> None:
        """New labels; none is kept before `keep`."""
        self.keypoints, self.confidence, self.predicted = keypoints, confidence, True
        self.kept = torch.zeros_like(self.kept)

    def keep(self, threshold: float) -> None:
        """Keeps labels whose confidence is `threshold` or more, and above 0."""
        self.threshold = threshold
        self.kept = (self.confidence >= threshold) & (self.confidence > 0)

    def targets(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Keypoints (B,K,2) in input px of a batch of `dataset.TrainingCrops`, and 1 where they are kept (B,K)."""
        device = self.keypoints.device
        index, maps, mirrored = (batch[key].to(device, non_blocking=True) for key in ("index", "map", "mirrored"))
        keypoints = transform(self.keypoints[index], maps)
        kept = self.kept[index]
        keypoints = torch.where(mirrored.view(-1, 1, 1), keypoints[:, self.swapped], keypoints)
        return keypoints, torch.where(mirrored.view(-1, 1), kept[:, self.swapped], kept).float()

    def report(self, sample: Mapping[str, Tensor] | None) -> LabelReport:
        """Counts and accuracies; `sample` has crops, their index, and their maps (n,2,3) from image px to input px."""
        keypoints, kept = self.keypoints.cpu().numpy(), self.kept.cpu().numpy()
        per_joint = [
            (int(kept[:, joint].sum()), self._accuracy(keypoints, kept & (np.arange(kept.shape[1]) == joint)))
            for joint in range(kept.shape[1])
        ]
        shown = None
        if sample is not None:
            index = sample["index"]
            labels = transform(torch.from_numpy(keypoints)[index], sample["map"])
            shown = {"crop": sample["crop"], "keypoints_input": labels, "kept": torch.from_numpy(kept)[index]}
        return LabelReport(
            self.threshold, int(kept.sum()), float(kept.mean()), self._accuracy(keypoints, kept),
            self._accuracy(keypoints, ~kept), per_joint, shown,
        )  # fmt: skip

    def _accuracy(self, keypoints: np.ndarray, among: np.ndarray) -> float:
        counted = among & (self.known > 0)
        if not counted.any():
            return float("nan")
        shares = pck(keypoints, self.truth, self.lengths, ACCURACY_AT, counted)
        return float(100 * (np.nan_to_num(shares) * counted.sum(axis=0)).sum() / counted.sum())

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("keypoints", "confidence", "kept", "threshold", "predicted")}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        device = self.keypoints.device
        for name in ("keypoints", "confidence", "kept"):
            setattr(self, name, state[name].to(device))
        self.threshold, self.predicted = float(state["threshold"]), bool(state["predicted"])
