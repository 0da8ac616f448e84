"""An experiment's further data sets, TARGET and HUMANS: completed from DATASET, and the configuration of each."""

from collections.abc import Collection
from typing import Any

from .defaults import DOMAINS
from .freeze import FrozenConfig, replaced, thaw

# What a data set is, as opposed to how its crops are made: a data set of another format has nothing of it in common.
IDENTITY = (
    "DATASET", "ROOT", "TRAIN_SET", "TEST_SET", "DATA_FORMAT", "ANNOTATIONS", "IMAGES", "SKELETON", "CATEGORIES",
    "UPPER_BODY", "SIGMAS", "ANIMALS", "SELECT_DATA",
)  # fmt: skip


def complete_domains(cfg: dict[str, Any], given: Collection[str]) -> None:
    """Fills what a section that names some key leaves out with DATASET's; `given` are the dotted keys that were set.

    Half bodies are cropped and people selected by labels, which TARGET has none of and people lack in part: neither is
    taken over. HUMANS, and a TARGET of another format than DATASET's, take over only how crops are made.
    """
    for section in DOMAINS:
        if not any(key.startswith(f"{section}.") for key in given):
            continue
        if f"{section}.DATASET" in given and not cfg[section]["DATASET"]:
            continue  # a resolved configuration without this section
        defaults = {**cfg["DATASET"], "PROB_HALF_BODY": 0.0, "SELECT_DATA": False}
        if f"{section}.DATASET" in given or section == "HUMANS":
            defaults["DATASET"] = cfg[section]["DATASET"] or "coco"
        if section == "HUMANS" or defaults["DATASET"] != cfg["DATASET"]["DATASET"]:
            defaults |= {key: cfg[section][key] for key in IDENTITY if key != "DATASET"}
        for key, value in defaults.items():
            if f"{section}.{key}" not in given:
                cfg[section][key] = value


def domain_config(cfg: FrozenConfig, section: str) -> FrozenConfig:
    """The configuration with `section` ("TARGET", "HUMANS") in the place of DATASET."""
    return replaced(cfg, {"DATASET": thaw(cfg[section])})


def scored_config(cfg: FrozenConfig) -> FrozenConfig:
    """The configuration of what is scored: TARGET's test split, DATASET's where there is no TARGET."""
    return domain_config(cfg, "TARGET") if cfg.TARGET.DATASET else cfg
