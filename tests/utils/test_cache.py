"""Arrays come back from the cache as they were; whatever is wrong with it costs time and nothing else."""

import logging

import numpy as np
import pytest

from heatpose.utils.cache import cache_folder, cache_key, cached


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HEATPOSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


ARRAYS = {"words": np.array(["a", "äöü"]), "numbers": np.arange(6.0).reshape(2, 3), "text": np.array("one")}


def never():
    raise AssertionError("made a second time")


def same(found):
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_arrays_are_made_once():
    same(cached("key", lambda: ARRAYS))
    same(cached("key", never))
    with pytest.raises(AssertionError):
        cached("another", never)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"no archive", None])
def test_a_broken_file_is_made_anew(folder, caplog, content):
    cached("key", lambda: ARRAYS)
    path = folder / "key.npz"
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    with caplog.at_level(logging.WARNING):
        same(cached("key", lambda: ARRAYS))
    assert "key.npz: cannot be read" in caplog.text
    same(cached("key", never))


def test_a_single_array_in_its_place_is_made_anew(folder):
    folder.mkdir()
    with open(folder / "key.npz", "wb") as file:
        np.save(file, np.arange(3))
    same(cached("key", lambda: ARRAYS))
    same(cached("key", never))


def test_objects_are_not_unpickled(folder):
    folder.mkdir()
    np.savez(folder / "key.npz", words=np.array([{"a": 1}], object))
    same(cached("key", lambda: ARRAYS))


def test_an_error_is_passed_on_and_nothing_is_kept(folder):
    with pytest.raises(AssertionError):
        cached("key", never)
    assert not folder.exists() or not list(folder.iterdir())


def test_a_folder_that_cannot_be_written_costs_a_line(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEATPOSE_CACHE", str(tmp_path / "file" / "cache"))
    with caplog.at_level(logging.WARNING):
        same(cached("key", lambda: ARRAYS))
    assert "cannot be written" in caplog.text and "HEATPOSE_CACHE" in caplog.text


def test_keys_tell_apart_what_differs():
    assert cache_key(1, "a") == cache_key(1, "a")
    assert len({cache_key(1, "a"), cache_key("1", "a"), cache_key(1, "b"), cache_key((1, "a")), cache_key(1.5)}) == 5


def test_where_the_cache_lies(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("HEATPOSE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "heatpose"
