"""Weight files: round trips, what is refused, and that a broken write leaves the old file."""

import pickle

import pytest
import torch
from torch import nn

from heatpose.core.checkpoint import (
    CheckpointError,
    load_pretrained,
    load_weights,
    read_checkpoint,
    save_atomically,
    state_dict_of,
)


def net(width=4):
    torch.manual_seed(width)
    return nn.Sequential(nn.Conv2d(3, width, 1), nn.BatchNorm2d(width))


@pytest.mark.parametrize("wrap", [lambda w: w, lambda w: {"state_dict": w}, lambda w: {"model": w, "epoch": 3}])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_every_common_packing_of_weights_loads(tmp_path, wrap, prefix):
    source, target = net(), nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    path = tmp_path / "weights.pth"
    save_atomically(wrap({prefix + key: value for key, value in source.state_dict().items()}), path)
    load_weights(target, path)
    for key, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[key], value)


def test_a_name_beside_the_weights_is_not_taken_for_them():
    weights = net().state_dict()
    assert state_dict_of({"model": "pose_hrnet", "state_dict": weights}).keys() == weights.keys()


def test_another_architecture_is_refused_with_the_keys_that_differ(tmp_path):
    path = tmp_path / "weights.pth"
    save_atomically({"0.weight": torch.zeros(5, 3, 1, 1), "extra": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError) as caught:
        load_weights(net(), path)
    text = str(caught.value)
    assert "\n" not in text
    for part in (str(path), "6 missing (0.bias", "1 unexpected (extra)", "0.weight (5, 3, 1, 1) for (4, 3, 1, 1)"):
        assert part in text


class Malicious:
    def __reduce__(self):
        return print, ("code ran",)


def test_files_that_need_pickle_are_refused_and_run_nothing(tmp_path, capsys):
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": Malicious()}, path)
    with pytest.raises(CheckpointError, match="not a plain weight file"):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(CheckpointError):
        read_checkpoint(path)
    assert "code ran" not in capsys.readouterr().out


def test_missing_cut_off_and_odd_files_are_named(tmp_path):
    path = tmp_path / "weights.pth"
    with pytest.raises(CheckpointError, match="no such file"):
        read_checkpoint(path)
    save_atomically(net().state_dict(), path)
    for rubbish in (path.read_bytes()[:-300], b"", b"hello world", b"<html>404</html>"):
        path.write_bytes(rubbish)
        with pytest.raises(CheckpointError, match=r"weights\.pth: .*weight file"):
            read_checkpoint(path)
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


def test_pretrained_takes_the_named_layers_that_fit(tmp_path):
    path, model = tmp_path / "backbone.pth", net()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    weights = {"0.weight": torch.ones(4, 3, 1, 1), "1.weight": torch.full((4,), 3.0), "fc.weight": torch.ones(2)}
    save_atomically(weights, path)
    report = load_pretrained(model, path, layers=("0",))
    assert "1 of the model's 7 tensors loaded, 2 not used" in report
    assert (model[0].weight == 1).all()
    assert torch.equal(model[1].weight, before["1.weight"])
    load_pretrained(model, path)
    assert (model[1].weight == 3).all()


def test_pretrained_reports_wrong_shapes_and_refuses_what_does_not_fit_at_all(tmp_path):
    path = tmp_path / "backbone.pth"
    save_atomically({"0.weight": torch.ones(9, 3, 1, 1), "0.bias": torch.ones(4)}, path)
    assert "1 of another shape (0.weight (9, 3, 1, 1) for (4, 3, 1, 1))" in load_pretrained(net(), path)
    with pytest.raises(CheckpointError, match="none of its 2 weights"):
        load_pretrained(net(), path, layers=("layer1",))
