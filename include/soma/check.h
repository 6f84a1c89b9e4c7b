/* soma/check.h: the linter: mistakes that a training would not complain of, found before its first
 * step, with the fix. */
#ifndef SOMA_CHECK_H
#define SOMA_CHECK_H

#include "train.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum soma_severity {
    SOMA_SEVERITY_NOTE,    /* good to know */
    SOMA_SEVERITY_WARNING, /* learns worse, or looks better than it is */
    SOMA_SEVERITY_FAULT    /* cannot be trained, or learns nothing */
} soma_severity;

typedef struct soma_finding {
    const char *id; /* of the check: "softmax-twice"; these names are stable */
    soma_severity severity;
    char *message; /* what is the matter, and where */
    char *fix;     /* what to do about it */
} soma_finding;

typedef struct soma_findings {
    soma_finding *list;
    int count;
} soma_findings;

/* Looks at a model, its data and the options that it is to be trained with; options NULL: the
 * defaults. `quick` leaves out what reads all samples or runs the model: then it takes milliseconds
 * (soma train does this), else a second or so. The model, its weights and the data stay as they
 * are. Findings come in the order of the checks; none is an error. soma_findings_clear releases
 * them. Errors: SOMA_INVALID (no model, no training part), SOMA_MEMORY, faults of reading data. */
SOMA_MUST_CHECK SOMA_API soma_status soma_check(soma_model *model, const soma_data *data,
                                                const soma_train_options *options, bool quick,
                                                soma_findings *out, soma_error *err);
SOMA_API void soma_findings_clear(soma_findings *findings);
/* "note", "warning", "fault" */
SOMA_API const char *soma_severity_text(soma_severity severity);
/* The checks there are: name and one line; false when index is out of range. */
SOMA_API bool soma_check_text(int index, const char **id, const char **doc);

#ifdef __cplusplus
}
#endif
#endif
