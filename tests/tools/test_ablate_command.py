"""tools/ablate.py as its users call it: what a small ablation leaves behind, resuming, sharing, and mistakes."""

import json
import subprocess
import sys

import pytest
import yaml

SET = {
    "BASE": "tiny.yaml",
    "SEEDS": [0, 1],
    "TRAIN": {"gaussian": {"MODEL.CODEC": "gaussian"}, "udp": {"MODEL.CODEC": "udp"}},
    "TEST": {"no flip": {"TEST.FLIP_TEST": False}, "flip": {"TEST.FLIP_TEST": True}},
    "CLAIMS": [{"CLAIM": "Flipping helps.", "EXPECT": "udp / flip > udp / no flip"}],
}


def call(repository, folder, *words):
    command = [sys.executable, str(repository / "tools" / "ablate.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=300)


def write_set(folder, name="tiny_set", **changes):
    path = folder / f"{name}.yaml"
    content = {key: value for key, value in {**SET, **changes}.items() if value is not None}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def ablated(repository, tmp_path_factory, tiny_content):
    """A folder with a set of two variants over two seeds that was run once, and what was printed."""
    folder = tmp_path_factory.mktemp("ablation")
    content = tiny_content(folder)
    content["TRAIN"]["END_EPOCH"] = 1
    (folder / "tiny.yaml").write_text(yaml.safe_dump(content))
    done = call(repository, folder, write_set(folder), "--runs", "runs", "--out", "table")
    assert done.returncode == 0, done.stderr + done.stdout
    return folder, done.stdout


def weights_of(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("final_state.pth")}


def scores_of(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("test.json")}


def test_writes_a_table_and_every_single_score(ablated):
    folder, text = ablated
    record = json.loads((folder / "table.json").read_text())
    content = record["sets"][0]
    assert {"command", "machine", "versions", "seconds", "time"} <= record.keys()
    assert [(row["train"], row["test"], row["n"]) for row in content["rows"]] == [
        ("gaussian", "no flip", 2), ("gaussian", "flip", 2), ("udp", "no flip", 2), ("udp", "flip", 2),
    ]  # fmt: skip
    assert len(content["scores"]) == 8
    assert {"AP", "AP .75"} <= content["scores"][0]["metrics"].keys()
    for row in content["rows"]:
        mine = [
            each["metrics"]["AR"]
            for each in content["scores"]
            if (each["train"], each["test"]) == (row["train"], row["test"])
        ]
        assert row["metrics"]["AR"]["mean"] == pytest.approx(sum(mine) / 2)
    markdown = (folder / "table.md").read_text()
    assert "## tiny_set" in markdown
    assert "| udp      | no flip |" in markdown
    assert "- Flipping helps." in markdown
    assert "[4/4]" in text


def test_each_network_is_trained_once_and_scored_in_every_way(ablated):
    folder, _ = ablated
    assert len(weights_of(folder)) == 4
    assert len(scores_of(folder)) == 8


def test_a_second_call_does_nothing_and_gives_the_same_table(repository, ablated):
    folder, _ = ablated
    before, table = (weights_of(folder), scores_of(folder)), json.loads((folder / "table.json").read_text())
    done = call(repository, folder, "tiny_set.yaml", "--runs", "runs", "--out", "again")
    assert done.returncode == 0, done.stderr
    assert "4 trainings, 4 of them done before" in done.stdout
    assert (weights_of(folder), scores_of(folder)) == before
    again = json.loads((folder / "again.json").read_text())
    assert [each["scores"] for each in again["sets"]] == [each["scores"] for each in table["sets"]]


def test_another_set_uses_what_is_trained(repository, ablated):
    folder, _ = ablated
    before = weights_of(folder)
    other = write_set(
        folder, "other", SEEDS=[1], TRAIN={"plain": {}}, TEST={"beta": {"MODEL.CODEC": "soft_argmax"}},
        CLAIMS=[{"CLAIM": "Nothing.", "EXPECT": "plain > plain"}],
    )  # fmt: skip
    done = call(repository, folder, other, "--runs", "runs", "--out", "other", "--jobs", "1")
    assert done.returncode == 0, done.stderr
    assert weights_of(folder) == before
    content = json.loads((folder / "other.json").read_text())["sets"][0]
    assert [row["n"] for row in content["rows"]] == [1]
    assert content["claims"][0]["verdict"] == "open"


def test_tabulate_trains_nothing(repository, ablated, tmp_path):
    folder, _ = ablated
    done = call(repository, folder, "tiny_set.yaml", "--runs", tmp_path, "--out", tmp_path / "empty", "--tabulate")
    assert done.returncode == 0, done.stderr
    assert [row["n"] for row in json.loads((tmp_path / "empty.json").read_text())["sets"][0]["rows"]] == [0] * 4


def test_a_changed_configuration_is_trained_and_a_failed_one_named(repository, ablated):
    folder, _ = ablated
    before = weights_of(folder)
    bad = {"MODEL.PRETRAINED": "nowhere.pth"}
    changed = write_set(
        folder, "changed", SEEDS=[0], TRAIN={"old": {}, "bad": bad, "new": {"TRAIN.LR": 1e-4}}, TEST=None, CLAIMS=[]
    )
    done = call(repository, folder, changed, "--runs", "runs", "--out", "changed", "--jobs", "1")
    assert done.returncode == 1
    assert "1 of 3 trainings failed: changed, bad, seed 0" in done.stderr
    assert "nowhere.pth" in done.stderr
    assert [row["n"] for row in json.loads((folder / "changed.json").read_text())["sets"][0]["rows"]] == [1, 0, 1]
    assert len(weights_of(folder)) == len(before) + 1
    assert weights_of(folder).items() > before.items()


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"TRAIN": {"a": {"MODEL.CODC": "udp"}}, "CLAIMS": []}, ["TRAIN a", "MODEL.CODC", "MODEL.CODEC"]),
        ({"BASE": "nothing.yaml"}, ["nothing.yaml", "no such file"]),
    ],
)
def test_mistakes_are_one_line(repository, ablated, changes, parts):
    folder, _ = ablated
    done = call(repository, folder, write_set(folder, "wrong", **changes), "--runs", "runs", "--out", "wrong")
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    for part in parts:
        assert part in lines[0]
    assert not (folder / "wrong.json").exists()
