"""Batches of several data sets side by side."""

import pytest
from torch.utils.data import Dataset

from heatpose.dataset.loading import JointLoader, training_loader


class Numbers(Dataset):
    """Items that say what was asked for."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, key):
        epoch, index = key
        return {"epoch": epoch, "index": index}


def joint(workers=0, begin=0):
    loaders = [training_loader(Numbers(size), 2, True, workers, 0) for size in (10, 3)]
    return JointLoader(loaders[0], {"target": loaders[1]}, {"target": begin})


def batches(loader, epoch):
    loader.sampler.epoch = epoch
    return [(batch["index"].tolist(), batch["target"]["index"].tolist()) for batch in loader]


def test_an_epoch_is_one_pass_over_the_labelled_and_the_others_begin_anew():
    found = batches(joint(), 0)
    assert len(found) == 5
    assert sorted(index for labelled, _ in found for index in labelled) == list(range(10))
    target = [index for _, other in found for index in other]
    assert sorted(target[:3]) == sorted(target[3:6]) == [0, 1, 2]


def test_passes_are_numbered_through_all_epochs():
    loader = joint()
    loader.sampler.epoch = 2
    passes = [batch["target"]["epoch"].tolist() for batch in loader]
    assert passes == [[6, 6], [6], [7, 7], [7], [8, 8]]  # three passes an epoch, the last of them in part


@pytest.mark.parametrize("workers", [0, 1])
def test_an_epoch_is_the_same_whatever_came_before(workers):
    once = joint(workers)
    batches(once, 0)
    later = batches(once, 1)
    assert later == batches(joint(workers), 1)
    assert later != batches(joint(), 0)


def test_others_join_from_their_first_epoch_on():
    loader = joint(begin=2)
    for epoch, expected in ((1, False), (2, True)):
        loader.sampler.epoch = epoch
        assert all(("target" in batch) == expected for batch in loader)
