"""Scores a network on the test split of an experiment.

python tools/test.py --cfg experiments/toy/hrnet.yaml
torchrun --nproc_per_node 2 tools/test.py --cfg X.yaml
python tools/test.py --cfg X.yaml TEST.MODEL_FILE weights.pth TEST.USE_GT_BBOX False TEST.COCO_BBOX_FILE boxes.json
"""

import logging
from collections.abc import Sequence

from common import (
    begin_logging,
    build_validators,
    network_name,
    parse_arguments,
    prepare_device,
    ready_to_score,
    report_scores,
    run,
    scored_at_once,
)
from processes import start_processes

from heatpose.adapt import prepare_model
from heatpose.codecs import build_codec
from heatpose.config import data_path, dump_config
from heatpose.core.compiling import compile_networks
from heatpose.core.distributed import join
from heatpose.core.weights import load_weights
from heatpose.models import build_model
from heatpose.report.run import file_name, run_folders, save_config
from heatpose.utils.batch import place

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Scores as the command line, or `arguments` in its place, say."""
    world = join()
    begin_logging(world)
    cfg, path = parse_arguments("Score a network on the test split of an experiment.", arguments)
    if start_processes(cfg, __file__, arguments):
        return
    output = run_folders(cfg.OUTPUT_DIR, cfg.LOG_DIR, cfg.DATASET.DATASET, cfg.MODEL.NAME, file_name(path)).output
    begin_logging(world, output, "test")
    device = prepare_device(cfg, world)
    codec = build_codec(cfg)
    validators = build_validators(cfg, codec, device, output, world)
    model = prepare_model(cfg, build_model(cfg))
    weights = data_path(cfg, cfg.TEST.MODEL_FILE) if cfg.TEST.MODEL_FILE else output / "final_state.pth"
    content = load_weights(model, weights)
    if content.get("codec", codec.name) != codec.name:
        logger.warning("%s was trained with codec %s, scored with %s", weights, content["codec"], codec.name)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    model = ready_to_score(cfg, model, device)
    place(model, device)
    compile_networks(cfg.COMPUTE.COMPILE, device, model, scored_at_once=scored_at_once(cfg))
    logger.info("%s: %s parameters, weights of %s", network_name(cfg), f"{parameters:,}", weights)
    if world.is_first:
        save_config(output / "test_config.yaml", dump_config(cfg))
    rows = [(validator, validator.score(model, "val")) for validator in validators]
    if world.is_first:
        report_scores(cfg, rows, "test", weights)


if __name__ == "__main__":
    run(main)
