"""tools/train.py and test.py in many processes: started by torchrun, by GPUS, and ended by an error in one."""

import importlib.util
import json
import os
import subprocess
import sys
import time

import pytest
import yaml

from heatpose.config import load_config
from heatpose.core.distributed import World
from heatpose.dataset.toy import ensure_toy_dataset

LAUNCH = "import sys; from heatpose.core.distributed import launch; sys.exit(launch(2, sys.argv[1:]))"
TWO = {
    "torchrun": [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"],
    "GPUS": [sys.executable, "-c", LAUNCH, sys.executable],  # what start_processes calls
    "": [sys.executable],
}


@pytest.fixture
def tool(repository, tmp_path):
    """A function (launcher, name, *pairs) -> finished process of tools/<name>.py on tmp_path/tiny.yaml."""

    def call(launcher, name, *pairs):
        script = str(repository / "tools" / f"{name}.py")
        return subprocess.run(
            [*TWO[launcher], script, "--cfg", str(tmp_path / "tiny.yaml"), *pairs],
            capture_output=True, text=True, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    return call


@pytest.fixture
def content(tiny_content, tmp_path):
    content = tiny_content(tmp_path)
    content["MODEL"].update({"NAME": "hourglass", "EXTRA": {"NUM_FEATURES": 8, "NUM_STACKS": 1}})
    content["TRAIN"].update(END_EPOCH=1, BATCH_SIZE_PER_GPU=3)
    content["TEST"]["BATCH_SIZE_PER_GPU"] = 2
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content))
    return content


def test_two_processes_leave_the_files_of_one_and_score_as_one(tool, content, tmp_path):
    """The network has BatchNorm: only with the same running statistics do both processes predict as one does."""
    done = tool("torchrun", "train", "WORKERS", "1", "TRAIN.SCALE_LR", "True", "TRAIN.LR", "0.003")
    assert done.returncode == 0, done.stderr
    assert "rate 6.00e-03" in done.stdout
    assert done.stdout.count("samples/s") == done.stdout.count("| Arch") == 1
    folder = tmp_path / "output" / "toy" / "hourglass" / "tiny"
    assert len(list(folder.glob("train_*.log"))) == len(list((tmp_path / "log").rglob("events*"))) == 1
    assert not list(folder.rglob("*.tmp"))
    results = folder / "results" / "keypoints_val_results.json"
    by_two, rows = json.loads(results.read_text()), json.loads((folder / "run.json").read_text())["rows"]
    done = tool("", "test")
    assert done.returncode == 0, done.stderr
    assert json.loads(results.read_text()) == by_two
    assert json.loads((folder / "test.json").read_text())["rows"] == rows


def test_a_mistake_that_one_process_meets_ends_all_with_one_line(tool, content, tmp_path):
    root = tmp_path / "toy"
    ensure_toy_dataset(root, "train", "val", 6, 4)
    truth = json.loads((root / "annotations" / "person_keypoints_val.json").read_text())
    broken = root / "images" / "val" / f"{truth['annotations'][-1]['image_id']:012d}.jpg"
    broken.write_bytes(b"no image")
    started = time.monotonic()
    done = tool("GPUS", "train", "DATASET.ROOT", str(root))
    assert done.returncode == 2
    assert done.stderr.splitlines() == [f"error: {broken}: not an image that OpenCV can read (8 bytes); fetch it again"]
    assert time.monotonic() - started < 60


def test_a_mistake_that_all_processes_meet_is_told_once(tool, content):
    done = tool("GPUS", "train", "TRAIN.SYNC_BN", "True")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: TRAIN.SYNC_BN is True, but PyTorch has it for CUDA devices only; set it to False"
    ]


