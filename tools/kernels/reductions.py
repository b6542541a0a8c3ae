"""Reductions over an inner stretch of n elements: into one element (so = 0), or element by element."""


@reduction
def total(p, n, step, one):
    """The sum of n elements: blocks in any order, the blocks' sums in float64."""
    result = 0.0
    i = 0
    while i < n:
        end = min(i + 512, n)
        block = one - one
        if step == 1:
            for j in range(i, end):
                block += p[j]
        else:
            for j in range(i, end):
                block += p[j * step]
        result += block
        i = end
    return result


@kernel
def sum_floats(o, a, n, so, sa, one):
    """o += a."""
    po, pa = floats(o, one), floats(a, one)
    if so == 0:
        po[0] += total(pa, n, sa, one)
    elif so == 1 and sa == 1:
        for i in range(n):
            store(po, i, load(po, i) + load(pa, i))
    else:
        for i in range(n):
            po[i * so] += pa[i * sa]


@kernel
def max_floats(o, a, n, so, sa, one):
    """o = max(o, a); a nan stays."""
    po, pa = floats(o, one), floats(a, one)
    if so == 0:
        m = po[0]
        for i in range(n):
            x = pa[i * sa]
            m = x if x > m or x != x else m
        po[0] = m
    else:
        for i in range(n):
            x, m = pa[i * sa], po[i * so]
            po[i * so] = x if x > m or x != x else m


@kernel
def min_floats(o, a, n, so, sa, one):
    """o = min(o, a); a nan stays."""
    po, pa = floats(o, one), floats(a, one)
    if so == 0:
        m = po[0]
        for i in range(n):
            x = pa[i * sa]
            m = x if x < m or x != x else m
        po[0] = m
    else:
        for i in range(n):
            x, m = pa[i * sa], po[i * so]
            po[i * so] = x if x < m or x != x else m


@kernel
def reduce_ints(which, o, a, n, so, sa):
    """The same three for int64: which is 0 for sum, 1 for max, 2 for min."""
    po, pa = ints(o), ints(a)
    for i in range(n):
        x, m = pa[i * sa], po[i * so]
        if which == 0:
            po[i * so] = m + x
        elif which == 1:
            po[i * so] = max(m, x)
        else:
            po[i * so] = min(m, x)
