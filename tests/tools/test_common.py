"""What the tools share: the network that is scored, and the memory of large tensors."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import fx, nn

from heatpose.config import load_config
from heatpose.core.fusing import FusedConvolution
from heatpose.models import build_model


@pytest.mark.parametrize(("pairs", "folded", "flat"), [
    ([], True, True), (["COMPUTE.PRECISION", "bf16"], False, False),
    (["MODEL.NAME", "mspn"], False, False),
])  # fmt: skip
def test_the_network_that_is_scored(repository, monkeypatch, pairs, folded, flat):
    monkeypatch.syspath_prepend(repository / "tools")
    from common import ready_to_score

    name = "mspn_96x64" if "mspn" in pairs else "hrnet_64x48"
    cfg = load_config(repository / f"experiments/toy/{name}.yaml", pairs)
    model = build_model(cfg)
    found = ready_to_score(cfg, model, torch.device("cpu"))
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules())
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in found.modules()) != folded
    assert isinstance(found, fx.GraphModule) == flat
    assert (found is model) == (not folded)


@pytest.mark.parametrize(("pairs", "dtypes"), [
    ([], {torch.float32}), (["COMPUTE.PRECISION", "bf16"], {torch.bfloat16}),
    (["COMPUTE.PRECISION", "bf16", "COMPUTE.COMPILE", "cudagraphs"], {torch.bfloat16}),
    (["COMPUTE.COMPILE", "default"], set()),
])  # fmt: skip
def test_the_network_that_is_scored_on_a_gpu(repository, monkeypatch, pairs, dtypes):
    monkeypatch.syspath_prepend(repository / "tools")
    from common import ready_to_score

    cfg = load_config(repository / "experiments/toy/hrnet_64x48.yaml", pairs)
    found = ready_to_score(cfg, build_model(cfg), torch.device("cuda"))
    assert {part.weight.dtype for part in found.modules() if isinstance(part, FusedConvolution)} == dtypes


HUGE = Path("/sys/kernel/mm/transparent_hugepage/enabled")
LARGE = """
import sys
sys.path.insert(0, "tools")
import common, train, test, torch
kept = torch.ones(8 << 20)
for line in open("/proc/self/smaps"):
    word = line.split()[0]
    if "-" in word:
        first, last = (int(end, 16) for end in word.split("-"))
        here = first <= kept.data_ptr() + (4 << 20) < last
    elif here and word == "VmFlags:":
        print("flags:", line)
"""


@pytest.mark.skipif(not HUGE.is_file() or "[never]" in HUGE.read_text(), reason="this system has no huge pages")
def test_large_tensors_ask_for_huge_pages(repository):
    """PyTorch decides on them at the first tensor: none may be made while the tools are imported."""
    usual = {key: value for key, value in os.environ.items() if key != "THP_MEM_ALLOC_ENABLE"}
    done = subprocess.run([sys.executable, "-c", LARGE], cwd=repository, capture_output=True, text=True, env=usual)
    flags = re.search("flags: (.*)", done.stdout)
    assert flags, done.stderr
    assert "hg" in flags[1].split()
