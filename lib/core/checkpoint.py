"""Weights and training states: written atomically, read without unpickling foreign objects."""

import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..utils.files import replacing


class CheckpointError(ValueError):
    """A weight file that cannot be read or does not fit; the message names the file and the keys."""


def save_atomically(content: Any, path: Path) -> None:
    """torch.save to a temporary name, then rename: whoever reads `path` finds the old file or the whole new one."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a .pth file; a CheckpointError where it is missing, cut off, or needs pickled objects."""
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such file; train first or give TEST.MODEL_FILE (to score), put the backbone there or give "
            "MODEL.PRETRAINED '' (to train)"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{path}: not a plain weight file; files that need pickled objects are not loaded, since they can run "
            "code: save the model's state_dict() instead"
        ) from None
    except (RuntimeError, EOFError, LookupError, AttributeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{path}: broken, cut off or no weight file ({reason}); fetch it again") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}; expected a state_dict")
    return content


def state_dict_of(content: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The weights in a checkpoint: plain, or under "state_dict" or "model"; without DataParallel's "module."."""
    for key in ("state_dict", "model"):
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    return {key.removeprefix("module."): value for key, value in content.items() if isinstance(value, torch.Tensor)}


def load_weights(model: nn.Module, path: Path) -> dict[str, Any]:
    """Fills `model` from a checkpoint and returns the checkpoint's content.

    Raises:
        CheckpointError: the file's keys or shapes are not exactly the model's; the message says which differ.
    """
    content = read_checkpoint(path)
    weights = state_dict_of(content)
    wanted = model.state_dict()
    report = [
        _count("missing", [key for key in wanted if key not in weights]),
        _count("unexpected", [key for key in weights if key not in wanted]),
        _count("of another shape", wrong_shapes(wanted, weights)),
    ]
    problems = [line for line in report if line]
    if problems:
        raise CheckpointError(
            f"{path}: weights of another architecture than MODEL.NAME and MODEL.EXTRA describe: " + "; ".join(problems)
        )
    model.load_state_dict(weights)
    return content


def load_pretrained(model: nn.Module, path: Path, layers: Sequence[str] = ("*",)) -> str:
    """Fills the part of `model` that a backbone's weight file covers; returns a line that says how much.

    Only keys whose first part is in `layers` are taken ("*": all), as HRNet's PRETRAINED_LAYERS does, and only those
    that the model has in the same shape.

    Raises:
        CheckpointError: unreadable file, or nothing in it fits.
    """
    weights = state_dict_of(read_checkpoint(path))
    chosen = {key: value for key, value in weights.items() if "*" in layers or key.split(".")[0] in layers}
    wanted = model.state_dict()
    wrong = wrong_shapes(wanted, chosen)
    fitting = {key: value for key, value in chosen.items() if key in wanted and wanted[key].shape == value.shape}
    if not fitting:
        raise CheckpointError(
            f"{path}: none of its {len(weights)} weights fits the model; give MODEL.PRETRAINED of the backbone"
        )
    model.load_state_dict(fitting, strict=False)
    line = f"{path}: {len(fitting)} of the model's {len(wanted)} tensors loaded, {len(weights) - len(fitting)} not used"
    return f"{line}; {_count('of another shape', wrong)}" if wrong else line


def wrong_shapes(wanted: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]) -> list[str]:
    """Keys of both whose shapes differ, each with the shape found and the shape wanted."""
    return [
        f"{key} {tuple(found[key].shape)} for {tuple(value.shape)}"
        for key, value in wanted.items()
        if key in found and found[key].shape != value.shape
    ]


def _count(what: str, keys: Sequence[str], shown: int = 3) -> str:
    if not keys:
        return ""
    more = ", ..." if len(keys) > shown else ""
    return f"{len(keys)} {what} ({', '.join(keys[:shown])}{more})"
