"""Trains the network of an experiment and scores it after every epoch.

python tools/train.py --cfg experiments/toy/hrnet.yaml
python tools/train.py --cfg X.yaml TRAIN.LR 5e-4 AUTO_RESUME True
torchrun --nproc_per_node 2 tools/train.py --cfg X.yaml
python tools/train.py --cfg experiments/coco/lpn/lpn50_256x192.yaml TRAIN.STAGES 7
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from common import (
    begin_logging,
    build_painter,
    build_validators,
    network_name,
    parse_arguments,
    prepare_device,
    report_scores,
    run,
    scored_at_once,
)
from processes import require_divisible, start_processes

from heatpose.adapt import STRONG, Target, begin_epochs, build_method, prepare_model
from heatpose.codecs import build_codec
from heatpose.config import data_path, domain_config, dump_config, replaced
from heatpose.core.averaged import Averaged
from heatpose.core.compiling import compile_networks
from heatpose.core.distributed import World, join
from heatpose.core.loss import build_loss
from heatpose.core.objective import Objective, Supervised
from heatpose.core.optim import build_optimizer, build_scheduler
from heatpose.core.state import TrainingState
from heatpose.core.torchvision_weights import is_torchvision
from heatpose.core.train import fit
from heatpose.core.waiting import advice
from heatpose.core.weights import load_pretrained
from heatpose.dataset import JointLoader, build_dataset, build_people, doctor, test_loader, training_loader
from heatpose.models import build_model
from heatpose.report.observers import Silent, TrainingReporter
from heatpose.report.run import Board, RunFolders, file_name, run_folders, save_config
from heatpose.report.summary import summarise
from heatpose.utils.batch import pixel_statistics, place
from heatpose.utils.precision import precision_of

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains as the command line, or `arguments` in its place, say."""
    world = join()
    begin_logging(world)
    cfg, path = parse_arguments("Train the network of an experiment.", arguments)
    if start_processes(cfg, __file__, arguments):
        return
    require_divisible(cfg, world)
    folders = run_folders(cfg.OUTPUT_DIR, cfg.LOG_DIR, cfg.DATASET.DATASET, cfg.MODEL.NAME, file_name(path))
    begin_logging(world, folders.output, "train")
    device = prepare_device(cfg, world)
    train(cfg, folders, device, world)


