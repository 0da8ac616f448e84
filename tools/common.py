"""What the command-line tools share: arguments, errors, devices, and scoring one model on one split."""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

# Idle OpenMP threads spin a little and then sleep. Without a limit, on a CPU with few cores, they starve the loading
# processes and one another; without spinning, small networks train at half the speed. Read when torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")

import torch

from heatpose.config import load_config, replaced, scored_config
from heatpose.core.evaluate import build_scorer
from heatpose.core.predict import MeanAccuracy, predict
from heatpose.core.train import TrainingError
from heatpose.dataset import build_dataset, test_loader
from heatpose.report.observers import Painter, PictureKinds, PredictionReporter
from heatpose.report.run import save_run
from heatpose.report.tables import score_table
from heatpose.utils.batch import pixel_statistics

logger = logging.getLogger(__name__)


def parse_arguments(description: str, arguments: Sequence[str] | None = None) -> tuple[Any, Path]:
    """The configuration and the path of its file."""
    parsed = argument_parser(description).parse_args(arguments)
    return read_config(parsed), Path(parsed.cfg)


def argument_parser(description: str, cfg_required: bool = True) -> argparse.ArgumentParser:
    """The arguments of every tool that reads an experiment file."""
    parser = argparse.ArgumentParser(
        description=description, epilog="KEY VALUE pairs change keys of the configuration, e.g. TEST.USE_GT_BBOX False"
    )
    parser.add_argument("--cfg", required=cfg_required, help="experiment file (YAML)")
    parser.add_argument("--modelDir", default="", help="folder for results, OUTPUT_DIR")
    parser.add_argument("--logDir", default="", help="folder for TensorBoard events, LOG_DIR")
    parser.add_argument("--dataDir", default="", help="folder that relative data and weight paths start from, DATA_DIR")
    parser.add_argument("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="keys to change")
    return parser


def read_config(parsed: argparse.Namespace) -> Any:
    """The configuration that parsed arguments of `argument_parser` name."""
    folders = {"OUTPUT_DIR": parsed.modelDir, "LOG_DIR": parsed.logDir, "DATA_DIR": parsed.dataDir}
    pairs = [word for key, value in folders.items() if value for word in (key, value)]
    return load_config(parsed.cfg, [*pairs, *parsed.opts])


def run(main: Callable[[], None]) -> None:
    """Calls `main`; a user's mistake (ValueError) ends in one line and exit code 2, a failed training in 1.

    HEATPOSE_TRACEBACK=1 shows where it came from.
    """
    if os.environ.get("HEATPOSE_TRACEBACK"):
        return main()
    try:
        main()
    except ValueError as error:
        sys.exit(_complain(error, 2))
    except TrainingError as error:
        sys.exit(_complain(error, 1))
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        sys.stdout = None  # type: ignore[assignment]  # so that closing it does not raise again
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(_complain("interrupted; AUTO_RESUME True continues from the last finished epoch", 130))


def _complain(error: object, code: int) -> int:
    # An error from a loading process comes with that process's traceback; its last line is the error itself.
    line = str(error).strip().splitlines()[-1] if str(error).strip() else repr(error)
    if "Original Traceback" in str(error):
        line = line.split(": ", 1)[-1]
    print(f"error: {line}", file=sys.stderr)
    return code


def prepare_device(cfg: Any) -> torch.device:
    """The device to compute on, with cuDNN and the seed set."""
    cudnn = cfg.CUDNN
    torch.backends.cudnn.benchmark = cudnn.BENCHMARK
    torch.backends.cudnn.deterministic = cudnn.DETERMINISTIC
    torch.backends.cudnn.enabled = cudnn.ENABLED
    torch.manual_seed(cfg.SEED)
    if not torch.cuda.is_available():
        logger.info("no CUDA device: computing on the CPU with %d threads", torch.get_num_threads())
        return torch.device("cpu")
    if cfg.GPUS[0] >= torch.cuda.device_count():
        raise ValueError(
            f"GPUS is {list(cfg.GPUS)}, but there are {torch.cuda.device_count()} CUDA devices; set GPUS (0,)"
        )
    if len(cfg.GPUS) > 1:
        logger.warning(
            "GPUS lists %d devices; this version computes on the first: a step takes BATCH_SIZE_PER_GPU %d samples",
            len(cfg.GPUS),
            cfg.TRAIN.BATCH_SIZE_PER_GPU,
        )
    torch.cuda.set_device(cfg.GPUS[0])
    return torch.device("cuda", cfg.GPUS[0])


def network_name(cfg: Any) -> str:
    """MODEL.NAME for the log, with MODEL.STYLE where there is one: weights of the other style fit, but mean nothing."""
    return f"{cfg.MODEL.NAME} (STYLE {cfg.MODEL.STYLE})" if cfg.MODEL.NAME == "pose_resnet" else cfg.MODEL.NAME


def build_painter(cfg: Any, skeleton: Any, codec: Any) -> Painter:
    """The painter of an experiment, with the pictures that DEBUG asks for."""
    debug = cfg.DEBUG
    kinds = PictureKinds(
        debug.SAVE_BATCH_IMAGES_GT, debug.SAVE_BATCH_IMAGES_PRED, debug.SAVE_HEATMAPS_GT, debug.SAVE_HEATMAPS_PRED
    )
    return Painter(skeleton, codec, cfg.DATASET.COLOR_RGB, kinds if debug.DEBUG else PictureKinds())


class Validator:
    """Scores a model on the test split of an experiment, as often as asked."""

    def __init__(self, cfg: Any, codec: Any, device: torch.device, folder: Path, ending: str = ""):
        """Results go to `folder`/results, under the data set's name for them with `ending`."""
        self.cfg, self.codec, self.device, self.folder = cfg, codec, device, folder
        self.dataset = build_dataset(cfg, "test")
        self.loader = test_loader(self.dataset, cfg.TEST.BATCH_SIZE_PER_GPU, cfg.WORKERS, device.type == "cuda")
        self.scorer = build_scorer(cfg, self.dataset)
        self.results = folder / "results" / self.scorer.results_name(cfg.DATASET.TEST_SET, folder.name, ending)
        self.painter = build_painter(cfg, self.dataset.skeleton, codec)
        self.sheet: Any = None  # predictions of the first batch as a picture

    @property
    def boxes(self) -> str:
        """Which boxes the crops are made of."""
        return self.dataset.boxes

    def score(self, model: torch.nn.Module, prefix: str) -> dict[str, float]:
        """The data set's numbers; writes the results file, and pictures whose names begin with `prefix`."""
        test, records, skeleton = self.cfg.TEST, self.dataset.records, self.dataset.skeleton
        reporter = PredictionReporter(
            self.painter, self.codec, len(records), self.folder, prefix, self.cfg.PRINT_FREQ, test.USE_GT_BBOX
        )
        accuracy = MeanAccuracy(self.codec) if getattr(self.scorer, "with_accuracy", False) else None

        def observe(*seen: Any) -> None:
            reporter(*seen)
            if accuracy is not None:
                accuracy(*seen)

        keypoints = predict(
            model, self.loader, self.codec, records.center, records.scale, self.device, test.BATCH_SIZE_PER_GPU,
            skeleton.flip_pairs if test.FLIP_TEST else None, observe, pixel_statistics(self.cfg),
        )  # fmt: skip
        self.sheet = reporter.sheet
        scores = self.scorer.score_people(keypoints, records, self.results)
        return scores if accuracy is None else {**scores, "accuracy": accuracy.percent}


def build_validators(cfg: Any, codec: Any, device: torch.device, folder: Path) -> list[Validator]:
    """The validator with the boxes that TEST.USE_GT_BBOX chooses and, with TEST.BOTH_BOXES, one with the others.

    Scored is TARGET's test split, where the experiment has one.
    """
    cfg = scored_config(cfg)
    validators = [Validator(cfg, codec, device, folder)]
    if cfg.TEST.BOTH_BOXES:
        others = not cfg.TEST.USE_GT_BBOX
        ending = "_ground_truth" if others else "_detections"
        validators.append(Validator(replaced(cfg, {"TEST.USE_GT_BBOX": others}), codec, device, folder, ending))
    return validators


def report_scores(
    cfg: Any,
    rows: Sequence[tuple[Validator, dict[str, float]]],
    phase: str,
    weights: Path,
    stages: Sequence[Mapping[str, Any]] = (),
) -> None:
    """The closing table, a row for each kind of boxes with what they are, in the log and in run.json or test.json.

    `stages` are rows of a training's earlier stages: their "weights", "boxes" and "metrics".
    """
    kinds = {each.boxes: "gt" if each.cfg.TEST.USE_GT_BBOX else "det" for each, _ in rows}
    named = [
        (f"{cfg.MODEL.NAME} {Path(row['weights']).stem} {kinds.get(row['boxes'], 'other boxes')}", row["metrics"])
        for row in stages
    ]
    named += [(f"{cfg.MODEL.NAME} {kinds[each.boxes]}", scores) for each, scores in rows]
    table = score_table(named) if any(scores for _, scores in rows) else "not scored here"
    boxes = "\n".join(f"{kind} boxes: {boxes}" for boxes, kind in kinds.items())
    logger.info("%s\n%s\n%s", weights, table, boxes)
    record = rows[0][0].folder / ("run.json" if phase == "train" else f"{phase}.json")
    save_run(record, phase, weights, [{"boxes": each.boxes, "metrics": scores} for each, scores in rows], stages)
