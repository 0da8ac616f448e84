"""TARGET and HUMANS: what they take over from DATASET."""

import pytest
import yaml

from heatpose.config import ConfigError, domain_config, dump_config, load_config, scored_config

ANIMALS = {
    "DATASET": {"DATASET": "toy_animals", "ROOT": "data/pair", "TRAIN_SET": "a", "TEST_SET": "b", "ROT_FACTOR": 12.0},
    "MODEL": {"NUM_JOINTS": 18, "IMAGE_SIZE": [64, 64], "HEATMAP_SIZE": [16, 16]},
}


@pytest.fixture
def load(tmp_path):
    def load(**sections):
        path = tmp_path / "x.yaml"
        path.write_text(yaml.safe_dump({**ANIMALS, **sections}))
        return load_config(path)

    return load


def test_without_a_section_there_is_no_target(load):
    cfg = load()
    assert (cfg.TARGET.DATASET, cfg.HUMANS.DATASET) == ("", "")
    assert scored_config(cfg) == cfg


def test_a_target_of_the_same_format_takes_over_what_it_does_not_say(load):
    cfg = load(TARGET={"TOY_DOMAIN": "target"})
    assert cfg.TARGET == {**cfg.DATASET, "TOY_DOMAIN": "target"}
    assert scored_config(cfg).DATASET == domain_config(cfg, "TARGET").DATASET == cfg.TARGET


def test_selection_by_labels_is_not_taken_over(load):
    data = {**ANIMALS["DATASET"], "SELECT_DATA": True, "PROB_HALF_BODY": 0.3}
    cfg = load(DATASET=data, TARGET={"TOY_DOMAIN": "target"})
    assert (cfg.TARGET.SELECT_DATA, cfg.TARGET.PROB_HALF_BODY) == (False, 0.0)


def test_another_format_takes_over_how_crops_are_made(load):
    cfg = load(TARGET={"DATASET": "tigdog", "ROOT": "data/animals"})
    assert (cfg.TARGET.ROOT, cfg.TARGET.TRAIN_SET, cfg.TARGET.ROT_FACTOR) == ("data/animals", "train2017", 12.0)


def test_people_are_coco_s_unless_said_otherwise(load):
    target = {"TOY_DOMAIN": "target"}
    cfg = load(TARGET=target, HUMANS={"ROOT": "data/coco"}, ADAPT={"METHOD": "wscda"})
    people = cfg.HUMANS
    assert (people.DATASET, people.TRAIN_SET, people.ROT_FACTOR) == ("coco", "train2017", 12.0)


def test_a_resolved_configuration_resolves_to_itself(load, tmp_path):
    for sections in ({}, {"TARGET": {"TOY_DOMAIN": "target"}}):
        cfg = load(**sections)
        (tmp_path / "saved.yaml").write_text(dump_config(cfg))
        assert load_config(tmp_path / "saved.yaml") == cfg


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("TARGET", {"DATASET": "toy"}, "TARGET.DATASET toy has 17 keypoints"),
        ("TARGET", {"AUGMENTATION": "mpsn"}, "TARGET.AUGMENTATION is 'mpsn'; choose one of"),
        ("HUMANS", {"SKELETON": "file"}, "HUMANS.SKELETON is given"),
        ("HUMANS", {"PROB_HALF_BODY": 0.3}, "no half bodies are cropped of people"),
    ],
)
def test_keys_of_every_section_are_checked(load, section, values, message):
    with pytest.raises(ConfigError, match=message):
        load(**{section: values})


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"ADAPT": {"METHOD": "mean_teacher"}, "TRAIN": {"EMA": 0.9}}, "whose teacher is the average that is scored"),
        (
            {"ADAPT": {"METHOD": "supervised"}, "COMPUTE": {"COMPILE": "default"}},
            "COMPILE is default with ADAPT.METHOD",
        ),
    ],
)
def test_what_adaptation_does_not_go_with(load, keys, line):
    target = {"TARGET": {"TOY_DOMAIN": "target"}}
    load(**target, ADAPT=keys["ADAPT"])
    with pytest.raises(ConfigError, match=line):
        load(**target, **keys)


def test_accumulated_sums_are_refused(load):
    loss = {
        "MODEL": {**ANIMALS["MODEL"], "CODEC": "udp_offset"},
        "LOSS": {"NAME": "JointsL1Offset", "REDUCTION": "sum"},
    }
    load(**loss)
    with pytest.raises(ConfigError, match=r"TRAIN\.ACCUMULATE is 2 with LOSS\.REDUCTION sum"):
        load(**loss, TRAIN={"ACCUMULATE": 2})
