"""tools/summary.py as its users call it: what it prints, its JSON file and its exit codes."""

import json
import re
import subprocess
import sys

import pytest


@pytest.fixture
def call(repository, tmp_path):
    """A function (*words) -> finished process of tools/summary.py."""

    def run(*words):
        command = [sys.executable, str(repository / "tools" / "summary.py"), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)

    return run


def test_layers_stages_totals_and_memory(call, repository, tmp_path):
    cfg = repository / "experiments" / "coco" / "hrnet" / "w32_256x192.yaml"
    done = call("--cfg", cfg, "--batch", "16", "--json", tmp_path / "all.json")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^\| stage4\.2\.fuse_layers\.0\.3\.0 +\| Conv2d +\| 1x1 +\| 32x8x6 ", done.stdout, re.MULTILINE)
    assert re.search(r"^\| sum of stage4 +\| Sequential ", done.stdout, re.MULTILINE)
    assert "28,536,113 parameters, 7.645 G multiply-adds" in done.stdout
    assert "(15.290 GFLOPs; by HRNet's count 7.120)" in done.stdout
    assert "two FLOPs\nfor each multiply-add" in done.stdout
    content = json.loads((tmp_path / "all.json").read_text())
    total = [f"{content['parameters']:,}", f"{content['flops'] / 1e6:,.3f}", f"{content['multiply_adds'] / 1e6:,.3f}"]
    line = next(line for line in done.stdout.splitlines() if line.startswith("| total "))
    assert [cell.strip() for cell in line.split("|")[-4:-1]] == total
    assert sum(layer["flops"] for layer in content["layers"]) == content["flops"] == 2 * content["multiply_adds"]
    assert sum(stage["parameters"] for stage in content["stages"]) == content["parameters"] == 28_536_113
    weights = f"{content['memory'][0]['weights'] / 2**20:.1f}"
    assert re.findall(r"^\| (\d+) +\| (\d+\.\d) ", done.stdout, re.MULTILINE) == [("1", weights), ("16", weights)]
    assert content["memory"][0]["training"] < content["memory"][1]["training"]


def test_a_coarser_table_and_changed_keys(call, experiment):
    done = call("--cfg", experiment(), "--depth", "1", "MODEL.IMAGE_SIZE", "(96,128)", "MODEL.HEATMAP_SIZE", "(24,32)")
    assert done.returncode == 0, done.stderr
    assert "input 96x128" in done.stdout
    names = re.findall(r"^\| (\w+) +\| \w+ +\|[^|]*\| [\dx]+ ", done.stdout, re.MULTILINE)
    assert names == ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "deconv_layers",
                     "final_layer"]  # fmt: skip
    assert re.findall(r"^\| (\d+) +\| \d+\.\d ", done.stdout, re.MULTILINE) == ["1", "4"]  # TRAIN.BATCH_SIZE_PER_GPU


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--cfg", "nothing.yaml"), ("nothing.yaml", "no such file")),
        (("--cfg", "nothing.yaml", "--batch", "0"), ("--batch is 0", "1 or more")),
    ],
)
def test_mistakes_are_one_line(call, words, parts):
    check_refused(call(*words), *parts)


def test_a_file_that_cannot_be_written(call, experiment, tmp_path):
    check_refused(call("--cfg", experiment(), "--json", tmp_path), f"--json {tmp_path} cannot be written")


def check_refused(done, *parts):
    assert done.returncode == 2, done.stdout + done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert all(part in done.stderr for part in parts)
