"""Our COCO experiments are the forks' experiments: the same settings, written as what differs."""

from pathlib import Path

import pytest

from heatpose.config import load_config
from heatpose.config.freeze import thaw

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "experiments" / "coco"
PEERS = ROOT.parent / "shared" / "peer_configs"
TAIL = {"resnet": "_d256x3_adam_lr1e-3", "hrnet": "_adam_lr1e-3", "hourglass": "_d256x3_adam_lr2.5e-4"}
# Where files lie, how many processes load, and what is shown are the user's; heatpose's defaults differ on purpose.
NOT_COMPARED = ("DATASET.ROOT", "TEST.COCO_BBOX_FILE", "TEST.MODEL_FILE", "MODEL.PRETRAINED", "WORKERS", "AUTO_RESUME")


def pairs():
    for size in ("256x192", "384x288"):
        for depth in (50, 101, 152):
            yield f"resnet/res{depth}_{size}", f"hrnet/coco/resnet/res{depth}_{size}{TAIL['resnet']}", ()
            yield f"udp/res{depth}_{size}", f"udp/coco/resnet/res{depth}_{size}{TAIL['resnet']}", ("MODEL.CODEC", "udp")
        for width in (32, 48):
            yield f"hrnet/w{width}_{size}", f"hrnet/coco/hrnet/w{width}_{size}{TAIL['hrnet']}", ()
    for size in ("128x96", "256x192", "384x288"):
        for depth in (50, 101, 152):
            yield f"dark/res{depth}_{size}", f"dark/coco/resnet/res{depth}_{size}{TAIL['resnet']}", ()
        for width in (32, 48):
            yield f"dark/w{width}_{size}", f"dark/coco/hrnet/w{width}_{size}{TAIL['hrnet']}", ()
        for stacks in (4, 8):
            yield f"dark/hg{stacks}_{size}", f"dark/coco/hourglass/hg{stacks}_{size}{TAIL['hourglass']}", ()
    yield "udp/w32_256x192_offset", "udp/coco/hrnet/w32_256x192_adam_lr1e-3_offset_ofm", ()
    for depth in (50, 101, 152):
        yield f"lpn/lpn{depth}_256x192", f"lpn/coco/lpn/lpn{depth}_256x192_gd256x2_gc", ()


def flat(node, prefix=""):
    for key, value in node.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


@pytest.mark.parametrize(("ours", "peer", "codec"), list(pairs()), ids=lambda value: str(value).split("/")[-1])
def test_settings_equal_the_forks(ours, peer, codec):
    if not PEERS.is_dir():
        pytest.skip(f"no experiment files of the forks: {PEERS} does not exist")
    mine, theirs = (
        {key: value for key, value in flat(thaw(cfg)) if not key.startswith(("DEBUG", *NOT_COMPARED))}
        for cfg in (load_config(OURS / f"{ours}.yaml"), load_config(PEERS / f"{peer}.yaml", codec))
    )
    # The forks' own spelling of the codec, and a shift that neither DARK nor UDP applies.
    ignored = {"MODEL.TARGET_TYPE", "TEST.SOFT_ARGMAX"} | ({"TEST.SHIFT_HEATMAP"} if ours.startswith("udp") else set())
    assert {k: v for k, v in mine.items() if k not in ignored} == {k: v for k, v in theirs.items() if k not in ignored}


def test_every_coco_experiment_has_a_counterpart_or_is_named_here():
    compared = {ours for ours, _, _ in pairs()}
    all_ours = {
        path.relative_to(OURS).with_suffix("").as_posix() for path in OURS.rglob("*.yaml") if path.stem != "base"
    }
    # Published by the paper, without an experiment file in its repository; MSPN's settings are Python (docs/mspn.md).
    # Newell's hourglass is no fork's.
    assert all_ours - compared == {f"{ours}_7stages" for ours in compared if ours.startswith("lpn/")} | {
        "hourglass/hg4_256x256", "hourglass/hg8_256x192", "hourglass/hg8_256x256",
        "udp/w32_256x192", "udp/w32_384x288", "udp/w48_256x192", "udp/w48_384x288", "udp/w32_384x288_offset",
        "udp/w48_256x192_offset", "udp/w48_384x288_offset", "mspn/1xstg_256x192", "mspn/2xstg_256x192",
        "mspn/3xstg_256x192", "mspn/4xstg_256x192",
        # Their papers have no repository.
        "grmi/res50_353x257", "grmi/res101_353x257", "grmi/res152_353x257",
    }  # fmt: skip


@pytest.mark.parametrize("depth", [50, 101, 152])
def test_lpn_in_seven_stages_differs_in_nothing_else(depth):
    one, seven = (
        dict(flat(thaw(load_config(OURS / "lpn" / f"lpn{depth}_256x192{ending}.yaml")))) for ending in ("", "_7stages")
    )
    assert (one.pop("TRAIN.STAGES"), seven.pop("TRAIN.STAGES")) == (1, 7)
    assert one == seven
