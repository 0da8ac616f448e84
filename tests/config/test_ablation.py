"""Ablation files: what they hold, what is refused, and which configurations count as the same."""

from pathlib import Path

import pytest
import yaml

from heatpose.config import ConfigError
from heatpose.config.ablation import NOT_FOR_SCORES, NOT_FOR_WEIGHTS, Cell, fingerprint, load_ablation
from heatpose.config.defaults import DEFAULTS

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
CONTENT = {
    "BASE": "base.yaml",
    "SEEDS": [0, 1],
    "TRAIN": {"gaussian": {"MODEL": {"CODEC": "gaussian"}}, "udp": {"MODEL.CODEC": "udp"}},
    "TEST": {"no flip": {"TEST.FLIP_TEST": False}, "flip": {"TEST.FLIP_TEST": True}},
    "CLAIMS": [{"CLAIM": "UDP is better.", "EXPECT": "udp / flip > gaussian / no flip"}],
}


@pytest.fixture
def write(tmp_path):
    (tmp_path / "base.yaml").write_text("TRAIN: {LR: 0.01}\n")

    def write(**changes):
        content = {key: value for key, value in {**CONTENT, **changes}.items() if value is not None}
        path = tmp_path / "set.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return write


def message(path):
    with pytest.raises(ConfigError) as caught:
        load_ablation(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.rglob("ablation/*.yaml")), ids=lambda path: path.stem)
def test_every_set_of_the_repository_is_read_and_its_configurations_resolve(path):
    ablation = load_ablation(path)
    assert len(ablation.seeds) == 3
    assert ablation.claims
    for cell in ablation.cells:
        cfg = ablation.scoring_config(cell, 1, {})
        assert cfg.SEED == 1
        assert not cfg.TEST.BOTH_BOXES


def test_rows_are_all_pairs_of_training_and_scoring(write):
    ablation = load_ablation(write())
    assert ablation.cells == [
        Cell("gaussian", "no flip"), Cell("gaussian", "flip"), Cell("udp", "no flip"), Cell("udp", "flip"),
    ]  # fmt: skip
    assert (ablation.claims[0].better, ablation.claims[0].worse) == (ablation.cells[3], ablation.cells[0])
    assert ablation.metric == "AP"


def test_configurations_are_base_then_variant_then_way_of_scoring(write):
    ablation = load_ablation(write(TEST={"other": {"MODEL.CODEC": "dark", "TEST.BETA": 7}}, CLAIMS=[]))
    assert ablation.training_config("udp", 1, {"WORKERS": 0}).MODEL.CODEC == "udp"
    cfg = ablation.scoring_config(Cell("udp", "other"), 1, {"WORKERS": 0})
    assert (cfg.TRAIN.LR, cfg.MODEL.CODEC, cfg.TEST.BETA, cfg.WORKERS, cfg.SEED) == (0.01, "dark", 7.0, 0, 1)


def test_without_ways_of_scoring_a_variant_is_a_row(write):
    ablation = load_ablation(write(TEST=None, CLAIMS=[{"CLAIM": "x", "EXPECT": "udp > gaussian"}]))
    assert [str(cell) for cell in ablation.cells] == ["gaussian", "udp"]


