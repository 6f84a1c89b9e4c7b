/* schedule.c: the final order of the steps: as the graph was built, except where data, or a
 * variable that is overwritten, wants a step earlier. The copies of updates come last. */
#include "plan/lower.h"

static int by_order(const soma__step *step, int32_t a, int32_t b)
{
    if (step[a].order != step[b].order)
        return step[a].order < step[b].order ? -1 : 1;
    return a < b ? -1 : a > b;
}

/* Heap sort of step numbers (qsort has no context argument). */
static void sift(const soma__step *step, int32_t *list, int32_t at, int32_t count)
{
    for (;;) {
        int32_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && by_order(step, list[child], list[child + 1]) < 0)
            child++;
        if (by_order(step, list[at], list[child]) >= 0)
            return;
        int32_t t = list[at];
        list[at] = list[child];
        list[child] = t;
        at = child;
    }
}

static void sort_steps(const soma__step *step, int32_t *list, int32_t count)
{
    for (int32_t i = count / 2 - 1; i >= 0; i--)
        sift(step, list, i, count);
    for (int32_t end = count - 1; end > 0; end--) {
        int32_t t = list[0];
        list[0] = list[end];
        list[end] = t;
        sift(step, list, 0, end);
    }
}

/* The next step that must run before `s` and has not been begun; -1: none. cursor[s] counts the
 * requirements seen: first the operands, then the `before` list (taken apart as it is seen). */
static int32_t next_requirement(soma__lowering *l, int32_t s, int *cursor)
{
    const soma__core *core = l->core;
    const soma__step *step = &core->step[s];
    while (cursor[s] < step->nin) {
        int32_t from = soma__root_of(core, step->in[cursor[s]++])->step;
        if (from >= 0)
            return from;
    }
    if (l->before[s]) {
        int32_t from = l->before[s]->step;
        l->before[s] = l->before[s]->next;
        return from;
    }
    return -1;
}

/* Depth first: what a step needs, then the step. The explicit stack keeps long chains off ours. */
static soma_status order_steps(soma__lowering *l, const int32_t *sorted, int32_t *place,
                               int32_t *stack, int *cursor, soma_error *err)
{
    enum { NEW, BEGUN, DONE };
    const soma__core *core = l->core;
    char *state = soma__arena_array(&l->arena, (size_t)core->step_count + 1, 1);
    if (!state)
        return soma__lower_memory(err);
    int32_t placed = 0;
    for (int32_t i = 0; i < core->step_count; i++) {
        int32_t top = 0;
        if (state[sorted[i]] == NEW) {
            stack[top++] = sorted[i];
            state[sorted[i]] = BEGUN;
        }
        while (top) {
            int32_t s = stack[top - 1], need = next_requirement(l, s, cursor);
            if (need < 0) {
                place[s] = placed++;
                state[s] = DONE;
                top--;
            } else if (state[need] == NEW) {
                stack[top++] = need;
                state[need] = BEGUN;
            } else {
                SOMA_ASSERT(state[need] == DONE, err); /* else the steps form a cycle */
            }
        }
    }
    return SOMA_OK;
}

soma_status soma__schedule(soma__lowering *l, soma_error *err)
{
    soma__core *core = l->core;
    size_t n = (size_t)core->step_count;
    int32_t *sorted = soma__arena_array(&l->arena, n + 1, sizeof *sorted);
    int32_t *place = soma__arena_array(&l->arena, n + 1, sizeof *place);
    int32_t *stack = soma__arena_array(&l->arena, n + 1, sizeof *stack);
    int *cursor = soma__arena_array(&l->arena, n + 1, sizeof *cursor);
    soma__step *old = soma__arena_array(&l->arena, n + 1, sizeof *old);
    if (!sorted || !place || !stack || !cursor || !old)
        return soma__lower_memory(err);
    for (int32_t i = 0; i < core->step_count; i++) {
        sorted[i] = i;
        old[i] = core->step[i];
    }
    sort_steps(core->step, sorted, core->step_count);
    SOMA__TRY(order_steps(l, sorted, place, stack, cursor, err));
    for (int32_t i = 0; i < core->step_count; i++)
        core->step[place[i]] = old[i];
    for (int32_t v = 0; v < core->value_count; v++)
        if (core->value[v].step >= 0)
            core->value[v].step = place[core->value[v].step];
    return SOMA_OK;
}
