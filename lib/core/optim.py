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
    is built without it, and the published numbers come from that. `adamw`, `sgd` and `rmsprop` use it, and so does
    `adam_l2`, which adds it to the gradient (MSPN). `rmsprop` has no momentum and averages the squares with 0.99, as
    Newell et al. train their hourglasses.

    On CUDA devices a step is one kernel for many weights (fused), but for `rmsprop`, which PyTorch has no such for. On
    CPUs it stays PyTorch's usual step, whose bits the fused one does not give.
    """
    train = cfg.TRAIN
    parameters = [parameter for parameter in parameters if parameter.requires_grad]
    fused = True if all(parameter.is_cuda for parameter in parameters) else None  # None: PyTorch's own choice
    if train.OPTIMIZER == "adam":
        return torch.optim.Adam(parameters, lr=train.LR, fused=fused)
    if train.OPTIMIZER == "adam_l2":
        return torch.optim.Adam(parameters, lr=train.LR, weight_decay=train.WD, fused=fused)
    if train.OPTIMIZER == "adamw":
        return torch.optim.AdamW(parameters, lr=train.LR, weight_decay=train.WD, fused=fused)
    if train.OPTIMIZER == "sgd":
        return torch.optim.SGD(
            parameters, lr=train.LR, momentum=train.MOMENTUM, weight_decay=train.WD, nesterov=train.NESTEROV,
            fused=fused,
        )  # fmt: skip
    if train.OPTIMIZER == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=train.LR, alpha=0.99, weight_decay=train.WD)
    raise ValueError(f"TRAIN.OPTIMIZER is {train.OPTIMIZER!r}; choose one of adam, adamw, sgd, rmsprop, adam_l2")


def build_scheduler(cfg: Any, optimizer: Optimizer, steps_per_epoch: int) -> LambdaLR:
    """The forks' MultiStepLR with a linear warm-up, to be stepped after every training step.

    With TRAIN.LR_SCHEDULE linear, the rate falls in a straight line from the end of the warm-up to 0 at the end (MSPN).
    It depends on the number of steps alone, so that a resumed run, or one with other LR_STEPs, is where it should be.
    """
    train = cfg.TRAIN

    def factor(step: int) -> float:
        warm = 1.0
        if step < train.WARMUP_ITERS:
            warm = train.WARMUP_FACTOR + (1 - train.WARMUP_FACTOR) * step / train.WARMUP_ITERS
        if train.LR_SCHEDULE == "linear":
            return warm * _straight_fall(step, train.WARMUP_ITERS, train.END_EPOCH * steps_per_epoch)
        passed = bisect_right(sorted(train.LR_STEP), step // steps_per_epoch)
        return warm * train.LR_FACTOR**passed

    return LambdaLR(optimizer, factor)


def _straight_fall(step: int, begin: int, end: int) -> float:
    """1 up to step `begin`, then in a straight line to 0 at step `end`.

    >>> [_straight_fall(step, 10, 20) for step in (0, 10, 15, 20)]
    [1.0, 1.0, 0.5, 0.0]
    """
    return 1.0 if step <= begin else max(end - step, 0) / (end - begin)
