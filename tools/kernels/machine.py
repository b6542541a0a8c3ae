"""The two machines - runs of scalar instructions, array instructions - and the sweep that drives them."""


@kernel
def call_loop(loops, which, scratch, n, o, u, v, so, su, sv):
    """Run the inner loop of a ufunc of one operand, or of two (v is not 0); strides in bytes."""
    s = ints(scratch)
    s[0], s[1], s[4], s[5], s[6] = u, o, n, su, so
    if v != 0:
        s[1], s[2], s[6], s[7] = v, o, sv, so
    call4(loops[2 * which], scratch, scratch + 32, scratch + 40, loops[2 * which + 1])


@kernel
def run_scalars(control, first, last, one):
    """A run of scalar instructions: rows of (opcode, result, operands), places in the arena."""
    word = ints(control)
    rows, bases, side = shorts(word[SCALARS]), ints(word[BASES]), ints(word[SIDE])
    loops, scratch = ints(word[LOOPS]), word[SCRATCH]
    arena = bases[0]
    F, I, B = floats(arena, one), ints(arena), octets(arena)
    for pc in range(first, last):
        row = pointer_at(rows, pc * 5)
        op, o, u, v, w = row[0], np.int64(row[1]), np.int64(row[2]), np.int64(row[3]), np.int64(row[4])
        # <scalar cases>
        if op == LOAD_F:
            F[o] = floats(resolve(bases, side[u]), one)[0]
        elif op == LOAD_I:
            I[o] = ints(resolve(bases, side[u]))[0]
        elif op == LOAD_B:
            B[o] = octets(resolve(bases, side[u]))[0]
        elif op == LOOP_CELL:
            call_loop(loops, w, scratch, 1, arena + o, arena + u, arena + v if v >= 0 else 0, 0, 0, 0)
        # </scalar cases>
    return OK


@kernel
def outside(low, high, packed, extents):
    """Does an operand reach out of its base?"""
    at = packed & 0xFFFFFFFFFFFF
    return at + low < 0 or at + high > extents[packed >> 48]


@kernel
def check_record(record, extents):
    """Bounds-checking mode: may this instruction run? Recomputes every operand's reach from the record."""
    op = record[0]
    for j in range(4):
        packed = record[P0 + j]
        if packed < 0:
            continue
        size = (record[SIZES] >> (8 * j)) & 255
        if op == GATHER or op == SCATTER_ADD:
            before, m, after, length = record[W0], record[W0 + 1], record[W0 + 2], record[W0 + 3]
            selected, whole = before * m * after, before * length * after
            if op == GATHER:
                count = selected if j == 0 else (whole if j == 1 else m)
            else:
                count = whole if j == 0 else (selected if j == 1 else m)
            low, high = 0, count
        else:
            if op == MATMUL:
                m, n, k = record[W0], record[W0 + 1], record[W0 + 2]
                low, high = 0, (m * n if j == 0 else (m * k if j == 1 else k * n))
            elif op == FILL:
                low, high = 0, record[W0]
            else:
                reach = (record[W0] - 1) * record[W0 + 1 + j]
                low, high = min(0, reach), max(0, reach) + 1
            for d in range(record[ND]):
                reach = (record[DIMS + 5 * d] - 1) * record[DIMS + 5 * d + 1 + j]
                low, high = low + min(0, reach), high + max(0, reach)
        if outside(low * size, high * size, packed, extents):
            return True
    return False


