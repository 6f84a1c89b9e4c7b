/* test_golden_recurrent.c: rnn, lstm and gru against PyTorch's modules, padded sequences against
 * its packed ones. */
#include "golden.h"

#define BATCH 3
#define STEPS 4
#define UNITS 6

typedef soma_var recurrent_fn(soma_var x, soma_var w, soma_recurrent_options o);

/* The states of all steps, zeros where they do not count, then the last states; of lstm also c. */
static soma_var whole(recurrent_fn *op, const soma_var *in, bool cell, bool padded,
                      soma_recurrent_options o)
{
    o.bias = in[4];
    o.h0 = in[5];
    if (cell)
        o.c0 = in[6];
    if (padded)
        o.lengths = in[cell ? 7 : 6];
    soma_var all = op(soma_linear(in[0], in[1], in[3]), in[2], o);
    soma_var h = soma_slice(all, 2, 0, UNITS);
    const int64_t last = o.reverse ? 0 : STEPS - 1;
    soma_var part[3] = {h, soma_slice(h, 1, last, last + 1)};
    if (cell)
        part[2] = soma_slice(soma_slice(all, 2, UNITS, 2 * UNITS), 1, last, last + 1);
    if (padded) {
        soma_var mask = soma_cast(soma_sequence_mask(o.lengths, STEPS), soma_var_dtype(h));
        part[0] = soma_mul(h, soma_reshape(mask, SOMA_SHAPE(BATCH, STEPS, 1)));
    }
    const soma_shape flat = SOMA_SHAPE(BATCH, -1);
    for (int i = 0; i < 2 + cell; i++)
        part[i] = soma_reshape(part[i], flat);
    return soma_concat(part, 2 + cell, 1);
}

#define WHOLE(name_, op_, cell_, padded_, ...)                                                     \
    GOLDEN(name_,                                                                                  \
           whole(soma_##op_##_opt, in, cell_, padded_, (soma_recurrent_options){__VA_ARGS__}))
WHOLE(rnn, rnn, false, false, 0)
WHOLE(rnn_relu, rnn, false, false, .relu = true)
WHOLE(rnn_lengths, rnn, false, true, 0)
WHOLE(lstm, lstm, true, false, 0)
WHOLE(lstm_lengths, lstm, true, true, 0)
WHOLE(lstm_reverse, lstm, true, false, .reverse = true)
WHOLE(lstm_reverse_lengths, lstm, true, true, .reverse = true)
WHOLE(gru, gru, false, false, 0)
WHOLE(gru_lengths, gru, false, true, 0)
WHOLE(gru_reverse_lengths, gru, false, true, .reverse = true)
WHOLE(gru_reset_first, gru, false, false, .reset_first = true)

#define INPUTS "x w_ih w_hh b_ih b_hh h0"
static const golden cases[] = {
    {"rnn", INPUTS, rnn},
    {"rnn_relu", INPUTS, rnn_relu},
    {"rnn_lengths", INPUTS " lengths", rnn_lengths},
    {"lstm", INPUTS " c0", lstm},
    {"lstm_lengths", INPUTS " c0 lengths", lstm_lengths},
    {"lstm_reverse", INPUTS " c0", lstm_reverse},
    {"lstm_reverse_lengths", INPUTS " c0 lengths", lstm_reverse_lengths},
    {"gru", INPUTS, gru},
    {"gru_lengths", INPUTS " lengths", gru_lengths},
    {"gru_reverse_lengths", INPUTS " lengths", gru_reverse_lengths},
    {"gru_reset_first", INPUTS, gru_reset_first},
};

int main(void)
{
    return golden_run("recurrent.safetensors", cases, sizeof(cases) / sizeof(cases[0]));
}
