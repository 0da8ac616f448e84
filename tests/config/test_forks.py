"""The forks' own experiment files: each loads unchanged, has its codec, and builds the fork's network."""

import gzip
import json
import re
from pathlib import Path

import pytest
import torch
import yaml

from benchmarks.parity.harness import HERE, References
from benchmarks.parity.networks import FOLDERS, model_config
from heatpose.config import load_config
from heatpose.config.load import flatten
from heatpose.models import build_model

PEERS = Path(__file__).resolve().parents[3] / "shared" / "peer_configs"
FILES = sorted(PEERS.rglob("*.yaml"))
AMBIGUOUS = "give MODEL.CODEC udp if this is one"
# Depths and widths that the references do not list; their parameters as published, in millions.
PUBLISHED = {"res101": 53.0, "lpn101": 5.4, "hg8": 25.6, "w48": None}

pytestmark = pytest.mark.skipif(not FILES, reason=f"no experiment files of the forks: {PEERS} does not exist")


def name(path):
    return path.relative_to(PEERS).as_posix()


def test_all_files_are_here():
    assert len(FILES) == 82


@pytest.mark.parametrize("path", FILES, ids=name)
def test_codec(path, caplog):
    caplog.set_level("INFO")
    fork, written = path.relative_to(PEERS).parts[0], flatten(yaml.safe_load(path.read_text()))
    cfg = load_config(path)
    expected = {"dark": "dark", "lpn": "soft_argmax" if written.get("TEST.SOFT_ARGMAX") else "gaussian"}
    if written.get("MODEL.TARGET_TYPE") == "offset":
        expected["udp"] = "udp_offset"
    assert cfg.MODEL.CODEC == expected.get(fork, "gaussian")
    (line,) = (record.message for record in caplog.records if record.message.startswith("codec "))
    simple_baselines = "TRAIN.BATCH_SIZE" in written
    unclear = cfg.MODEL.CODEC == "gaussian" and cfg.MODEL.NAME != "lpn" and not simple_baselines
    assert unclear or fork not in ("hrnet", "udp") or "udp" in expected
    assert (AMBIGUOUS in line) == unclear
    if unclear:
        assert load_config(path, ["MODEL.CODEC", "udp"]).MODEL.CODEC == "udp"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_what_the_file_says_is_what_the_configuration_holds(path):
    """Nothing that the fork's file asks for is lost on the way; renamed keys are found under their new names."""
    from heatpose.config.dialects import RENAMED, parse_gpus

    cfg, lost = load_config(path), []
    for key, value in flatten(yaml.safe_load(path.read_text())).items():
        node = cfg
        for part in RENAMED.get(key, key).split("."):
            node = node[part]
        wanted = parse_gpus(value) if key == "GPUS" else value
        wanted = tuple(wanted) if isinstance(wanted, list) else "" if wanted is None else wanted
        if isinstance(wanted, str) and not isinstance(node, str):
            wanted = float(wanted)  # YAML 1.1 reads 1e-3 as text
        if node != wanted:
            lost.append(f"{key} {value!r} became {node!r}")
    # MPII is always scored on its annotated boxes.
    assert [line for line in lost if not line.startswith("TEST.USE_GT_BBOX")] == []


def reference_listings():
    """MODEL settings that decide a network -> the fork's keys and shapes."""
    listings = json.loads(gzip.decompress((HERE / "models_keys.json.gz").read_bytes()))
    found = {}
    references = References(HERE)
    for file in (references.open(f"models_{fork}") for fork in FOLDERS):
        for model, about in file.about["models"].items():
            if model in listings:
                found[settings(model_config(file.fork, about, PEERS))] = listings[model]
    return found


def settings(cfg):
    """What decides the keys and shapes of a network, but for the number of keypoints."""
    model = cfg.MODEL
    extra = {key: value for key, value in model.EXTRA.items() if key != "PRETRAINED_LAYERS"}
    return json.dumps([model.NAME, extra, model.CODEC == "udp_offset"])


@pytest.fixture(scope="module")
def listings():
    return reference_listings()


@pytest.mark.parametrize("path", FILES, ids=name)
def test_network(path, listings):
    udp = path.relative_to(PEERS).parts[0] == "udp" and "offset" not in path.name
    cfg = load_config(path, ["MODEL.CODEC", "udp"] if udp else [])
    with torch.device("meta"):
        own = {key: list(value.shape) for key, value in build_model(cfg).state_dict().items()}
    expected = listings.get(settings(cfg))
    if expected is None:
        kind = next(kind for kind in PUBLISHED if kind in path.as_posix().replace("resnet101/", "res101_"))
        if kind == "w48":  # differs from W32 in channels only
            assert tuple(own) in {tuple(shapes) for shapes in listings.values()}
        else:
            count = sum(torch.Size(shape).numel() for key, shape in own.items() if not key.endswith(BUFFERS))
            assert round(count / 1e6, 1) == PUBLISHED[kind]
        return
    channels = 3 if cfg.MODEL.CODEC == "udp_offset" else 1
    assert list(own) == list(expected)
    for key, shape in own.items():
        wanted = expected[key]
        if is_head(key) and shape != wanted:
            assert shape[0] == cfg.MODEL.NUM_JOINTS * channels or shape[1] == cfg.MODEL.NUM_JOINTS * channels
            shape, wanted = shape[2:], wanted[2:]
        assert shape == wanted, key


BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def is_head(key):
    return key.startswith(("final_layer.", "score.", "score_."))


def test_documented_files_are_the_forks(repository):
    """Every experiment that docs/forks.md types is one of a fork's files."""
    text = (repository / "docs" / "forks.md").read_text()
    typed = re.findall(r"--cfg (experiments/\S+\.yaml)", text)
    known = {"/".join(path.relative_to(PEERS).parts[1:]) for path in FILES}
    assert len(typed) >= 5
    assert [path for path in typed if path.removeprefix("experiments/") not in known] == []
