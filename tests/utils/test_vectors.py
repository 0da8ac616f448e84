"""Vectors in compiled loops do what NumPy does with their numbers one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from heatpose.utils import vectors as vec
from heatpose.utils.compiled import compiled

ANY = arrays(np.float32, vec.LANES, elements=st.floats(width=32))  # zeros of both signs, NaN and infinity too
BEFORE = 3  # numbers before the vector, in an array that goes on behind it


def placed(numbers):
    array = np.full(BEFORE + 2 * vec.LANES, 7, np.float32)
    array[BEFORE : BEFORE + vec.LANES] = numbers
    return array


@compiled
def turn(values, given):
    vec.store(given, np.uintp(1), vec.turned(vec.load(values, np.uintp(BEFORE))))


@compiled
def weigh(values, others, given):
    one, other = vec.load(values, np.uintp(BEFORE)), vec.load(others, np.uintp(BEFORE))
    vec.store(given, np.uintp(0), vec.product_plus(one, vec.filled(np.float32(0.5)), vec.plus(one, other)))


@compiled
def sort_out(values, others, given):
    one, other = vec.load(values, np.uintp(BEFORE)), vec.load(others, np.uintp(BEFORE))
    vec.store(given, np.uintp(0), vec.at_least(one, other))
    vec.store(given, np.uintp(vec.LANES), vec.below(one, other))
    whole = vec.rounded(vec.times(one, vec.filled(np.float32(2))))
    vec.store(given, np.uintp(2 * vec.LANES), vec.floats_of(vec.either(whole, vec.filled(np.int32(1)))))


@compiled
def compare(values, others):
    one, other = vec.bits_of(vec.load(values, np.uintp(BEFORE))), vec.bits_of(vec.load(others, np.uintp(BEFORE)))
    return (
        vec.highest(vec.higher(one, other)), vec.lowest(vec.lower(one, other)),
        vec.highest_bare(vec.higher_bare(one, other)), vec.first_equal(one, other), vec.first_reaching(one, other),
        vec.end_of_reaching(one, other),
    )  # fmt: skip


@compiled
def there_and_back(values, index):
    return vec.float_of(vec.bits_of(values[index]))


@settings(deadline=None)  # the first call compiles
@given(ANY)
def test_numbers_are_stored_where_they_belong(numbers):
    given_numbers = np.zeros(vec.LANES + 2, np.float32)
    turn(placed(numbers), given_numbers)
    np.testing.assert_array_equal(given_numbers.view(np.int32)[1:-1], numbers.view(np.int32)[::-1])
    assert given_numbers[0] == given_numbers[-1] == 0
    np.testing.assert_array_equal(there_and_back(numbers, 0), numbers[0])


@settings(deadline=None)  # the first call compiles
@given(*[arrays(np.float32, vec.LANES, elements=st.floats(-1e3, 1e3, width=32))] * 2)
def test_products_and_sums(numbers, others):
    given_numbers = np.zeros(vec.LANES, np.float32)
    weigh(placed(numbers), placed(others), given_numbers)
    expected = 0.5 * numbers.astype(np.float64) + (numbers + others)
    np.testing.assert_allclose(given_numbers, expected, rtol=1e-6, atol=1e-37)


@settings(deadline=None)  # the first call compiles
@given(*[arrays(np.float32, vec.LANES, elements=st.floats(-1e3, 1e3, width=32))] * 2)
def test_numbers_are_sorted_out_and_rounded(numbers, others):
    given_numbers = np.zeros(3 * vec.LANES, np.float32)
    sort_out(placed(numbers), placed(others), given_numbers)
    reaching, missing, odd = np.split(given_numbers, 3)
    np.testing.assert_array_equal(reaching, np.where(numbers >= others, numbers, 0))
    np.testing.assert_array_equal(missing, np.where(numbers < others, numbers, 0))
    np.testing.assert_array_equal(odd.view(np.int32), np.rint(numbers * 2).astype(np.int32) | 1)


@settings(deadline=None)  # the first call compiles
@given(ANY, ANY, st.integers(0, vec.LANES))
def test_bits_are_compared_as_whole_numbers(numbers, others, agreeing):
    others = np.where(np.arange(vec.LANES) < agreeing, others, numbers)  # the same from there on
    one, other = numbers.view(np.int32), others.view(np.int32)
    bare = np.concatenate([one, other]).view(np.uint32)
    equal, reaching = np.flatnonzero(one == other), np.flatnonzero(one >= other)
    assert compare(placed(numbers), placed(others)) == (
        max(one.max(), other.max()), min(one.min(), other.min()), bare.max(),
        equal[0] if len(equal) else vec.LANES, reaching[0] if len(reaching) else vec.LANES,
        reaching[-1] + 1 if len(reaching) else 0,
    )  # fmt: skip


@pytest.mark.parametrize("ahead", [0, 10**6])
def test_what_is_fetched_need_not_exist(ahead):
    @compiled
    def fetch(values, index):
        vec.fetch(values, np.uintp(index))
        return values[0]

    assert fetch(np.ones(3, np.float32), ahead) == 1
