"""Loading processes share the annotations with the process that started them: none gets a copy as it works."""

import gc
import multiprocessing
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from heatpose.codecs.gaussian import GaussianCodec
from heatpose.dataset import TestCrops, TrainingCrops, test_loader, training_loader
from heatpose.dataset.augment import Augmentation
from heatpose.dataset.images import ImageFolder
from heatpose.dataset.records import Records
from heatpose.dataset.skeletons import COCO

PEOPLE, IMAGES = 60_000, 24_000
MEGABYTE = 1 << 20
GREY = cv2.imencode(".jpg", np.full((32, 24, 3), 7, np.uint8))[1].tobytes()
# What a process needs for itself; a copy of the annotations below would be ten times as much.
ROOM = 12 * MEGABYTE


class Grey(ImageFolder):
    """Images that cost nothing, and garbage of the kind that makes Python look for garbage."""

    def _content(self, name):
        self.rings = [[] for _ in range(300)]
        for ring in self.rings:
            ring.append(ring)
        return GREY, name


def records():
    rng = np.random.default_rng(0)
    names = np.array([f"{number:012d}.jpg" for number in range(IMAGES)])
    box = np.tile([5.0, 5.0, 12.0, 16.0], (PEOPLE, 1))
    return Records(
        names, np.arange(IMAGES), np.sort(rng.integers(0, IMAGES, PEOPLE)), box[:, :2], box[:, 2:],
        rng.random((PEOPLE, 17, 2)), np.ones((PEOPLE, 17), np.float32), np.ones(PEOPLE), box,
    )  # fmt: skip


def private_dirty():
    """Bytes that each loading process has of its own."""
    totals = []
    for process in multiprocessing.active_children():
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
        totals.append(1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:")))
    return totals


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, which only Linux has")
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_memory_of_loading_processes_stays_as_it_is(split):
    people, codec, images = records(), GaussianCodec((12, 16), (6, 8), 17, sigma=1), Grey("nowhere")
    truth = {"annotations": [{"id": number, "keypoints": [float(number)] * 51} for number in range(PEOPLE)]}
    if split == "train":
        crops = TrainingCrops(people, images, codec, COCO, Augmentation(False, 0.0, 0.0, 0.0, 8))
        loader = training_loader(crops, 64, True, 2, seed=0)
    else:
        loader = test_loader(TestCrops(people, images, codec, COCO, ground_truth=truth), 64, 2)
    gc.collect()
    early: list[int] = []
    for number, _ in enumerate(loader):
        if number == 30:
            early = private_dirty()
        if number == 250:
            break
    late = private_dirty()
    assert len(early) == len(late) == 2
    growth = max(after - before for before, after in zip(early, late, strict=True))
    assert growth < ROOM
