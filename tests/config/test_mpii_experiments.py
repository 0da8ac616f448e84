"""MPII: the forks' files load unchanged with the right codec, and our experiments have the same settings."""

from pathlib import Path

import pytest

from heatpose.codecs import build_codec
from heatpose.config import load_config
from heatpose.config.freeze import thaw
from heatpose.config.load import ConfigError

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "experiments" / "mpii"
PEERS = ROOT.parent / "shared" / "peer_configs"
CODECS = {"simple_baselines": "gaussian", "hrnet": "gaussian", "lpn": "gaussian", "dark": "dark", "udp": "gaussian"}
# Where files lie, how many processes load, and what is shown are the user's; heatpose's defaults differ on purpose.
NOT_COMPARED = ("DEBUG", "DATASET.ROOT", "TEST.COCO_BBOX_FILE", "TEST.MODEL_FILE", "MODEL.PRETRAINED", "WORKERS",
                "AUTO_RESUME")  # fmt: skip
SPELLINGS = {"MODEL.TARGET_TYPE", "TEST.SOFT_ARGMAX"}  # the forks' keys that became MODEL.CODEC


def pairs():
    for depth in (50, 101, 152):
        yield f"resnet/res{depth}_256x256", f"hrnet/mpii/resnet/res{depth}_256x256_d256x3_adam_lr1e-3"
        yield f"resnet/res{depth}_384x384", f"simple_baselines/mpii/resnet{depth}/384x384_d256x3_adam_lr1e-3"
        yield f"dark/res{depth}_256x256", f"dark/mpii/resnet/res{depth}_256x256_d256x3_adam_lr1e-3"
    for width in (32, 48):
        yield f"hrnet/w{width}_256x256", f"hrnet/mpii/hrnet/w{width}_256x256_adam_lr1e-3"
        yield f"dark/w{width}_256x256", f"dark/mpii/hrnet/w{width}_256x256_adam_lr1e-3"
    yield "lpn/lpn50_256x256", "lpn/mpii/lpn/lpn50_256x256_gd256x2_gc"


def peer(name):
    if not PEERS.is_dir():
        pytest.skip(f"no experiment files of the forks: {PEERS} does not exist")
    return PEERS / f"{name}.yaml"


def settings(cfg):
    flat = {f"{section}.{key}": value for section, keys in thaw(cfg).items() if isinstance(keys, dict)
            for key, value in keys.items()}  # fmt: skip
    flat.update({key: value for key, value in thaw(cfg).items() if not isinstance(value, dict)})
    flat["DATASET.PROB_HALF_BODY"] = max(flat["DATASET.PROB_HALF_BODY"], 0)  # the forks say -1 for never
    return {key: value for key, value in flat.items() if not key.startswith(NOT_COMPARED) and key not in SPELLINGS}


@pytest.mark.parametrize(("ours", "theirs"), list(pairs()), ids=lambda name: name.split("/")[-1])
def test_settings_equal_the_forks(ours, theirs):
    assert settings(load_config(OURS / f"{ours}.yaml")) == settings(load_config(peer(theirs)))


def test_every_experiment_is_compared():
    files = {path.relative_to(OURS).with_suffix("").as_posix() for path in OURS.rglob("*.yaml") if path.stem != "base"}
    # Newell's, which no fork has, and MSPN's, whose settings are Python (docs/mspn.md)
    assert files - {ours for ours, _ in pairs()} == {"hourglass/hg8_256x256", "mspn/2xstg_256x256"}


def test_every_file_of_the_forks_loads_with_its_codec():
    if not PEERS.is_dir():
        pytest.skip(f"no experiment files of the forks: {PEERS} does not exist")
    files = sorted(PEERS.glob("*/mpii/**/*.yaml"))
    assert len(files) == 27
    for path in files:
        cfg = load_config(path)
        expected = "soft_argmax" if "lpn50" in path.name else CODECS[path.relative_to(PEERS).parts[0]]
        assert build_codec(cfg).name == expected, path
        assert cfg.MODEL.NUM_JOINTS == 16
        assert cfg.TEST.USE_GT_BBOX  # whatever the file says: MPII has no other boxes
        assert cfg.TEST.POST_PROCESS
        if expected != "dark":
            assert load_config(path, ["MODEL.CODEC", "udp"]).MODEL.CODEC == "udp"


def test_boxes_of_another_kind_are_refused_and_their_absence_is_said(caplog):
    path = OURS / "hrnet" / "w32_256x256.yaml"
    with pytest.raises(ConfigError, match="TEST.BOTH_BOXES is True, but DATASET.DATASET mpii"):
        load_config(path, ["TEST.BOTH_BOXES", "True"])
    caplog.set_level("INFO")
    assert load_config(path, ["TEST.USE_GT_BBOX", "False"]).TEST.USE_GT_BBOX
    assert "TEST.USE_GT_BBOX False has no effect" in caplog.text


def test_another_number_of_joints_is_refused():
    with pytest.raises(ConfigError, match="DATASET.DATASET mpii has 16"):
        load_config(OURS / "hrnet" / "w32_256x256.yaml", ["MODEL.NUM_JOINTS", "17"])


def test_joint_weights_are_not_guessed():
    cfg = load_config(OURS / "hrnet" / "w32_256x256.yaml", ["LOSS.USE_DIFFERENT_JOINTS_WEIGHT", "True"])
    with pytest.raises(ValueError, match="USE_DIFFERENT_JOINTS_WEIGHT with MODEL.NUM_JOINTS 16"):
        build_codec(cfg)
