"""Matrix products by BLAS, called by address; vectors and small ones by loops."""


@reduction
def dot(p, q, k):
    """The inner product of two contiguous vectors."""
    s = p[0] * q[0]
    for i in range(1, k):
        s += p[i] * q[i]
    return s


@kernel
def outer(po, pa, pb, m, n, add):
    """o (+)= a b', the sum so far taken in where `add`."""
    for i in range(m):
        x = load(pa, i)
        row = pointer_at(po, i * n)
        if add:
            for j in range(n):
                store(row, j, load(row, j) + x * load(pb, j))
        else:
            for j in range(n):
                store(row, j, x * load(pb, j))


@kernel
def matvec(gemv, scratch, matrix, vector, o, rows, columns, transposed, add, one):
    """o (+)= M v for M of (rows, columns) in C order, or M' v where `transposed`."""
    number = shorts(scratch)
    factors = floats(scratch + 32, one)
    letter = octets(scratch + 64)
    number[0], number[1], number[2], number[3] = columns, rows, columns, 1
    factors[0], factors[1] = 1.0, 1.0 if add else 0.0
    letter[0] = 78 if transposed else 84  # C order is Fortran's transpose: N, T
    at = scratch
    size = width(one)
    call11(
        gemv, at + 64, at, at + 4, at + 32, matrix, at + 8, vector, at + 12, at + 32 + size, o, at + 12
    )


@kernel
def matmul(functions, scratch, o, a, b, m, n, k, ta, tb, add, one):
    """o (+)= op(a) op(b), row-major, shapes (m, k) and (k, n) after orientation."""
    po, pa, pb = floats(o, one), floats(a, one), floats(b, one)
    if m * n == 0:
        return
    if k == 0:
        if not add:
            for i in range(m * n):
                po[i] = 0.0
        return
    if m == 1 and n == 1:
        po[0] = dot(pa, pb, k) + (po[0] if add else 0.0)
    elif k == 1:
        outer(po, pa, pb, m, n, add)
    elif n == 1:
        if ta:
            matvec(functions[1], scratch, a, b, o, k, m, True, add, one)
        else:
            matvec(functions[1], scratch, a, b, o, m, k, False, add, one)
    elif m == 1:
        if tb:
            matvec(functions[1], scratch, b, a, o, n, k, False, add, one)
        else:
            matvec(functions[1], scratch, b, a, o, k, n, True, add, one)
    else:
        number = shorts(scratch)
        factors = floats(scratch + 32, one)
        letter = octets(scratch + 64)
        number[0], number[1], number[2] = n, m, k
        number[3], number[4] = k if tb else n, m if ta else k
        factors[0], factors[1] = 1.0, 1.0 if add else 0.0
        letter[0], letter[1] = 84 if tb else 78, 84 if ta else 78
        s = scratch
        call13(
            functions[0], s + 64, s + 65, s, s + 4, s + 8, s + 32, b, s + 12, a, s + 16,
            s + 32 + width(one), o, s,
        )
