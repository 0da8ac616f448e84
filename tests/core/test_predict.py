"""Prediction: order, pieces, flip test, undefined points."""

import numpy as np
import pytest
import torch
from torch import nn

from heatpose.codecs import build_codec
from heatpose.config import load_config
from heatpose.core.predict import heatmaps, predict
from heatpose.dataset import build_dataset, test_loader
from heatpose.dataset.skeletons import COCO

CPU = torch.device("cpu")


class Oracle(nn.Module):
    """Gives each crop the heatmaps of its own annotation, so that prediction must return the annotation."""

    def __init__(self, dataset, codec):
        super().__init__()
        self.answers = {}
        for item in (dataset[number] for number in range(len(dataset))):
            targets, _ = codec.encode(item["keypoints_input"], item["visible"])
            for crop, target in zip(item["crop"], codec.perfect_output(targets), strict=True):
                self.answers[crop.float().mean(dim=(0, 1)).double().sum().item()] = target
        self.sizes = []

    def forward(self, images):
        self.sizes.append(len(images))
        mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
        std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
        found = []
        for image in images:
            key = ((image * std + mean) * 255).round().mean(dim=(1, 2)).double().sum().item()
            nearest = min(self.answers, key=lambda other: abs(other - key))
            assert abs(nearest - key) < 1e-2
            found.append(self.answers[nearest])
        return torch.stack(found)


@pytest.mark.parametrize("codec_name", ["gaussian", "dark", "udp", "udp_offset", "soft_argmax", "grmi"])
def test_a_network_that_knows_the_answer_gets_it_back_in_the_image(experiment, codec_name):
    sizes = {"IMAGE_SIZE": [96, 128], "HEATMAP_SIZE": [24, 32]}
    cfg = load_config(experiment(MODEL={"CODEC": codec_name, **sizes}), ["TEST.POST_PROCESS", "True"])
    dataset, codec = build_dataset(cfg, "test"), build_codec(cfg)
    records, model = dataset.records, Oracle(dataset, codec)
    found = predict(model, test_loader(dataset, 3, 0), codec, records.center, records.scale, CPU, batch_size=2)
    assert found.shape == (len(records), 17, 3)
    assert max(model.sizes) <= 2
    stride_image = records.scale[:, :1] / cfg.MODEL.HEATMAP_SIZE[0]
    inside = (records.visible > 0) & (found[..., 2] > 0.5)
    assert inside.sum() > 100
    error = np.linalg.norm(found[..., :2] - records.keypoints, axis=2) / stride_image  # heatmap px
    assert np.median(error[inside]) < (0.5 if codec_name in ("gaussian", "soft_argmax") else 0.1)


def test_flip_test_is_the_mean_with_the_mirrored_output(experiment):
    codec = build_codec(load_config(experiment()))
    model = nn.Conv2d(3, 17, 5, stride=4, padding=2)
    images = torch.randn(2, 3, 96, 64)
    found = heatmaps(model, images, codec, COCO.flip_pairs)
    expected = (model(images) + codec.flip_back(model(images.flip(3)), COCO.flip_pairs)) / 2
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, heatmaps(model, images, codec))


class Flat(nn.Module):
    def forward(self, images):
        return torch.full((len(images), 17, 24, 16), 0.5)


def test_points_that_a_codec_leaves_undefined_are_never_confident(experiment, caplog):
    cfg = load_config(experiment(MODEL={"CODEC": "udp"}), ["TEST.POST_PROCESS", "True"])
    dataset, codec = build_dataset(cfg, "test"), build_codec(cfg)
    records = dataset.records
    found = predict(Flat(), test_loader(dataset, 4, 0), codec, records.center, records.scale, CPU, 4)
    assert np.isfinite(found).all()
    assert (found[..., 2] == 0).all()
    assert "undefined" in caplog.text


def test_algorithms_are_not_timed_for_batches_of_many_sizes(experiment, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    cfg, seen = load_config(experiment()), []
    dataset, codec = build_dataset(cfg, "test"), build_codec(cfg)
    model = Flat()
    model.register_forward_pre_hook(lambda *call: seen.append(torch.backends.cudnn.benchmark))
    predict(model, test_loader(dataset, 4, 0), codec, dataset.records.center, dataset.records.scale, CPU, 4)
    assert set(seen) == {False}
    assert torch.backends.cudnn.benchmark
