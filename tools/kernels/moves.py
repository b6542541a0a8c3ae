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
def gather(o, x, index, before, m, after, length, size):
    """o[p, j, q] = x[p, index[j], q]; returns the place of the first index outside the axis, or -1."""
    k = ints(index)
    for j in range(m):
        if k[j] < -length or k[j] >= length:
            return j
    for p in range(before):
        for j in range(m):
            i = k[j] if k[j] >= 0 else k[j] + length
            copy(o + (p * m + j) * after * size, x + (p * length + i) * after * size, after, 1, 1, size)
    return -1


@kernel
def scatter_add(o, x, index, before, m, after, length, one):
    """o[p, index[j], q] += x[p, j, q]; returns the place of the first index outside the axis, or -1."""
    k = ints(index)
    for j in range(m):
        if k[j] < -length or k[j] >= length:
            return j
    po, px = floats(o, one), floats(x, one)
    for p in range(before):
        for j in range(m):
            i = k[j] if k[j] >= 0 else k[j] + length
            to, at = (p * length + i) * after, (p * m + j) * after
            for q in range(after):
                po[to + q] += px[at + q]
    return -1
