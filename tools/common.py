"""What the command-line tools share: arguments, errors, devices, and scoring one model on one split."""

import argparse
import atexit
import contextlib
import io
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

# Idle OpenMP threads spin a little and then sleep. Without a limit, on a CPU with few cores, they starve the loading
# processes and one another; without spinning, small networks train at half the speed. Read when torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")

import torch
from processes import device_number

from heatpose.config import load_config, replaced, scored_config
from heatpose.core.distributed import ALONE, World, end, join
from heatpose.core.evaluate import build_scorer
from heatpose.core.folding import flattened, fold_batch_norm
from heatpose.core.fusing import fuse_activations
from heatpose.core.predict import MeanAccuracy, predict
from heatpose.core.train import TrainingError
from heatpose.dataset import build_dataset, test_loader
from heatpose.report.observers import Painter, PictureKinds, PredictionReporter
from heatpose.report.run import save_run, start_logging
from heatpose.report.tables import score_table
from heatpose.utils.batch import pixel_statistics
from heatpose.utils.memory import keep_freed_memory
from heatpose.utils.precision import precision_of

keep_freed_memory()
logger = logging.getLogger(__name__)


def parse_arguments(description: str, arguments: Sequence[str] | None = None) -> tuple[Any, Path]:
    """The configuration and the path of its file; of many processes, rank 0 alone tells how arguments are written."""
    aside = contextlib.redirect_stderr(io.StringIO()) if not join().is_first else contextlib.nullcontext()
    with aside:
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

    HEATPOSE_TRACEBACK=1 shows where it came from. An error in one of many processes is told once and ends it at once,
    whatever the others are waiting for; the launcher then ends those.
    """
    world, code = join(), 0
    try:
        _run(main, world)
        if world.size > 1:
            world.wait()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        if world.size == 1:
            raise
        code = 1
        if world.is_first_to_fail():
            traceback.print_exc()
    if world.size == 1:
        leave(code)
    end(code)


def leave(code: int) -> NoReturn:
    """Ends a process of its own without taking down PyTorch's libraries: half a second and 100 MiB for nothing."""
    atexit._run_exitfuncs()
    end(code)


def _run(main: Callable[[], None], world: World) -> None:
    if os.environ.get("HEATPOSE_TRACEBACK"):
        return main()
    try:
        main()
    except ValueError as error:
        sys.exit(_complain(error, 2, world))
    except TrainingError as error:
        sys.exit(_complain(error, 1, world))
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        sys.stdout = None  # type: ignore[assignment]  # so that closing it does not raise again
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(_complain("interrupted; AUTO_RESUME True continues from the last finished epoch", 130, world))


def _complain(error: object, code: int, world: World) -> int:
    if not world.is_first_to_fail():
        return code
    # An error from a loading process comes with that process's traceback; its last line is the error itself.
    line = str(error).strip().splitlines()[-1] if str(error).strip() else repr(error)
    if "Original Traceback" in str(error):
        line = line.split(": ", 1)[-1]
    print(f"error: {line}", file=sys.stderr)
    return code


def begin_logging(world: World, folder: Path | None = None, phase: str = "train") -> None:
    """Log lines of rank 0; see report.run.start_logging."""
    if world.is_first:
        start_logging(folder, phase)


def prepare_device(cfg: Any, world: World = ALONE) -> torch.device:
    """The device to compute on, with cuDNN and the seed set."""
    cudnn = cfg.CUDNN
    torch.backends.cudnn.benchmark = cudnn.BENCHMARK
    torch.backends.cudnn.deterministic = cudnn.DETERMINISTIC
    torch.backends.cudnn.enabled = cudnn.ENABLED
    torch.backends.cudnn.allow_tf32 = cudnn.TF32
    torch.set_float32_matmul_precision("highest")  # keypoints go through matrix products, and TF32 has 11 bits
    torch.manual_seed(cfg.SEED)
    if world.size > 1:
        logger.info("%d processes, %d of them on this machine", world.size, world.local_size)
    if not torch.cuda.is_available():
        logger.info("no CUDA device: computing on the CPU with %d threads", torch.get_num_threads())
        return torch.device("cpu")
    number = device_number(cfg, world)
    torch.cuda.set_device(number)
    _require_bf16(cfg, number)
    return torch.device("cuda", number)


def _require_bf16(cfg: Any, number: int) -> None:
    if cfg.COMPUTE.PRECISION == "bf16" and torch.cuda.get_device_capability(number)[0] < 8:
        raise ValueError(
            f"COMPUTE.PRECISION is bf16, which CUDA devices have from capability 8.0 (Ampere) on; device {number}, "
            f"{torch.cuda.get_device_name(number)}, is older; set it to fp32"
        )


def network_name(cfg: Any) -> str:
    """MODEL.NAME for the log, with MODEL.STYLE where there is one: weights of the other style fit, but mean nothing."""
    return f"{cfg.MODEL.NAME} (STYLE {cfg.MODEL.STYLE})" if cfg.MODEL.NAME == "pose_resnet" else cfg.MODEL.NAME


