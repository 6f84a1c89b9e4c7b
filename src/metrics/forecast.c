/* forecast.c: errors of forecasts, measured by what is easily known beforehand. */
#include <math.h>

#include "soma/metrics.h"

double soma_mase(const float *predicted, const float *truth, int64_t count, double scale)
{
    if (!(scale > 0))
        return NAN;
    return soma_scores_regression(predicted, truth, count).mae / scale;
}

double soma_naive_scale(const float *series, int64_t count, int64_t season)
{
    double sum = 0, pairs = 0;
    for (int64_t t = season < 1 ? count : season; t < count; t++) {
        double error = fabs((double)series[t] - (double)series[t - season]);
        if (isnan(error))
            continue;
        sum += error;
        pairs++;
    }
    return pairs > 0 ? sum / pairs : NAN;
}

double soma_smape(const float *predicted, const float *truth, int64_t count)
{
    double sum = 0;
    if (count < 1)
        return NAN;
    for (int64_t i = 0; i < count; i++) {
        double size = fabs((double)predicted[i]) + fabs((double)truth[i]);
        /* Written so that a NaN stays. */
        if (!(size <= 0))
            sum += 2 * fabs((double)predicted[i] - (double)truth[i]) / size;
    }
    return sum / (double)count;
}

double soma_pinball_loss(const float *predicted, const float *truth, int64_t count, double q)
{
    double sum = 0;
    if (count < 1)
        return NAN;
    for (int64_t i = 0; i < count; i++) {
        double error = (double)truth[i] - (double)predicted[i];
        sum += error > 0 ? q * error : (q - 1) * error;
    }
    return sum / (double)count;
}
