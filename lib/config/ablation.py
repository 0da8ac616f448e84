"""Ablation files: a set of variants of one experiment, over several seeds, and what papers claim about them.

BASE: ../hrnet_64x48.yaml             # the experiment that all variants build upon, relative to this file
SEEDS: [0, 1, 2]
TRAIN:                                # name -> keys to change; each variant is trained once a seed
  gaussian: {MODEL.CODEC: gaussian}   # BASE among them names another experiment
  dark: {MODEL.CODEC: dark}
TEST:                                 # name -> keys to change; scored on the same weights. Optional
  no flip: {TEST.FLIP_TEST: false}
  raw flip: {TEST.FLIP_TEST: true}
CLAIMS:
  - CLAIM: A sub-pixel target and the Taylor step raise AP (DARK, Zhang et al. 2020, table 2).
    EXPECT: dark / no flip > gaussian / no flip
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..utils.registry import nearest
from .defaults import DEFAULTS, MODEL_EXTRA
from .freeze import FrozenConfig, thaw
from .load import ConfigError, flatten, load_config, read_yaml

KEYS = ("BASE", "SEEDS", "TRAIN", "TEST", "CLAIMS", "METRIC")
REQUIRED = ("BASE", "SEEDS", "TRAIN", "CLAIMS")
# Where files lie, how fast it goes and what is shown: none of it changes weights or scores.
SURROUNDINGS = ("OUTPUT_DIR", "LOG_DIR", "DATA_DIR", "GPUS", "WORKERS", "PRINT_FREQ", "AUTO_RESUME", "CUDNN", "DEBUG")
NOT_FOR_WEIGHTS = (*SURROUNDINGS, "TEST", "TRAIN.VALIDATE_EVERY", "TRAIN.CHECKPOINT")
NOT_FOR_SCORES = (*SURROUNDINGS, "TEST.MODEL_FILE", "TEST.BATCH_SIZE_PER_GPU", "TRAIN.VALIDATE_EVERY")


class Cell(NamedTuple):
    """One row of a set's table: a training variant, scored in one way."""

    train: str
    test: str

    def __str__(self) -> str:
        return f"{self.train} / {self.test}" if self.test else self.train


@dataclass(frozen=True)
class Claim:
    """A paper's claim; `better` above `worse` bears it out."""

    text: str
    better: Cell
    worse: Cell


@dataclass(frozen=True)
class Ablation:
    """One set: variants of `base`; `test` has one entry without a name where the file names no TEST variants."""

    name: str
    path: Path
    base: Path
    seeds: tuple[int, ...]
    train: Mapping[str, Mapping[str, Any]]
    test: Mapping[str, Mapping[str, Any]]
    claims: tuple[Claim, ...]
    metric: str

    @property
    def cells(self) -> list[Cell]:
        """The rows of the set's table."""
        return [Cell(train, test) for train in self.train for test in self.test]

    def training_config(self, train: str, seed: int, common: Mapping[str, Any]) -> FrozenConfig:
        """The configuration of one training; `common` are dotted keys that hold for all."""
        source = f"{self.path}: TRAIN {train}"
        return load_config(self._base(train), _words({**common, **_keys(self.train[train]), "SEED": seed}), source)

    def scoring_config(self, cell: Cell, seed: int, common: Mapping[str, Any]) -> FrozenConfig:
        """The configuration of scoring the weights of `training_config` in the way of `cell`."""
        source = f"{self.path}: TRAIN {cell.train}" + f", TEST {cell.test}" * bool(cell.test)
        changes = {**common, **_keys(self.train[cell.train]), **self.test[cell.test], "SEED": seed}
        return load_config(self._base(cell.train), _words(changes), source)

    def _base(self, train: str) -> Path:
        """The experiment of a variant: its own BASE, or the set's."""
        own = self.train[train].get("BASE")
        return self.base if own is None else Path(os.path.normpath(self.path.parent / own))


def load_ablation(path: Path) -> Ablation:
    """The set that an ablation file describes.

    Raises:
        ConfigError: the file is missing, a key is unknown or missing or of the wrong type, or a claim names a variant
            that is not there. Keys of the experiment are checked when its configurations are made.
    """
    content = read_yaml(path)
    for key in content:
        if key not in KEYS:
            raise ConfigError(f"{path}: unknown key {key}{nearest(str(key), KEYS)}; known: {', '.join(KEYS)}")
    missing = [key for key in REQUIRED if key not in content]
    if missing:
        raise ConfigError(f"{path}: {' and '.join(missing)} not given; see docs/ablation.md")
    for key in ("BASE", "METRIC"):
        if not isinstance(content.get(key, ""), str):
            raise ConfigError(f"{path}: {key} is {content[key]!r}; expected text")
    seeds = content["SEEDS"]
    if not isinstance(seeds, list) or not seeds or any(type(seed) is not int or seed < 0 for seed in seeds):
        raise ConfigError(f"{path}: SEEDS is {seeds!r}; expected a list of whole numbers from 0, e.g. [0, 1, 2]")
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"{path}: SEEDS {seeds} has a number twice, which would count one training twice")
    train = _variants(path, "TRAIN", content["TRAIN"])
    test = _variants(path, "TEST", content["TEST"]) if "TEST" in content else {"": {}}
    claims = tuple(_claims(path, content["CLAIMS"], train, test))
    base = Path(os.path.normpath(path.parent / content["BASE"]))
    return Ablation(path.stem, path, base, tuple(seeds), train, test, claims, content.get("METRIC", "AP"))


