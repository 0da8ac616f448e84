"""Networks: the fork's keys and shapes in its order, and the outputs for weights that follow from the keys."""

import gzip
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from heatpose.config import FrozenConfig, load_config
from heatpose.models import build_model
from heatpose.models.hourglass import StackedHourglass

from .harness import ReferenceFile

# The forks' folders of experiment files, by the name of the fork in the references.
FOLDERS = {"sb": "simple_baselines", "hrnet": "hrnet", "lpn": "lpn", "dark": "dark", "udp": "udp"}
OURS = Path(__file__).resolve().parents[2] / "experiments"


def recipe_weights(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """Weights that follow from the keys alone, so that no weight file is needed: the references' weight_recipe."""
    return {key: torch.from_numpy(_recipe_array(key, tuple(shape))) for key, shape in shapes.items()}


def _recipe_array(key: str, shape: tuple[int, ...]) -> np.ndarray:
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    noise = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)
    if key.endswith("running_mean"):
        noise = 0.1 * noise
    elif key.endswith("running_var"):
        noise = 1 + 0.1 * np.abs(noise)
    elif key.endswith("bias"):
        noise = 0.05 * noise
    elif len(shape) >= 2:
        noise = noise * np.sqrt(2 / np.prod(shape[1:]))
    else:
        noise = 1 + 0.1 * noise
    return noise.astype(np.float32)


def compare(file: ReferenceFile, peers: Path | None) -> None:
    """All arrays of models_<fork>, and the fork's listing of keys and shapes."""
    listings = json.loads(gzip.decompress((file.references.folder / "models_keys.json.gz").read_bytes()))
    for name, about in file.about["models"].items():
        if not any(array.startswith(f"{name}/") for array in file.outputs()):
            continue
        shapes = listings[name]
        while isinstance(shapes, str):
            shapes = listings[shapes.removeprefix("same as ")]
        model = _model(file.fork, about, peers)
        own = {key: list(value.shape) for key, value in model.state_dict().items()}
        _keys(file, name, own, shapes)
        if own == shapes:
            model.load_state_dict(recipe_weights(shapes), assign=True)
            _outputs(file, name, model.eval(), about["input"])


def _model(fork: str, about: dict[str, Any], peers: Path | None) -> nn.Module:
    """The network of a reference, without weights."""
    args = about["args"]
    with torch.device("meta"):
        if "num_stacks" in args:  # CC-SSL's, for skeletons that no experiment here has yet
            return StackedHourglass(args["num_classes"], stacks=args["num_stacks"], blocks=args["num_blocks"])
        return build_model(model_config(fork, about, peers))


def model_config(fork: str, about: dict[str, Any], peers: Path | None) -> FrozenConfig:
    """The configuration of a reference's network: of the fork's experiment file, of ours, or of its arguments."""
    if fork == "mspn":
        return load_config(*_mspn_arguments(about))
    if "yaml" not in about["args"]:
        return load_config(OURS / "coco/resnet/res50_256x192.yaml", _resnet_arguments(about))
    yaml = about["args"]["yaml"]
    codec = ["MODEL.CODEC", "udp"] if fork == "udp" and "offset" not in yaml else []
    return load_config(find_experiment(fork, yaml, peers), [*codec, *about["args"]["opts"]])


def _resnet_arguments(about: dict[str, Any]) -> list[str]:
    """SimpleBaselines' networks are given by arguments instead of a file."""
    args, (_, _, height, width) = about["args"], about["input"]
    pairs = {
        "MODEL.EXTRA.NUM_LAYERS": args["NUM_LAYERS"],
        "MODEL.STYLE": args["STYLE"],
        "MODEL.NUM_JOINTS": args["NUM_JOINTS"],
        "DATASET.DATASET": "mpii" if args["NUM_JOINTS"] == 16 else "coco",
        "MODEL.IMAGE_SIZE": f"({width},{height})",
        "MODEL.HEATMAP_SIZE": f"({width // 4},{height // 4})",
    }
    return [str(word) for pair in pairs.items() for word in pair]


def _mspn_arguments(about: dict[str, Any]) -> tuple[Path, list[str]]:
    """Our experiment of the data set whose joints the network has, and what differs from it."""
    args = about["args"]
    name = "coco/mspn/2xstg_256x192.yaml" if args["KEYPOINT_NUM"] == 17 else "mpii/mspn/2xstg_256x256.yaml"
    pairs = {"NUM_STAGES": args["STAGE_NUM"], "UPSAMPLE_CHANNELS": args["UPSAMPLE_CHANNEL_NUM"]}
    return OURS / name, [word for key, value in pairs.items() for word in (f"MODEL.EXTRA.{key}", str(value))]


def find_experiment(fork: str, yaml: str, peers: Path | None) -> Path:
    """The fork's experiment file; where the forks' files are not at hand, ours of the same settings.

    `yaml` is the path in the fork's repository, e.g. experiments/coco/hrnet/w32_256x192_adam_lr1e-3.yaml.
    """
    if peers is not None:
        return peers / FOLDERS[fork] / yaml.removeprefix("experiments/")
    data, family, name = yaml.removeprefix("experiments/").split("/")
    stem = re.sub(r"_(d256x3|adam|lr1e-3|lr2\.5e-4|gd256x2|gc|ofm)", "", Path(name).stem)
    places = [OURS / data / folder / f"{stem}.yaml" for folder in (fork, family)]
    return next((place for place in places if place.is_file()), places[-1])


def _keys(file: ReferenceFile, name: str, own: dict[str, list[int]], shapes: dict[str, list[int]]) -> None:
    different = [key for pair in zip(own.items(), shapes.items(), strict=False) if pair[0] != pair[1] for key in pair]
    share = 0.0 if list(own.items()) == list(shapes.items()) else float("inf")
    file.record(f"{name}/keys", len(shapes), 0, float(len(different)), share, "exact, in order")


def _outputs(file: ReferenceFile, name: str, model: nn.Module, size: Sequence[int]) -> None:
    images = torch.from_numpy(np.random.default_rng(0).standard_normal(size).astype(np.float32))
    with torch.no_grad():
        result = model(images)
    outputs = [result] if isinstance(result, Tensor) else result
    for ending, output in _named(file, name, outputs):
        entry, values = f"{name}/{ending}", output.numpy()
        deviation = float(file[f"{entry}/stats"][1])
        file.compare(f"{entry}/shape", np.array(values.shape))
        file.compare(f"{entry}/val", values.ravel()[file[f"{entry}/idx"]], tolerance="abs 0.001", unit=deviation)
        exact = values.astype(np.float64)
        stats = np.array([exact.mean(), exact.std(), exact.min(), exact.max()])
        file.compare(f"{entry}/stats", stats, tolerance="abs 0.001", unit=deviation)


def _named(file: ReferenceFile, name: str, outputs: Sequence[Tensor]) -> list[tuple[str, Tensor]]:
    """Outputs under the reference's names: out, the last; stage0_res0, stage0_res1, ... of MSPN; otherwise out0, ..."""
    last = [("out", outputs[-1])] if f"{name}/out/val" in file else []
    if f"{name}/stage0_res0/val" in file:
        return [*((f"stage{number // 4}_res{number % 4}", each) for number, each in enumerate(outputs)), *last]
    return last or [(f"out{number}", each) for number, each in enumerate(outputs)]
