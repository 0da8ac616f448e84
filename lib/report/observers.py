"""What is shown while a network trains or predicts: progress, log lines, TensorBoard, pictures."""

import logging
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from .pictures import heatmap_sheet, save_picture, skeleton_sheet
from .run import Board

logger = logging.getLogger(__name__)

_TAG = str.maketrans({" ": "_", "@": "_", "(": None, ")": None})  # TensorBoard's tags: "AP (M)" is AP_M


@dataclass(frozen=True)
class PictureKinds:
    """Which contact sheets are written; the keys of the same names under DEBUG."""

    images_gt: bool = False
    images_pred: bool = False
    heatmaps_gt: bool = False
    heatmaps_pred: bool = False


class Painter:
    """Batches as contact sheets.

    `codec` maps keypoints from heatmap to input px; `rgb` says in which order the crops' channels are.
    """

    def __init__(self, skeleton: Any, codec: Any, rgb: bool, kinds: PictureKinds = PictureKinds()):  # noqa: B008
        self.skeleton, self.codec, self.rgb, self.kinds = skeleton, codec, rgb, kinds

    def predictions(self, batch: Mapping[str, Tensor], keypoints_heatmap: Tensor, scores: Tensor) -> np.ndarray:
        """Crops with the predicted skeletons; joints with a score above 0 are drawn."""
        keypoints = self.codec.heatmap_to_input(keypoints_heatmap)
        return self._skeletons(batch, _array(keypoints), _array(scores > 0))

    def annotations(self, batch: Mapping[str, Tensor]) -> np.ndarray:
        """Crops with the annotated skeletons."""
        return self._skeletons(batch, _array(batch["keypoints_input"]), _array(batch["visible"]))

    def pseudo_labels(self, sample: Mapping[str, Tensor]) -> np.ndarray:
        """Crops with their pseudo-labels; those that are not `kept` are rings, without lines."""
        kept = _array(sample["kept"])
        return self._skeletons(sample, _array(sample["keypoints_input"]), np.ones_like(kept), ~kept)

    def save(
        self, folder: Path, prefix: str, batch: Mapping[str, Tensor], target: Tensor | None, output: Tensor
    ) -> None:
        """Writes the wanted sheets: <prefix>_gt.jpg, _pred.jpg, _hm_gt.jpg, _hm_pred.jpg, the forks' names.

        `target` is None for detections, which have no annotation to draw.
        """
        keypoints, scores = self.codec.decode(output.float())
        if self.kinds.images_pred:
            save_picture(folder / f"{prefix}_pred.jpg", self.predictions(batch, keypoints, scores))
        if self.kinds.heatmaps_pred:
            found = self._heatmaps(batch, self.codec.heatmaps(output), self.codec.heatmap_to_input(keypoints))
            save_picture(folder / f"{prefix}_hm_pred.jpg", found)
        if target is not None and self.kinds.images_gt:
            save_picture(folder / f"{prefix}_gt.jpg", self.annotations(batch))
        if target is not None and self.kinds.heatmaps_gt:
            disks = target[:, :: self.codec.channels_per_joint]
            save_picture(folder / f"{prefix}_hm_gt.jpg", self._heatmaps(batch, disks, batch["keypoints_input"]))

    def _skeletons(
        self, batch: Mapping[str, Tensor], keypoints: np.ndarray, visible: np.ndarray, hollow: np.ndarray | None = None
    ) -> np.ndarray:
        limbs, names = self.skeleton.limbs, self.skeleton.names
        return skeleton_sheet(self._crops(batch), keypoints, visible, limbs, names, hollow=hollow)

    def _heatmaps(self, batch: Mapping[str, Tensor], maps: Tensor, keypoints: Tensor) -> np.ndarray:
        return heatmap_sheet(self._crops(batch), _array(maps) / self.codec.peak, _array(keypoints), self.skeleton.names)

    def _crops(self, batch: Mapping[str, Tensor]) -> np.ndarray:
        crops = _array(batch["crop"])
        return crops[..., ::-1] if self.rgb else crops


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


