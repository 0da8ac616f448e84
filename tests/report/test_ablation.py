"""Means, spreads and verdicts over seeds, and the table made of them."""

import json
import math
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatpose.config.ablation import Ablation, Cell, Claim
from heatpose.report.ablation import (
    BORNE_OUT,
    CONTRADICTED,
    NOT_BORNE_OUT,
    OPEN,
    judge,
    mean_and_spread,
    set_section,
    summarise_set,
)  # fmt: skip

scores = st.lists(st.floats(0, 1), min_size=2, max_size=6)


def by_seed(values):
    return dict(enumerate(values))


@given(scores, st.floats(-1, 1))
def test_a_shift_moves_the_mean_and_leaves_the_spread(values, shift):
    mean, spread = mean_and_spread(values)
    moved, same = mean_and_spread([value + shift for value in values])
    assert moved == pytest.approx(mean + shift, abs=1e-9)
    assert same == pytest.approx(spread, abs=1e-9)


@given(scores)
def test_spread_is_the_sample_standard_deviation(values):
    mean = sum(values) / len(values)
    expected = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    assert mean_and_spread(values)[1] == pytest.approx(expected, abs=1e-9)


def test_too_few_values_have_no_spread():
    assert math.isnan(mean_and_spread([0.5])[1])
    assert mean_and_spread([0.5])[0] == 0.5
    assert all(map(math.isnan, mean_and_spread([])))


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=6), st.booleans())
def test_exchanging_the_sides_exchanges_the_verdict(pairs, same_weights):
    ours, others = (by_seed(side) for side in zip(*pairs, strict=True))
    forth, back = judge(ours, others, same_weights), judge(others, ours, same_weights)
    opposite = {BORNE_OUT: CONTRADICTED, CONTRADICTED: BORNE_OUT, NOT_BORNE_OUT: NOT_BORNE_OUT}
    assert forth.word == opposite[back.word]
    assert forth.spread == pytest.approx(back.spread, abs=1e-12)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_equal_scores_bear_nothing_out(values):
    for same_weights in (True, False):
        assert judge(by_seed(values), by_seed(values), same_weights).word == NOT_BORNE_OUT


def test_spread_between_trainings_is_that_of_the_difference():
    verdict = judge({0: 0.50, 1: 0.54}, {0: 0.40, 1: 0.44}, same_weights=False)
    assert verdict.spread == pytest.approx(math.hypot(*[statistics.stdev([0, 0.04])] * 2))
    assert verdict.word == BORNE_OUT
    assert judge({0: 0.50, 1: 0.54}, {0: 0.48, 1: 0.52}, same_weights=False).word == NOT_BORNE_OUT


def test_on_the_same_weights_what_trainings_differ_in_does_not_count():
    verdict = judge({0: 0.50, 1: 0.54}, {0: 0.48, 1: 0.521}, same_weights=True)
    assert verdict.spread == pytest.approx(statistics.stdev([0.02, 0.019]))
    assert verdict.word == BORNE_OUT


def test_only_seeds_that_both_have_count():
    verdict = judge({0: 0.5, 1: 0.6, 2: 0.9}, {0: 0.4, 1: 0.5}, same_weights=False)
    assert (verdict.seeds, verdict.difference) == (2, pytest.approx(0.1))


@pytest.mark.parametrize("seeds", [{}, {0: 0.5}])
def test_fewer_than_two_seeds_leave_a_claim_open(seeds):
    assert judge(seeds, {0: 0.4, 1: 0.5}, same_weights=False).word == OPEN


@pytest.fixture
def ablation():
    claim = Claim("B is better.", Cell("b", ""), Cell("a", ""))
    variants = {"a": {}, "b": {"MODEL.SIGMA": 1}}
    return Ablation("set", Path("set.yaml"), Path("base.yaml"), (0, 1), variants, {"": {}}, (claim,), "AP")


def test_section_shows_means_and_the_verdict(ablation):
    found = {
        Cell("a", ""): {0: {"AP": 0.1, "AR": 0.3}, 1: {"AP": 0.2, "AR": 0.3}},
        Cell("b", ""): {0: {"AP": 0.5, "AR": 0.3}, 1: {"AP": 0.6, "AR": 0.3}},
    }
    text = set_section(summarise_set(ablation, found))
    assert "| trained | AP            | AR            | n |" in text
    assert "| b       | 0.550 ± 0.071 | 0.300 ± 0.000 | 2 |" in text
    assert "- B is better.\n  b > a: **borne out** (AP +0.400, spread 0.100, n 2)" in text


def test_percents_have_one_decimal_and_single_keypoints_a_table(ablation):
    percent = replace(ablation, metric="PCK@0.05")
    means = {"a": 40.0, "b": 50.0}
    found = {Cell(name, ""): {seed: {"PCK@0.05": mean + seed} for seed in (0, 1)} for name, mean in means.items()}
    keypoints = {Cell("a", ""): {0: {"chin": 10.0, "tail": None}, 1: {"chin": 20.0, "tail": None}}}
    text = set_section(summarise_set(percent, found, keypoints))
    assert "| a       | 40.5 ± 0.7 | 2 |" in text
    assert "| PCK@0.05 | a    |\n|----------|------|\n| chin     | 15.0 |\n" in text
    assert "b > a: **borne out** (PCK@0.05 +10.0, spread 1.0, n 2)" in text


def test_a_set_without_scores_is_shown_as_such(ablation):
    content = summarise_set(ablation, {})
    json.dumps(content, allow_nan=False)
    assert "| a       | 0 |" in set_section(content)
    assert "**open** (AP -, spread -, n 0)" in set_section(content)