def ready_to_score(cfg: Any, model: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """`model`, or a copy that gives the same numbers up to rounding sooner on `device`; see core.folding and fusing.

    Not for ADAPT's methods, whose modules keep what they have seen, which a copy does not. In bf16 BatchNorm is folded
    only where the convolution's kernel adds what it comes to before it rounds.
    """
    if cfg.ADAPT.METHOD:
        return model
    # torch.compile fuses by itself, and does not know cuDNN's kernels.
    if device.type == "cuda" and cfg.COMPUTE.COMPILE in ("none", "cudagraphs"):
        return fuse_activations(model, torch.float32 if cfg.COMPUTE.PRECISION == "fp32" else torch.bfloat16)
    if cfg.COMPUTE.PRECISION != "fp32":
        return model
    folded = fold_batch_norm(model)
    return folded if folded is model else flattened(folded)


def scored_at_once(cfg: Any) -> int:
    """The largest batch that a network is given in scoring on a GPU; see core.predict."""
    return cfg.TEST.BATCH_SIZE_PER_GPU * (1 + cfg.TEST.FLIP_TEST)


def build_painter(cfg: Any, skeleton: Any, codec: Any) -> Painter:
    """The painter of an experiment, with the pictures that DEBUG asks for."""
    debug = cfg.DEBUG
    kinds = PictureKinds(
        debug.SAVE_BATCH_IMAGES_GT, debug.SAVE_BATCH_IMAGES_PRED, debug.SAVE_HEATMAPS_GT, debug.SAVE_HEATMAPS_PRED
    )
    return Painter(skeleton, codec, cfg.DATASET.COLOR_RGB, kinds if debug.DEBUG else PictureKinds())


class Validator:
    """Scores a model on the test split of an experiment, as often as asked."""

    def __init__(
        self, cfg: Any, codec: Any, device: torch.device, folder: Path, ending: str = "", world: World = ALONE
    ):
        """Results go to `folder`/results, under the data set's name for them with `ending`."""
        self.cfg, self.codec, self.device, self.folder, self.world = cfg, codec, device, folder, world
        with world.in_turn():
            self.dataset = build_dataset(cfg, "test")
        self.loader = test_loader(
            self.dataset, cfg.TEST.BATCH_SIZE_PER_GPU, cfg.WORKERS, device.type == "cuda", shard=world.shard
        )
        self.scorer = build_scorer(cfg, self.dataset)
        self.results = folder / "results" / self.scorer.results_name(cfg.DATASET.TEST_SET, folder.name, ending)
        self.painter = build_painter(cfg, self.dataset.skeleton, codec)
        self.sheet: Any = None  # predictions of the first batch as a picture

    @property
    def boxes(self) -> str:
        """Which boxes the crops are made of."""
        return self.dataset.boxes

    def score(self, model: torch.nn.Module, prefix: str) -> dict[str, float]:
        """The data set's numbers; writes the results file, and pictures whose names begin with `prefix`.

        Of many processes each predicts its share; rank 0 scores and writes, and all have the numbers.
        """
        test, records, skeleton = self.cfg.TEST, self.dataset.records, self.dataset.skeleton
        reporter = self._reporter(prefix) if self.world.is_first else None
        accuracy = MeanAccuracy(self.codec, self.world) if getattr(self.scorer, "with_accuracy", False) else None

        def observe(*seen: Any) -> None:
            for observer in (reporter, accuracy):
                if observer is not None:
                    observer(*seen)

        keypoints = predict(
            model, self.loader, self.codec, records.center, records.scale, self.device, test.BATCH_SIZE_PER_GPU,
            skeleton.flip_pairs if test.FLIP_TEST else None, observe, pixel_statistics(self.cfg), self.world,
            precision_of(self.cfg),
        )  # fmt: skip
        scores: dict[str, float] = {}
        if reporter is not None:
            self.sheet = reporter.sheet
            scores = self.scorer.score_people(keypoints, records, self.results)
        scores = self.world.from_first(scores)
        return scores if accuracy is None else {**scores, "accuracy": accuracy.percent}

    def _reporter(self, prefix: str) -> PredictionReporter:
        crops = sum(self.dataset.sizes[number] for batch in self.loader.batch_sampler for number in batch)
        return PredictionReporter(
            self.painter, self.codec, crops, self.folder, prefix, self.cfg.PRINT_FREQ, self.cfg.TEST.USE_GT_BBOX
        )


def build_validators(cfg: Any, codec: Any, device: torch.device, folder: Path, world: World = ALONE) -> list[Validator]:
    """The validator with the boxes that TEST.USE_GT_BBOX chooses and, with TEST.BOTH_BOXES, one with the others.

    Scored is TARGET's test split, where the experiment has one.
    """
    cfg = scored_config(cfg)
    validators = [Validator(cfg, codec, device, folder, "", world)]
    if cfg.TEST.BOTH_BOXES:
        others = not cfg.TEST.USE_GT_BBOX
        ending = "_ground_truth" if others else "_detections"
        other_boxes = replaced(cfg, {"TEST.USE_GT_BBOX": others})
        validators.append(Validator(other_boxes, codec, device, folder, ending, world))
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
