/* rng.h: counter-based random numbers, Philox4x32-10 (Salmon et al., "Parallel random numbers: as
 * easy as 1, 2, 3", SC11). Every draw is a function of (seed, stream, step, index), so it does not
 * depend on threads or on what ran before. */
#ifndef SOMA__RNG_H
#define SOMA__RNG_H

#include <stdint.h>

typedef struct soma__rng_key {
    uint64_t seed;
    uint32_t stream; /* purpose: a layer, the shuffler, an initialiser; often a hash of a name */
    uint64_t step;
} soma__rng_key;

/* The raw generator: counter[4], key[2] -> out[4]. */
void soma__philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);
/* Word `index` of the stream. */
uint32_t soma__rng_u32(const soma__rng_key *key, uint64_t index);
/* Uniform in [0,1) with 24 bits, in [0,n) without bias, standard normal (Box-Muller). */
float soma__rng_uniform(const soma__rng_key *key, uint64_t index);
uint64_t soma__rng_below(const soma__rng_key *key, uint64_t index, uint64_t n);
double soma__rng_normal(const soma__rng_key *key, uint64_t index);
/* Uniforms for indexes [first, first+count), as soma__rng_uniform gives them. */
void soma__rng_uniforms(const soma__rng_key *key, uint64_t first, int64_t count, float *out);
/* A permutation of [0,n) (Fisher-Yates). */
void soma__rng_permutation(const soma__rng_key *key, int64_t n, int64_t *out);
uint32_t soma__rng_stream(const char *name); /* hash of a name */

#endif
