/* cache.c: plans by structure. Code that rebuilds its graph each step gets the core that was
 * compiled for the same structure before.
 *
 * The key of a graph is a string of bytes that says everything a compilation depends on (ops,
 * attributes, edges, shapes, names, slots, roots), and its constants. A hash finds candidates; the
 * whole key decides. Variables are slots in the key, so their tensors may differ. */
#include <string.h>

#include "plan/plan.h"

enum { MOST_ENTRIES = 256, HASHED_BYTES = 4096 };
/* Sessions that soma_eval leaves for its next call keep at most this much memory. */
#define MOST_IDLE_BYTES ((size_t)256 << 20)

typedef struct key {
    uint64_t hash;
    char *bytes;
    size_t size;
    soma_tensor **constant; /* retained */
    int constants;
} key;

typedef struct entry {
    key key;
    soma__core *core;
    soma_session *idle;
    uint64_t used; /* clock of the last use */
} entry;

struct soma__plan_cache {
    entry entry[MOST_ENTRIES];
    int count;
    uint64_t clock;
    size_t idle_bytes;
    int64_t found, missed; /* of all that was looked up */
};

static soma_status no_memory(soma_error *err)
{
    return soma__fail(err, SOMA_MEMORY, "out of memory while a plan was made");
}

/* --- keys ------------------------------------------------------------------------------------- */

static void key_free(key *k)
{
    for (int i = 0; k->constant && i < k->constants; i++)
        soma_tensor_release(k->constant[i]);
    soma__free(k->constant);
    soma__free(k->bytes);
    *k = (key){0};
}

static void put(soma__text *t, const void *bytes, size_t size)
{
    soma__text_append(t, bytes, size);
}

static void put_int(soma__text *t, int64_t value)
{
    put(t, &value, sizeof value);
}

static void put_name(soma__text *t, const char *name)
{
    put(t, name, strlen(name) + 1);
}

/* Dims beyond ndim are not part of a shape, whatever they hold. */
static void put_type(soma__text *t, soma_dtype dtype, const soma_shape *shape)
{
    put_int(t, (int64_t)dtype);
    put_int(t, shape->ndim);
    put(t, shape->dim, (size_t)shape->ndim * sizeof *shape->dim);
}

static void put_slots(soma__text *t, const soma__ir_slot *slot, int count)
{
    put_int(t, count);
    for (int i = 0; i < count; i++) {
        put_name(t, slot[i].name);
        put_type(t, slot[i].dtype, &slot[i].shape);
        put_int(t, slot[i].node);
    }
}

static void put_node(soma__text *t, const soma__ir_node *n)
{
    put(t, &n->op, sizeof n->op);
    put_name(t, n->name);
    put_type(t, n->dtype, &n->shape);
    put_int(t, n->slot);
    put_int(t, n->nin);
    put(t, n->in, (size_t)n->nin * sizeof *n->in);
    put_int(t, n->attrs != NULL);
    if (n->attrs)
        put(t, n->attrs, n->op->attr_size);
}

static soma_status key_make(key *k, const soma__ir *ir, soma_error *err)
{
    soma__text t = {0};
    *k = (key){0};
    put_int(&t, ir->count);
    for (int32_t i = 0; i < ir->count; i++)
        put_node(&t, &ir->node[i]);
    put_slots(&t, ir->input, ir->input_count);
    put_slots(&t, ir->variable, ir->variable_count);
    put_int(&t, ir->output_count);
    put(&t, ir->output, (size_t)ir->output_count * sizeof *ir->output);
    for (int i = 0; i < ir->update_count; i++) {
        put_int(&t, ir->update[i].variable);
        put_int(&t, ir->update[i].value);
    }
    k->size = t.length;
    SOMA__TRY(soma__text_take(&t, &k->bytes, err));
    k->constant = soma__calloc((size_t)ir->tensor_count + 1, sizeof(soma_tensor *));
    if (!k->constant) {
        key_free(k);
        return no_memory(err);
    }
    k->hash = soma__hash(SOMA__HASH_SEED, k->bytes, k->size);
    for (int i = 0; i < ir->tensor_count; i++) {
        const soma_tensor *c = ir->tensor[i];
        k->constant[k->constants++] = soma_tensor_retain(ir->tensor[i]);
        k->hash = soma__hash(k->hash, c->data, c->bytes < HASHED_BYTES ? c->bytes : HASHED_BYTES);
    }
    return SOMA_OK;
}

static bool key_equal(const key *a, const key *b)
{
    if (a->hash != b->hash || a->size != b->size || a->constants != b->constants ||
        memcmp(a->bytes, b->bytes, a->size) != 0)
        return false;
    for (int i = 0; i < a->constants; i++) {
        const soma_tensor *x = a->constant[i], *y = b->constant[i];
        if (x != y &&
            (x->bytes != y->bytes || (x->bytes && memcmp(x->data, y->data, x->bytes) != 0)))
            return false;
    }
    return true;
}

/* --- entries (under the context's lock) ------------------------------------------------------- */

static entry *find_key(struct soma__plan_cache *cache, const key *k)
{
    for (int i = 0; i < cache->count; i++)
        if (key_equal(&cache->entry[i].key, k)) {
            cache->entry[i].used = ++cache->clock;
            return &cache->entry[i];
        }
    return NULL;
}

static entry *find_core(struct soma__plan_cache *cache, const soma__core *core)
{
    for (int i = 0; i < cache->count; i++)
        if (cache->entry[i].core == core)
            return &cache->entry[i];
    return NULL;
}

