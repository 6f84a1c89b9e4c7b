/* test_golden_attention.c: attention and rotary positions against PyTorch's. */
#include "golden.h"

GOLDEN(attention, soma_attention(in[0], in[1], in[2], 0))
GOLDEN(attention_scale, soma_attention(in[0], in[1], in[2], .scale = 0.7))
GOLDEN(attention_causal, soma_attention(in[0], in[1], in[2], .causal = true))
GOLDEN(attention_cached, soma_attention(in[0], in[1], in[2], .causal = true, .offset = 4))
GOLDEN(attention_grouped, soma_attention(in[0], in[1], in[2], 0))
GOLDEN(attention_mask, soma_attention(in[0], in[1], in[2], .mask = in[3]))
GOLDEN(attention_lengths, soma_attention(in[0], in[1], in[2], .lengths = in[3]))
GOLDEN(attention_alibi, soma_attention(in[0], in[1], in[2], .causal = true, .slopes = in[3]))
GOLDEN(rotary, soma_rotary(in[0], 0))
GOLDEN(rotary_interleaved, soma_rotary(in[0], .interleaved = true))

static const golden cases[] = {
    {"attention", "q k v", attention},
    {"attention_scale", "q k v", attention_scale},
    {"attention_causal", "q k v", attention_causal},
    {"attention_cached", "q k v", attention_cached},
    {"attention_grouped", "q k v", attention_grouped},
    {"attention_mask", "q k v mask", attention_mask},
    {"attention_lengths", "q k v lengths", attention_lengths},
    {"attention_alibi", "q k v slopes", attention_alibi},
    {"rotary", "x", rotary},
    {"rotary_interleaved", "x", rotary_interleaved},
};

int main(void)
{
    return golden_run("attention.safetensors", cases, sizeof(cases) / sizeof(cases[0]));
}
