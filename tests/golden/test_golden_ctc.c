/* test_golden_ctc.c: the loss of connectionist temporal classification against PyTorch's, from the
 * logits on: PyTorch's gradient of log-probabilities is that of logits already. */
#include "golden.h"

#define CTC(...) soma_ctc_loss(soma_log_softmax(in[0], 2), in[1], __VA_ARGS__)
GOLDEN(ctc_loss_plain, CTC(.blank = 0))
GOLDEN(ctc_loss_mean, CTC(.reduction = SOMA_REDUCTION_MEAN))
GOLDEN(ctc_loss_padded, CTC(.input_lengths = in[2], .target_lengths = in[3]))
GOLDEN(ctc_loss_padded_mean,
       CTC(.input_lengths = in[2], .target_lengths = in[3], .reduction = SOMA_REDUCTION_MEAN))
GOLDEN(ctc_loss_padded_sum,
       CTC(.input_lengths = in[2], .target_lengths = in[3], .reduction = SOMA_REDUCTION_SUM))
GOLDEN(ctc_loss_blank, CTC(.blank = 5, .input_lengths = in[2], .target_lengths = in[3]))
GOLDEN(ctc_loss_zero_infinity, CTC(.zero_infinity = true))

static const golden cases[] = {
    {"ctc_loss_plain", "x targets", ctc_loss_plain},
    {"ctc_loss_mean", "x targets", ctc_loss_mean},
    {"ctc_loss_padded", "x targets steps labels", ctc_loss_padded},
    {"ctc_loss_padded_mean", "x targets steps labels", ctc_loss_padded_mean},
    {"ctc_loss_padded_sum", "x targets steps labels", ctc_loss_padded_sum},
    {"ctc_loss_blank", "x targets steps labels", ctc_loss_blank},
    {"ctc_loss_zero_infinity", "x targets", ctc_loss_zero_infinity},
};

int main(void)
{
    return golden_run("ctc.safetensors", cases, sizeof(cases) / sizeof(cases[0]));
}
