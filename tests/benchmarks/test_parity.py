"""heatpose against the papers' own code: the small set of references always, the whole one where it is at hand."""

import shutil

import numpy as np
import pytest

from benchmarks.parity import excerpt, report
from benchmarks.parity.harness import HERE, References, allowed

SMALL = References(HERE).names()
WHOLE_RUNS = (
    "e2e_sb_res50_256x192", "e2e_hrnet_w32_256x192", "e2e_lpn50_256x192", "e2e_dark_w32_128x96",
    "e2e_dark_w32_256x192", "e2e_udp_res50_256x192", "e2e_udp_w32_offset_256x192",
)  # fmt: skip


def check(references, name, **how):
    report.run(references, only=name, **how)
    wrong = [each for each in references.comparisons if not each.passed]
    assert not wrong
    assert references.comparisons, "nothing was compared"


@pytest.mark.parametrize("name", [name for name in SMALL if name != "decode_inputs"])
def test_the_small_set_of_references(name):
    references = References(HERE)
    check(references, name, samples=None, peers=None)
    assert report.uncompared(references, [name]) == []


@pytest.mark.parametrize("name", [name for name in SMALL if not name.startswith(("models", "decode_inputs"))])
def test_every_reference_of_the_links(golden_dir, samples, name):
    references = References(golden_dir)
    check(references, name, samples=samples, peers=None)
    assert report.uncompared(references, [name]) == []


@pytest.mark.parametrize("name", ["crops_hrnet", "crops_dark", "crops_udp", "crops_mspn", "eval_coco_hrnet"])
def test_every_reference_that_needs_real_images(golden_dir, samples, name):
    references = References(golden_dir)
    report.run(references, samples, None, only=name)
    compared = {each.file for each in references.comparisons}
    assert compared, "no crops of this OpenCV"
    assert report.uncompared(references, compared) == []
    assert all(each.passed for each in references.comparisons)


@pytest.mark.parametrize("name", WHOLE_RUNS)
def test_whole_test_runs_on_real_images(golden_dir, samples, name):
    peers = golden_dir.parent / "peer_configs"
    if not peers.is_dir():
        pytest.skip(f"no experiment files of the forks: {peers} does not exist")
    references = References(golden_dir)
    check(references, name, samples=samples, peers=peers, kinds=("gt",))
    found = {each.array for each in references.comparisons}
    assert {"gt/preds", "gt/result/keypoints", "gt/stats", "gt/argmax", "gt/first_output_val"} <= found


def test_the_small_set_is_a_part_of_the_whole_one(golden_dir):
    whole, small = References(golden_dir), References(HERE)
    for name in small.names():
        about = small.open(name)
        for array, values in excerpt.excerpt(whole, name).items():
            np.testing.assert_array_equal(about[array], values)
        assert about.about.get("models") == whole.open(name).about.get("models")


# --- that the comparison can fail ---------------------------------------------------------------------------------


def changed(tmp_path, name, array, change):
    """References with one array changed, after comparing its file."""
    folder = tmp_path / "references"
    shutil.copytree(HERE, folder)
    arrays = dict(np.load(folder / f"{name}.npz"))
    arrays[array] = change(arrays[array])
    np.savez(folder / f"{name}.npz", **arrays)
    references = References(folder)
    report.run(references, None, None, only=name)
    return {each.array: each for each in references.comparisons}


@pytest.mark.parametrize(
    ("name", "array", "change"),
    [
        ("decode_dark", "dark_k11/64x48/gauss/hm_coords", lambda values: values + 0.003),
        ("decode_udp", "udp_gauss_post1/64x48/mixed/hm_coords", np.nan_to_num),
        ("geometry_hrnet", "affine/192x256_inv0", lambda values: values * (1 + 2e-5)),
        ("geometry_hrnet", "coco_db_192x256/image_id", lambda values: values[1:]),
        ("nms_hrnet", "oks1/keep_0.5", lambda values: values[::-1]),
        ("targets_hrnet", "192x256_s2/gaussian/target_weight", lambda values: 1 - values),
        ("eval_mpii_hrnet", "case0/summary", lambda values: values + 1e-6),
        ("models_lpn", "lpn50_none_256x192/out/val", lambda values: values * 1.01),
        ("models_mspn", "mspn_coco_1stg/stage0_res1/val", lambda values: values * 1.01),
        ("geometry_animals", "shufflelr/out", lambda values: values + 1),
        ("targets_animals", "ds/tpts", lambda values: values - 1),
        ("decode_animals", "animals/gauss/final_preds", lambda values: values + 1),
        ("losses_animals", "mse_w1_nk7_target_weight/value", lambda values: values * 1.001),
        ("targets_mspn", "COCO/valid", lambda values: np.minimum(values, 1)),
        ("decode_mspn", "mspn_k5_s1/64x48/mixed/preds", lambda values: values + 0.02),
        ("losses_mspn", "total_st2_ohkm1_ctf1/value", lambda values: values * 1.001),
        ("geometry_mspn_mpii", "half_body/scale", lambda values: values * 1.5),
    ],
)
def test_a_wrong_reference_is_noticed(tmp_path, name, array, change):
    comparisons = changed(tmp_path, name, array, change)
    assert [each.array for each in comparisons.values() if not each.passed] == [array]


def test_an_array_that_nothing_compares_is_named(tmp_path):
    folder = tmp_path / "references"
    shutil.copytree(HERE, folder)
    references = References(folder)
    report.run(references, None, None, only="decode_sb")
    references.comparisons = [each for each in references.comparisons if "post1" not in each.array]
    assert "decode_sb:std_post1/64x48/gauss/maxvals" in report.uncompared(references, ["decode_sb"])


def test_tolerances_in_words():
    values = np.array([0.0, -4.0])
    assert allowed("exact where the map is not all zero", values).tolist() == [0, 0]
    assert allowed("abs 2e-3 px (NaN where the code gives NaN)", values).tolist() == [0.002, 0.002]
    np.testing.assert_allclose(allowed("abs 1e-7 + rel 1e-4", values), [1e-7, 4e-4 + 1e-7], rtol=0.01)
    with pytest.raises(ValueError, match="is not understood"):
        allowed("about right", values)


def test_the_table_and_its_place_in_a_file(tmp_path):
    references = References(HERE)
    report.run(references, None, None, only="decode_sb")
    text = report.text(references)
    assert "| SimpleBaselines | decoding, flip | 12 " in text
    page = tmp_path / "parity.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.insert(text, page)
    assert page.read_text() == f"before\n{report.BEGIN}\n{text}\n{report.END}\nafter\n"
