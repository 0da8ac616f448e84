"""What types cannot tell: sizes that must agree, values that exclude each other."""

from typing import Any

from .check_data import data_contradictions

# Input px per px of the coarsest features: the input's sides must be multiples of it. pose_hrnet's follows from its
# branches. The hourglass has one level more, at 64, which may round down (DarkPose's inputs are 96 and 288 wide) but
# not to nothing.
COARSEST_STRIDE = {"pose_hrnet": 32, "pose_resnet": 32, "lpn": 16, "hourglass": 32, "mspn": 32}
# Networks whose outermost output px lie on outermost input px, and the strides that their output can have: the input's
# sides are a multiple of it plus 1.
ALIGNED_STRIDES = {"grmi_resnet": (4, 8, 16, 32)}
SMALLEST_SIDE = {"hourglass": 64}
# Codecs whose outputs have a meaning of their own, and the losses that know it, the usual one first. All other losses
# go with all other codecs.
LOSSES_OF_CODEC = {
    "udp_offset": ("JointsMSEOffset", "JointsL1Offset"), "megvii": ("JointsL2",), "grmi": ("JointsGRMI",),
}  # fmt: skip
CHOICES = {
    "DATASET.DATA_FORMAT": ("jpg", "zip", "tar"),
    "DATASET.TOY_DOMAIN": ("source", "target"),
    "DATASET.AUGMENTATION": ("hrnet", "mspn"),
    "ADAPT.METHOD": ("", "supervised", "mean_teacher", "ccssl", "wscda", "pplo"),
    "DATASET.SKELETON": ("", "file"),
    "TEST.METRIC": ("", "oks", "pck"),
    "TRAIN.OPTIMIZER": ("adam", "adamw", "sgd", "rmsprop", "adam_l2"),
    "TRAIN.LR_SCHEDULE": ("step", "linear"),
    "LOSS.REDUCTION": ("mean", "sum"),
    "COMPUTE.PRECISION": ("fp32", "bf16"),
    "COMPUTE.COMPILE": ("none", "cudagraphs", "default", "reduce-overhead", "max-autotune"),
    "TEST.NMS": ("oks", "box"),
    "TEST.RESCORE": ("box_times_keypoints", "keypoints"),
    "MODEL.TARGET_TYPE": ("gaussian", "offset"),
    "MODEL.TARGET_SHAPE": ("gaussian", "cauchy"),
}
POSITIVE = (
    "MODEL.NUM_JOINTS", "MODEL.SIGMA", "TRAIN.BATCH_SIZE_PER_GPU", "TEST.BATCH_SIZE_PER_GPU", "TRAIN.LR",
    "TRAIN.STAGES", "TRAIN.END_EPOCH", "TRAIN.VALIDATE_EVERY", "PRINT_FREQ", "LOSS.TOPK", "LOSS.KPD", "TEST.BETA",
    "TEST.BLUR_KERNEL", "LOSS.DISK_RADIUS", "TEST.VOTE_UPSAMPLING", "ADAPT.REFRESH_EVERY", "ADAPT.VIEWS",
    "ADAPT.FLOW_LIMIT", "TEST.PCK_THRE", "TRAIN.ACCUMULATE",
)  # fmt: skip
NOT_NEGATIVE = (
    "WORKERS", "SEED", "LOSS.LAMBDA_HEATMAP", "LOSS.LAMBDA_OFFSET", "ADAPT.BEGIN_EPOCH", "ADAPT.LAMBDA",
    "ADAPT.VIEW_ROTATION", "ADAPT.RANK_OFFSET", "ADAPT.RANK_STEP", "ADAPT.THRESHOLD_STEP", "ADAPT.RAMPUP_EPOCHS",
    "ADAPT.W1", "ADAPT.W2",
)  # fmt: skip
SHARES = ("ADAPT.VIEW_SCALE", "ADAPT.RANK_FLOOR", "ADAPT.FLOW_DECAY", "ADAPT.EMA", "TRAIN.EMA")  # 0 to 1


def output_stride(name: str, extra: dict[str, Any]) -> int:
    """Input px per heatmap px of an architecture.

    >>> output_stride("pose_resnet", {"NUM_DECONV_LAYERS": 3})
    4
    """
    if name in ("pose_hrnet", "hourglass", "mspn"):
        return 4
    if name in ALIGNED_STRIDES:
        return extra["OUTPUT_STRIDE"]
    return COARSEST_STRIDE[name] // 2 ** extra["NUM_DECONV_LAYERS"]  # each transposed convolution halves it


def coarsest_stride(name: str, extra: dict[str, Any]) -> int:
    """Input px per px of the coarsest features of an architecture; HRNet's branches begin at 4 and double.

    >>> three = {"NUM_BRANCHES": 3}
    >>> coarsest_stride("pose_hrnet", {"STAGE2": {"NUM_BRANCHES": 2}, "STAGE3": three, "STAGE4": three})
    16
    """
    if name != "pose_hrnet":
        return COARSEST_STRIDE[name]
    branches = max(extra[stage]["NUM_BRANCHES"] for stage in ("STAGE2", "STAGE3", "STAGE4"))
    return int(2 ** (branches + 1))