@kernel
def run_other(op, record, word, o, u, v, scratch, one):
    """One inner stretch of an instruction that is not elementwise."""
    n, so, su = record[W0], record[W0 + 1], record[W0 + 2]
    if op == COPY:
        copy(o, u, n, so, su, record[SIZES] & 255)
    elif op == LOOP:
        sizes, sv = record[SIZES], record[W0 + 3]
        z0, z1, z2 = sizes & 255, (sizes >> 8) & 255, (sizes >> 16) & 255
        call_loop(ints(word[LOOPS]), record[W0 + 5], scratch, n, o, u, v, so * z0, su * z1, sv * z2)
    elif op == FILL:
        fill(o, n, record[SIZES] & 255, so)
    elif op == ACCUMULATE:
        accumulate(o, u, n, so, su, one)
    elif op == MATMUL:
        ta, tb, add = record[W0 + 3], record[W0 + 4], record[W0 + 5] != 0
        matmul(ints(word[BLAS]), scratch, o, u, v, n, so, su, ta, tb, add, one)
    elif op == SUM_F:
        sum_floats(o, u, n, so, su, one)
    elif op == MAX_F:
        max_floats(o, u, n, so, su, one)
    elif op == MIN_F:
        min_floats(o, u, n, so, su, one)
    else:
        reduce_ints(op - SUM_I, o, u, n, so, su)


@kernel
def run_selection(op, record, o, u, v, one):
    """A gather or a scatter; returns the place of an index outside the axis, or -1."""
    before, m, after, length = record[W0], record[W0 + 1], record[W0 + 2], record[W0 + 3]
    if op == GATHER:
        return gather(o, u, v, before, m, after, length, record[SIZES] & 255)
    return scatter_add(o, u, v, before, m, after, length, one)


@kernel
def sweep(control, one):
    """Run a program: segments of (is it scalars?, first, last). Returns a status; see `word[WHERE]`.

    The array machine stands here in full: as a function of its own it would be optimised once more for
    each function around it, which triples the time of the first compile.
    """
    word = ints(control)
    segments, records, bases = ints(word[SEGMENTS]), ints(word[RECORDS]), ints(word[BASES])
    scratch, counters = word[SCRATCH], ints(word[SCRATCH] + 256)
    for s in range(word[SEGMENT_COUNT]):
        at, last = segments[3 * s + 1], segments[3 * s + 2]
        if segments[3 * s] == 1:
            status = run_scalars(control, at, last, one)
            if status != OK:
                word[SEGMENT] = s
                return status
            continue
        while at < last:
            record = pointer_at(records, at)
            op, nd = record[0], record[ND]
            if word[CHECK] != 0 and check_record(record, ints(word[EXTENTS])):
                word[WHERE], word[SEGMENT] = at, s
                return OUT_OF_BOUNDS
            at += record[1]
            o = resolve(bases, record[P0])
            u = resolve(bases, record[P0 + 1]) if record[P0 + 1] >= 0 else 0
            v = resolve(bases, record[P0 + 2]) if record[P0 + 2] >= 0 else 0
            w = resolve(bases, record[P0 + 3]) if record[P0 + 3] >= 0 else 0
            if op >= GATHER:
                wrong = run_selection(op, record, o, u, v, one)
                if wrong >= 0:
                    word[WHERE], word[SEGMENT], word[DETAIL] = at - record[1], s, ints(v)[wrong]
                    return BAD_INDEX
                continue
            n, so, su, sv, sw = record[W0], record[W0 + 1], record[W0 + 2], record[W0 + 3], record[W0 + 4]
            rounds = 1
            for d in range(nd):
                rounds *= record[DIMS + 5 * d]
                counters[d] = 0
            for _ in range(rounds):
                # <elementwise cases>
                if op >= COPY:
                    run_other(op, record, word, o, u, v, scratch, one)
                # </elementwise cases>
                d = nd - 1
                while d >= 0:
                    axis = pointer_at(record, DIMS + 5 * d)
                    sizes = record[SIZES]
                    o += axis[1] * (sizes & 255)
                    u += axis[2] * ((sizes >> 8) & 255)
                    v += axis[3] * ((sizes >> 16) & 255)
                    w += axis[4] * ((sizes >> 24) & 255)
                    counters[d] += 1
                    if counters[d] < axis[0]:
                        break
                    counters[d] = 0
                    o -= axis[0] * axis[1] * (sizes & 255)
                    u -= axis[0] * axis[2] * ((sizes >> 8) & 255)
                    v -= axis[0] * axis[3] * ((sizes >> 16) & 255)
                    w -= axis[0] * axis[4] * ((sizes >> 24) & 255)
                    d -= 1
    return OK
