"""Vector functions: explicit registers of elements, handed to libmvec's functions by address."""


def _every(builder, value, lanes):
    """A register with one value in every lane."""
    empty = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    index = ir.IntType(32)
    first = builder.insert_element(empty, value, ir.Constant(index, 0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(index, lanes), [0] * lanes))


def _mapper(element, lanes):
    vector = ir.VectorType(element, lanes)

    def code(context, builder, signature, arguments):
        function, o, u, bound = arguments
        kind = ir.FunctionType(vector, [vector]).as_pointer()
        # Arrays are aligned to their elements, not to registers.
        x = builder.load(builder.inttoptr(u, vector.as_pointer()), align=1)
        z = builder.call(builder.inttoptr(function, kind), [x])
        high = _every(builder, bound if element == F64 else builder.fptrunc(bound, element), lanes)
        low = builder.fneg(high)
        z = builder.select(builder.fcmp_ordered(">", z, high), high, z)  # nan stays
        z = builder.select(builder.fcmp_ordered("<", z, low), low, z)
        builder.store(z, builder.inttoptr(o, vector.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.float64), code


@intrinsic
def map_8_doubles(typing, function, o, u, bound):
    """o = f(u), cut off at +-bound, in one AVX-512 register."""
    return _mapper(F64, 8)


@intrinsic
def map_16_singles(typing, function, o, u, bound):
    """The same in float32."""
    return _mapper(F32, 16)


@intrinsic
def map_4_doubles(typing, function, o, u, bound):
    """The same in one AVX register."""
    return _mapper(F64, 4)


@intrinsic
def map_8_singles(typing, function, o, u, bound):
    """The same in one AVX register and float32."""
    return _mapper(F32, 8)


@kernel
def move(o, u, n, so, su, size):
    """A few elements of `size` bytes, 8 or 4, at strides in bytes; `copy` is for many."""
    for i in range(n):
        p, q = shorts(o + i * so), shorts(u + i * su)
        p[0] = q[0]
        if size == 8:
            p[1] = q[1]


@entry
def map_vectors(function, lanes, size, bounded, scratch, n, o, u, so, su):
    """o = f(u) for n elements of `size` bytes at strides in bytes, where `bounded` cut off at +-1.

    A register at a time. What does not fill one, or is not contiguous, goes through scratch memory to the same
    function: the bits of a result depend on its operand alone.
    """
    bound = 1.0 if bounded != 0 else math.inf
    padded = scratch + VECTOR_SCRATCH
    words = ints(padded)
    for i in range(0, n, lanes):
        m = min(lanes, n - i)
        source, target = u + i * su, o + i * so
        whole = m == lanes and su == size and so == size
        if not whole:
            for j in range(8):
                words[j] = 0  # where every function is quick and finite
            move(padded, source, m, size, su, size)
            source, target = padded, padded
        if lanes * size == 64:
            if size == 8:
                map_8_doubles(function, target, source, bound)
            else:
                map_16_singles(function, target, source, bound)
        elif size == 8:
            map_4_doubles(function, target, source, bound)
        else:
            map_8_singles(function, target, source, bound)
        if not whole:
            move(o + i * so, padded, m, so, size, size)
