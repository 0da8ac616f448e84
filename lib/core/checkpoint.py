"""Weight files: written atomically, read without unpickling foreign objects.

How the weights of a file get into a model stands in weights.py.
"""

import os
import pickle
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..utils.files import replacing
from .pickled_numbers import NotANumberError, numbers_allowed


class CheckpointError(ValueError):
    """A weight file that cannot be read or does not fit; the message names the file and the keys."""


# What torch.load raises for files that are cut off, damaged or something else altogether.
DAMAGE = (pickle.UnpicklingError, RuntimeError, EOFError, LookupError, AttributeError, TypeError, ValueError, OSError)


def save_atomically(content: Any, path: Path) -> None:
    """torch.save to a temporary name, then rename: whoever reads `path` finds the old file or the whole new one."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a weight file, on the CPU.

    `.safetensors` files are read as such. Every other name (.pth, .pth.tar, ...) is a file of torch.save, in the zip
    format or the one before PyTorch 1.6. Numbers of NumPy come back as Python numbers.

    Raises:
        CheckpointError: the file is missing, cut off or damaged, a real tar archive, or needs pickled objects.
    """
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such file; train first, or give the path of the weights: TEST.MODEL_FILE to score, "
            "TRAIN.CHECKPOINT to continue"
        )
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}; expected a state_dict")
    return content


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from None


def _read_torch(path: Path) -> Any:
    if _is_tar(path):
        raise CheckpointError(
            f"{path}: a tar archive, not a weight file (.pth.tar is only a name); unpack it and give the weight file "
            f"inside; where that is 'storages', 'tensors' and 'pickle', PyTorch before 0.1.10 wrote it: {CONVERT}"
        )
    try:
        with numbers_allowed():
            return torch.load(path, map_location="cpu", weights_only=True)
    except NotANumberError as error:
        raise _needs_pickle(path, str(error)) from None
    except DAMAGE as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))  # torch names the first object that it will not make
        raise (_needs_pickle(path, refused[1]) if refused else _damaged(path, error)) from None


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except OSError:
        return False


CONVERT = "if you trust its source, save its weights alone with PyTorch (docs/weights.md shows how)"


def _needs_pickle(path: Path, wanted: str) -> CheckpointError:
    return CheckpointError(
        f"{path}: needs pickle to make {wanted}, so it is refused: such a file can run any code; {CONVERT}"
    )


def _damaged(path: Path, error: Exception) -> CheckpointError:
    head = path.read_bytes()[:9]
    # torch's files before 1.6 begin with a pickled number of their own
    foreign = isinstance(error, pickle.UnpicklingError | LookupError) or "magic number" in str(error)
    if foreign and re.match(rb"\x80[\x02-\x05]", head):
        return _needs_pickle(path, "its content: pickle.dump wrote it, not torch.save")
    if len(head) == 9 and head[8:] == b"{" and path.suffix != ".safetensors":
        return CheckpointError(f"{path}: looks like a safetensors file; name it .safetensors")
    # What torch says of a pickle that it cannot read is how to switch its safety off; a KeyError's text is a number.
    silent = isinstance(error, pickle.UnpicklingError | LookupError)
    reason = "nothing that torch.save writes" if silent else first_line(error)
    return CheckpointError(f"{path}: broken, cut off or no weight file ({reason}); fetch it again")


def first_line(error: Exception) -> str:
    """The first line of an error's text, or the error's name where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def state_dict_of(content: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The weights in a checkpoint: plain, or under "state_dict" or "model"; without DataParallel's "module.".

    >>> weights = {"module.fc.bias": torch.zeros(2)}
    >>> list(state_dict_of({"epoch": 3, "model": "pose_hrnet", "state_dict": weights}))
    ['fc.bias']
    """
    for key in ("state_dict", "model"):
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    weights = {key: value for key, value in content.items() if isinstance(value, torch.Tensor)}
    is_parallel = all(key.startswith("module.") for key in weights)
    return {key.removeprefix("module."): value for key, value in weights.items()} if is_parallel else weights
