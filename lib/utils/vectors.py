"""Sixteen numbers at once, in compiled loops that a compiler would not make so of its own accord.

Left to itself it takes half as many, and loads anew what is there already. LLVM makes of sixteen numbers what the
processor has: one register of AVX-512, two of AVX2, four of NEON. Vectors of float32 numbers are FLOATS, those of
their bits as int32 BITS; arrays are contiguous float32, and indices uintp, which cannot count from the end.

Loops that use them take whole arrays and where in these to begin: Numba counts who refers to each slice and view of
an array, and a count takes as long as 20 vectors.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, float32, int32, int64, types, uint32
from numba.core.cgutils import get_or_insert_function
from numba.extending import models, register_model

LANES = 16
intrinsic: Any = extending.intrinsic
I32, I64 = ir.IntType(32), ir.IntType(64)


class Vector(types.Type):
    """LANES numbers of a type; `suffix` is its name in LLVM's functions."""

    def __init__(self, number: Any, suffix: str, llvm: Any):
        self.suffix, self.llvm = suffix, ir.VectorType(llvm, LANES)
        super().__init__(name=f"vector of {LANES} {number}")


FLOATS, BITS = Vector(float32, "f32", ir.FloatType()), Vector(int32, "i32", I32)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any):
        super().__init__(manager, kind, kind.llvm)


