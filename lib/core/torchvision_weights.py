"""ImageNet weights by torchvision's own names, fetched by torchvision's own downloader.

`torchvision://resnet50` is IMAGENET1K_V1, the weights that the papers began with;
`torchvision://resnet50.IMAGENET1K_V2` names another set that torchvision publishes.
"""

from pathlib import Path
from typing import Any

import torch

from ..utils.registry import nearest
from .checkpoint import DAMAGE, CheckpointError, first_line

SCHEME = "torchvision://"
PAPERS = "IMAGENET1K_V1"


def is_torchvision(source: str) -> bool:
    """Whether `source` is a name of torchvision's weights and not a path."""
    return source.startswith(SCHEME)


def fetch(source: str) -> dict[str, torch.Tensor]:
    """The state_dict that `source` names, downloaded into torch.hub's cache unless it stands there already.

    The downloaded file's SHA-256 is checked against its name.

    Raises:
        CheckpointError: torchvision has no such weights, they cannot be downloaded, or what came is damaged.
    """
    entry = _entry(source)
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(entry.url).name
    by_hand = "download it by hand and give its path as MODEL.PRETRAINED"
    try:
        return entry.get_state_dict(map_location="cpu", check_hash=True, weights_only=True)
    except OSError as error:
        raise CheckpointError(
            f"{source}: cannot fetch {entry.url} to {cached} ({first_line(error)}); {by_hand}, or put it there"
        ) from None
    except DAMAGE as error:
        raise CheckpointError(
            f"{source}: {entry.url} came damaged or its copy {cached} is ({first_line(error)}); delete the copy and "
            f"start again, or {by_hand}"
        ) from None


def _entry(source: str) -> Any:
    """The member of torchvision's enumeration of weights that `source` names."""
    from torchvision.models import get_model_weights, list_models

    model, _, name = source.removeprefix(SCHEME).partition(".")
    if model not in list_models():
        raise CheckpointError(
            f"{source}: torchvision has no model '{model}'{nearest(model, list_models())}; MODEL.PRETRAINED takes a "
            "file or a name like torchvision://resnet50"
        )
    published = {entry.name: entry for entry in get_model_weights(model)}
    if (name or PAPERS) not in published:
        raise CheckpointError(
            f"{source}: torchvision publishes no weights '{name or PAPERS}' of {model}; give one of "
            + ", ".join(f"{SCHEME}{model}.{known}" for known in published)
        )
    return published[name or PAPERS]


def advice(path: Path) -> str:
    """For the end of an error: how to fetch a missing file that is named as torchvision's are; "" for others.

    >>> advice(Path("models/resnet50-19c8e357.pth"))
    ", or fetch torchvision's ImageNet weights (MODEL.PRETRAINED torchvision://resnet50)"
    """
    from torchvision.models import get_model_weights, list_models

    model, dash, _ = path.name.partition("-")
    if not dash or model not in list_models():
        return ""
    names = [entry.name for entry in get_model_weights(model) if Path(entry.url).name == path.name]
    ending = f".{names[0]}" if names and names[0] != PAPERS else ""
    return f", or fetch torchvision's ImageNet weights (MODEL.PRETRAINED {SCHEME}{model}{ending})"
