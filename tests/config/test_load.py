"""Experiment files and command-line pairs -> configuration: order, types, and what is refused."""

import pickle
from pathlib import Path

import pytest
import yaml

from heatpose.config import ConfigError, dump_config, load_config
from heatpose.config.defaults import DEFAULTS
from heatpose.config.load import flatten

GRMI = "{NAME: grmi_resnet, CODEC: grmi,"
FILES = sorted((Path(__file__).resolve().parents[2] / "experiments").rglob("*.yaml"))
EXPERIMENTS = [path for path in FILES if path.parent.name != "ablation"]  # those are sets of experiments


@pytest.fixture
def write(tmp_path):
    def write(text, name="experiment.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def message(path, *overrides):
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_order_is_defaults_base_file_command_line(write):
    write("TRAIN: {LR: 0.1, END_EPOCH: 7, WD: 0.5}", "base.yaml")
    path = write("BASE: base.yaml\nTRAIN: {LR: 0.2, WD: 0.6}")
    train = load_config(path, ["TRAIN.WD", "0.7"]).TRAIN
    assert (train.MOMENTUM, train.END_EPOCH, train.LR, train.WD) == (DEFAULTS["TRAIN"]["MOMENTUM"], 7, 0.2, 0.7)


def test_base_is_relative_to_its_file(write, tmp_path):
    (tmp_path / "below").mkdir()
    write("PRINT_FREQ: 7", "base.yaml")
    assert load_config(write("BASE: ../base.yaml", "below/x.yaml")).PRINT_FREQ == 7


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("TEST.USE_GT_BBOX", "True", True),
        ("TRAIN.LR", "1e-3", 0.001),
        ("TRAIN.LR", "1", 1.0),
        ("MODEL.IMAGE_SIZE", "(192, 256)", (192, 256)),
        ("TRAIN.LR_STEP", "[3,4]", (3, 4)),
        ("GPUS", "(0,1)", (0, 1)),
        ("GPUS", "0,1", (0, 1)),
        ("DATASET.ROOT", "123", "123"),
    ],
)
def test_command_line_values_take_the_type_of_the_default(write, key, text, value):
    section, _, leaf = key.rpartition(".")
    cfg = load_config(write("SEED: 1"), [key, text])
    found = (cfg[section] if section else cfg)[leaf]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("TEST: {USE_GT_BOX: true}", ["TEST.USE_GT_BOX", "did you mean 'TEST.USE_GT_BBOX'"]),
        ("TEST: {USE_GT_BBOX: 1}", ["TEST.USE_GT_BBOX is 1", "True or False"]),
        ("TRAIN: {LR: fast}", ["TRAIN.LR is 'fast'", "a number"]),
        ("MODEL: {IMAGE_SIZE: [192, tall]}", ["MODEL.IMAGE_SIZE[1] is 'tall'", "a whole number"]),
        ("MODEL: 3", ["MODEL is 3", "a mapping"]),
        ("MODEL: {NAME: pose_hrnt}", ["pose_hrnt", "did you mean 'pose_hrnet'"]),
        ("MODEL: {NAME: lpn, EXTRA: {ATENTION: GC}}", ["MODEL.EXTRA.ATENTION", "MODEL.EXTRA.ATTENTION"]),
        ("MODEL: {IMAGE_SIZE: [192, 250]}", ["MODEL.IMAGE_SIZE is [192, 250]", "multiples of 32"]),
        ("MODEL: {NAME: pose_resnet, EXTRA: {NUM_DECONV_LAYERS: 6}}", ["NUM_DECONV_LAYERS is 6"]),
        ("MODEL: {IMAGE_SIZE: [288, 384]}", ["MODEL.HEATMAP_SIZE is [48, 64]", "[72, 96]"]),
        ("DATASET: {DATASET: toy}\nMODEL: {NUM_JOINTS: 16}", ["MODEL.NUM_JOINTS is 16", "17"]),
        ("TRAIN: {OPTIMIZER: adan}", ["TRAIN.OPTIMIZER is 'adan'", "adam, adamw, sgd"]),
        ("TRAIN: {STAGES: 0}", ["TRAIN.STAGES is 0", "above 0"]),
        ("TRAIN: {STAGES: many}", ["TRAIN.STAGES is 'many'", "a whole number"]),
        ("TEST: {BETA: 0}", ["TEST.BETA is 0", "above 0"]),
        ("MODEL: {TARGET_SHAPE: box}", ["MODEL.TARGET_SHAPE is 'box'", "gaussian, cauchy"]),
        ("LOSS: {NAME: JointsMSEOffset}", ["JointsMSEOffset", "udp_offset"]),
        ("LOSS: {NAME: JointsMSE}\nMODEL: {CODEC: grmi}", ["JointsMSE", "JointsGRMI with codec grmi"]),
        ("TEST: {RESCORE: boxes}", ["TEST.RESCORE is 'boxes'", "box_times_keypoints, keypoints"]),
        (f"MODEL: {GRMI} IMAGE_SIZE: [256, 352]}}", ["IMAGE_SIZE is [256, 352]", "stride 8 plus 1", "[257, 353]"]),
        (f"MODEL: {GRMI} IMAGE_SIZE: [257, 353]}}", ["HEATMAP_SIZE is [48, 64]", "[33, 45]"]),
        (f"MODEL: {GRMI} EXTRA: {{OUTPUT_STRIDE: 12}}}}", ["OUTPUT_STRIDE is 12", "4, 8, 16, 32"]),
        ("MODEL: {NAME: grmi_resnet, EXTRA: {INTERMEDIATE_LAYER: 50}}", ["INTERMEDIATE_LAYER is 50", "CODEC gaussian"]),
        ("LOSS: {LAMBDA_OFFSET: -1}", ["LOSS.LAMBDA_OFFSET is -1", "0 or more"]),
        ("- a\n- b", ["expected KEY: VALUE", "list"]),
        ("a: [", ["not valid YAML"]),
        ("BASE: experiment.yaml", ["BASE leads back"]),
        ("BASE: nothing.yaml", ["nothing.yaml", "no such file"]),
    ],
)
def test_mistakes_in_a_file_are_named_in_one_line(write, text, parts):
    path = write(text)
    found = message(path)
    assert str(path.parent) in found
    for part in parts:
        assert part in found


