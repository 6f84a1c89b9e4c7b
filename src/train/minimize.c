/* minimize.c: steps of L-BFGS, which asks for loss and gradient several times: the plan of a step
 * writes the gradient into the sums, and the optimiser moves the weights between its runs. */
#include <math.h>

#include "train/train.h"

soma_status soma__minimize_open(soma__run *run, soma_error *err)
{
    if (run->options.optimizer.kind != SOMA_LBFGS)
        return SOMA_OK;
    soma_tensor **tensors = soma__calloc((size_t)run->trained + 1, sizeof *tensors);
    if (!tensors)
        return soma__fail(err, SOMA_MEMORY, "no memory for the optimizer");
    for (int i = 0, used = 0; i < soma_model_parameter_count(run->model); i++) {
        const soma_parameter *p = soma_model_parameter(run->model, i);
        if (p->trainable)
            tensors[used++] = p->tensor;
    }
    soma_status status = soma_lbfgs_create(&run->lbfgs, &run->options.optimizer, tensors, run->sums,
                                           run->trained, err);
    soma__free(tensors);
    return status;
}

/* Loss and gradient of the batch that was fed. The epoch's means take those before the step, as
 * with every other optimiser. */
static soma_status evaluate(void *user, double *loss, soma_error *err)
{
    soma__run *run = user;
    soma__step *step = &run->full[0];
    SOMA__TRY(soma_session_run(step->session, err));
    *loss = soma_tensor_get(soma_session_output(step->session, 0), 0) / (double)step->batch;
    if (soma__step_sick(step) >= 0)
        *loss = INFINITY;
    if (run->evaluations++ == 0 && isfinite(*loss))
        soma__meter_add(&run->progress.meter, step);
    return SOMA_OK;
}

soma_status soma__minimize_step(soma__run *run, double *loss, soma_error *err)
{
    run->evaluations = 0;
    return soma_lbfgs_step(run->lbfgs, evaluate, run, loss, err);
}
