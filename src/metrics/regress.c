/* regress.c: errors of predicted values. */
#include <math.h>

#include "soma/metrics.h"

soma_regression_scores soma_scores_regression(const float *predicted, const float *truth,
                                              int64_t count)
{
    soma_regression_scores out = {.count = count};
    double n = (double)count, mean = 0, spread = 0, relative = 0, nonzero = 0;
    if (count < 1)
        return (soma_regression_scores){NAN, NAN, NAN, NAN, NAN, NAN, 0};
    for (int64_t i = 0; i < count; i++)
        mean += (double)truth[i] / n;
    for (int64_t i = 0; i < count; i++) {
        double t = (double)truth[i], error = fabs((double)predicted[i] - t);
        out.mae += error / n;
        out.mse += error * error / n;
        spread += (t - mean) * (t - mean) / n;
        /* Written so that a NaN stays. */
        out.max_error = error <= out.max_error ? out.max_error : error;
        if (truth[i] != 0) {
            relative += error / fabs(t);
            nonzero++;
        }
    }
    out.rmse = sqrt(out.mse);
    out.r2 = spread > 0 ? 1 - out.mse / spread : NAN;
    out.mape = nonzero > 0 ? relative / nonzero : NAN;
    return out;
}
