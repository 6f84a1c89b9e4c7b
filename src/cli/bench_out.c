/* bench_out.c: what a line of `soma bench` computes, as files, so that another library can be given
 * the same and has to find the same. */
#include "base/file.h"
#include "cli/bench.h"
#include "format/safetensors.h"
#include "train/step.h"

static soma_status write_archive(soma__archive *archive, soma_status status, const char *folder,
                                 const char *name, soma_error *err)
{
    char *path = NULL;
    if (status == SOMA_OK)
        status = soma__path_join(&path, folder, name, err);
    if (status == SOMA_OK)
        status = soma__archive_write(archive, path, err);
    soma__archive_clear(archive);
    soma__free(path);
    return status;
}

static soma_status add_tensors(soma__archive *archive, const bench_job *job, soma_error *err)
{
    for (int i = 0; i < job->tensors; i++)
        SOMA__TRY(soma__archive_add(archive, job->name[i], job->tensor[i], err));
    return SOMA_OK;
}

/* Outputs belong to the session: what is written are copies of their values. */
static soma_status add_outputs(soma__archive *archive, const bench_job *job, soma_error *err)
{
    const soma_tensor *output;
    for (int i = 0; (output = soma_session_output(job->session, i)) != NULL; i++) {
        char name[32];
        soma_tensor *copy;
        snprintf(name, sizeof name, "output.%d", i);
        SOMA__TRY(soma_tensor_from(&copy, soma_tensor_dtype(output), *soma_tensor_shape(output),
                                   soma_tensor_const_data(output), err));
        soma_status status = soma__archive_add(archive, name, copy, err);
        soma_tensor_release(copy);
        SOMA__TRY(status);
    }
    return SOMA_OK;
}

static soma_status add_parameters(soma__archive *archive, const bench_job *job, soma_error *err)
{
    for (int i = 0; job->step.step && i < soma_model_parameter_count(job->model); i++) {
        const soma_parameter *p = soma_model_parameter(job->model, i);
        SOMA__TRY(soma__archive_add(archive, p->name, p->tensor, err));
    }
    return SOMA_OK;
}

static soma_status save_model(const bench_job *job, const char *folder, soma_error *err)
{
    char *path;
    SOMA__TRY(soma__path_join(&path, folder, "model.safetensors", err));
    soma_status status = soma_model_save(job->model, path, err);
    soma__free(path);
    return status;
}

soma_status bench_out(bench_job *job, const char *folder, soma_error *err)
{
    soma__archive archive = {0};
    SOMA__TRY(soma__make_folder(folder, err));
    if (job->model)
        SOMA__TRY(save_model(job, folder, err));
    soma_status status = add_tensors(&archive, job, err);
    SOMA__TRY(write_archive(&archive, status, folder, "before.safetensors", err));
    SOMA__TRY(soma_session_run(job->session, err));
    status = add_outputs(&archive, job, err);
    if (status == SOMA_OK)
        status = add_parameters(&archive, job, err);
    if (status == SOMA_OK && job->optimizer)
        status = soma__archive_add(&archive, job->name[0], job->tensor[0], err);
    return write_archive(&archive, status, folder, "after.safetensors", err);
}