def train(cfg: Any, folders: RunFolders, device: Any, world: World) -> None:
    """One run: data, model, epochs, and the closing table."""
    codec = build_codec(cfg)
    with world.in_turn():  # rank 0 draws, or downloads
        model = build_network(cfg, device)  # before the data: a missing backbone shows at once
        dataset = build_dataset(cfg, "train")
    if cfg.TRAIN.SYNC_BN and world.size > 1:
        model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)
    validators = build_validators(cfg, codec, device, folders.output, world)
    doctor.quick_check(dataset, [validator.dataset for validator in validators])
    if not validators[0].scorer.headline:
        raise ValueError(f"DATASET.TEST_SET {cfg.DATASET.TEST_SET} cannot be scored here: train with a set that can")
    logger.info("%d people to train on; scored on %s", len(dataset), validators[0].boxes)
    others = build_others(cfg, dataset)
    loader = build_loader(cfg, dataset, others, device, world)
    objective = build_objective(cfg, codec, model, others, device)
    networks = model, objective.scored(model)
    compile_networks(cfg.COMPUTE.COMPILE, device, *networks, scored_at_once=scored_at_once(cfg))
    state = build_state(cfg, model, objective, -(-len(loader) // cfg.TRAIN.ACCUMULATE), world)
    headline = validators[0].scorer.headline
    resume(cfg, state, folders.output, headline)
    require_one_state(state, world)
    reporter = build_reporter(cfg, folders, state, dataset, codec, headline, device, world)

    def validate(epoch: int) -> float:
        scores = validators[0].score(state.scored, f"val_{epoch}")
        weights = folders.output / f"stage_{state.stage}.pth"
        state.scores[state.stage] = {"weights": str(weights), "boxes": validators[0].boxes, "metrics": scores}
        reporter.on_scores(epoch, scores)
        reporter.on_picture(epoch, "valid/predictions", validators[0].sheet)
        return scores[headline]

    try:
        fit(
            state, loader, objective, validate, folders.output, cfg.TRAIN.END_EPOCH, device, reporter, cfg.PRINT_FREQ,
            cfg.TRAIN.VALIDATE_EVERY, cfg.TRAIN.STAGES, world, cfg.SEED, cfg.TRAIN.ACCUMULATE,
        )  # fmt: skip
    finally:
        reporter.close()
    rows = [(validator, validator.score(state.scored, "val_final")) for validator in validators]
    earlier = [row for stage, row in state.scores.items() if stage < state.stage]
    if world.is_first:
        report_scores(cfg, rows, "train", folders.output / "final_state.pth", earlier)


def build_reporter(
    cfg: Any,
    folders: RunFolders,
    state: TrainingState,
    dataset: Any,
    codec: Any,
    headline: str,
    device: Any,
    world: World,
) -> Any:
    """What follows the training: rank 0 writes the configuration and tells, the others are silent."""
    if not world.is_first:
        return Silent()
    save_config(folders.output / "config.yaml", dump_config(cfg))
    epochs = state.stage_start + cfg.TRAIN.END_EPOCH * (cfg.TRAIN.STAGES - state.stage + 1)
    painter = build_painter(cfg, dataset.skeleton, codec)
    return TrainingReporter(
        Board(folders.log), painter, folders.output, state.epoch, epochs, state.steps_per_epoch, headline,
        advice(cfg, device),
    )  # fmt: skip


def build_network(cfg: Any, device: Any) -> Any:
    """The network with its first weights, on the device."""
    model = prepare_model(cfg, build_model(cfg))
    logger.info("%s: %s", network_name(cfg), summarise(model, cfg.MODEL.IMAGE_SIZE))
    if cfg.MODEL.PRETRAINED and not cfg.MODEL.INIT_WEIGHTS:
        logger.warning("MODEL.PRETRAINED is not loaded: MODEL.INIT_WEIGHTS is False")
    elif cfg.MODEL.PRETRAINED:
        layers = cfg.MODEL.EXTRA.get("PRETRAINED_LAYERS", ("*",))
        name = cfg.MODEL.PRETRAINED
        source = name if is_torchvision(name) else data_path(cfg, name)
        load_pretrained(model, source, layers, cfg.MODEL.REINIT_HEAD)
    return place(model, device)


def build_others(cfg: Any, dataset: Any) -> dict[str, Any]:
    """The training crops of TARGET and HUMANS, where the method of adaptation reads them, by their names in a batch."""
    others = {}
    if cfg.ADAPT.METHOD:
        split = "train" if cfg.ADAPT.METHOD == "supervised" else "unlabelled"
        others["target"] = build_dataset(domain_config(cfg, "TARGET"), split)
        if others["target"].skeleton.names != dataset.skeleton.names:
            theirs, ours = (", ".join(each.skeleton.names) for each in (others["target"], dataset))
            raise ValueError(f"TARGET has the keypoints {theirs}, DATASET {ours}; adaptation needs the same in both")
    if cfg.HUMANS.DATASET:
        others["humans"] = build_people(cfg, dataset.skeleton)
    for name, crops in others.items():
        logger.info("%s: %d to adapt with", name, len(crops))
    return others


def build_loader(cfg: Any, dataset: Any, others: Mapping[str, Any], device: Any, world: World) -> Any:
    """Batches of labelled crops, joined by those of the other data sets."""
    loaders = [
        training_loader(
            each,
            cfg.TRAIN.BATCH_SIZE_PER_GPU,
            cfg.TRAIN.SHUFFLE,
            cfg.WORKERS,
            cfg.SEED,
            device.type == "cuda",
            shard=world.shard,
        )  # fmt: skip
        for each in (dataset, *others.values())
    ]
    if not others:
        return loaders[0]
    return JointLoader(loaders[0], dict(zip(others, loaders[1:], strict=True)), begin_epochs(cfg))


def build_objective(cfg: Any, codec: Any, model: Any, others: Mapping[str, Any], device: Any) -> Objective:
    """What the training minimises, with TRAIN.EMA as what scores the average of its weights."""
    objective = build_method_or_loss(cfg, codec, model, others, device)
    return Averaged(objective, model, cfg.TRAIN.EMA) if cfg.TRAIN.EMA else objective


def build_method_or_loss(cfg: Any, codec: Any, model: Any, others: Mapping[str, Any], device: Any) -> Objective:
    """The objective of ADAPT.METHOD, or of the labelled crops alone."""
    perturb = STRONG if cfg.ADAPT.STRONG_AUGMENTATION else None
    labelled = Supervised(codec, build_loss(cfg), device, pixel_statistics(cfg), perturb, precision_of(cfg))
    if not cfg.ADAPT.METHOD:
        return labelled
    crops = others["target"]
    loader = test_loader(
        crops.unvaried(), cfg.TEST.BATCH_SIZE_PER_GPU, cfg.WORKERS, device.type == "cuda", persistent=False
    )
    return build_method(cfg, labelled, model, Target(crops, loader, cfg.TEST.BATCH_SIZE_PER_GPU))


def build_state(cfg: Any, model: Any, objective: Objective, steps_per_epoch: int, world: World) -> TrainingState:
    """The network with its optimizer and schedule."""
    if cfg.TRAIN.SCALE_LR and world.size > 1:
        cfg = replaced(cfg, {"TRAIN.LR": cfg.TRAIN.LR * world.size})
        logger.info("TRAIN.SCALE_LR: learning rate %g for %d processes", cfg.TRAIN.LR, world.size)
    optimizer = build_optimizer(cfg, [*model.parameters(), *objective.parameters()])
    description = {
        "model": cfg.MODEL.NAME,
        "codec": cfg.MODEL.CODEC,
        "image_size": list(cfg.MODEL.IMAGE_SIZE),
        "heatmap_size": list(cfg.MODEL.HEATMAP_SIZE),
    }
    scheduler = build_scheduler(cfg, optimizer, steps_per_epoch)
    return TrainingState(
        model, optimizer, scheduler, description, steps_per_epoch, epoch=cfg.TRAIN.BEGIN_EPOCH, objective=objective
    )


def resume(cfg: Any, state: TrainingState, output: Path, headline: str) -> None:
    """With AUTO_RESUME, continues from checkpoint.pth in `output` or, where there is none, from TRAIN.CHECKPOINT."""
    path = output / "checkpoint.pth"
    if not cfg.AUTO_RESUME:
        if path.is_file():
            logger.warning("%s will be overwritten: AUTO_RESUME is False", path)
        return
    if path.is_file():
        state.resume(path)
    elif cfg.TRAIN.CHECKPOINT:
        path = data_path(cfg, cfg.TRAIN.CHECKPOINT)
        state.resume(path)
        state.best_score = -1.0  # no model_best.pth stands in this folder yet
    else:
        logger.info("AUTO_RESUME: no checkpoint in %s, starting anew", output)
        return
    if state.stage > cfg.TRAIN.STAGES:
        raise ValueError(
            f"{path}: is in stage {state.stage}, but TRAIN.STAGES is {cfg.TRAIN.STAGES}; set it to {state.stage} or "
            "more, or start anew with AUTO_RESUME False"
        )
    logger.info("resumed from %s: epoch %d, best %s so far %.4f", path, state.epoch, headline, state.best_score)


def require_one_state(state: TrainingState, world: World) -> None:
    """A ValueError where a machine resumed from another epoch than rank 0, or from none."""
    here, there = (state.stage, state.epoch), world.from_first((state.stage, state.epoch))
    if here != there:
        raise ValueError(
            f"process {world.rank} would go on at stage and epoch {here}, process 0 at {there}; OUTPUT_DIR (and "
            "TRAIN.CHECKPOINT) must be the same folder on all machines"
        )


if __name__ == "__main__":
    run(main)
