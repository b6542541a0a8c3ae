"""The two machines - runs of scalar instructions, array instructions - and the sweep that drives them."""


@kernel
def call_loop(loops, which, scratch, n, o, u, v, w, so, su, sv, sw):
    """Run a function of one operand, of two (v is not 0) or of three (w is not 0); strides in bytes.

    By a vector function where the table of loops has one, else by the inner loop of a ufunc.
    """
    row = pointer_at(loops, which * LOOP_ROW)
    if row[2] != 0:
        map_vectors(row[2], row[3], row[4], row[5], scratch, n, o, u, so, su)
        return
    s = ints(scratch)
    s[0], s[1], s[4], s[5], s[6] = u, o, n, su, so
    if v != 0:
        s[1], s[2], s[6], s[7] = v, o, sv, so
    if w != 0:
        s[2], s[3], s[7], s[8] = w, o, sw, so
    call4(row[0], scratch, scratch + 32, scratch + 40, row[1])


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
            call_loop(loops, w, scratch, 1, arena + o, arena + u, arena + v if v >= 0 else 0, 0, 0, 0, 0, 0)
        # </scalar cases>
    return OK


@kernel
def reaches(record, j):
    """(low, high): the elements that operand j of a record goes through, relative to its address."""
    op = record[0]
    if op >= GATHER:
        groups, m, after, length, between = record[W0], record[W0 + 1], record[W0 + 2], record[W0 + 3], record[W0 + 4]
        selected, whole, indices = groups * between * m * after, groups * between * length * after, groups * m
        if op == GATHER:
            return 0, selected if j == 0 else (whole if j == 1 else indices)
        return 0, whole if j == 0 else (selected if j == 1 else indices)
    if op == MATMUL:
        m, n, k, flags = record[W0], record[W0 + 1], record[W0 + 2], record[W0 + 3]
        rows, columns, step = m, n, record[W0 + 5]
        if j == 1:
            rows, columns, step = (k, m, record[W0 + 4] & 0xFFFFFFFF) if flags & 1 else (m, k, record[W0 + 4] & 0xFFFFFFFF)
        elif j == 2:
            rows, columns, step = (n, k, record[W0 + 4] >> 32) if flags & 2 else (k, n, record[W0 + 4] >> 32)
        low, high = 0, (rows - 1) * step + columns
    elif op == FILL or op == SHIFT:
        low, high = 0, record[W0]
    else:
        reach = (record[W0] - 1) * record[W0 + 1 + j]
        low, high = min(0, reach), max(0, reach) + 1
    for d in range(record[ND]):
        reach = (record[DIMS + 5 * d] - 1) * record[DIMS + 5 * d + 1 + j]
        low, high = low + min(0, reach), high + max(0, reach)
    return low, high


@kernel
def outside(record, j, address, bases, extents):
    """Does operand j reach out of its buffer, or of its base?"""
    packed = record[P0 + j]
    if packed < 0:  # -1: no operand; else below the first base
        return packed != -1
    low, high = reaches(record, j)
    size = (record[SIZES] >> (8 * j)) & 255
    at = address - bases[packed >> 48]
    limits = pointer_at(record, record[1] - BOUNDS + 2 * j)
    return (
        at + low * size < limits[0]
        or at + high * size > limits[1]
        or at + low * size < 0
        or at + high * size > extents[packed >> 48]
    )