def _variants(path: Path, key: str, variants: Any) -> dict[str, dict[str, Any]]:
    """Name -> dotted keys and values."""
    if not isinstance(variants, dict) or not variants:
        raise ConfigError(f"{path}: {key} is {variants!r}; expected names with the keys that each changes")
    for name, changes in variants.items():
        if not isinstance(name, str) or any(sign in name for sign in "/>"):
            raise ConfigError(f"{path}: {key} has a variant {name!r}; expected a name, text without / and >")
        if not isinstance(changes, dict):
            raise ConfigError(f"{path}: {key} {name} is {changes!r}; expected keys to change, {{}} for none")
        if "BASE" in changes and (key != "TRAIN" or not isinstance(changes["BASE"], str)):
            raise ConfigError(f"{path}: {key} {name}: BASE is for variants of TRAIN: the path of their experiment")
    return {name: flatten(changes) for name, changes in variants.items()}


def _claims(path: Path, claims: Any, train: Mapping[str, Any], test: Mapping[str, Any]) -> Iterator[Claim]:
    if not isinstance(claims, list) or any(not isinstance(claim, dict) for claim in claims):
        raise ConfigError(f"{path}: CLAIMS is {claims!r}; expected a list of CLAIM and EXPECT")
    for number, claim in enumerate(claims, start=1):
        if set(claim) != {"CLAIM", "EXPECT"} or not all(isinstance(value, str) for value in claim.values()):
            raise ConfigError(f"{path}: claim {number} has {', '.join(map(str, claim))}; expected CLAIM and EXPECT")
        sides = claim["EXPECT"].split(">")
        if len(sides) != 2:
            raise ConfigError(
                f"{path}: claim {number}: EXPECT is {claim['EXPECT']!r}; expected A > B, e.g. udp > gaussian"
            )
        better, worse = (_cell(f"{path}: claim {number}", side, train, test) for side in sides)
        yield Claim(claim["CLAIM"], better, worse)


def _cell(where: str, text: str, train: Mapping[str, Any], test: Mapping[str, Any]) -> Cell:
    """The row that "variant" or "variant / way of testing" names."""
    parts = [part.strip() for part in text.split("/")]
    if len(parts) == 1 and len(test) == 1:
        parts.append(next(iter(test)))
    if len(parts) != 2:
        raise ConfigError(
            f"{where}: {text.strip()!r} should be a variant of TRAIN, a slash and one of TEST: {', '.join(test)}"
        )
    for key, name, known in (("TRAIN", parts[0], train), ("TEST", parts[1], test)):
        if name not in known:
            raise ConfigError(
                f"{where}: {name!r} is no variant of {key}{nearest(name, known)}; known: {', '.join(known)}"
            )
    return Cell(*parts)


def _keys(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in changes.items() if key != "BASE"}


def _words(changes: Mapping[str, Any]) -> list[str]:
    """Keys and values as the command line spells them, so that they are typed and checked like there."""
    return [word for key, value in changes.items() for word in (key, "" if value is None else str(value))]


def fingerprint(cfg: FrozenConfig, left_out: tuple[str, ...]) -> str:
    """Ten hexadecimal digits that tell configurations apart, by their keys that differ from the defaults.

    Sections or keys in `left_out` do not count. Keys that a later version adds leave it as it is.
    """
    name = cfg.MODEL.NAME
    defaults = flatten({**DEFAULTS, "MODEL": {**DEFAULTS["MODEL"], "EXTRA": MODEL_EXTRA[name]}})
    given = {key: value for key, value in compared_keys(cfg, left_out).items() if value != defaults.get(key)}
    return hashlib.sha256(json.dumps({**given, "MODEL.NAME": name}, sort_keys=True).encode()).hexdigest()[:10]


def compared_keys(cfg: FrozenConfig, left_out: tuple[str, ...]) -> dict[str, Any]:
    """Dotted keys and values of a configuration, without those in `left_out`, sections or keys."""
    return {
        key: value
        for key, value in flatten(thaw(cfg)).items()
        if key not in left_out and key.split(".")[0] not in left_out
    }
