"""Log files and records of a run."""

import logging

import pytest

from heatpose.report.run import start_logging


@pytest.fixture(autouse=True)
def handlers():
    """The root logger as it was, after the test."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)
        handler.close()
    root.handlers[:], root.level = before, level


def test_what_was_said_before_the_folder_was_known_begins_the_file(tmp_path):
    start_logging()
    logging.getLogger("heatpose").info("codec dark: TEST.BLUR_KERNEL is set")
    start_logging(tmp_path, "test")
    logging.getLogger("heatpose").info("later")
    (file,) = tmp_path.glob("test_*.log")
    lines = [line.split(" ", 1)[1] for line in file.read_text().splitlines()]
    assert lines == ["codec dark: TEST.BLUR_KERNEL is set", "later"]


def test_the_next_run_does_not_repeat_it(tmp_path):
    start_logging()
    logging.getLogger("heatpose").info("first")
    start_logging(tmp_path / "a")
    start_logging()
    start_logging(tmp_path / "b")
    (file,) = (tmp_path / "b").glob("train_*.log")
    assert file.read_text() == ""