def test_a_key_without_a_value_and_a_missing_file_are_refused(write, tmp_path):
    assert "TRAIN.LR" in message(write("SEED: 1"), "TRAIN.LR")
    assert "no such file" in message(tmp_path / "nothing.yaml")


def test_without_a_file_the_command_line_changes_the_defaults(write):
    assert load_config(None, ["MODEL.SIGMA", "3"]) == load_config(write("MODEL: {SIGMA: 3}"))
    assert message(None, "MODEL.SIGMA", "-1") == "command line: MODEL.SIGMA is -1.0; it must be above 0"


def test_a_mistake_on_the_command_line_is_said_to_be_there(write):
    assert message(write("SEED: 1"), "TEST.USE_GT_BOX", "True").startswith("command line: unknown key")


def test_the_configuration_is_frozen(write):
    cfg = load_config(write("SEED: 1"))
    with pytest.raises(TypeError, match="frozen"):
        cfg.TRAIN.LR = 1.0
    with pytest.raises(TypeError, match="frozen"):
        cfg["SEED"] = 2
    for change in (cfg.clear, cfg.popitem, lambda: cfg.update(SEED=2), lambda: cfg.pop("SEED"), cfg.setdefault):
        with pytest.raises(TypeError):
            change()
    with pytest.raises((TypeError, AttributeError)):
        cfg.TRAIN.LR_STEP.append(3)
    assert cfg.SEED == 1
    assert pickle.loads(pickle.dumps(cfg)) == cfg


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_loads_and_survives_saving(path, tmp_path):
    cfg = load_config(path)
    saved = tmp_path / "config.yaml"
    saved.write_text(dump_config(cfg))
    assert load_config(saved) == cfg


def test_every_key_has_one_comment(repository):
    lines = (repository / "lib" / "config" / "defaults.py").read_text().splitlines()
    uncommented = [line for line in lines if '": ' in line and not line.rstrip().endswith("{") and "#" not in line]
    allowed = ('"lpn"', '"STAGE', '"NUM_DECONV', '"pose_')
    assert not [line for line in uncommented if not line.strip().startswith(allowed)]


