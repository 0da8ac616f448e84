"""The older forks' keys, translated here and nowhere else.

`rename_keys` works on one file (or one command line) as written; `settle_codec` on the merged configuration, since
the codec follows from several keys that may come from different files.
"""

import re
from collections.abc import Collection
from typing import Any

# SimpleBaselines' names -> ours.
RENAMED = {
    "TRAIN.BATCH_SIZE": "TRAIN.BATCH_SIZE_PER_GPU",
    "TEST.BATCH_SIZE": "TEST.BATCH_SIZE_PER_GPU",
    "TRAIN.RESUME": "AUTO_RESUME",
    "MODEL.EXTRA.TARGET_TYPE": "MODEL.TARGET_TYPE",
    "MODEL.EXTRA.HEATMAP_SIZE": "MODEL.HEATMAP_SIZE",
    "MODEL.EXTRA.SIGMA": "MODEL.SIGMA",
}


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


def settle_codec(cfg: dict[str, Any], given: Collection[str]) -> list[str]:
    """Sets MODEL.CODEC, and what follows from it, in the merged `cfg`; returns the reasons, for the log.

    `given` holds the dotted keys that a file or the command line set. An explicit MODEL.CODEC wins. HRNet's and UDP's
    gaussian experiments carry the same keys; they are taken for HRNet's, and UDP's take MODEL.CODEC from the user.
    """
    model = cfg["MODEL"]
    model["CODEC"], reason = _choose_codec(cfg, given)
    notes = [f"codec {model['CODEC']}: {reason}"]
    fusion = "LAST_FUSION_EXPANSION"
    udp_hrnet = model["NAME"] == "pose_hrnet" and model["CODEC"] in ("udp", "udp_offset")
    if udp_hrnet and f"MODEL.EXTRA.{fusion}" not in given:
        model["EXTRA"][fusion] = 4
        notes.append(f"MODEL.EXTRA.{fusion} 4: UDP's HRNet has four times the channels in its last fusion")
    return notes


def _choose_codec(cfg: dict[str, Any], given: Collection[str]) -> tuple[str, str]:
    model, test = cfg["MODEL"], cfg["TEST"]
    if "MODEL.CODEC" in given:
        return model["CODEC"], "MODEL.CODEC is set"
    if model["TARGET_TYPE"] == "offset":
        return "udp_offset", "MODEL.TARGET_TYPE is offset (UDP)"
    if test["SOFT_ARGMAX"]:
        return "soft_argmax", "TEST.SOFT_ARGMAX is set (LPN)"
    if "TEST.BLUR_KERNEL" in given:
        return "dark", "TEST.BLUR_KERNEL is set (DarkPose)"
    return "gaussian", "no key of another codec is set; for a UDP gaussian experiment give MODEL.CODEC udp"
