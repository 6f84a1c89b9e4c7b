/* pool.h: the thread pool.
 *
 * A run brackets its kernels with enter/leave; between them idle workers spin (then park after some
 * time without work, so that an idle process costs nothing). soma__parallel cuts work into
 * `blocks` that depend on shapes only, never on the thread count. Each thread is offered its part
 * of them, the same one each time, and takes from others when it has done its own; each block
 * writes its own results, so results are the same bits on any number of threads. Neighbouring
 * blocks should touch neighbouring memory: then what a thread wrote is mostly read again by itself.
 */
#ifndef SOMA__POOL_H
#define SOMA__POOL_H

#include "base/error.h"

typedef struct soma__pool soma__pool;

/* threads 0: $SOMA_THREADS, else the CPUs that this process may use (affinity mask and cgroup
 * quota).
 */
soma_status soma__pool_create(soma__pool **out, int threads, soma_error *err);
void soma__pool_destroy(soma__pool *pool);
int soma__pool_threads(const soma__pool *pool); /* NULL counts as 1 */

/* One run at a time: a second thread waits in enter. Not nested. */
void soma__pool_enter(soma__pool *pool);
void soma__pool_leave(soma__pool *pool);

/* Calls fn(context, block, worker) for each block in [0, blocks), worker in [0, threads); returns
 * when all are done. The caller takes part as worker 0. Must be inside enter/leave unless pool is
 * NULL or has one thread, when it simply loops. Not nested. */
typedef void soma__block_fn(void *context, int64_t block, int worker);
void soma__parallel(soma__pool *pool, int64_t blocks, soma__block_fn *fn, void *context);

#endif
