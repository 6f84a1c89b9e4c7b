/* memory.c: where each value lives in a session's arena.
 *
 *   step      0   1   2   3   4
 *   a         ████████              a value lives from the step that makes it to the last that
 * reads b             ████████          it; two that never live at once may share addresses (a and
 * d), c                 ████████      and an elementwise result may take over an operand that dies
 *   d                     ████      in the same step (c over b)
 *
 * Placing the largest first, each at the tightest gap left among those that live at the same time,
 * is simple and comes within a few percent of the best (Pisarchyk & Lee, "Efficient memory
 * management for deep neural net inference", 2020: greedy by size). */
#include "plan/lower.h"

enum { ALIGNMENT = 64 };

/* A stretch of the arena; several roots share it one after the other. */
typedef struct storage {
    size_t size, offset;
    int32_t first, last;
} storage;

/* Lifetimes, in steps. Outputs live on. */
static void find_lifetimes(soma__core *core)
{
    for (int32_t v = 0; v < core->value_count; v++)
        core->value[v].first = core->value[v].last = core->value[v].step;
    for (int32_t s = 0; s < core->step_count; s++)
        for (int i = 0; i < core->step[s].nin; i++) {
            soma__value *root = &core->value[core->value[core->step[s].in[i]].root];
            root->last = s > root->last ? s : root->last;
        }
    for (int i = 0; i < core->ir->output_count; i++)
        core->value[core->value[core->output[i]].root].last = INT32_MAX;
}

/* The operand of step `s` whose memory result `out` may take over; -1: none. */
static int32_t dying_operand(const soma__core *core, int32_t s, int32_t out)
{
    const soma__step *step = &core->step[s];
    for (int i = 0; i < step->nin; i++) {
        int32_t root = core->value[step->in[i]].root;
        const soma__value *r = &core->value[root];
        bool dies = r->place == SOMA__AT_ARENA && r->last == s && r->first < s;
        for (int k = 0; k < step->nin && dies; k++) /* also as other operands in the same way */
            if (core->value[step->in[k]].root == root)
                dies = soma__may_overwrite(core, step, k, out);
        for (int k = 0; k < step->nout && dies; k++)
            dies = core->value[step->out[k]].shares != root;
        if (dies && soma__same_positions(r, &core->value[out]))
            return root;
    }
    return -1;
}

/* The tightest gap of `size` bytes among the placed storages that live at the same time. `sorted`
 * holds those, by offset. */
static size_t tightest_gap(storage *const *sorted, size_t count, size_t size)
{
    size_t best = SIZE_MAX, best_gap = SIZE_MAX, end = 0;
    for (size_t i = 0; i < count; i++) {
        size_t gap = sorted[i]->offset > end ? sorted[i]->offset - end : 0;
        if (gap >= size && gap < best_gap) {
            best = end;
            best_gap = gap;
        }
        size_t after = sorted[i]->offset + sorted[i]->size;
        end = after > end ? after : end;
    }
    return best == SIZE_MAX ? end : best;
}

static void by_size(storage **list, size_t count)
{
    for (size_t gap = count / 2; gap; gap /= 2) /* Shell sort; ties keep a fixed order by first */
        for (size_t i = gap; i < count; i++) {
            storage *s = list[i];
            size_t k = i;
            for (; k >= gap; k -= gap) {
                const storage *o = list[k - gap];
                if (o->size > s->size || (o->size == s->size && o <= s))
                    break;
                list[k] = list[k - gap];
            }
            list[k] = s;
        }
}

