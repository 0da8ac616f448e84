"""All links over all files, and the table of what came out."""

import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from heatpose.report.tables import markdown_table

from . import ccssl, crops, decode, geometry, losses, networks, published, scores, targets, whole_runs
from .harness import Comparison, ReferenceFile, References

FORKS = ("sb", "hrnet", "lpn", "dark", "udp", "mspn", "animals", "published")
NAMES = {
    "sb": "SimpleBaselines",
    "hrnet": "HRNet",
    "lpn": "LPN",
    "dark": "DarkPose",
    "udp": "UDP",
    "mspn": "MSPN",
    "animals": "CC-SSL",
    "published": "published scores",
}
LINKS = {
    "geometry": "boxes, records, affine maps",
    "crops": "crops of real images",
    "targets": "targets",
    "models": "networks",
    "losses": "losses, accuracy",
    "decode": "decoding, flip",
    "nms": "suppression, rescoring",
    "eval": "evaluation",
    "e2e": "whole test runs",
    "crops_cv4": "crops, OpenCV 4",
    "e2e_cv4": "whole test runs, OpenCV 4",
    "published": "published predictions",
}


def is_compared(file: ReferenceFile) -> bool:
    """Whether heatpose has what the file is about."""
    return file.fork in FORKS


def run(
    references: References,
    samples: Path | None,
    peers: Path | None,
    only: str = "",
    kinds: Sequence[str] = ("gt", "det"),
) -> None:
    """Compares all files of the forks whose name begins with `only`; what needs real images needs `samples`."""
    if samples is not None and "published".startswith(only):
        published.compare(references, samples)
    for name in references.names():
        file = references.open(name)
        if not is_compared(file) or not name.startswith(only):
            continue
        if name.startswith(("crops_", "e2e_")) and not crops.made_by_this_opencv(file):
            continue
        link = name.split("_")[0]
        if file.fork == "animals" and link != "models":
            ccssl.compare(file)
        elif link == "geometry":
            geometry.compare(file)
        elif link == "targets":
            targets.compare(file)
        elif link == "decode":
            decode.compare(file)
        elif link == "losses":
            losses.compare(file)
        elif link == "nms":
            scores.compare_nms(file)
        elif link == "models":
            networks.compare(file, peers)
        elif name.startswith("eval_mpii"):
            scores.compare_mpii(file)
        elif samples is None:
            continue
        elif link == "crops":
            crops.compare(file, samples)
        elif link == "eval":
            scores.compare_coco(file, samples / "coco_sample/annotations/person_keypoints_val2017.json")
        elif link == "e2e":
            whole_runs.compare(file, samples, peers, kinds)


def uncompared(references: References, names: Iterable[str]) -> list[str]:
    """ "file:array" of outputs that were neither compared nor left out for a reason."""
    seen = {f"{each.file}:{each.array}" for each in references.comparisons} | set(references.left_out)
    wanted = (f"{name}:{array}" for name in names for array in references.open(name).outputs())
    return [each for each in wanted if each not in seen]


def table(comparisons: Sequence[Comparison]) -> str:
    """One row for each fork and link: how much was compared, and the array that uses most of its tolerance."""
    rows = []
    for fork in FORKS:
        for link, words in LINKS.items():
            group = [each for each in comparisons if (each.fork, each.link) == (fork, link)]
            if group:
                rows.append([NAMES[fork], words, *_row(group)])
    return markdown_table(HEADER, rows)


HEADER = [
    "fork",
    "link",
    "arrays",
    "numbers",
    "bit-equal",
    "largest",
    "nearest to its tolerance",
    "deviation",
    "tolerance",
    "used",
    "",
]


def _row(group: Sequence[Comparison]) -> list[str]:
    worst = max(group, key=lambda each: (each.share, each.deviation))
    arrays = {(each.file, each.array) for each in group}
    apart = {(each.file, each.array) for each in group if each.deviation > 0}
    failed = [each for each in group if not each.passed]
    name = "-" if worst.deviation == 0 else f"{worst.file.split('_', 1)[-1]} {worst.array}"
    return [
        str(len(arrays)), f"{sum(each.values for each in group):,}", str(len(arrays - apart)),
        f"{max(each.deviation for each in group):.1e}", name,
        f"{worst.deviation:.1e}", worst.tolerance.split(" (")[0], f"{worst.share:.1%}",
        "ok" if not failed else f"{len(failed)} FAIL",
    ]  # fmt: skip


def versions() -> str:
    """What the numbers were made with."""
    return (
        f"Python {platform.python_version()}, PyTorch {torch.__version__}, NumPy {np.__version__}, "
        f"OpenCV {cv2.__version__}, {torch.get_num_threads()} threads"
    )


def text(references: References) -> str:
    """The table, what was left out and why, and the versions."""
    lines = [table(references.comparisons), ""]
    skipped = sum(each.skipped for each in references.comparisons)
    lines.append(
        f"Of {sum(each.values for each in references.comparisons) + skipped:,} numbers {skipped:,} are excluded by the "
        "references themselves, where the fork's own result turns on rounding."
    )
    lines += [f"Not compared: `{name}`: {reason}." for name, reason in references.left_out.items()]
    lines += [f"FAILED: {each}" for each in references.comparisons if not each.passed]
    return "\n".join([*lines, "", versions()])


BEGIN, END = "<!-- parity: begin -->", "<!-- parity: end -->"


def insert(text: str, path: Path) -> None:
    """Puts `text` between the marks in a markdown file."""
    before, rest = path.read_text().split(BEGIN)
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")
