"""What types cannot tell: sizes that must agree, values that exclude each other."""

from typing import Any

# Input px per feature px of the backbone; every transposed convolution halves it.
BACKBONE_STRIDE = {"pose_hrnet": 4, "pose_resnet": 32, "lpn": 16}
JOINTS = {"toy": 17}
OFFSET_LOSSES = ("JointsMSEOffset", "JointsL1Offset")
CHOICES = {
    "DATASET.DATA_FORMAT": ("jpg", "zip"),
    "TRAIN.OPTIMIZER": ("adam", "adamw", "sgd"),
    "LOSS.REDUCTION": ("mean", "sum"),
    "MODEL.TARGET_TYPE": ("gaussian", "offset"),
}
POSITIVE = (
    "MODEL.NUM_JOINTS", "MODEL.SIGMA", "TRAIN.BATCH_SIZE_PER_GPU", "TEST.BATCH_SIZE_PER_GPU", "TRAIN.LR",
    "TRAIN.END_EPOCH", "PRINT_FREQ", "LOSS.TOPK", "LOSS.KPD", "TEST.BETA", "TEST.BLUR_KERNEL",
)  # fmt: skip


def output_stride(name: str, extra: dict[str, Any]) -> int:
    """Input px per heatmap px of an architecture.

    >>> output_stride("pose_resnet", {"NUM_DECONV_LAYERS": 3})
    4
    """
    return BACKBONE_STRIDE[name] // 2 ** extra.get("NUM_DECONV_LAYERS", 0)


def find_contradictions(cfg: Any) -> list[str]:
    """One line for each thing in `cfg` that cannot work, with the keys and how to mend it; empty where all is well."""
    return [*_choices(cfg), *_numbers(cfg), *_sizes(cfg), *_joints(cfg), *_loss(cfg)]


def _lookup(cfg: Any, key: str) -> Any:
    for part in key.split("."):
        cfg = cfg[part]
    return cfg


def _choices(cfg: Any) -> list[str]:
    return [
        f"{key} is {_lookup(cfg, key)!r}; choose one of {', '.join(allowed)}"
        for key, allowed in CHOICES.items()
        if _lookup(cfg, key) not in allowed
    ]


def _numbers(cfg: Any) -> list[str]:
    found = [f"{key} is {_lookup(cfg, key)}; it must be above 0" for key in POSITIVE if not _lookup(cfg, key) > 0]
    if cfg.WORKERS < 0:
        found.append(f"WORKERS is {cfg.WORKERS}; it must be 0 or more")
    if not cfg.GPUS:
        found.append("GPUS is empty; give at least one device number, e.g. (0,)")
    return found


def _sizes(cfg: Any) -> list[str]:
    model = cfg.MODEL
    for key in ("IMAGE_SIZE", "HEATMAP_SIZE"):
        if len(model[key]) != 2 or min(model[key]) <= 0:
            return [f"MODEL.{key} is {list(model[key])}; expected [width, height] in px, both above 0"]
    stride = output_stride(model.NAME, model.EXTRA)
    wanted = [side // stride for side in model.IMAGE_SIZE]
    if list(model.HEATMAP_SIZE) != wanted or any(side % stride for side in model.IMAGE_SIZE):
        return [
            f"MODEL.HEATMAP_SIZE is {list(model.HEATMAP_SIZE)}, but {model.NAME} with stride {stride} turns "
            f"MODEL.IMAGE_SIZE {list(model.IMAGE_SIZE)} into {wanted}; set one to fit the other"
        ]
    return []


def _joints(cfg: Any) -> list[str]:
    known = JOINTS.get(cfg.DATASET.DATASET)
    if known is not None and cfg.MODEL.NUM_JOINTS != known:
        return [
            f"MODEL.NUM_JOINTS is {cfg.MODEL.NUM_JOINTS}, but DATASET.DATASET {cfg.DATASET.DATASET} has {known} "
            f"keypoints; set MODEL.NUM_JOINTS {known}"
        ]
    return []


def _loss(cfg: Any) -> list[str]:
    if cfg.LOSS.NAME and (cfg.LOSS.NAME in OFFSET_LOSSES) != (cfg.MODEL.CODEC == "udp_offset"):
        return [
            f"LOSS.NAME is {cfg.LOSS.NAME} with MODEL.CODEC {cfg.MODEL.CODEC}; {' and '.join(OFFSET_LOSSES)} go with "
            "codec udp_offset, the other losses with the other codecs"
        ]
    return []