def find_contradictions(cfg: Any) -> list[str]:
    """One line for each thing in `cfg` that cannot work, with the keys and how to mend it; empty where all is well."""
    checks = (_choices, _numbers, _sizes, data_contradictions, _loss, _megvii, _speed)
    return [problem for check in checks for problem in check(cfg)]


def _lookup(cfg: Any, key: str) -> Any:
    for part in key.split("."):
        cfg = cfg[part]
    return cfg


def _choices(cfg: Any) -> list[str]:
    choices = dict(CHOICES)
    for section in ("TARGET", "HUMANS"):
        if cfg[section].DATASET:
            of_data = {key: allowed for key, allowed in CHOICES.items() if key.startswith("DATASET.")}
            choices |= {key.replace("DATASET", section, 1): allowed for key, allowed in of_data.items()}
    return [
        f"{key} is {_lookup(cfg, key)!r}; choose one of {', '.join(allowed)}"
        for key, allowed in choices.items()
        if _lookup(cfg, key) not in allowed
    ]


def _numbers(cfg: Any) -> list[str]:
    found = [f"{key} is {_lookup(cfg, key)}; it must be above 0" for key in POSITIVE if not _lookup(cfg, key) > 0]
    found += [f"{key} is {_lookup(cfg, key)}; it must be 0 or more" for key in NOT_NEGATIVE if _lookup(cfg, key) < 0]
    found += [f"{key} is {_lookup(cfg, key)}; expected 0 to 1" for key in SHARES if not 0 <= _lookup(cfg, key) <= 1]
    if cfg.LOSS.USE_OHKM and cfg.LOSS.TOPK > cfg.MODEL.NUM_JOINTS:
        found.append(f"LOSS.TOPK is {cfg.LOSS.TOPK}; it must be at most MODEL.NUM_JOINTS {cfg.MODEL.NUM_JOINTS}")
    if cfg.TEST.NMS == "box" and cfg.TEST.NMS_THRE >= 1 and not cfg.TEST.SOFT_NMS:
        found.append(
            f"TEST.NMS_THRE is {cfg.TEST.NMS_THRE}, so TEST.NMS box drops nobody; give an IoU below 1, e.g. 0.6"
        )
    for key, smallest in (("PIXEL_MEAN", 0), ("PIXEL_STD", 1e-6)):
        if len(cfg.MODEL[key]) != 3 or min(cfg.MODEL[key]) < smallest:
            found.append(f"MODEL.{key} is {list(cfg.MODEL[key])}; expected three numbers from 0 to 1, one a channel")
    for key in ("BOX_EXTENSION", "RANDOM_EXTENSION"):
        if len(cfg.DATASET[key]) != 2 or min(cfg.DATASET[key]) < 0:
            found.append(f"DATASET.{key} is {list(cfg.DATASET[key])}; expected two shares from 0, of width and height")
    if not cfg.GPUS:
        found.append("GPUS is empty; give at least one device number, e.g. (0,)")
    return found


