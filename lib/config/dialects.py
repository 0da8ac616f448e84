"""The older forks' keys, translated here and nowhere else.

`rename_keys` works on one file (or one command line) as written; `settle` on the merged configuration, since a fork's
defaults and the codec follow from several keys that may come from different files.
"""

import re
from collections.abc import Collection
from typing import Any

from .check_data import ANNOTATED_BOXES_ONLY

# SimpleBaselines' names -> ours.
RENAMED = {
    "TRAIN.BATCH_SIZE": "TRAIN.BATCH_SIZE_PER_GPU",
    "TEST.BATCH_SIZE": "TEST.BATCH_SIZE_PER_GPU",
    "TRAIN.RESUME": "AUTO_RESUME",
    "MODEL.EXTRA.TARGET_TYPE": "MODEL.TARGET_TYPE",
    "MODEL.EXTRA.HEATMAP_SIZE": "MODEL.HEATMAP_SIZE",
    "MODEL.EXTRA.SIGMA": "MODEL.SIGMA",
}
# What SimpleBaselines' code does where its files are silent, as they all are; HRNet's files name these keys.
SIMPLE_BASELINES_DEFAULTS = {"TEST.POST_PROCESS": True, "TEST.SHIFT_HEATMAP": True}
# Keys that only these codecs read.
READ_BY_CODEC = {
    "TEST.BETA": ("soft_argmax",), "TEST.BIAS": ("soft_argmax",), "TEST.BLUR_KERNEL": ("dark", "megvii"),
    "LOSS.KPD": ("udp_offset",), "LOSS.DISK_RADIUS": ("grmi",), "TEST.VOTE_UPSAMPLING": ("grmi",),
    "MODEL.TARGET_SHAPE": ("ccssl",),
}  # fmt: skip
# In every file of the forks with these values, and read by none of their programs.
UNREAD = {"TEST.NMS_THRE": 1.0, "TEST.BBOX_THRE": 1.0, "TRAIN.GAMMA1": 0.99, "TRAIN.GAMMA2": 0.0}


