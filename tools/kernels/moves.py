"""Copies, fills, accumulating copies, gathers and scatters."""


@kernel
def fill(o, n, size, bits):
    """n elements of `size` bytes, all with the same bits."""
    if size == 8:
        p = ints(o)
        for i in range(n):
            p[i] = bits
    elif size == 4:
        q = shorts(o)
        for i in range(n):
            q[i] = bits
    else:
        r = octets(o)
        for i in range(n):
            r[i] = bits


@kernel
def copy(o, a, n, so, sa, size):
    """n elements of `size` bytes from a to o, at strides counted in elements."""
    if size == 8:
        po, pa = ints(o), ints(a)
        if so == 1 and sa == 1:
            for i in range(n):
                store(po, i, load(pa, i))
        elif so == 1 and sa == 0:
            x = load(pa, 0)
            for i in range(n):
                store(po, i, x)
        else:
            for i in range(n):
                po[i * so] = pa[i * sa]
    elif size == 4:
        qo, qa = shorts(o), shorts(a)
        if so == 1 and sa == 1:
            for i in range(n):
                store(qo, i, load(qa, i))
        else:
            for i in range(n):
                qo[i * so] = qa[i * sa]
    else:
        ro, ra = octets(o), octets(a)
        for i in range(n):
            ro[i * so] = ra[i * sa]


@kernel
def shift(o, a, n):
    """n bytes moved to a lower address, one after another: they may overlap."""
    if (n | o | a) & 7 == 0:
        p, q = ints(o), ints(a)
        for i in range(n >> 3):
            p[i] = q[i]
    else:
        r, t = octets(o), octets(a)
        for i in range(n):
            r[i] = t[i]


@kernel
def accumulate(o, a, n, so, sa, one):
    """o += a, n elements at strides counted in elements."""
    po, pa = floats(o, one), floats(a, one)
    if so == 1 and sa == 1:
        for i in range(n):
            store(po, i, load(po, i) + load(pa, i))
    else:
        for i in range(n):
            po[i * so] = po[i * so] + pa[i * sa]


@kernel
def find_outside(index, count, length):
    """The place of the first index outside an axis of this length, or -1."""
    k = ints(index)
    for j in range(count):
        if k[j] < -length or k[j] >= length:
            return j
    return -1


@kernel
def pick(o, x, k, rows, m, length):
    """o[p, j] = x[p, k[p, j]], one element each."""
    for p in range(rows):
        for e in range(p * m, (p + 1) * m):
            i = k[e] if k[e] >= 0 else k[e] + length
            o[e] = x[p * length + i]


@kernel
def gather(o, x, index, rows, between, m, after, length, size):
    """o[p, q, j, r] = x[p, q, index[p, j], r], p one of `rows`, q one of `between`; the indices are checked."""
    k = ints(index)
    if after == 1 and between == 1:
        if size == 8:
            pick(ints(o), ints(x), k, rows, m, length)
        elif size == 4:
            pick(shorts(o), shorts(x), k, rows, m, length)
        else:
            pick(octets(o), octets(x), k, rows, m, length)
        return
    before = 0
    for p in range(rows):
        for _ in range(between):
            for j in range(m):
                i = k[p * m + j] if k[p * m + j] >= 0 else k[p * m + j] + length
                copy(o + (before * m + j) * after * size, x + (before * length + i) * after * size, after, 1, 1, size)
            before += 1


@kernel
def scatter_add(o, x, index, rows, between, m, after, length, one):
    """o[p, q, index[p, j], r] += x[p, q, j, r], p one of `rows`, q one of `between`; the indices are checked."""
    k = ints(index)
    po, px = floats(o, one), floats(x, one)
    if after == 1 and between == 1:
        for p in range(rows):
            for e in range(p * m, (p + 1) * m):
                i = k[e] if k[e] >= 0 else k[e] + length
                po[p * length + i] += px[e]
        return
    before = 0
    for p in range(rows):
        for _ in range(between):
            for j in range(m):
                i = k[p * m + j] if k[p * m + j] >= 0 else k[p * m + j] + length
                to, at = (before * length + i) * after, (before * m + j) * after
                for r in range(after):
                    po[to + r] += px[at + r]
            before += 1


@kernel
def scatter_set(o, x, index, rows, between, m, after, length, size):
    """o[p, q, index[p, j], r] = x[p, q, j, r], p one of `rows`, q one of `between`, in order; indices are checked."""
    k = ints(index)
    before = 0
    for p in range(rows):
        for _ in range(between):
            for j in range(m):
                i = k[p * m + j] if k[p * m + j] >= 0 else k[p * m + j] + length
                copy(o + (before * length + i) * after * size, x + (before * m + j) * after * size, after, 1, 1, size)
            before += 1