class TrainingReporter:
    """Follows a training: a progress bar on a terminal, plain lines elsewhere, TensorBoard, pictures."""

    def __init__(
        self,
        board: Board,
        painter: Painter,
        folder: Path,
        first_epoch: int,
        epochs: int,
        steps: int,
        headline: str = "AP",
        advice: Mapping[str, str] | None = None,
    ):
        """`headline` names the number that `on_epoch` is given; `advice` is said once, for a pace's `bound`."""
        self.headline, self.advice = headline, dict(advice or {})
        self.board, self.painter, self.folder, self.steps = board, painter, folder, steps
        self.on_terminal = sys.stderr.isatty()
        total, done = epochs * steps, first_epoch * steps
        self.bar = tqdm(total=total, initial=done, unit="step", disable=not self.on_terminal, dynamic_ncols=True)

    def on_stage(self, stage: int, stages: int, first_epoch: int, end_epoch: int) -> None:
        """A stage of several begins, or goes on in a resumed run; `end_epoch` is the first one after it."""
        self._log(f"stage {stage} of {stages}: epochs {first_epoch} to {end_epoch - 1}")

    def on_pseudo_labels(self, epoch: int, labels: Any) -> None:
        """Pseudo-labels for `epoch` are there; see adapt.LabelReport. Kept ones are disks, the others rings."""
        self._log(
            f"epoch {epoch}: {labels.kept} pseudo-labels kept ({labels.share:.0%}) from confidence "
            f"{labels.threshold:.3f}; PCK@0.05 {labels.accuracy_kept:.1f}, of the others {labels.accuracy_rejected:.1f}"
        )
        names = self.painter.skeleton.names
        figures = {
            "threshold": labels.threshold, "number": float(labels.kept), "share": labels.share,
            "accuracy_kept": labels.accuracy_kept, "accuracy_rejected": labels.accuracy_rejected,
        }  # fmt: skip
        for name, (number, accuracy) in zip(names, labels.per_joint, strict=True):
            figures |= {f"number_of/{name}": float(number), f"accuracy_of/{name}": accuracy}
        known = {f"pseudo_labels/{name}": value for name, value in figures.items() if math.isfinite(value)}
        self.board.scalars(known, epoch * self.steps)
        if labels.sample is not None:
            sheet = self.painter.pseudo_labels(labels.sample)
            self.board.picture("pseudo_labels/kept_and_rejected", sheet, epoch * self.steps)
            save_picture(self.folder / "pictures" / f"pseudo_labels_{epoch}.jpg", sheet)

    def on_step(self) -> None:
        """One training step is done."""
        self.bar.update()

    def on_report(self, report: Any) -> None:
        """Figures since the last report; see core.progress.StepReport."""
        self._log(
            f"epoch {report.epoch} step {report.step}/{report.steps}  loss {report.loss:.3e}  accuracy "
            f"{report.accuracy:.3f}  rate {report.learning_rate:.2e}  {report.samples_per_second:.1f} samples/s, "
            f"{report.loading_share:.0%} waiting for data"
        )
        step = report.epoch * report.steps + report.step
        self.board.scalars(
            {
                "train/loss": report.loss,
                "train/accuracy": report.accuracy,
                "train/learning_rate": report.learning_rate,
                "train/samples_per_second": report.samples_per_second,
                **{f"train/{name}": value for name, value in report.figures.items()},
            },
            step,
        )
        if any(vars(self.painter.kinds).values()):
            prefix = f"train_{report.epoch}_{report.step}"
            self.painter.save(self.folder / "pictures", prefix, report.batch, report.target, report.output)

    def on_pace(self, pace: Any) -> None:
        """What the speed of an epoch hung on; see core.waiting.Pace."""
        self._log(f"epoch {pace.epoch}: bound by the {pace.bound} ({pace.waiting:.0%} of the time waiting for data)")
        if pace.bound in self.advice:
            self._log(self.advice.pop(pace.bound))
        self.board.scalars({"train/waiting_for_data": pace.waiting}, (pace.epoch + 1) * self.steps)

    def on_scores(self, epoch: int, scores: Mapping[str, float]) -> None:
        """Scores of the validation after `epoch`, at the end of its steps."""
        tags = {f"valid/{name.translate(_TAG)}": value for name, value in scores.items()}
        self.board.scalars(tags, (epoch + 1) * self.steps)

    def on_picture(self, epoch: int, name: str, image: np.ndarray) -> None:
        """A picture from the validation after `epoch`."""
        self.board.picture(name, image, (epoch + 1) * self.steps)

    def on_epoch(self, epoch: int, score: float | None, is_best: bool) -> None:
        """An epoch is done and saved; `score` is None where it was not scored."""
        if score is not None:
            self._log(f"epoch {epoch} done: {self.headline} {score:.4f}{', the best so far' if is_best else ''}")

    def close(self) -> None:
        """Ends the progress bar and writes what TensorBoard has not."""
        self.bar.close()
        self.board.close()

    def _log(self, line: str) -> None:
        with logging_redirect_tqdm() if self.on_terminal else _nothing():
            logger.info(line)


class Silent:
    """An observer of what other processes tell: all of a TrainingReporter's methods, doing nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *seen: None


class PredictionReporter:
    """Follows a prediction: a progress bar, the pictures asked for, and one sheet of predictions kept in `sheet`."""

    def __init__(
        self, painter: Painter, codec: Any, total: int, folder: Path, prefix: str, picture_every: int, annotated: bool
    ):
        self.painter, self.codec, self.folder, self.prefix = painter, codec, folder, prefix
        self.picture_every, self.annotated, self.batches = picture_every, annotated, 0
        self.sheet: np.ndarray | None = None
        self.bar = tqdm(total=total, unit="crop", disable=not sys.stderr.isatty(), dynamic_ncols=True, leave=False)

    def __call__(self, batch: dict[str, Tensor], output: Tensor, keypoints: Tensor, scores: Tensor) -> None:
        """One batch is predicted; see core.predict.BatchObserver."""
        if self.sheet is None:
            self.sheet = self.painter.predictions(batch, keypoints, scores)
        if self.batches % self.picture_every == 0 and any(vars(self.painter.kinds).values()):
            target = self.codec.encode(batch["keypoints_input"], batch["visible"])[0] if self.annotated else None
            self.painter.save(self.folder / "pictures", f"{self.prefix}_{self.batches}", batch, target, output)
        self.batches += 1
        self.bar.update(len(output))
        if self.bar.n >= (self.bar.total or 0):
            self.bar.close()


class _nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *exception: Any) -> None: ...