def rename_keys(flat: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Old keys under their present names, and a note for the log on each.

    `flat` maps dotted keys to values, e.g. {"TRAIN.BATCH_SIZE": 32}. Given under both names, the present one counts.
    """
    result, notes = dict(flat), []
    for old, new in RENAMED.items():
        if old in result:
            value = result.pop(old)
            result.setdefault(new, value)
            notes.append(f"{old} is read as {new}")
    if "GPUS" in result:
        result["GPUS"] = parse_gpus(result["GPUS"])
    return result, notes


def parse_gpus(value: Any) -> Any:
    """Device numbers from the forks' spellings; anything else is given back for the type check to refuse.

    >>> parse_gpus("(0,1,2,3)"), parse_gpus("0,1"), parse_gpus("(0,)"), parse_gpus(0)
    ([0, 1, 2, 3], [0, 1], [0], [0])
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    if isinstance(value, str) and re.fullmatch(r"[\s()\[\]\d,]*\d[\s()\[\]\d,]*", value):
        return [int(number) for number in re.findall(r"\d+", value)]
    return value


def settle(cfg: dict[str, Any], given: Collection[str], written: Collection[str]) -> list[str]:
    """Completes the merged `cfg` as the fork that its keys point to would; returns the reasons, for the log.

    `given` holds the dotted keys that a file or the command line set, `written` the names they were written under.
    """
    notes = _simple_baselines(cfg, given) if any(key in RENAMED for key in written) else []
    notes += _settle_codec(cfg, given, bool(notes))
    notes += _settle_boxes(cfg, given)
    return notes + _differences(cfg) + _not_read(cfg, given)


def _simple_baselines(cfg: dict[str, Any], given: Collection[str]) -> list[str]:
    notes = ["SimpleBaselines' keys: its defaults hold where the file is silent"]
    for key, value in SIMPLE_BASELINES_DEFAULTS.items():
        if key not in given:
            section, leaf = key.split(".")
            cfg[section][leaf] = value
            notes.append(f"{key} {value}: SimpleBaselines' default")
    return notes


def _settle_codec(cfg: dict[str, Any], given: Collection[str], simple_baselines: bool) -> list[str]:
    """Sets MODEL.CODEC, and what follows from it. An explicit MODEL.CODEC wins.

    HRNet's and UDP's gaussian experiments carry the same keys; they are taken for HRNet's.
    """
    model = cfg["MODEL"]
    model["CODEC"], reason = _choose_codec(cfg, given, simple_baselines)
    notes = [f"codec {model['CODEC']}: {reason}"]
    fusion = "LAST_FUSION_EXPANSION"
    if _is_udp_hrnet(model) and f"MODEL.EXTRA.{fusion}" not in given:
        model["EXTRA"][fusion] = 4
        notes.append(f"MODEL.EXTRA.{fusion} 4: UDP's HRNet has four times the channels in its last fusion")
    return notes


def _is_udp_hrnet(model: dict[str, Any]) -> bool:
    return model["NAME"] == "pose_hrnet" and model["CODEC"] in ("udp", "udp_offset")


def _choose_codec(cfg: dict[str, Any], given: Collection[str], simple_baselines: bool) -> tuple[str, str]:
    model, test = cfg["MODEL"], cfg["TEST"]
    if "MODEL.CODEC" in given:
        return model["CODEC"], "MODEL.CODEC is set"
    if model["TARGET_TYPE"] == "offset":
        return "udp_offset", "MODEL.TARGET_TYPE is offset (UDP)"
    if test["SOFT_ARGMAX"]:
        return "soft_argmax", "TEST.SOFT_ARGMAX is set (LPN)"
    if "TEST.BLUR_KERNEL" in given:
        return "dark", "TEST.BLUR_KERNEL is set (DarkPose)"
    if simple_baselines:
        return "gaussian", "SimpleBaselines"
    if model["NAME"] == "lpn":
        return "gaussian", "LPN without TEST.SOFT_ARGMAX"
    return (
        "gaussian",
        "HRNet's; UDP's files with gaussian targets carry the same keys, so give MODEL.CODEC udp if this is one",
    )


def _settle_boxes(cfg: dict[str, Any], given: Collection[str]) -> list[str]:
    """MPII's people are always cropped by their annotated centers and scales; its experiment files seldom say so."""
    scored = cfg["TARGET"]["DATASET"] or cfg["DATASET"]["DATASET"]
    if scored not in ANNOTATED_BOXES_ONLY or cfg["TEST"]["USE_GT_BBOX"]:
        return []
    cfg["TEST"]["USE_GT_BBOX"] = True
    return ["TEST.USE_GT_BBOX False has no effect: this data set has annotated boxes only"] * (
        "TEST.USE_GT_BBOX" in given
    )


def _differences(cfg: dict[str, Any]) -> list[str]:
    """What the file asks for and heatpose does otherwise, on purpose."""
    model, test = cfg["MODEL"], cfg["TEST"]
    codec, notes = model["CODEC"], []
    if test["SHIFT_HEATMAP"] and codec in ("dark", "udp", "udp_offset", "megvii", "grmi", "ccssl"):
        notes.append(f"TEST.SHIFT_HEATMAP is not read by codec {codec}, which its paper decodes without it")
    if not test["POST_PROCESS"] and codec in ("dark", "udp_offset", "megvii", "ccssl"):
        notes.append(f"TEST.POST_PROCESS False is not read by codec {codec}: it always refines, as in its paper's code")
    if model["NAME"] == "hourglass" and codec == "dark" and max(model["IMAGE_SIZE"]) > 128:
        notes.append("DarkPose's own hourglass stops at this size; here the upsampling takes the size of the shortcut")
    for key, usual in UNREAD.items():
        section, leaf = key.split(".")
        if cfg[section][leaf] != usual and not (key == "TEST.NMS_THRE" and test["NMS"] == "box"):
            notes.append(f"{key} {cfg[section][leaf]} is read by nothing, as in the forks")
    return notes


def _not_read(cfg: dict[str, Any], given: Collection[str]) -> list[str]:
    """Keys that were given and that the chosen codec or network does not read."""
    model = cfg["MODEL"]
    codec, name = model["CODEC"], model["NAME"]
    notes = [
        f"{key} is not read by codec {codec}, only by {' and '.join(readers)}"
        for key, readers in READ_BY_CODEC.items()
        if key in given and codec not in readers
    ]
    if "MODEL.TARGET_TYPE" in given and (model["TARGET_TYPE"] == "offset") != (codec == "udp_offset"):
        notes.append(f"MODEL.TARGET_TYPE {model['TARGET_TYPE']} is not read: MODEL.CODEC {codec} says what is drawn")
    if "TEST.SOFT_ARGMAX" in given and cfg["TEST"]["SOFT_ARGMAX"] and codec != "soft_argmax":
        notes.append(f"TEST.SOFT_ARGMAX True is not read: MODEL.CODEC {codec} says how heatmaps are decoded")
    if model["STYLE"] != "pytorch" and name != "pose_resnet":
        notes.append(f"MODEL.STYLE {model['STYLE']} is not read by {name}")
    return notes