@kernel
def run_other(op, record, word, o, u, v, w, scratch, one):
    """One inner stretch of an instruction that is not elementwise."""
    n, so, su = record[W0], record[W0 + 1], record[W0 + 2]
    if op == COPY:
        copy(o, u, n, so, su, record[SIZES] & 255)
    elif op == LOOP:
        sizes, sv, sw = record[SIZES], record[W0 + 3], record[W0 + 4]
        z0, z1, z2, z3 = sizes & 255, (sizes >> 8) & 255, (sizes >> 16) & 255, (sizes >> 24) & 255
        call_loop(ints(word[LOOPS]), record[W0 + 5], scratch, n, o, u, v, w, so * z0, su * z1, sv * z2, sw * z3)
    elif op == FILL:
        fill(o, n, record[SIZES] & 255, so)
    elif op == SHIFT:
        shift(o, u, n)
    elif op == ACCUMULATE:
        accumulate(o, u, n, so, su, one)
    elif op == MATMUL:
        leading = record[W0 + 4]
        lda, ldb, ldc = leading & 0xFFFFFFFF, leading >> 32, record[W0 + 5]
        matmul(ints(word[BLAS]), scratch, o, u, v, n, so, su, record[W0 + 3], lda, ldb, ldc, one)
    elif op == SUM_F:
        row_sums(o, u, 1, n, 0, 0, so, su, record[W0 + 5] != 0, one)
    elif op == MAX_F or op == MIN_F:
        row_extremes(o, u, 1, n, 0, 0, so, su, record[W0 + 5] != 0, op == MAX_F, one)
    else:
        reduce_ints(op - SUM_I, o, u, n, so, su)


@kernel
def run_rows(op, record, o, u, v, one):
    """An instruction that makes one element of each inner stretch, along its last outer axis: no dispatch between."""
    n, so, su, first = record[W0], record[W0 + 1], record[W0 + 2], record[W0 + 5]
    axis = pointer_at(record, DIMS + 5 * (record[ND] - 1))
    if op == MATMUL:
        dots(o, u, v, axis[0], su, axis[1], axis[2], axis[3], record[W0 + 3] & 4 != 0, one)
    elif op == SUM_F:
        row_sums(o, u, axis[0], n, axis[1], axis[2], so, su, first != 0, one)
    else:
        row_extremes(o, u, axis[0], n, axis[1], axis[2], so, su, first != 0, op == MAX_F, one)


@kernel
def run_selection(op, record, o, u, v, one):
    """A gather or a scatter; returns the place of an index outside the axis, or -1."""
    rows, m, after, length, between = record[W0], record[W0 + 1], record[W0 + 2], record[W0 + 3], record[W0 + 4]
    wrong = find_outside(v, rows * m, length)
    if wrong >= 0:
        return wrong
    if op == GATHER:
        gather(o, u, v, rows, between, m, after, length, record[SIZES] & 255)
    elif op == SCATTER_ADD:
        scatter_add(o, u, v, rows, between, m, after, length, one)
    else:
        scatter_set(o, u, v, rows, between, m, after, length, record[SIZES] & 255)
    return -1


def check(control, record, o, u, v, w):
    """Bounds-checking mode: does a record reach out of its buffers, with its operands at these addresses?

    Or does it leave out rows, because it is before the first tile of its loop or behind the last?
    """
    word = ints(control)
    bases, extents, words = ints(word[BASES]), ints(word[EXTENTS]), ints(record)
    segment = pointer_at(ints(word[SEGMENTS]), 6 * word[SEGMENT])
    follow = pointer_at(words, words[1] - FOLLOW - BOUNDS)
    out = outside(words, 0, o, bases, extents) or outside(words, 1, u, bases, extents)
    out = out or outside(words, 2, v, bases, extents) or outside(words, 3, w, bases, extents)
    if segment[0] == 2:
        out = out or follow[0] < 0 or (follow[1] < ALL_ROWS and follow[0] + follow[1] > segment[4])
    word[DETAIL] = 1 if out else 0