class TestForkDialects:
    def test_simple_baselines_keys_are_renamed(self, write):
        cfg = load_config(
            write(
                "GPUS: '0,1'\nTRAIN: {BATCH_SIZE: 7, RESUME: true}\nTEST: {BATCH_SIZE: 9}\n"
                "MODEL:\n  NAME: pose_resnet\n"
                "  IMAGE_SIZE: [288, 384]\n  EXTRA: {TARGET_TYPE: gaussian, HEATMAP_SIZE: [72, 96], SIGMA: 3}\n"
            )
        )
        assert cfg.GPUS == (0, 1)
        assert (cfg.TRAIN.BATCH_SIZE_PER_GPU, cfg.TEST.BATCH_SIZE_PER_GPU, cfg.AUTO_RESUME) == (7, 9, True)
        assert (cfg.MODEL.HEATMAP_SIZE, cfg.MODEL.SIGMA) == ((72, 96), 3.0)

    @pytest.mark.parametrize(
        ("text", "codec"),
        [
            ("MODEL: {NAME: pose_hrnet}", "gaussian"),
            ("MODEL: {TARGET_TYPE: offset}", "udp_offset"),
            ("TEST: {SOFT_ARGMAX: true}", "soft_argmax"),
            ("TEST: {BLUR_KERNEL: 11}", "dark"),
            ("TEST: {BLUR_KERNEL: 11}\nMODEL: {CODEC: gaussian}", "gaussian"),
        ],
    )
    def test_the_codec_follows_from_the_keys(self, write, text, codec):
        assert load_config(write(text)).MODEL.CODEC == codec

    def test_the_command_line_changes_the_codec_too(self, write):
        assert load_config(write("SEED: 1"), ["MODEL.TARGET_TYPE", "offset"]).MODEL.CODEC == "udp_offset"

    def test_udp_hrnet_has_the_larger_last_fusion(self, write):
        path = write("MODEL: {CODEC: udp}")
        assert load_config(path).MODEL.EXTRA.LAST_FUSION_EXPANSION == 4
        assert load_config(path, ["MODEL.EXTRA.LAST_FUSION_EXPANSION", "1"]).MODEL.EXTRA.LAST_FUSION_EXPANSION == 1
        assert load_config(path, ["MODEL.CODEC", "dark"]).MODEL.EXTRA.LAST_FUSION_EXPANSION == 1


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (
            "{MODEL: {CODEC: gaussian}, TEST: {BIAS: 2.0}}",
            "TEST.BIAS is not read by codec gaussian, only by soft_argmax",
        ),
        ("{MODEL: {CODEC: udp, TARGET_SHAPE: cauchy}}", "MODEL.TARGET_SHAPE is not read by codec udp, only by ccssl"),
        ("{MODEL: {CODEC: ccssl}}", "TEST.POST_PROCESS False is not read by codec ccssl"),
        ("{MODEL: {CODEC: udp, TARGET_TYPE: offset}}", "MODEL.TARGET_TYPE offset is not read"),
        ("{MODEL: {CODEC: dark}, TEST: {SOFT_ARGMAX: true}}", "TEST.SOFT_ARGMAX True is not read"),
        ("{MODEL: {NAME: pose_hrnet, STYLE: caffe}}", "MODEL.STYLE caffe is not read by pose_hrnet"),
    ],
)
def test_keys_that_nothing_reads_are_named(write, caplog, text, note):
    caplog.set_level("INFO")
    load_config(write(text))
    assert any(note in message for message in caplog.messages), caplog.messages


def test_keys_that_are_read_are_not_named(write, caplog):
    caplog.set_level("INFO")
    load_config(write("{MODEL: {CODEC: soft_argmax}, TEST: {BIAS: 2.0, BETA: 10.0}}"))
    assert not any("not read" in message for message in caplog.messages)


def test_flatten_is_undone_by_nothing_lost():
    flat = flatten(DEFAULTS)
    assert len(flat) == sum(1 for _ in _leaves(DEFAULTS))
    assert yaml.safe_load(yaml.safe_dump(flat)) == flat


def _leaves(node):
    for value in node.values():
        if isinstance(value, dict) and value:
            yield from _leaves(value)
        elif not isinstance(value, dict):
            yield value
