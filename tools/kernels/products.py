"""Matrix products by BLAS, called by address; vectors and small ones by loops."""


@reduction
def dot(p, q, k, one):
    """The inner product of two contiguous vectors: blocks in any order, the blocks' sums in float64."""
    result = 0.0
    i = 0
    while i < k:
        end = min(i + 512, k)
        block = one - one
        for j in range(i, end):
            block += p[j] * q[j]
        result += block
        i = end
    return result


@kernel
def takes_dot(record):
    """Are both factors of a product of one row and one column contiguous?"""
    flags, leading = record[W0 + 3], record[W0 + 4]
    return (flags & 1 == 0 or leading & 0xFFFFFFFF == 1) and (flags & 2 != 0 or leading >> 32 == 1)


@kernel
def dots(o, a, b, rows, k, so, sa, sb, add, one):
    """An inner product for each row: o (+)= a' b."""
    po, pa, pb = floats(o, one), floats(a, one), floats(b, one)
    for i in range(rows):
        s = dot(pointer_at(pa, i * sa), pointer_at(pb, i * sb), k, one)
        po[i * so] = s + (po[i * so] if add else 0.0)


@kernel
def outer(po, pa, pb, m, n, lda, ldc, add):
    """o (+)= a b', the sum so far taken in where `add`; a at a stride, o with rows of ldc."""
    for i in range(m):
        x = load(pa, i * lda)
        row = pointer_at(po, i * ldc)
        if add:
            for j in range(n):
                store(row, j, load(row, j) + x * load(pb, j))
        else:
            for j in range(n):
                store(row, j, x * load(pb, j))


@kernel
def matvec(gemv, scratch, matrix, vector, o, rows, columns, leading, transposed, step, add, one):
    """o (+)= M v for M of (rows, columns) in C order, or M' v where `transposed`; o at a stride."""
    number = shorts(scratch)
    factors = floats(scratch + 32, one)
    letter = octets(scratch + 64)
    number[0], number[1], number[2], number[3], number[4] = columns, rows, leading, 1, step
    factors[0], factors[1] = 1.0, 1.0 if add else 0.0
    letter[0] = 78 if transposed else 84  # C order is Fortran's transpose: N, T
    at = scratch
    size = width(one)
    call11(
        gemv, at + 64, at, at + 4, at + 32, matrix, at + 8, vector, at + 12, at + 32 + size, o, at + 16
    )


@kernel
def matmul(functions, scratch, o, a, b, m, n, k, flags, lda, ldb, ldc, one):
    """o (+)= op(a) op(b), row-major, shapes (m, k) and (k, n) after orientation, rows of lda, ldb, ldc elements.

    `flags`: 1 and 2 for a transposed a and b, 4 to add to o.
    """
    ta, tb, add = flags & 1 != 0, flags & 2 != 0, flags & 4 != 0
    po, pa, pb = floats(o, one), floats(a, one), floats(b, one)
    if m * n == 0:
        return
    if k == 0:
        if not add:
            for i in range(m):
                for j in range(n):
                    po[i * ldc + j] = 0.0
        return
    if m == 1 and n == 1 and (not ta or lda == 1) and (tb or ldb == 1):
        po[0] = dot(pa, pb, k, one) + (po[0] if add else 0.0)
    elif k == 1 and (not tb or ldb == 1):
        outer(po, pa, pb, m, n, 1 if ta else lda, ldc, add)
    elif n == 1 and (tb or ldb == 1):
        if ta:
            matvec(functions[1], scratch, a, b, o, k, m, lda, True, ldc, add, one)
        else:
            matvec(functions[1], scratch, a, b, o, m, k, lda, False, ldc, add, one)
    elif m == 1 and (not ta or lda == 1):
        if tb:
            matvec(functions[1], scratch, b, a, o, n, k, ldb, False, 1, add, one)
        else:
            matvec(functions[1], scratch, b, a, o, k, n, ldb, True, 1, add, one)
    else:
        number = shorts(scratch)
        factors = floats(scratch + 32, one)
        letter = octets(scratch + 64)
        number[0], number[1], number[2] = n, m, k
        number[3], number[4], number[5] = ldb, lda, ldc
        factors[0], factors[1] = 1.0, 1.0 if add else 0.0
        letter[0], letter[1] = 84 if tb else 78, 84 if ta else 78
        s = scratch
        call13(
            functions[0], s + 64, s + 65, s, s + 4, s + 8, s + 32, b, s + 12, a, s + 16,
            s + 32 + width(one), o, s + 20,
        )
