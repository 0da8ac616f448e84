"""The size of a model: parameters as counted, multiply-adds as HRNet's and our own arithmetic give them."""

import torch
from torch import nn

from heatpose.config import load_config
from heatpose.models import build_model
from heatpose.report.summary import summarise
from heatpose.report.tables import score_table


def test_multiply_adds_of_a_convolution():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, stride=2), nn.ReLU(), nn.Conv2d(8, 4, 1))
    summary = summarise(model, (16, 32))
    assert summary.parameters == 3 * 8 * 9 + 8 + 8 * 4 + 4
    assert summary.multiply_adds == 8 * 16 * (8 * 3 * 9 + 4 * 8)
    assert "8x16x8" in summary.layers
    assert next(model.parameters()).device.type == "cpu"


def test_hrnet_w32_has_its_published_cost(repository):
    cfg = load_config(repository / "experiments" / "coco" / "hrnet" / "w32_256x192.yaml")
    with torch.device("meta"):
        model = build_model(cfg)
    summary = summarise(model, cfg.MODEL.IMAGE_SIZE)
    assert summary.parameters == 28_536_113
    # HRNet's own summary prints 7.11996 "GFLOPs", in units of 1024^3 multiply-adds.
    assert abs(summary.multiply_adds / 1024**3 - 7.119964599609375) < 1e-3


def test_the_table_has_the_forks_header():
    table = score_table([("pose_hrnet", {"AP": 0.7441, "Ap .5": 0.905})])
    assert table.splitlines()[0] == "| Arch       | AP    | Ap .5 |"
    assert table.splitlines()[2] == "| pose_hrnet | 0.744 | 0.905 |"
