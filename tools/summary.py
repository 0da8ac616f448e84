"""Prints the layers of an experiment's network: kernel, output shape, parameters, FLOPs, and the memory it takes.

python tools/summary.py --cfg experiments/coco/hrnet/w32_256x192.yaml
python tools/summary.py --cfg X.yaml --depth 2 --batch 32 --json summary.json MODEL.IMAGE_SIZE "(288,384)" ...
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from common import argument_parser, network_name, read_config, run

from heatpose.adapt import prepare_model
from heatpose.core.optim import build_optimizer
from heatpose.models import build_model
from heatpose.report.memory import MEMORY_RULE, Memory, measure_memory
from heatpose.report.summary import COUNTING_RULE, ModelSummary, summarise
from heatpose.report.tables import markdown_table
from heatpose.utils.files import write_json


def main() -> None:
    parsed = parse()
    cfg = read_config(parsed)
    with torch.device("meta"):
        model = prepare_model(cfg, build_model(cfg))
    summary = summarise(model, cfg.MODEL.IMAGE_SIZE)
    batches = dict.fromkeys([1, parsed.batch or cfg.TRAIN.BATCH_SIZE_PER_GPU])
    memory = [measure_memory(model, cfg.MODEL.IMAGE_SIZE, batch, optimizer_of(cfg)) for batch in batches]
    width, height = cfg.MODEL.IMAGE_SIZE
    print(f"{network_name(cfg)} of {parsed.cfg}, input {width}x{height}: {summary.totals}\n")
    print(f"{summary.table(parsed.depth)}\n\n{COUNTING_RULE}\n")
    print(f"{memory_table(memory, cfg.TRAIN.OPTIMIZER)}\n\n{MEMORY_RULE}")
    if parsed.json:
        save(record(cfg, parsed.cfg, summary, memory), parsed.json)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments; a ValueError where a number is below 1."""
    parser = argument_parser("Print the layers of an experiment's network and what they cost.")
    parser.add_argument("--batch", type=int, help="second batch size for the memory; TRAIN.BATCH_SIZE_PER_GPU if none")
    parser.add_argument("--depth", type=int, help="sum up layers whose names have more parts; 1: the stages alone")
    parser.add_argument("--json", type=Path, help="file for the same as JSON, always with every layer")
    parsed = parser.parse_args(arguments)
    for name in ("batch", "depth"):
        value = getattr(parsed, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name} is {value}; it must be 1 or more")
    return parsed


def optimizer_of(cfg: Any) -> Callable[[Any], torch.optim.Optimizer]:
    """The function parameters -> the experiment's optimizer."""
    return lambda parameters: build_optimizer(cfg, parameters)


def memory_table(memory: Sequence[Memory], optimizer: str) -> str:
    rows = [
        [each.batch, *(f"{size / 2**20:,.1f}" for size in (each.weights, each.prediction, each.training))]
        for each in memory
    ]
    return markdown_table(["batch", "weights", "prediction", f"training with {optimizer}"], rows)


def record(cfg: Any, experiment: str, summary: ModelSummary, memory: Sequence[Memory]) -> dict[str, Any]:
    """All of it as plain values; sizes in bytes, operations as counted."""

    def rows(layers: Sequence[Any]) -> list[dict[str, Any]]:
        return [{**asdict(layer), "flops": 2 * layer.multiply_adds} for layer in layers]

    return {
        "experiment": experiment,
        "network": cfg.MODEL.NAME,
        "input_size": list(cfg.MODEL.IMAGE_SIZE),
        "counting_rule": COUNTING_RULE,
        "parameters": summary.parameters,
        "flops": 2 * summary.multiply_adds,
        "multiply_adds": summary.multiply_adds,
        "hrnet_count": summary.hrnet_count,
        "stages": rows(summary.stages()),
        "layers": rows(summary.rows()),
        "memory_rule": MEMORY_RULE,
        "optimizer": cfg.TRAIN.OPTIMIZER,
        "memory": [asdict(each) for each in memory],
    }


def save(content: Any, path: Path) -> None:
    """Writes a JSON file; a ValueError where that cannot be done."""
    try:
        write_json(content, path, indent=1)
    except OSError as error:
        raise ValueError(f"--json {path} cannot be written: {error.strerror}; give a file that can") from error


if __name__ == "__main__":
    run(main)
