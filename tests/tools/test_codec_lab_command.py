"""tools/codec_lab.py as its users call it: what it prints and writes, and mistakes."""

import importlib
import json
import runpy
import subprocess
import sys

import pytest


@pytest.fixture
def call(repository, tmp_path):
    """A function (*words) -> finished process of tools/codec_lab.py."""

    def run(*words):
        command = [sys.executable, str(repository / "tools" / "codec_lab.py"), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)

    return run


def test_tables_and_plots(call, tmp_path):
    done = call("--sizes", "64x48", "--strides", "4,8", "--noise", "0,0.1", "--out", tmp_path / "lab")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lab" / "codec_lab.md").read_text() == done.stdout
    content = json.loads((tmp_path / "lab" / "codec_lab.json").read_text())
    assert {"gaussian", "dark", "udp", "udp_offset", "soft_argmax"} <= {
        each["codec"] for each in content["measurements"]
    }
    assert content["versions"]["torch"] and content["noise"]["levels"] == [0, 0.1]
    assert {"bias.png", "decoding.png", "flip.png", "noise.png"} <= {each.name for each in (tmp_path / "lab").iterdir()}
    for part in ("of their closed form", "| the border |", "- udp_offset at 64x48, stride 8: "):
        assert part in done.stdout


def test_keys_of_the_configuration_reach_the_codecs(call):
    """With the usual radius of 4 the offsets deviate."""
    words = ("--codecs", "udp_offset", "--sizes", "64x64", "--strides", "4", "--noise", "0")
    done = call(*words, "LOSS.KPD", "5")
    assert "3 of 3 numbers" in done.stdout and "LOSS.KPD 5" in done.stdout


def test_a_mistake_ends_in_exit_code_2_without_a_traceback(call):
    done = call("--codecs", "drak")
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("error: unknown codec 'drak'") and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--codecs", "drak"), ("unknown codec 'drak'", "did you mean 'dark'")),
        (("--strides", "2.5"), ("--strides has '2.5'", "whole numbers of at least 1")),
        (("--strides", "0"), ("--strides has '0'",)),
        (("--sizes", "256"), ("--sizes has '256'", "such as 256x192")),
        (("--sizes", "250x192"), ("250x192", "no heatmap at stride 4", "multiples of the stride")),
        (("--noise=-1,0",), ("--noise has '-1'",)),
        (("--noise", "loud"), ("--noise has 'loud'", "at least 0")),
        (("--seed", "x"), ("--seed has 'x'",)),
        (("--out", "taken"), ("--out taken is no folder",)),
        (("MODEL.CODEC", "udp"), ("MODEL.CODEC is set by the lab itself", "--codecs")),
        (("MODEL.SIGMAA", "1"), ("command line: unknown key MODEL.SIGMAA", "did you mean 'MODEL.SIGMA'")),
        (("MODEL.SIGMA", "0"), ("command line: MODEL.SIGMA is 0.0; it must be above 0",)),
        (("--codecs", "udp_offset", "--sizes", "64x48", "--strides", "8"), ("nothing could be measured", "(6, 8)")),
    ],
)
def test_mistakes_end_in_one_line_and_exit_code_2(repository, tmp_path, monkeypatch, capsys, words, parts):
    """In this process: a start of Python and PyTorch for each of them would take longer than all the lab's tests."""
    (tmp_path / "taken").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(repository / "tools"))
    monkeypatch.setattr(sys, "argv", ["codec_lab.py", *words])
    monkeypatch.setattr(importlib.import_module("common"), "leave", sys.exit)  # this process goes on
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(repository / "tools" / "codec_lab.py"), run_name="__main__")
    printed = capsys.readouterr()
    assert ended.value.code == 2 and not printed.out
    assert len(printed.err.strip().splitlines()) == 1, printed.err
    assert all(part in printed.err for part in parts), printed.err
