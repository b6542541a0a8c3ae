"""Addresses, pointers, calls by address."""

F32, F64, I64, VOID = ir.FloatType(), ir.DoubleType(), ir.IntType(64), ir.VoidType()


@intrinsic
def floats(typing, address, one):
    """A pointer to the tape's floating dtype (that of `one`): indexing it has no wrap-around code."""
    pointer = types.CPointer(one)

    def code(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(types.int64, one), code


@intrinsic
def ints(typing, address):
    """A pointer to int64."""
    pointer = types.CPointer(types.int64)

    def code(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(types.int64), code


@intrinsic
def shorts(typing, address):
    """A pointer to int32."""
    pointer = types.CPointer(types.int32)

    def code(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(types.int64), code


@intrinsic
def octets(typing, address):
    """A pointer to uint8: booleans, and bytes."""
    pointer = types.CPointer(types.uint8)

    def code(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(types.int64), code


@intrinsic
def pointer_at(typing, pointer, i):
    """The pointer to element i."""

    def code(context, builder, signature, arguments):
        return builder.gep(arguments[0], [arguments[1]], inbounds=True)

    return pointer(pointer, types.int64), code


@intrinsic
def width(typing, one):
    """Bytes of the tape's floating dtype."""
    size = one.bitwidth // 8

    def code(context, builder, signature, arguments):
        return context.get_constant(types.int64, size)

    return types.int64(one), code


def _scopes(module):
    domain = module.add_metadata(["tape"])
    read, write = module.add_metadata(["read", domain]), module.add_metadata(["write", domain])
    return module.add_metadata([read]), module.add_metadata([write])


@intrinsic
def load(typing, pointer, i):
    """pointer[i], which LLVM may assume that no `store` of the same loop changes (in place or apart)."""

    def code(context, builder, signature, arguments):
        value = builder.load(builder.gep(arguments[0], [arguments[1]], inbounds=True))
        read, write = _scopes(builder.module)
        value.set_metadata("alias.scope", read)
        value.set_metadata("noalias", write)
        return value

    return pointer.dtype(pointer, types.int64), code


@intrinsic
def store(typing, pointer, i, value):
    """pointer[i] = value; see `load`. Sound where element i depends on elements i alone."""

    def code(context, builder, signature, arguments):
        target = signature.args[0].dtype
        done = builder.store(
            context.cast(builder, arguments[2], signature.args[2], target),
            builder.gep(arguments[0], [arguments[1]], inbounds=True),
        )
        read, write = _scopes(builder.module)
        done.set_metadata("alias.scope", write)
        done.set_metadata("noalias", read)
        return context.get_dummy_value()

    return types.void(pointer, types.int64, value), code


def _caller(count):
    def code(context, builder, signature, arguments):
        kind = ir.FunctionType(VOID, [I64] * count)
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), list(arguments[1:]))
        return context.get_dummy_value()

    return types.void(*[types.int64] * (count + 1)), code


@intrinsic
def call4(typing, function, a, b, c, d):
    """Call by address with four integer or pointer arguments: the inner loop of a ufunc."""
    return _caller(4)


@intrinsic
def call6(typing, function, a, b, c, d, e, f):
    """Call by address with six integer arguments: the bounds check of a record."""
    return _caller(6)


@intrinsic
def call11(typing, function, a, b, c, d, e, f, g, h, i, j, k):
    """Call by address with eleven arguments: BLAS gemv."""
    return _caller(11)


@intrinsic
def call13(typing, function, a, b, c, d, e, f, g, h, i, j, k, l, m):
    """Call by address with thirteen arguments: BLAS gemm."""
    return _caller(13)


@kernel
def resolve(bases, packed):
    """The address that a packed (base, byte offset) stands for."""
    return bases[packed >> 48] + (packed & 0xFFFFFFFFFFFF)
