"""Whole test runs on real images: from the fork's experiment file and weights to every point, score and AP."""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from heatpose.codecs import build_codec
from heatpose.config import FrozenConfig, load_config
from heatpose.core.predict import predict
from heatpose.core.weights import load_weights
from heatpose.models import build_model
from heatpose.utils.batch import normalise, place

from .crops import made_by_this_opencv
from .harness import ReferenceFile
from .networks import find_experiment, recipe_weights
from .scores import compare_order

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from common import Validator  # noqa: E402

STEADY = 0.01  # image px; the reference's own points move by more under noise of rounding's size elsewhere
CPU = torch.device("cpu")


def compare(file: ReferenceFile, samples: Path, peers: Path | None, kinds: Sequence[str] = ("gt", "det")) -> None:
    """All arrays of e2e_*, with annotated ("gt") and with detected boxes ("det")."""
    for kind in kinds:
        if kind in file.about["e2e"]:
            with tempfile.TemporaryDirectory() as folder:
                cfg = configure(file, samples / "coco_sample", peers, kind == "gt", Path(folder))
                Run(cfg, Path(folder)).compare(file, kind)


def configure(file: ReferenceFile, root: Path, peers: Path | None, annotated: bool, folder: Path) -> FrozenConfig:
    """The fork's experiment as its user would give it: the file, where the data are, and the weights.

    SimpleBaselines' users ask for the flip test on the command line; the other forks' files do.
    """
    boxes = next((root / "person_detection_results").glob("*.json"))
    codec = ["MODEL.CODEC", "udp"] if file.fork == "udp" and "offset" not in file.name else []
    weights = folder / "weights.pth"
    pairs = {
        "DATASET.ROOT": root,
        "DATASET.DATA_FORMAT": "jpg",
        "TEST.USE_GT_BBOX": annotated,
        "TEST.COCO_BBOX_FILE": boxes,
        "TEST.MODEL_FILE": weights,
        "TEST.FLIP_TEST": file.about["e2e"]["gt"]["test_cfg"]["FLIP_TEST"],
        "WORKERS": 0,
    }
    overrides = [*(str(word) for pair in pairs.items() for word in pair), *codec, *file.about["opts"]]
    cfg = load_config(find_experiment(file.fork, file.about["yaml"], peers), overrides)
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in build_model(cfg).state_dict().items()}
    content = recipe_weights(shapes)
    for key in ("final_layer.weight", "final_layer.bias"):  # brings the heatmaps to about 1
        content[key] = content[key] * torch.tensor(file.about["out_scale"], dtype=torch.float32)
    torch.save(content, weights)
    return cfg


