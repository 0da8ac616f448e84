"""Weight files: every format and packing that loads, what is refused, and that a broken write leaves the old file."""

import argparse
import collections
import io
import os
import pickle
import re
import tarfile

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from heatpose.core.checkpoint import CheckpointError, read_checkpoint, save_atomically, state_dict_of


def weights():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).state_dict()


def same(found, wanted):
    assert list(found) == list(wanted)
    for key, value in wanted.items():
        assert torch.equal(found[key], value), key


def one_line(caught, *parts):
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("name", ["weights.pth", "weights.pth.tar", "weights"])
def test_both_formats_of_torch_under_any_name(tmp_path, name, is_zip):
    path = tmp_path / name
    torch.save(weights(), path, _use_new_zipfile_serialization=is_zip)
    assert (path.read_bytes()[:2] == b"PK") == is_zip
    same(state_dict_of(read_checkpoint(path)), weights())


def test_safetensors(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(dict(weights()), path)
    found = state_dict_of(read_checkpoint(path))
    same({key: found[key] for key in weights()}, weights())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: broken, cut off or no weight file"):
        read_checkpoint(path)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda w: w,
        collections.OrderedDict,
        lambda w: {"state_dict": w},
        lambda w: {"model": w, "epoch": 3},
        lambda w: {"model": "pose_hrnet", "state_dict": w, "best_state_dict": {"other": torch.zeros(1)}},
    ],
    ids=["plain", "ordered", "state_dict", "model", "fork"],
)
def test_every_common_packing(wrap, prefix):
    same(state_dict_of(wrap({prefix + key: value for key, value in weights().items()})), weights())


def test_a_module_of_the_network_that_is_called_module_keeps_its_name():
    assert list(state_dict_of({"module.a": torch.zeros(1), "b": torch.zeros(1)})) == ["module.a", "b"]


NUMBERS = [np.float64(0.7436), np.float32(0.25), np.int64(-3), np.uint8(200), np.bool_(True), np.dtype(">f8").type(1.5)]


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("perf", NUMBERS, ids=lambda value: type(value).__name__)
def test_numbers_of_numpy_come_back_as_plain_numbers(tmp_path, perf, is_zip):
    path = tmp_path / "checkpoint.pth"
    torch.save({"state_dict": weights(), "perf": perf}, path, _use_new_zipfile_serialization=is_zip)
    content = read_checkpoint(path)
    assert content["perf"] == perf.item()
    assert type(content["perf"]) is type(perf.item())
    same(content["state_dict"], weights())


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_numbers_written_by_an_older_or_a_newer_numpy(tmp_path, module):
    path = tmp_path / "checkpoint.pth"
    torch.save({"perf": np.float64(0.7436)}, path, _use_new_zipfile_serialization=False)
    text, count = re.subn(rb"numpy\._?core\.multiarray", module, path.read_bytes())
    assert count == 1
    path.write_bytes(text)
    assert read_checkpoint(path)["perf"] == 0.7436


def test_numbers_are_allowed_only_while_a_file_is_read(tmp_path):
    path = tmp_path / "checkpoint.pth"
    torch.save({"perf": np.float64(0.5)}, path)
    before = set(torch.serialization.get_safe_globals())
    assert read_checkpoint(path)["perf"] == 0.5
    assert set(torch.serialization.get_safe_globals()) == before
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("code_ran",)


class NumberOfObjects:
    """Asks for a NumPy scalar of objects, which NumPy itself makes of anything."""

    def __reduce__(self):
        return type(np.float64(0)).__reduce__(np.float64(0))[0], (np.dtype("O"), Malicious())


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "before 1.6"])
@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"state_dict": Malicious()}, "mkdir"),
        ({"perf": NumberOfObjects()}, "numpy.dtype('O8')"),
        ({"perf": np.str_("0.7")}, "numpy.dtype('U3')"),
        ({"perf": np.arange(3)}, "multiarray._reconstruct"),
        ({"arguments": argparse.Namespace(lr=0.1)}, "argparse.Namespace"),
        (nn.Sequential(nn.Conv2d(3, 4, 1)), "torch.nn.modules"),
    ],
    ids=["code", "object scalar", "numpy text", "array", "namespace", "whole model"],
)
def test_files_that_need_pickle_are_refused_and_run_nothing(tmp_path, monkeypatch, content, named, is_zip):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pth"
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    one_line(caught, str(path), "needs pickle", named, "docs/weights.md")
    assert not (tmp_path / "code_ran").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_bare_pickle_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pkl"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps(Malicious(), protocol))
        with pytest.raises(CheckpointError, match=r"weights\.pkl: "):
            read_checkpoint(path)
    assert not (tmp_path / "code_ran").exists()


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_real_tar_archive_is_named_as_one(tmp_path, mode):
    path = tmp_path / "weights.pth.tar"
    with tarfile.open(path, mode) as archive:
        for name in ("storages", "tensors", "pickle"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    one_line(caught, str(path), "a tar archive", "unpack it", "before 0.1.10")


def test_missing_cut_off_and_odd_files_are_named(tmp_path):
    path = tmp_path / "weights.pth"
    with pytest.raises(CheckpointError, match="no such file"):
        read_checkpoint(path)
    save_atomically(weights(), path)
    for rubbish in (path.read_bytes()[:-300], b"", b"hello world", b"<html>404</html>"):
        path.write_bytes(rubbish)
        with pytest.raises(CheckpointError, match=r"weights\.pth: broken, cut off or no weight file") as caught:
            read_checkpoint(path)
        one_line(caught, "fetch it again")
        assert "weights_only" not in str(caught.value)  # no advice to switch the safety off
    save_atomically([1, 2], path)
    with pytest.raises(CheckpointError, match="holds a list"):
        read_checkpoint(path)


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = tmp_path / "weights.pth"
    save_atomically({"a": torch.ones(1)}, path)
    with pytest.raises((AttributeError, pickle.PicklingError, TypeError)):
        save_atomically({"a": lambda: None}, path)
    assert read_checkpoint(path)["a"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["weights.pth"]


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_a_plain_pickle_is_called_one(tmp_path, protocol):
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps({"state_dict": {"a": [1.0]}}, protocol))
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    one_line(caught, str(path), "needs pickle", "not torch.save")


def test_safetensors_under_another_name_are_recognised(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(save({"a": torch.zeros(2)}))
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    one_line(caught, str(path), "name it .safetensors")


def test_a_text_file_shows_no_number_for_a_reason(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_text("epoch 3, loss 0.1")
    with pytest.raises(CheckpointError, match=r"\(nothing that torch.save writes\)"):
        read_checkpoint(path)