class TestDevices:
    @pytest.fixture
    def processes(self, repository, monkeypatch):
        """tools/processes.py on a machine with two CUDA devices; `launched` gathers what it starts."""
        spec = importlib.util.spec_from_file_location("processes", repository / "tools" / "processes.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.launched = []
        monkeypatch.setattr("torch.cuda.is_available", lambda: True)
        monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
        monkeypatch.setattr(module, "launch", lambda *call: module.launched.append(call) or module.code)
        module.code = 0
        for key in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
            monkeypatch.delenv(key, raising=False)
        return module

    @pytest.fixture
    def cfg(self, content, tmp_path):
        return lambda gpus: load_config(tmp_path / "tiny.yaml", ["GPUS", gpus])

    def test_several_start_as_many_processes(self, processes, cfg):
        assert processes.start_processes(cfg("(0,1)"), "train.py", ["--cfg", "x.yaml"])
        assert processes.launched == [(2, [sys.executable, "-u", "train.py", "--cfg", "x.yaml"])]

    def test_their_exit_code_is_passed_on(self, processes, cfg):
        processes.code = 2
        with pytest.raises(SystemExit, match="2"):
            processes.start_processes(cfg("(0,1)"), "train.py", [])

    def test_one_starts_nothing(self, processes, cfg):
        assert not processes.start_processes(cfg("(1,)"), "train.py", [])
        assert processes.device_number(cfg("(1,)"), World()) == 1

    def test_without_cuda_the_list_is_ignored(self, processes, cfg, monkeypatch):
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        assert not processes.start_processes(cfg("(0,1,2,3)"), "train.py", [])
        assert not processes.launched

    def test_fewer_than_listed_are_an_error(self, processes, cfg, monkeypatch):
        with pytest.raises(ValueError, match=r"\[0, 1, 2, 3\], but of CUDA devices there are 2; set GPUS \(0,1\)"):
            processes.start_processes(cfg("(0,1,2,3)"), "train.py", [])
        monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
        with pytest.raises(ValueError, match=r"there is 1; set GPUS \(0,\)"):
            processes.start_processes(cfg("(0,1,2,3)"), "train.py", [])

    def test_under_torchrun_each_process_takes_its_own(self, processes, cfg, monkeypatch):
        for key in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
            monkeypatch.setenv(key, "1")
        assert not processes.start_processes(cfg("(0,1,2,3)"), "train.py", [])
        worlds = [World(rank, 4, rank % 2, 2) for rank in range(4)]
        assert [processes.device_number(cfg("(0,)"), world) for world in worlds] == [0, 1, 0, 1]
        assert [processes.device_number(cfg("(1,0)"), world) for world in worlds] == [1, 0, 1, 0]
        with pytest.raises(ValueError, match="3 processes on this machine, but 2 CUDA devices"):
            processes.device_number(cfg("(0,)"), World(0, 3, 0, 3))

    def test_what_many_cannot_do_is_refused(self, processes, content, tmp_path):
        """Without TARGET's files: refused before any data is read."""
        target = {"TARGET.DATASET": "toy", "ADAPT.METHOD": "mean_teacher"}
        total = {"MODEL.CODEC": "udp_offset", "LOSS.NAME": "JointsL1Offset", "LOSS.REDUCTION": "sum"}
        for changes, message in ((target, "mean_teacher trains in one process"), (total, "set it to mean")):
            pairs = [word for pair in changes.items() for word in pair]
            cfg = load_config(tmp_path / "tiny.yaml", pairs)
            processes.require_divisible(cfg, World())
            with pytest.raises(ValueError, match=message):
                processes.require_divisible(cfg, World(0, 2, 0, 2))

    def test_what_graphs_do_not_record_is_refused(self, processes, content, tmp_path):
        pairs = ["COMPUTE.COMPILE", "cudagraphs", "TRAIN.SYNC_BN", "True"]
        cfg = load_config(tmp_path / "tiny.yaml", pairs)
        with pytest.raises(ValueError, match="set COMPUTE.COMPILE to none or TRAIN.SYNC_BN to False"):
            processes.require_divisible(cfg, World(0, 2, 0, 2))
        processes.require_divisible(cfg, World())
        processes.require_divisible(load_config(tmp_path / "tiny.yaml", pairs[:2]), World(0, 2, 0, 2))
