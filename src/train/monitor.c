/* monitor.c: the metrics that choose the best epoch, stop early and lower the rate. */
#include <math.h>
#include <string.h>

#include "train/train.h"

static const soma__metric metrics[] = {
    {"validation.loss", .validation = true},
    {"validation.accuracy", .greater = true, .validation = true, .accuracy = true},
    {"train.loss", false, false, false},
    {"train.accuracy", .greater = true, .accuracy = true},
};

const soma__metric *soma__metric_at(int index)
{
    return index >= 0 && (size_t)index < sizeof metrics / sizeof metrics[0] ? &metrics[index]
                                                                            : NULL;
}

double soma__metric_value(const soma__metric *metric, const soma_epoch *epoch)
{
    const soma_metrics *part = metric->validation ? &epoch->validation : &epoch->train;
    return metric->accuracy ? part->accuracy : part->loss;
}
