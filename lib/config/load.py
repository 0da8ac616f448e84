"""YAML + `BASE:` + command-line pairs -> one checked, frozen configuration.

Order: defaults < BASE file < experiment file < dialect < KEY VALUE pairs.
"""

import copy
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from easydict import EasyDict

from ..utils.registry import nearest
from .check import find_contradictions
from .defaults import DEFAULTS, MODEL_EXTRA
from .dialects import rename_keys, settle
from .domains import complete_domains
from .freeze import FrozenConfig, thaw

logger = logging.getLogger(__name__)


class ConfigError(ValueError):
    """A mistake in an experiment file or on the command line; the message names the file and the key."""


def load_config(
    path: str | os.PathLike | None, overrides: Sequence[str] = (), source: str = "command line"
) -> FrozenConfig:
    """The frozen configuration of an experiment file.

    Args:
        path: the YAML file, or None for none. Its `BASE:` key names a file, relative to it, that it builds upon.
        overrides: alternating keys and values, e.g. ["TEST.USE_GT_BBOX", "False"]; typed by the key's default.
        source: where the overrides come from, for messages.

    Raises:
        ConfigError: a file is missing or no YAML mapping, a key is unknown or of the wrong type, values contradict
            each other.
    """
    files = [] if path is None else _read_chain(Path(path), ())
    layers = [(file, flatten(content)) for file, content in files]
    layers.append((source, _pairs(overrides, source)))
    given: dict[str, tuple[str, Any]] = {}
    written = {key for _, flat in layers for key in flat}
    for source, flat in layers:
        renamed, notes = rename_keys(flat)
        for note in notes:
            logger.info("%s: %s", source, note)
        given.update({key: (source, value) for key, value in renamed.items()})
    cfg = _merge(given)
    complete_domains(cfg, given)
    for note in settle(cfg, given, written):
        logger.info(note)
    problems = find_contradictions(EasyDict(cfg))
    if problems:
        raise ConfigError(f"{path or 'command line'}: " + "; ".join(problems))
    return FrozenConfig(cfg)


def dump_config(cfg: FrozenConfig) -> str:
    """The resolved configuration as YAML; `load_config` of it gives the same configuration."""
    return yaml.safe_dump(thaw(cfg), sort_keys=False, default_flow_style=None)


def data_path(cfg: FrozenConfig, path: str) -> Path:
    """A path from the configuration, below DATA_DIR if it is relative."""
    return Path(cfg.DATA_DIR) / path


def _read_chain(path: Path, above: tuple[Path, ...]) -> list[tuple[str, dict[str, Any]]]:
    """Files from the lowest BASE to `path`, each with its content."""
    if path.resolve() in above:
        raise ConfigError(f"{path}: BASE leads back to this file; remove one BASE line")
    content = read_yaml(path)
    base = content.pop("BASE", None)
    if base is None:
        return [(str(path), content)]
    if not isinstance(base, str):
        raise ConfigError(f"{path}: BASE is {base!r}; expected the path of a YAML file")
    return [*_read_chain(path.parent / base, (*above, path.resolve())), (str(path), content)]


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds; a ConfigError where there is none."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; give an experiment file, e.g. --cfg experiments/toy/hrnet.yaml")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected KEY: VALUE lines, found {type(content).__name__}")
    return content


def flatten(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as dotted ones; an empty mapping contributes nothing."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        dotted = f"{prefix}{key}"
        flat.update(flatten(value, f"{dotted}.") if isinstance(value, dict) else {dotted: value})
    return flat


def _pairs(overrides: Sequence[str], source: str) -> dict[str, Any]:
    if len(overrides) % 2:
        raise ConfigError(f"{source}: {overrides[-1]!r} has no value; give KEY VALUE pairs")
    return {key: CommandLineValue(value) for key, value in zip(overrides[::2], overrides[1::2], strict=True)}


class CommandLineValue(str):
    """A value still spelled as text, typed once its key's default is known."""


def _merge(given: dict[str, tuple[str, Any]]) -> dict[str, Any]:
    cfg = copy.deepcopy(DEFAULTS)
    source, name = given.get("MODEL.NAME", ("defaults", cfg["MODEL"]["NAME"]))
    if name not in MODEL_EXTRA:
        raise ConfigError(
            f"{source}: MODEL.NAME {name!r} is no known architecture{nearest(str(name), MODEL_EXTRA)}; "
            f"known: {', '.join(MODEL_EXTRA)}"
        )
    cfg["MODEL"]["EXTRA"] = copy.deepcopy(MODEL_EXTRA[name])
    known = flatten(cfg)
    for key, (source, value) in given.items():
        *parents, leaf = key.split(".")
        node: Any = cfg
        for parent in parents:
            node = node.get(parent) if isinstance(node, dict) else None
        if not isinstance(node, dict) or leaf not in node:
            where = f" for MODEL.NAME {name}" if key.startswith("MODEL.EXTRA.") else ""
            raise ConfigError(f"{source}: unknown key {key}{where}{nearest(key, known)}")
        node[leaf] = _typed(node[leaf], value, key, source)
    return cfg


def _typed(default: Any, value: Any, key: str, source: str) -> Any:
    """`value` in the type of `default`; a ConfigError where that loses or invents something."""
    spelled = value
    if isinstance(value, CommandLineValue):
        value = str(value) if isinstance(default, str) else _from_text(value, isinstance(default, list))
    if isinstance(default, float) and isinstance(value, str):
        value = _number(value)  # YAML 1.1 reads 1e-3 as text
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(default, str) and value is None:
        value = ""
    if isinstance(value, tuple):
        value = list(value)
    if type(value) is not type(default):
        example = "" if isinstance(default, dict) else f", e.g. {default!r}"
        raise ConfigError(f"{source}: {key} is {spelled!r}; expected {_kind(default)}{example}")
    if isinstance(default, list) and default:
        value = [_typed(default[0], item, f"{key}[{i}]", source) for i, item in enumerate(value)]
    return value


def _from_text(text: str, is_list: bool) -> Any:
    if is_list:
        text = f"[{text.strip().strip('()[]').rstrip(',')}]"
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _kind(default: Any) -> str:
    names = {bool: "True or False", int: "a whole number", float: "a number", str: "text", list: "a list"}
    return names.get(type(default), "a mapping of keys")