def _sizes(cfg: Any) -> list[str]:
    model = cfg.MODEL
    for key in ("IMAGE_SIZE", "HEATMAP_SIZE"):
        if len(model[key]) != 2 or min(model[key]) <= 0:
            return [f"MODEL.{key} is {list(model[key])}; expected [width, height] in px, both above 0"]
    if model.NAME in ALIGNED_STRIDES:
        return _aligned_sizes(model, output_stride(model.NAME, model.EXTRA))
    coarsest, stride = coarsest_stride(model.NAME, model.EXTRA), output_stride(model.NAME, model.EXTRA)
    if stride < 1:
        layers = model.EXTRA.NUM_DECONV_LAYERS
        return [f"MODEL.EXTRA.NUM_DECONV_LAYERS is {layers}, which is finer than the input; use fewer"]
    smallest = SMALLEST_SIDE.get(model.NAME, coarsest)
    if any(side % coarsest or side < smallest for side in model.IMAGE_SIZE):
        return [
            f"MODEL.IMAGE_SIZE is {list(model.IMAGE_SIZE)}; {model.NAME} halves it again and again, so both sides must "
            f"be multiples of {coarsest}, at least {smallest}"
        ]
    return _heatmap_size(model, [side // stride for side in model.IMAGE_SIZE], stride)


def _aligned_sizes(model: Any, stride: int) -> list[str]:
    if stride not in ALIGNED_STRIDES[model.NAME]:
        known = ", ".join(map(str, ALIGNED_STRIDES[model.NAME]))
        return [f"MODEL.EXTRA.OUTPUT_STRIDE is {stride}; {model.NAME} has one of {known}"]
    wanted = [(side - 1) // stride + 1 for side in model.IMAGE_SIZE]
    if any((side - 1) % stride or side <= stride for side in model.IMAGE_SIZE):
        near = [max(round((side - 1) / stride), 1) * stride + 1 for side in model.IMAGE_SIZE]
        return [
            f"MODEL.IMAGE_SIZE is {list(model.IMAGE_SIZE)}; {model.NAME} lays outermost pixels on outermost pixels, so "
            f"both sides must be a multiple of its stride {stride} plus 1, e.g. {near}"
        ]
    return _heatmap_size(model, wanted, stride)


def _heatmap_size(model: Any, wanted: list[int], stride: int) -> list[str]:
    if list(model.HEATMAP_SIZE) != wanted:
        return [
            f"MODEL.HEATMAP_SIZE is {list(model.HEATMAP_SIZE)}, but {model.NAME} with stride {stride} turns "
            f"MODEL.IMAGE_SIZE {list(model.IMAGE_SIZE)} into {wanted}; set one to fit the other"
        ]
    return []


def fits_codec(loss: str, codec: str) -> bool:
    """Whether a loss can train for a codec.

    >>> fits_codec("JointsMSE", "dark"), fits_codec("JointsMSE", "grmi"), fits_codec("JointsGRMI", "udp_offset")
    (True, False, False)
    """
    if codec in LOSSES_OF_CODEC:
        return loss in LOSSES_OF_CODEC[codec]
    return all(loss not in losses for losses in LOSSES_OF_CODEC.values())


def _loss(cfg: Any) -> list[str]:
    if cfg.ADAPT.METHOD and cfg.MODEL.CODEC in LOSSES_OF_CODEC:
        return [
            f"ADAPT.METHOD {cfg.ADAPT.METHOD} takes heatmaps alone, but MODEL.CODEC is {cfg.MODEL.CODEC}; take gaussian"
        ]
    if cfg.LOSS.NAME and not fits_codec(cfg.LOSS.NAME, cfg.MODEL.CODEC):
        own = "; ".join(f"{' and '.join(losses)} with codec {codec}" for codec, losses in LOSSES_OF_CODEC.items())
        return [
            f"LOSS.NAME is {cfg.LOSS.NAME} with MODEL.CODEC {cfg.MODEL.CODEC}; {own}, the other losses with the other "
            "codecs"
        ]
    if cfg.MODEL.EXTRA.get("INTERMEDIATE_LAYER") and cfg.MODEL.CODEC != "grmi":
        return [
            f"MODEL.EXTRA.INTERMEDIATE_LAYER is {cfg.MODEL.EXTRA.INTERMEDIATE_LAYER} with MODEL.CODEC "
            f"{cfg.MODEL.CODEC}; only the loss of codec grmi takes heatmaps alone, so set it to 0"
        ]
    return []


def _megvii(cfg: Any) -> list[str]:
    """What the other codecs have and this one does not."""
    if cfg.MODEL.CODEC != "megvii":
        return []
    found = []
    if cfg.MODEL.NAME == "hourglass":
        found.append(
            "MODEL.CODEC megvii has four levels of targets for each stage, which hourglass does not give; take mspn, "
            "or a network with one output"
        )
    for key, value in (("USE_TARGET_WEIGHT", True), ("USE_DIFFERENT_JOINTS_WEIGHT", False)):
        if cfg.LOSS[key] != value:
            found.append(
                f"LOSS.{key} is {not value}, but with MODEL.CODEC megvii a joint counts by its visibility and nothing "
                f"else; set it to {value}"
            )
    return found


def _speed(cfg: Any) -> list[str]:
    """What ACCUMULATE, EMA and COMPILE do not go with."""
    found, train = [], cfg.TRAIN
    if train.ACCUMULATE > 1 and cfg.LOSS.NAME == "JointsL1Offset" and cfg.LOSS.REDUCTION == "sum":
        found.append(
            f"TRAIN.ACCUMULATE is {train.ACCUMULATE} with LOSS.REDUCTION sum, which adds up a batch; a step "
            "takes the mean of its batches, so set LOSS.REDUCTION to mean"
        )
    if train.EMA == 1:
        found.append("TRAIN.EMA is 1, so that the average would never move; give a share below 1, e.g. 0.9998")
    if train.EMA and cfg.ADAPT.METHOD == "mean_teacher":
        found.append(
            f"TRAIN.EMA is {train.EMA} with ADAPT.METHOD mean_teacher, whose teacher is the average that is scored "
            "(ADAPT.EMA); set TRAIN.EMA to 0"
        )
    compiled = cfg.COMPUTE.COMPILE
    if compiled != "none" and cfg.ADAPT.METHOD:
        found.append(
            f"COMPUTE.COMPILE is {compiled} with ADAPT.METHOD {cfg.ADAPT.METHOD}, which has not been tried compiled; "
            "set it to none"
        )
    if compiled == "reduce-overhead" and train.ACCUMULATE > 1:
        found.append(
            f"COMPUTE.COMPILE is reduce-overhead with TRAIN.ACCUMULATE {train.ACCUMULATE}; CUDA graphs do not keep "
            "gradients from batch to batch, so set COMPUTE.COMPILE to default"
        )
    return found
