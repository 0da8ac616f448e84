"""Suppression, rescoring, COCO's AP and MPII's PCKh."""

import json
import tempfile
from pathlib import Path

import numpy as np

from heatpose.core.evaluate import CocoScorer, PeopleOfImages, Suppression
from heatpose.dataset.records import Records
from heatpose.dataset.skeletons import COCO
from heatpose.metrics import box_nms, head_size, oks, oks_nms, pck, pckh, soft_oks_nms
from heatpose.metrics.nms import rescore

from .harness import ReferenceFile


def compare_nms(file: ReferenceFile) -> None:
    """All arrays of nms_<fork>."""
    for case in file.cases():
        if case.startswith("box"):
            for name in (name for name in file.outputs() if name.startswith(f"{case}/keep_")):
                file.compare(name, box_nms(file[f"{case}/dets"], float(name.rpartition("_")[2])))
        elif case.startswith("oks"):
            _oks(file, case)
        elif case == "rescore":
            overlap, scores = file["rescore/overlap"], file["rescore/scores"]
            for name in (name for name in file.outputs() if name.startswith("rescore/")):
                kind, threshold = name.removeprefix("rescore/").split("_")
                file.compare(name, rescore(overlap, scores, float(threshold), kind))


def _oks(file: ReferenceFile, case: str) -> None:
    keypoints, scores, areas = (file[f"{case}/{part}"] for part in ("keypoints", "score", "area"))
    if len(keypoints) > 1:
        others = keypoints[0], keypoints[1:], areas[0], areas[1:]
        file.compare(f"{case}/iou0", oks(*others))
        file.compare(f"{case}/iou0_vis0.5", oks(*others, visible=keypoints[1:, :, 2] > 0.5))
    for name in file.outputs():
        if name.startswith((f"{case}/keep_", f"{case}/softkeep_")):
            nms = soft_oks_nms if "softkeep" in name else oks_nms
            file.compare(name, nms(keypoints, scores, areas, float(name.rpartition("_")[2])))


def compare_coco(file: ReferenceFile, annotations: Path) -> None:
    """All arrays of eval_coco_<fork>: from predicted points to the written results and COCOeval's ten numbers."""
    content = json.loads(annotations.read_text())
    for case in file.cases():
        soft = case.endswith("_soft")
        scorer = CocoScorer(content, PeopleOfImages(COCO.sigmas, 0.2, Suppression("oks", 0.9, soft)))
        people = _records(file[f"{case}/boxes"], file[f"{case}/image_id"])
        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder) / "results.json"
            scores = scorer.score_people(file[f"{case}/preds"], people, written)
            results = json.loads(written.read_text())
        file.compare(f"{case}/stats", np.array(list(scores.values())))
        compare_order(file, f"{case}/result_", results)
        file.compare(f"{case}/result_keypoints", np.array([entry["keypoints"] for entry in results]))


def compare_mpii(file: ReferenceFile) -> None:
    """All arrays of eval_mpii_<fork>: PCKh of every joint, over thresholds, and the printed summary."""
    for case in file.cases():
        positions, boxes = file[f"{case}/pos_gt_src"], file[f"{case}/headboxes_src"]
        predicted, truth = file[f"{case}/preds"][..., :2], positions.transpose(2, 0, 1)
        corners, visible = boxes.transpose(2, 0, 1), 1 - file[f"{case}/jnt_missing"].T
        file.compare(f"{case}/summary", np.array(list(pckh(predicted, truth, corners, visible).values())))
        heads = head_size(corners)
        curves = 100 * pck(predicted + 1, truth, heads, np.arange(0, 0.51, 0.01), visible)
        file.compare(f"{case}/pckAll", curves)
        file.compare(f"{case}/PCKh", 100 * pck(predicted + 1, truth, heads, 0.5, visible))


def compare_order(file: ReferenceFile, prefix: str, results: list[dict]) -> None:
    """The arrays image_id and score of written results, in their order."""
    file.compare(f"{prefix}image_id", np.array([entry["image_id"] for entry in results]))
    file.compare(f"{prefix}score", np.array([entry["score"] for entry in results]))


def _records(boxes: np.ndarray, ids: np.ndarray) -> Records:
    """Records of the fork's all_boxes: center, scale, area, score."""
    unique, index = np.unique(ids, return_inverse=True)
    side = np.sqrt(boxes[:, 4])[:, None].repeat(2, axis=1)
    count = len(boxes)
    return Records(
        unique.astype(str), unique, index, boxes[:, :2], side, np.zeros((count, 17, 2)), np.ones((count, 17)),
        boxes[:, 5], np.zeros((count, 4)),
    )  # fmt: skip