@entry
def sweep(control, one):
    """Run a program: segments of (arrays 0, scalars 1 or rows 2, first, last, ...). Returns a status.

    A segment of rows is run again and again, a tile of rows at a time; see `tapegrad.sweep.layout` for what its
    records say of rows. The array machine stands here in full: as a function of its own it would be optimised
    once more for each function around it, which triples the time of the first compile.
    """
    word = ints(control)
    segments, records, bases = ints(word[SEGMENTS]), ints(word[RECORDS]), ints(word[BASES])
    scratch, counters = word[SCRATCH], ints(word[SCRATCH] + 256)
    for s in range(word[FIRST], word[LAST]):
        segment = pointer_at(segments, 6 * s)
        kind, first, last, height, rows = segment[0], segment[1], segment[2], segment[3], segment[4]
        if kind == 1:
            status = run_scalars(control, first, last, one)
            if status != OK:
                word[SEGMENT] = s
                return status
            continue
        tile, end = np.int64(0), np.int64(1)
        if kind == 2:
            tile, end = word[FROM], min(rows, word[TO])
        at = first
        while tile < end:
            if at >= last:
                at = first
                tile += height if kind == 2 else 1
                continue
            record = pointer_at(records, at)
            at += record[1]
            o = resolve(bases, record[P0])
            u = resolve(bases, record[P0 + 1]) if record[P0 + 1] >= 0 else 0
            v = resolve(bases, record[P0 + 2]) if record[P0 + 2] >= 0 else 0
            w = resolve(bases, record[P0 + 3]) if record[P0 + 3] >= 0 else 0
            if kind == 2:
                follow = pointer_at(record, record[1] - FOLLOW - (BOUNDS if word[CHECK] != 0 else 0))
                low = max(tile - follow[0], 0)
                high = min(min(tile - follow[0] + height, follow[1]), word[TO] - follow[0])
                if low >= high:
                    continue
                record[follow[2]] = follow[3] * (high - low)
                o += low * follow[4] - tile * follow[8]
                u += low * follow[5] - tile * follow[9]
                v += low * follow[6] - tile * follow[10]
                w += low * follow[7] - tile * follow[11]
            op, nd = record[0], record[ND]
            if word[CHECK] != 0:  # compiled apart: it would cost each first compile seconds, and is for tests
                word[SEGMENT] = s
                call6(word[CHECK], control, word[RECORDS] + 8 * (at - record[1]), o, u, v, w)
                if word[DETAIL] != 0:
                    word[WHERE] = at - record[1]
                    return OUT_OF_BOUNDS
            if op >= GATHER:
                wrong = run_selection(op, record, o, u, v, one)
                if wrong >= 0:
                    word[WHERE], word[SEGMENT], word[DETAIL] = at - record[1], s, ints(v)[wrong]
                    return BAD_INDEX
                continue
            n, so, su, sv, sw = record[W0], record[W0 + 1], record[W0 + 2], record[W0 + 3], record[W0 + 4]
            rows_inside = nd > 0 and (
                (op >= SUM_F and op <= MIN_F) or (op == MATMUL and n == 1 and so == 1 and takes_dot(record))
            )
            if rows_inside:
                nd -= 1
            rounds, turn, turns, step_o, step_u, step_v, step_w = 1, 0, 0, 0, 0, 0, 0
            if nd > 0:  # the innermost of the outer axes is most of the way
                sizes, axis = record[SIZES], pointer_at(record, DIMS + 5 * (nd - 1))
                rounds = turns = axis[0]
                step_o, step_u = axis[1] * (sizes & 255), axis[2] * ((sizes >> 8) & 255)
                step_v, step_w = axis[3] * ((sizes >> 16) & 255), axis[4] * ((sizes >> 24) & 255)
            for d in range(nd - 1):
                rounds *= record[DIMS + 5 * d]
                counters[d] = 0
            for _ in range(rounds):
                # <elementwise cases>
                if op >= COPY and rows_inside:
                    run_rows(op, record, o, u, v, one)
                elif op >= COPY:
                    run_other(op, record, word, o, u, v, w, scratch, one)
                # </elementwise cases>
                if turns == 0:
                    continue
                o, u, v, w = o + step_o, u + step_u, v + step_v, w + step_w
                turn += 1
                if turn < turns:
                    continue
                turn = 0
                o, u, v, w = o - turns * step_o, u - turns * step_u, v - turns * step_v, w - turns * step_w
                d = nd - 2
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