def _place(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """The address of an array's number at `index`."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [index])


@intrinsic
def load(typing: Any, array: Any, index: Any) -> Any:
    """FLOATS: the numbers of an array from `index` on."""

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        place = _place(context, builder, signature.args[0], *given)
        return builder.load(builder.bitcast(place, FLOATS.llvm.as_pointer()), align=4)

    return FLOATS(array, types.uintp), emit


@intrinsic
def store(typing: Any, array: Any, index: Any, floats: Any) -> Any:
    """Writes FLOATS to an array from `index` on."""

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        place = _place(context, builder, signature.args[0], *given[:2])
        builder.store(given[2], builder.bitcast(place, FLOATS.llvm.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.none(array, types.uintp, FLOATS), emit


@intrinsic
def fetch(typing: Any, array: Any, index: Any) -> Any:
    """Asks for what is at `index` of an array, or would be beyond its end, to be in the cache when it is needed."""
    byte = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte, I32, I32, I32])

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        place = builder.bitcast(_place(context, builder, signature.args[0], *given), byte)
        prefetch = get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(prefetch, [place, I32(0), I32(3), I32(1)])  # for reading, to be kept, data
        return context.get_dummy_value()

    return types.none(array, types.uintp), emit


@intrinsic
def filled(typing: Any, number: Any) -> Any:
    """FLOATS or BITS of one number, float32 or int32."""
    kind = FLOATS if number == float32 else BITS
    nothing, firsts = ir.Constant(kind.llvm, ir.Undefined), ir.Constant(ir.VectorType(I32, LANES), [0] * LANES)

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.shuffle_vector(builder.insert_element(nothing, given[0], I32(0)), nothing, firsts)

    return kind(number), emit


def _reread(result: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.bitcast(given[0], context.get_value_type(result))

    return emit


@intrinsic
def bits_of(typing: Any, floats: Any) -> Any:
    """The BITS of FLOATS; of one float32, its bits as int32."""
    result = BITS if floats == FLOATS else int32
    return result(FLOATS if floats == FLOATS else float32), _reread(result)


@intrinsic
def float_of(typing: Any, bits: Any) -> Any:
    """The float32 with these bits, an int32 or uint32."""
    return float32(bits), _reread(float32)


@intrinsic
def turned(typing: Any, floats: Any) -> Any:
    """FLOATS from the last to the first."""
    backwards = ir.Constant(ir.VectorType(I32, LANES), [*range(LANES - 1, -1, -1)])

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.shuffle_vector(given[0], ir.Constant(FLOATS.llvm, ir.Undefined), backwards)

    return FLOATS(FLOATS), emit


@intrinsic
def floats_of(typing: Any, bits: Any) -> Any:
    """The FLOATS with these BITS."""
    return FLOATS(BITS), _reread(FLOATS)


@intrinsic
def plus(typing: Any, one: Any, other: Any) -> Any:
    """Sums of FLOATS."""
    return FLOATS(FLOATS, FLOATS), lambda context, builder, signature, given: builder.fadd(*given)


@intrinsic
def times(typing: Any, one: Any, other: Any) -> Any:
    """Products of FLOATS."""
    return FLOATS(FLOATS, FLOATS), lambda context, builder, signature, given: builder.fmul(*given)


@intrinsic
def either(typing: Any, one: Any, other: Any) -> Any:
    """The bits that are set in one of two BITS or in both."""
    return BITS(BITS, BITS), lambda context, builder, signature, given: builder.or_(*given)


def _kept(comparison: str) -> Any:
    """An intrinsic: those of FLOATS that compare so with others, and 0 for the rest."""

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        zeros = ir.Constant(FLOATS.llvm, [0.0] * LANES)
        return builder.select(builder.fcmp_ordered(comparison, *given), given[0], zeros)

    @intrinsic
    def kept(typing: Any, one: Any, other: Any) -> Any:
        return FLOATS(FLOATS, FLOATS), emit

    return kept


at_least, below = _kept(">="), _kept("<")


def _called(name: str, result: Any, *operands: Vector) -> Callable[..., Any]:
    """A call of an LLVM function, whose full name ends in the type of the operands."""
    full_name = f"llvm.{name}.v{LANES}{operands[0].suffix}"

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kind = ir.FunctionType(context.get_value_type(result), [each.llvm for each in operands])
        return builder.call(get_or_insert_function(builder.module, kind, full_name), given)

    return emit


@intrinsic
def product_plus(typing: Any, one: Any, other: Any, more: Any) -> Any:
    """`one` times `other` plus `more`, FLOATS, rounded once where the processor can."""
    return FLOATS(FLOATS, FLOATS, FLOATS), _called("fmuladd", FLOATS, FLOATS, FLOATS, FLOATS)


@intrinsic
def rounded(typing: Any, floats: Any) -> Any:
    """FLOATS as the nearest int32, of two the even one; their BITS."""
    nearest = _called("rint", FLOATS, FLOATS)

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.fptosi(nearest(context, builder, signature, given), BITS.llvm)

    return BITS(FLOATS), emit


@intrinsic
def higher(typing: Any, one: Any, other: Any) -> Any:
    """The higher of each two BITS, as int32."""
    return BITS(BITS, BITS), _called("smax", BITS, BITS, BITS)


@intrinsic
def lower(typing: Any, one: Any, other: Any) -> Any:
    """The lower of each two BITS, as int32."""
    return BITS(BITS, BITS), _called("smin", BITS, BITS, BITS)


@intrinsic
def higher_bare(typing: Any, one: Any, other: Any) -> Any:
    """The higher of each two BITS, as uint32."""
    return BITS(BITS, BITS), _called("umax", BITS, BITS, BITS)


@intrinsic
def highest(typing: Any, bits: Any) -> Any:
    """The highest of BITS, as int32."""
    return int32(BITS), _called("vector.reduce.smax", int32, BITS)


@intrinsic
def lowest(typing: Any, bits: Any) -> Any:
    """The lowest of BITS, as int32."""
    return int32(BITS), _called("vector.reduce.smin", int32, BITS)


@intrinsic
def highest_bare(typing: Any, bits: Any) -> Any:
    """The highest of BITS, as uint32."""
    return uint32(BITS), _called("vector.reduce.umax", uint32, BITS)


def _found(comparison: str, last: bool) -> Any:
    """An intrinsic: which of two BITS' numbers first, or `last`, compares so with its counterpart."""

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        which = builder.bitcast(builder.icmp_signed(comparison, *given), ir.IntType(LANES))  # the first is bit 0
        count = (builder.ctlz if last else builder.cttz)(which, ir.IntType(1)(0))
        return builder.zext(builder.sub(which.type(LANES), count) if last else count, I64)

    @intrinsic
    def found(typing: Any, one: Any, other: Any) -> Any:
        return int64(BITS, BITS), emit

    return found


first_equal = _found("==", last=False)  # LANES where none is
first_reaching = _found(">=", last=False)  # as int32; LANES where none is
end_of_reaching = _found(">=", last=True)  # the one after the last; 0 where none is