static soma_status place_storages(soma__lowering *l, storage *store, size_t count, size_t *end,
                                  soma_error *err)
{
    storage **order = soma__arena_array(&l->arena, count + 1, sizeof *order);
    storage **placed = soma__arena_array(&l->arena, count + 1, sizeof *placed);
    storage **alive = soma__arena_array(&l->arena, count + 1, sizeof *alive);
    if (!order || !placed || !alive)
        return soma__lower_memory(err);
    for (size_t i = 0; i < count; i++)
        order[i] = &store[i];
    by_size(order, count);
    *end = 0;
    for (size_t i = 0; i < count; i++) {
        storage *s = order[i];
        size_t living = 0, k;
        for (k = 0; k < i; k++)
            if (placed[k]->first <= s->last && s->first <= placed[k]->last)
                alive[living++] = placed[k];
        s->offset = tightest_gap(alive, living, s->size);
        size_t after;
        if (!soma__add(s->offset, s->size, &after) || after > SIZE_MAX / 4)
            return soma__fail(err, SOMA_MEMORY, "plan: its values need too many bytes");
        *end = after > *end ? after : *end;
        for (k = i; k > 0 && placed[k - 1]->offset > s->offset; k--) /* stays sorted by offset */
            placed[k] = placed[k - 1];
        placed[k] = s;
    }
    return SOMA_OK;
}

/* Gives each root in the arena a storage, its own or that of an operand which dies. */
static soma_status assign(soma__core *core, int32_t *storage_of, storage *store, size_t *count,
                          soma_error *err)
{
    for (int32_t s = 0; s < core->step_count; s++)
        for (int i = 0; i < core->step[s].nout; i++) {
            int32_t out = core->step[s].out[i];
            soma__value *v = &core->value[out];
            if (v->place != SOMA__AT_ARENA || v->step != s)
                continue;
            size_t size = v->bytes ? v->bytes : 1; /* even nothing has an address of its own */
            if (size > SIZE_MAX / 4)
                return soma__fail(err, SOMA_MEMORY, "plan: its values need too many bytes");
            size = soma__align_up(size, ALIGNMENT);
            if (!soma__add(core->unplanned_bytes, size, &core->unplanned_bytes))
                return soma__fail(err, SOMA_MEMORY, "plan: its values need too many bytes");
            v->shares = dying_operand(core, s, out);
            if (v->shares >= 0) {
                storage_of[out] = storage_of[v->shares];
                store[storage_of[out]].last = v->last;
                continue;
            }
            storage_of[out] = (int32_t)*count;
            store[(*count)++] = (storage){size, 0, v->first, v->last};
        }
    return SOMA_OK;
}

soma_status soma__plan_memory(soma__lowering *l, soma_error *err)
{
    soma__core *core = l->core;
    size_t n = (size_t)core->value_count, count = 0, end = 0;
    int32_t *storage_of = soma__arena_array(&l->arena, n + 1, sizeof *storage_of);
    storage *store = soma__arena_array(&l->arena, n + 1, sizeof *store);
    if (!storage_of || !store)
        return soma__lower_memory(err);
    for (int32_t v = 0; v < core->value_count; v++)
        if (core->value[v].place == SOMA__AT_NOWHERE && core->value[v].root == v &&
            core->value[v].step >= 0)
            core->value[v].place = SOMA__AT_ARENA;
    find_lifetimes(core);
    SOMA__TRY(assign(core, storage_of, store, &count, err));
    SOMA__TRY(place_storages(l, store, count, &end, err));
    for (int32_t v = 0; v < core->value_count; v++)
        if (core->value[v].place == SOMA__AT_ARENA)
            core->value[v].offset = store[storage_of[v]].offset;
    for (int32_t s = 0; s < core->step_count; s++)
        if (core->step[s].scratch > core->scratch_bytes)
            core->scratch_bytes = core->step[s].scratch;
    if (core->scratch_bytes > SIZE_MAX / 4)
        return soma__fail(err, SOMA_MEMORY, "plan: its kernels need too much scratch memory");
    core->scratch_bytes = soma__align_up(core->scratch_bytes, ALIGNMENT);
    core->scratch_offset = end;
    core->arena_bytes = end + core->scratch_bytes;
    return SOMA_OK;
}
