"""Losses with their gradients, and the accuracy that is logged in training."""

from typing import Any

import numpy as np
import torch

from heatpose.core.loss import JointsL1Offset, JointsL2, JointsMSE, JointsMSEOffset, JointsOHKMMSE
from heatpose.metrics import heatmap_accuracy
from heatpose.utils.heatmaps import argmax_2d

from .harness import ReferenceFile

# case -> loss, ending of the inputs' names, name of the weight
CASES: dict[str, tuple[Any, str, str]] = {
    "mse_w1": (JointsMSE(), "", "target_weight"),
    "mse_w1_b1": (JointsMSE(), "_b1", "target_weight_b1"),
    "mse_jointweights": (JointsMSE(), "", "target_weight_joints"),
    "mse_w0": (JointsMSE(use_target_weight=False), "", "target_weight"),
    "mse_w0_b1": (JointsMSE(use_target_weight=False), "_b1", "target_weight_b1"),
    "ohkm_w1_top8": (JointsOHKMMSE(topk=8), "", "target_weight"),
    "ohkm_w1_top3": (JointsOHKMMSE(topk=3), "", "target_weight"),
    "ohkm_w1_b1": (JointsOHKMMSE(topk=8), "_b1", "target_weight_b1"),
    "ohkm_w0_top8": (JointsOHKMMSE(False, topk=8), "", "target_weight"),
    "ohkm_w0_top3": (JointsOHKMMSE(False, topk=3), "", "target_weight"),
    "mse_offset": (JointsMSEOffset(), "_offset", "target_weight"),
    "l1_offset_mean": (JointsL1Offset(), "_offset", "target_weight"),
    "l1_offset_sum": (JointsL1Offset(reduction="sum"), "_offset", "target_weight"),
}
MSPN_CASES = {"l2": JointsL2(use_ohkm=False), "l2_ohkm_top8": JointsL2(topk=8), "l2_ohkm_top3": JointsL2(topk=3)}


def compare(file: ReferenceFile) -> None:
    """All arrays of losses_<fork>."""
    for case in file.cases():
        if case in CASES:
            _loss(file, case)
        elif case in MSPN_CASES:
            _mspn_loss(file, case)
        elif case.startswith("total"):
            _mspn_total(file, case)
        elif case.startswith("acc"):
            _accuracy(file, case)


def _loss(file: ReferenceFile, case: str) -> None:
    loss, ending, weight_name = CASES[case]
    output = torch.from_numpy(file[f"in/output{ending}"]).requires_grad_()
    target, weight = torch.from_numpy(file[f"in/target{ending}"]), torch.from_numpy(file[f"in/{weight_name}"])
    total = loss(output, target, weight)
    total.backward()
    terms = loss.terms(output, target, weight) if hasattr(loss, "terms") else [total]
    file.compare(f"{case}/value", np.array([float(term.detach()) for term in terms]))
    file.compare(f"{case}/grad", output.grad)


def _accuracy(file: ReferenceFile, case: str) -> None:
    output, target = (
        torch.from_numpy(file[f"{case}/{name}_x1024"].astype(np.float32) / 1024) for name in ("output", "target")
    )
    found = heatmap_accuracy(output, target)
    mean = found.mean.reshape(1).double()
    for threshold in ("thr0.5", "thr0.2"):  # the forks' function ignores it
        file.compare(f"{case}/{threshold}/acc", torch.cat([mean, found.per_joint]))
        file.compare(f"{case}/{threshold}/avg_cnt", torch.cat([mean, found.count.reshape(1).double()]))
    file.compare(f"{case}/pred", argmax_2d(output)[0])


def _mspn_loss(file: ReferenceFile, case: str) -> None:
    """MSPN's loss of one output, that is of the finest level."""
    output = torch.from_numpy(file["in/output"]).requires_grad_()
    total = MSPN_CASES[case](output, torch.from_numpy(file["in/label"]), torch.from_numpy(file["in/valid"]))
    total.backward()
    file.compare(f"{case}/value", total.detach().double().reshape(1))
    file.compare(f"{case}/grad", output.grad)


def _mspn_total(file: ReferenceFile, case: str) -> None:
    """MSPN's loss of all outputs, e.g. total_st2_ohkm1_ctf0; outputs and targets follow from a seed."""
    stages, ohkm, coarse_to_fine = (int(part[-1]) for part in case.split("_")[1:])
    rng, shape = np.random.default_rng(1040 + stages), file["in/output"].shape
    outputs = [
        torch.from_numpy((rng.standard_normal(shape) * 20).astype(np.float32)).requires_grad_()
        for _ in range(4 * stages)
    ]
    labels = rng.uniform(0, 255, (shape[0], 5, *shape[1:])).astype(np.float32)
    targets = list(torch.from_numpy(labels).unbind(dim=1))
    loss = JointsL2(bool(ohkm), 8, bool(coarse_to_fine))(outputs, targets, torch.from_numpy(file["in/valid"]))
    loss.backward()
    file.compare(f"{case}/value", loss.detach().double())
    gradients = torch.stack([output.grad for output in outputs]).double().flatten(1)
    sums = torch.stack([gradients.sum(dim=1), gradients.square().sum(dim=1)], dim=1)
    file.compare(f"{case}/gradsum", sums.view(stages, 4, 2))
