/* median.h: the middle of measurements. */
#ifndef SOMA__MEDIAN_H
#define SOMA__MEDIAN_H

#include <stddef.h>

/* Sorts the `count` values, at least one, upwards; returns the middle one, of two the larger. */
double soma__median(double *values, size_t count);

#endif
