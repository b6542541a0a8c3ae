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
def row_sums(o, a, rows, n, row_o, row_a, so, sa, first, one):
    """o += a for each row, into one element (so = 0) or element by element; o = a where nothing comes before."""
    for r in range(rows):
        po, pa = pointer_at(floats(o, one), r * row_o), pointer_at(floats(a, one), r * row_a)
        if so == 0:
            s = total(pa, n, sa, one)
            po[0] = s if first else po[0] + s
        elif so == 1 and sa == 1:
            for i in range(n):
                store(po, i, load(po, i) + load(pa, i))
        else:
            for i in range(n):
                po[i * so] += pa[i * sa]


@kernel
def row_extremes(o, a, rows, n, row_o, row_a, so, sa, first, largest, one):
    """o = max(o, a), or min, for each row; a nan stays."""
    sign = one if largest else -one
    for r in range(rows):
        po, pa = pointer_at(floats(o, one), r * row_o), pointer_at(floats(a, one), r * row_a)
        if so == 0:
            m = sign * (pa[0] if first else po[0])
            for i in range(n):
                x = sign * pa[i * sa]
                m = x if x > m or x != x else m
            po[0] = sign * m
        else:
            for i in range(n):
                x, m = sign * pa[i * sa], sign * po[i * so]
                po[i * so] = sign * x if x > m or x != x else sign * m


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
