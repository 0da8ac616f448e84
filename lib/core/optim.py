"""Optimizer and learning-rate schedule of an experiment."""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def build_optimizer(cfg: Any, parameters: Iterable[torch.nn.Parameter]) -> Optimizer:
    """The optimizer that TRAIN names.

    As in all five forks, `adam` takes no weight decay: TRAIN.WD stands in their Adam experiments, but their optimizer
    is built without it, and the published numbers come from that. `adamw`, `sgd` and `rmsprop` use it. `rmsprop` has no
    momentum and averages the squares with 0.99, as Newell et al. train their hourglasses.
    """
    train = cfg.TRAIN
    parameters = [parameter for parameter in parameters if parameter.requires_grad]
    if train.OPTIMIZER == "adam":
        return torch.optim.Adam(parameters, lr=train.LR)
    if train.OPTIMIZER == "adamw":
        return torch.optim.AdamW(parameters, lr=train.LR, weight_decay=train.WD)
    if train.OPTIMIZER == "sgd":
        return torch.optim.SGD(
            parameters, lr=train.LR, momentum=train.MOMENTUM, weight_decay=train.WD, nesterov=train.NESTEROV
        )
    if train.OPTIMIZER == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=train.LR, alpha=0.99, weight_decay=train.WD)
    raise ValueError(f"TRAIN.OPTIMIZER is {train.OPTIMIZER!r}; choose one of adam, adamw, sgd, rmsprop")


def build_scheduler(cfg: Any, optimizer: Optimizer, steps_per_epoch: int) -> LambdaLR:
    """The forks' MultiStepLR with a linear warm-up, to be stepped after every training step.

    It depends on the number of steps alone, so that a resumed run, or one with other LR_STEPs, is where it should be.
    """
    train = cfg.TRAIN

    def factor(step: int) -> float:
        passed = bisect_right(sorted(train.LR_STEP), step // steps_per_epoch)
        warm = 1.0
        if step < train.WARMUP_ITERS:
            warm = train.WARMUP_FACTOR + (1 - train.WARMUP_FACTOR) * step / train.WARMUP_ITERS
        return warm * train.LR_FACTOR**passed

    return LambdaLR(optimizer, factor)
