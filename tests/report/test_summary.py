"""The size of a model: parameters as counted, multiply-adds as HRNet's and our own arithmetic give them."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.parity.networks import model_config
from heatpose.config import load_config
from heatpose.models import build_model
from heatpose.models.lpn import GCBlock
from heatpose.report.summary import summarise
from heatpose.report.tables import score_table

EXPERIMENTS = ["coco/resnet/res50_256x192", "coco/lpn/lpn50_256x192", "toy/hrnet", "toy/hourglass", "toy/lpn"]


def build_skeleton(cfg):
    with torch.device("meta"):
        return build_model(cfg)


def cells(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_every_layer_of_a_small_network():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, stride=2),
        nn.Sequential(nn.Conv2d(8, 8, 1, groups=4), nn.ReLU()),
        nn.ConvTranspose2d(8, 4, 4, 2, 1, bias=False),
        nn.MaxPool2d(2),
    )
    summary = summarise(model, (16, 32))
    first, second, third = 16 * 8 * 8 * 3 * 9, 16 * 8 * 8 * 2, 16 * 8 * 8 * 4 * 16
    assert cells(summary.table()) == [
        ["0", "Conv2d", "3x3 /2", "8x16x8", "224", f"{2 * first / 1e6:.3f}", f"{first / 1e6:.3f}"],
        ["1.0", "Conv2d", "1x1 g4", "8x16x8", "24", f"{2 * second / 1e6:.3f}", f"{second / 1e6:.3f}"],
        ["1.1", "ReLU", "", "8x16x8", "0", "0.000", "0.000"],
        ["sum of 1", "Sequential", "", "8x16x8", "24", f"{2 * second / 1e6:.3f}", f"{second / 1e6:.3f}"],
        ["2", "ConvTranspose2d", "4x4 /2", "4x32x16", "512", f"{2 * third / 1e6:.3f}", f"{third / 1e6:.3f}"],
        ["3", "MaxPool2d", "2x2 /2", "4x16x8", "0", "0.000", "0.000"],
        ["total", "", "", "", "760", *(f"{n * (first + second + third) / 1e6:.3f}" for n in (2, 1))],
    ]
    # HRNet's rule has a transposed convolution work at each pixel of its output, of which there are four times as many.
    assert summary.hrnet_count == first + second + 4 * third
    assert next(model.parameters()).device.type == "cpu"


def test_a_module_that_computes_beside_its_layers_has_a_row_of_its_own():
    summary = summarise(nn.Sequential(nn.Conv2d(3, 64, 1), GCBlock(64)), (8, 4))
    rows = {row.name: row for row in summary.rows()}
    assert rows["1"].multiply_adds == 64 * 8 * 4  # attention-weighted mean: one product for each channel and pixel
    assert rows["1"].parameters == 0
    assert rows["1.conv_mask"].multiply_adds == 64 * 8 * 4
    (block,) = (row for row in summary.rows(1) if row.name == "1")
    assert block.multiply_adds == 2 * 64 * 8 * 4 + 2 * 64 * 16


def test_a_layer_that_is_called_twice_counts_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.pool = nn.Conv2d(3, 3, 1), nn.MaxPool2d(2)

        def forward(self, x):
            return [self.conv(x), self.conv(self.pool(x))]

    row = summarise(Twice(), (8, 4)).rows()[0]
    assert row.outputs == ((3, 4, 8), (3, 2, 4))
    assert row.multiply_adds == 9 * (32 + 8)
    assert row.parameters == 12


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_rows_add_up_to_what_torch_counts_at_every_depth(repository, name):
    cfg = load_config(repository / "experiments" / f"{name}.yaml")
    model = build_skeleton(cfg).eval()
    width, height = cfg.MODEL.IMAGE_SIZE
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(1, 3, height, width, device="meta"))
    summary = summarise(model, cfg.MODEL.IMAGE_SIZE)
    assert summary.multiply_adds * 2 == counter.get_total_flops()
    assert summary.parameters == sum(parameter.numel() for parameter in model.parameters())
    for depth in (1, 2, 3, None):
        rows = summary.rows(depth)
        assert sum(row.multiply_adds for row in rows) == summary.multiply_adds
        assert sum(row.parameters for row in rows) == summary.parameters
        assert len({row.name for row in rows}) == len(rows)
    leaves = [name for name, module in model.named_modules() if not list(module.children())]
    assert set(leaves) <= {row.name for row in summary.rows()}


def test_hrnet_w32_has_its_published_cost(repository):
    cfg = load_config(repository / "experiments" / "coco" / "hrnet" / "w32_256x192.yaml")
    summary = summarise(build_skeleton(cfg), cfg.MODEL.IMAGE_SIZE)
    assert summary.parameters == 28_536_113
    assert summary.hrnet_count / 1024**3 == 7.119964599609375  # what HRNet's own summary prints as GFLOPs


@pytest.mark.parametrize(
    ("file", "reference"),
    [
        ("hrnet", "hrnet_pose_resnet50_256x192"),
        ("lpn", "lpn50_gc_256x192"),
        ("lpn", "lpn50_none_256x192"),
        ("udp", "udp_w32_256x192_offset"),
    ],
)
def test_hrnets_count_is_what_the_forks_print(golden_index, file, reference):
    about = golden_index[f"models_{file}.npz"]["models"][reference]
    cfg = model_config(file, about, None)
    summary = summarise(build_skeleton(cfg), cfg.MODEL.IMAGE_SIZE)
    assert f": {summary.hrnet_count / 1024**3} GFLOPs" in " ".join(about["get_model_summary"])
    assert summary.parameters == about["params"]


def test_the_table_has_the_forks_header():
    table = score_table([("pose_hrnet", {"AP": 0.7441, "Ap .5": 0.905})])
    assert table.splitlines()[0] == "| Arch       | AP    | Ap .5 |"
    assert table.splitlines()[2] == "| pose_hrnet | 0.744 | 0.905 |"