@dataclass
class Seen:
    """What passed through the network, by person: crops, plain outputs, flip-tested heatmaps."""

    crops: dict[int, np.ndarray] = field(default_factory=dict)
    plain: dict[int, np.ndarray] = field(default_factory=dict)
    heatmaps: dict[int, np.ndarray] = field(default_factory=dict)
    calls: list[Tensor] = field(default_factory=list)  # outputs of the network since the last batch

    def hook(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self.calls.append(output)

    def observe(self, batch: dict[str, Tensor], output: Tensor, keypoints: Tensor, scores: Tensor) -> None:
        outputs = torch.cat(self.calls)  # those of the images, then those of their mirror images
        for place_, index in enumerate(batch["index"].tolist()):
            self.crops[index] = batch["crop"][place_].numpy()
            self.plain[index] = outputs[place_].numpy()
            self.heatmaps[index] = output[place_].numpy()
        self.calls.clear()


class Run:
    """One test run with the tools' own parts, and what is needed to look into it."""

    def __init__(self, cfg: FrozenConfig, folder: Path):
        self.cfg, self.seen = cfg, Seen()
        self.codec = build_codec(cfg)
        self.validator = Validator(cfg, self.codec, CPU, folder)
        self.model = build_model(cfg)
        load_weights(self.model, Path(cfg.TEST.MODEL_FILE))
        place(self.model, CPU).register_forward_hook(self.seen.hook)

    def compare(self, file: ReferenceFile, kind: str) -> None:
        """The arrays of `file` whose names begin with `kind`."""
        records, pairs = self.validator.dataset.records, self.validator.dataset.skeleton.flip_pairs
        keypoints = predict(
            self.model, self.validator.loader, self.codec, records.center, records.scale, CPU,
            self.cfg.TEST.BATCH_SIZE_PER_GPU, pairs if self.cfg.TEST.FLIP_TEST else None, self.seen.observe,
        )  # fmt: skip
        scores = self.validator.scorer.score_people(keypoints, records, self.validator.results)
        results = json.loads(self.validator.results.read_text())
        self._boxes(file, kind, records)
        self._network(file, kind)
        steady = file[f"{kind}/sensitivity"] < STEADY
        _points(file, f"{kind}/preds", keypoints, steady)
        compare_written(file, kind, results, steady)
        file.compare(f"{kind}/stats", np.array(list(scores.values())))

    def _boxes(self, file: ReferenceFile, kind: str, records: Any) -> None:
        file.compare(f"{kind}/image_id", records.image_ids[records.image_index])
        columns = [records.center, records.scale / 200, records.areas[:, None], records.box_scores[:, None]]
        file.compare(f"{kind}/all_boxes", np.concatenate(columns, axis=1))

    def _network(self, file: ReferenceFile, kind: str) -> None:
        crops, plain, heatmaps = (_in_order(part) for part in (self.seen.crops, self.seen.plain, self.seen.heatmaps))
        if made_by_this_opencv(file):
            file.compare(f"{kind}/crops", crops, tolerance="exact")
        first = len(file[f"{kind}/input_channel_mean"])  # the fork's first batch
        images = normalise(torch.from_numpy(crops[:first]), CPU).contiguous().numpy()
        file.compare(f"{kind}/first_input_val", images.ravel()[file[f"{kind}/first_input_idx"]])
        file.compare(f"{kind}/input_channel_mean", images.mean(axis=(2, 3), dtype=np.float64))
        values = plain[:first].ravel()[file[f"{kind}/first_output_idx"]]
        expected = file[f"{kind}/first_output_val"]
        file.compare(f"{kind}/first_output_val", values, tolerance="abs 5e-3", unit=float(expected.std()))
        maps = heatmaps[:, :: self.codec.channels_per_joint]
        flat = maps.reshape(*maps.shape[:2], -1).astype(np.float64)
        file.compare(f"{kind}/argmax", flat.argmax(axis=2), where=file[f"{kind}/argmax_margin"] > 1e-4)
        stats = np.stack([flat.mean(axis=2), flat.std(axis=2), flat.max(axis=2), flat.min(axis=2)], axis=-1)
        deviation = file[f"{kind}/hm_stats"][..., 1:2]
        file.compare(f"{kind}/hm_stats", stats, tolerance="abs 1e-3", unit=deviation)


def compare_written(file: ReferenceFile, kind: str, results: list[dict], steady: np.ndarray) -> None:
    """The results file: order, scores and, where the fork's own points are steady (N, K), coordinates."""
    compare_order(file, f"{kind}/result/", results)
    written = np.array([entry["keypoints"] for entry in results]).reshape(len(results), -1, 3)
    expected = file[f"{kind}/result/keypoints"]
    # Which of the predicted people each written row is: the one with the same coordinates.
    people = file[f"{kind}/preds"].reshape(len(steady), -1)
    rows = np.abs(people[None] - expected[:, None]).max(axis=2).argmin(axis=1)
    _points(file, f"{kind}/result/keypoints", written, steady[rows], expected.reshape(len(expected), -1, 3))


def _points(
    file: ReferenceFile, array: str, found: np.ndarray, steady: np.ndarray, expected: np.ndarray | None = None
) -> None:
    """Keypoints (N, K, 3): coordinates where the reference is steady, scores everywhere."""
    expected = file[array] if expected is None else expected
    found = found if found.shape == expected.shape else np.full(expected.shape, np.nan)
    file.compare(array, found[..., :2], steady[..., None], "abs 0.05", expected[..., :2])
    file.compare(array, found[..., 2], None, "abs 1e-3", expected[..., 2])


def _in_order(people: dict[int, np.ndarray]) -> np.ndarray:
    return np.stack([people[index] for index in range(len(people))])