/* Adds an entry, which takes the key over; what it displaces is left in *displaced. */
static void add_entry(struct soma__plan_cache *cache, key *k, soma__core *core, entry *displaced)
{
    entry *e = NULL;
    if (cache->count < MOST_ENTRIES) {
        e = &cache->entry[cache->count++];
    } else {
        e = &cache->entry[0];
        for (int i = 1; i < cache->count; i++)
            e = cache->entry[i].used < e->used ? &cache->entry[i] : e;
        *displaced = *e;
        if (e->idle)
            cache->idle_bytes -= e->core->arena_bytes;
    }
    *e = (entry){.key = *k, .core = soma__core_retain(core), .used = ++cache->clock};
    *k = (key){0};
}

static void entry_free(entry *e)
{
    soma_session_destroy(e->idle);
    soma__core_release(e->core);
    key_free(&e->key);
}

soma_status soma__plan_cache_create(struct soma__plan_cache **out, soma_error *err)
{
    *out = soma__calloc(1, sizeof **out);
    return *out ? SOMA_OK : no_memory(err);
}

void soma__plan_cache_destroy(struct soma__plan_cache *cache)
{
    for (int i = 0; cache && i < cache->count; i++)
        entry_free(&cache->entry[i]);
    soma__free(cache);
}

/* --- use -------------------------------------------------------------------------------------- */

/* Looks `k` up; *core stays NULL when it is not there. */
static void look_up(soma_context *context, const key *k, soma__core **core)
{
    pthread_mutex_lock(&context->lock);
    entry *e = find_key(context->cache, k);
    *core = e ? soma__core_retain(e->core) : NULL;
    context->cache->found += e != NULL;
    context->cache->missed += e == NULL;
    pthread_mutex_unlock(&context->lock);
}

/* Puts a fresh core into the cache, unless another thread was faster with the same one. */
static void insert(soma_context *context, key *k, soma__core *core)
{
    entry displaced = {0};
    pthread_mutex_lock(&context->lock);
    if (!find_key(context->cache, k))
        add_entry(context->cache, k, core, &displaced);
    pthread_mutex_unlock(&context->lock);
    if (displaced.core)
        entry_free(&displaced);
}

/* Takes the tensors out of the ir's arena and retains them. */
static soma_status keep_bound(soma_tensor ***out, soma_tensor *const *bound, int count,
                              soma_error *err)
{
    *out = soma__calloc((size_t)count + 1, sizeof(soma_tensor *));
    if (!*out)
        return no_memory(err);
    for (int i = 0; i < count; i++)
        (*out)[i] = soma_tensor_retain(bound[i]);
    return SOMA_OK;
}

static soma_status find_or_build(soma__core **out, bool *cached, soma_context *context,
                                 soma__ir *ir, soma_error *err)
{
    key k;
    soma_status status = key_make(&k, ir, err);
    if (status != SOMA_OK) {
        soma__ir_destroy(ir);
        return status;
    }
    look_up(context, &k, out);
    *cached = *out != NULL;
    if (*cached) {
        soma__ir_destroy(ir);
    } else {
        status = soma__core_build(out, ir, context, err);
        if (status == SOMA_OK)
            insert(context, &k, *out);
    }
    key_free(&k);
    return status;
}

soma_status soma__cache_core(soma__core **out, soma_tensor ***bound, bool *cached,
                             soma_context *context, const soma_var *outputs, int output_count,
                             const soma_update *updates, int update_count, soma_error *err)
{
    soma__ir *ir;
    soma_tensor **tensors;
    *out = NULL;
    *bound = NULL;
    SOMA__TRY(soma__ir_build(&ir, &tensors, outputs, output_count, updates, update_count, err));
    int count = ir->variable_count;
    soma_status status = keep_bound(bound, tensors, count, err);
    if (status != SOMA_OK) {
        soma__ir_destroy(ir);
        return status;
    }
    status = find_or_build(out, cached, context, ir, err);
    if (status != SOMA_OK) {
        for (int i = 0; *bound && i < count; i++)
            soma_tensor_release((*bound)[i]);
        soma__free(*bound);
        *bound = NULL;
    }
    return status;
}

void soma_context_plans(soma_context *context, int64_t *found, int64_t *compiled)
{
    pthread_mutex_lock(&context->lock);
    *found = context->cache->found;
    *compiled = context->cache->missed;
    pthread_mutex_unlock(&context->lock);
}

soma_session *soma__cache_take_session(soma_context *context, const soma__core *core)
{
    pthread_mutex_lock(&context->lock);
    entry *e = find_core(context->cache, core);
    soma_session *session = e ? e->idle : NULL;
    if (session) {
        e->idle = NULL;
        context->cache->idle_bytes -= core->arena_bytes;
    }
    pthread_mutex_unlock(&context->lock);
    return session;
}

void soma__cache_give_session(soma_context *context, soma_session *session)
{
    if (!session)
        return;
    const soma__core *core = session->core;
    struct soma__plan_cache *cache = context->cache;
    soma__session_unbind(session); /* an idle session keeps nobody's variables alive */
    pthread_mutex_lock(&context->lock);
    entry *e = find_core(cache, core);
    if (e && !e->idle && core->arena_bytes <= MOST_IDLE_BYTES - cache->idle_bytes) {
        e->idle = session;
        cache->idle_bytes += core->arena_bytes;
        session = NULL;
    }
    pthread_mutex_unlock(&context->lock);
    soma_session_destroy(session);
}
