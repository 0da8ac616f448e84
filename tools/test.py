"""Scores a network on the test split of an experiment.

python tools/test.py --cfg experiments/toy/hrnet.yaml
python tools/test.py --cfg X.yaml TEST.MODEL_FILE weights.pth TEST.USE_GT_BBOX False TEST.COCO_BBOX_FILE boxes.json
"""

import logging

from common import Validator, parse_arguments, prepare_device, run

from heatpose.codecs import build_codec
from heatpose.config import data_path, dump_config
from heatpose.core.checkpoint import load_weights
from heatpose.models import build_model
from heatpose.report.run import file_name, run_folders, save_config, save_run, start_logging
from heatpose.report.summary import summarise
from heatpose.report.tables import score_table

logger = logging.getLogger(__name__)


def main() -> None:
    start_logging()
    cfg, path = parse_arguments("Score a network on the test split of an experiment.")
    output = run_folders(cfg.OUTPUT_DIR, cfg.LOG_DIR, cfg.DATASET.DATASET, cfg.MODEL.NAME, file_name(path)).output
    start_logging(output, "test")
    device = prepare_device(cfg)
    codec = build_codec(cfg)
    validator = Validator(cfg, codec, device, output)
    model = build_model(cfg)
    summary = summarise(model, cfg.MODEL.IMAGE_SIZE)
    weights = data_path(cfg, cfg.TEST.MODEL_FILE) if cfg.TEST.MODEL_FILE else output / "final_state.pth"
    content = load_weights(model, weights)
    if content.get("codec", codec.name) != codec.name:
        logger.warning("%s was trained with codec %s, scored with %s", weights, content["codec"], codec.name)
    model.to(device)
    logger.info("%s: %s parameters, weights of %s", cfg.MODEL.NAME, f"{summary.parameters:,}", weights)
    logger.info("boxes: %s", validator.boxes)
    scores = validator.score(model, "val")
    logger.info("\n%s\nboxes: %s", score_table(cfg.MODEL.NAME, scores), validator.boxes)
    save_config(output, dump_config(cfg))
    save_run(output, "test", validator.boxes, scores, weights=str(weights))


if __name__ == "__main__":
    run(main)