def test_a_variant_may_be_another_experiment(write, tmp_path):
    (tmp_path / "other.yaml").write_text("TRAIN: {LR: 0.5, WD: 0.25}\n")
    train = {"gaussian": {}, "other": {"BASE": "other.yaml", "TRAIN.WD": 0.125}}
    ablation = load_ablation(write(TRAIN=train, CLAIMS=[]))
    rates = {name: ablation.training_config(name, 0, {}).TRAIN for name in train}
    assert (rates["gaussian"].LR, rates["other"].LR, rates["other"].WD) == (0.01, 0.5, 0.125)
    assert ablation.scoring_config(Cell("other", "flip"), 0, {}).TRAIN.LR == 0.5


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"TRAIN": {"a": {"BASE": 3}}, "CLAIMS": []}, ["TRAIN a", "path of their experiment"]),
        ({"TEST": {"a": {"BASE": "other.yaml"}}, "CLAIMS": []}, ["TEST a", "variants of TRAIN"]),
        ({"SEED": [0]}, ["unknown key SEED", "did you mean 'SEEDS'"]),
        ({"TRAIN": None}, ["TRAIN", "not given"]),
        ({"SEEDS": 3}, ["SEEDS is 3", "[0, 1, 2]"]),
        ({"SEEDS": [0, True]}, ["SEEDS"]),
        ({"SEEDS": [1, 1]}, ["twice"]),
        ({"BASE": 3}, ["BASE is 3"]),
        ({"TRAIN": ["udp"]}, ["TRAIN is ['udp']"]),
        ({"TRAIN": {"udp": "MODEL.CODEC udp"}}, ["TRAIN udp", "keys to change"]),
        ({"TRAIN": {"a/b": {}}}, ["'a/b'", "without /"]),
        ({"TEST": {}}, ["TEST is {}"]),
        ({"CLAIMS": {"CLAIM": "x"}}, ["CLAIMS", "list"]),
        ({"CLAIMS": [{"CLAIM": "x"}]}, ["claim 1", "EXPECT"]),
        ({"CLAIMS": [{"CLAIM": "x", "EXPECT": "udp = gaussian"}]}, ["claim 1", "A > B"]),
        ({"CLAIMS": [{"CLAIM": "x", "EXPECT": "udp > gaussian"}]}, ["'udp'", "no flip, flip"]),
        ({"CLAIMS": [{"CLAIM": "x", "EXPECT": "udp/flp > gaussian/flip"}]}, ["'flp'", "did you mean 'flip'"]),
        ({"CLAIMS": [{"CLAIM": "x", "EXPECT": "upd/flip > gaussian/flip"}]}, ["'upd'", "did you mean 'udp'"]),
    ],
)
def test_mistakes_are_named(write, changes, parts):
    text = message(write(**changes))
    for part in parts:
        assert part in text


def test_a_wrong_key_of_a_variant_names_the_variant(write):
    ablation = load_ablation(write(TRAIN={"a": {"MODEL.CODC": "udp"}}, CLAIMS=[]))
    with pytest.raises(
        ConfigError, match=r"set.yaml: TRAIN a: unknown key MODEL.CODC \(did you mean 'MODEL.CODEC'\?\)"
    ):
        ablation.training_config("a", 0, {})


class TestFingerprints:
    def of(self, write, left_out=NOT_FOR_WEIGHTS, seed=0, **keys):
        return fingerprint(load_ablation(write()).training_config("udp", seed, keys), left_out)

    def test_follow_what_changes_weights_or_scores(self, write):
        same = self.of(write)
        for keys in ({"TRAIN.LR": 0.1}, {"MODEL.SIGMA": 1.0}, {"LOSS.USE_OHKM": True}, {"MODEL.NAME": "lpn"}):
            assert self.of(write, **keys) != same, keys
        assert self.of(write, seed=1) != same
        assert self.of(write, NOT_FOR_SCORES, **{"TEST.FLIP_TEST": True}) != self.of(write, NOT_FOR_SCORES)

    def test_leave_out_surroundings_and_for_weights_how_they_are_scored(self, write):
        for keys in ({"WORKERS": 0}, {"OUTPUT_DIR": "x"}, {"TEST.FLIP_TEST": True}, {"TRAIN.VALIDATE_EVERY": 5}):
            assert self.of(write, **keys) == self.of(write), keys
        assert self.of(write, NOT_FOR_SCORES, **{"TEST.MODEL_FILE": "x"}) == self.of(write, NOT_FOR_SCORES)

    def test_stay_when_a_later_version_adds_a_key(self, write, monkeypatch):
        before = self.of(write)
        monkeypatch.setitem(DEFAULTS["TRAIN"], "LATER", 3)
        assert self.of(write) == before
        assert self.of(write, **{"TRAIN.LATER": 4}) != before
