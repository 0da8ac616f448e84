"""What tests of several data sets share."""

import subprocess
import sys

import pytest
import yaml


@pytest.fixture
def animal_tool(repository, tmp_path):
    """A function (tool, data set, root) -> finished process of a tool on a tiny experiment, whose runs are below
    tmp_path / "output"."""

    def run(tool, dataset, root):
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump({
            "OUTPUT_DIR": str(tmp_path / "output"), "LOG_DIR": str(tmp_path / "log"), "WORKERS": 0,
            "DATASET": {"DATASET": dataset, "ROOT": str(root), "TRAIN_SET": "train", "TEST_SET": "valid"},
            "MODEL": {"NAME": "pose_resnet", "NUM_JOINTS": 18, "IMAGE_SIZE": [64, 64], "HEATMAP_SIZE": [16, 16],
                      "SIGMA": 1.0, "EXTRA": {"NUM_LAYERS": 18, "NUM_DECONV_FILTERS": [8, 8, 8]}},
            "TRAIN": {"BATCH_SIZE_PER_GPU": 4, "END_EPOCH": 1},
        }))  # fmt: skip
        command = [sys.executable, str(repository / "tools" / f"{tool}.py"), "--cfg", str(path)]
        return subprocess.run(command, capture_output=True, text=True, cwd=repository, timeout=300)

    return run
