/* test_golden_windows.c: convs and pools of all ranks and options against PyTorch's. */
#include "golden.h"

GOLDEN(conv1d,
       soma_conv1d(in[0], in[1], .stride = {2}, .pad = {2, 2}, .dilation = {3}, .groups = 2))
GOLDEN(conv1d_same, soma_conv1d(in[0], in[1], .padding = SOMA_PAD_SAME))
GOLDEN(conv3d, soma_conv3d(in[0], in[1], .stride = {2, 1, 2}, .pad = {1, 2, 0, 1, 2, 0}))
GOLDEN(conv3d_groups,
       soma_conv3d(in[0], in[1], .pad = {2, 0, 1, 2, 0, 1}, .dilation = {2, 1, 3}, .groups = 2))
GOLDEN(conv_transpose1d,
       soma_conv_transpose1d(in[0], in[1], .stride = {3}, .pad = {1, 1}, .output_padding = {2}))
GOLDEN(conv_transpose1d_dilation,
       soma_conv_transpose1d(in[0], in[1], .pad = {1, 1}, .output_padding = {2}, .dilation = {3}))
GOLDEN(conv_transpose2d, soma_conv_transpose2d(in[0], in[1], .stride = {2, 3}, .pad = {1, 0, 1, 0},
                                               .output_padding = {1, 2}))
GOLDEN(conv_transpose2d_groups,
       soma_conv_transpose2d(in[0], in[1], .stride = {2, 2}, .pad = {1, 1, 1, 1}, .groups = 2,
                             .dilation = {1, 2}))
GOLDEN(conv_transpose3d,
       soma_conv_transpose3d(in[0], in[1], .stride = {2, 1, 2}, .pad = {1, 0, 1, 1, 0, 1},
                             .output_padding = {1, 0, 1}))
GOLDEN(max_pool1d, soma_max_pool1d(in[0], .size = {3}, .stride = {2}, .pad = {1, 1},
                                   .dilation = {2}, .ceil_mode = true))
GOLDEN(max_pool2d_dilation, soma_max_pool2d(in[0], .size = {3, 2}, .stride = {1, 2},
                                            .pad = {1, 1, 1, 1}, .dilation = {2, 3}))
GOLDEN(max_pool2d_ceil, soma_max_pool2d(in[0], .size = {3, 3}, .stride = {2, 2},
                                        .pad = {1, 1, 1, 1}, .ceil_mode = true))
GOLDEN(max_pool3d, soma_max_pool3d(in[0], .size = {2, 3, 2}, .stride = {2, 1, 2},
                                   .pad = {1, 1, 0, 1, 1, 0}, .ceil_mode = true))
GOLDEN(avg_pool1d, soma_avg_pool1d(in[0], .size = {4}, .stride = {3}, .pad = {2, 2},
                                   .ceil_mode = true, .count_pad = true))
GOLDEN(avg_pool2d_ceil, soma_avg_pool2d(in[0], .size = {3, 2}, .stride = {3, 3},
                                        .pad = {1, 1, 1, 1}, .ceil_mode = true, .count_pad = true))
GOLDEN(avg_pool2d_ceil_real, soma_avg_pool2d(in[0], .size = {3, 2}, .stride = {3, 3},
                                             .pad = {1, 1, 1, 1}, .ceil_mode = true))
GOLDEN(avg_pool2d_divisor,
       soma_avg_pool2d(in[0], .size = {3, 3}, .stride = {2, 2}, .pad = {1, 1, 1, 1}, .divisor = 7))
GOLDEN(avg_pool3d, soma_avg_pool3d(in[0], .size = {3, 3, 3}, .stride = {2, 2, 2},
                                   .pad = {1, 1, 1, 1, 1, 1}, .ceil_mode = true, .count_pad = true))
GOLDEN(avg_pool3d_real,
       soma_avg_pool3d(in[0], .size = {2, 3, 3}, .stride = {2, 2, 2}, .pad = {1, 1, 0, 1, 1, 0}))
GOLDEN(lp_pool1d, soma_lp_pool1d(in[0], .size = {3}, .stride = {2}))
GOLDEN(lp_pool2d, soma_lp_pool2d(in[0], .size = {3, 2}, .stride = {2, 2}, .p = 3))
GOLDEN(lp_pool3d, soma_lp_pool3d(in[0], .size = {2, 2, 2}))
GOLDEN(adaptive_max_pool1d, soma_adaptive_max_pool(in[0], (int64_t[]){4}, 1))
GOLDEN(adaptive_max_pool2d, soma_adaptive_max_pool(in[0], (int64_t[]){3, 7}, 2))
GOLDEN(adaptive_max_pool3d, soma_adaptive_max_pool(in[0], (int64_t[]){2, 3, 4}, 3))
GOLDEN(adaptive_avg_pool1d, soma_adaptive_avg_pool(in[0], (int64_t[]){4}, 1))
GOLDEN(adaptive_avg_pool2d, soma_adaptive_avg_pool(in[0], (int64_t[]){3, 7}, 2))
GOLDEN(adaptive_avg_pool3d, soma_adaptive_avg_pool(in[0], (int64_t[]){2, 3, 4}, 3))
GOLDEN(global_lp_pool, soma_global_lp_pool(in[0], 3))
GOLDEN(max_pool2d_indices,
       soma_max_pool2d_indices(in[0], .size = {3, 3}, .stride = {2, 2}, .pad = {1, 1, 1, 1}))
GOLDEN(max_unpool2d, soma_max_unpool2d(in[0], in[1], 6, 4))
/* From onnxruntime. */
GOLDEN(conv2d_same_lower,
       soma_conv2d(in[0], in[1], .stride = {2, 1}, .padding = SOMA_PAD_SAME_LOWER))
GOLDEN(conv_transpose2d_same,
       soma_conv_transpose2d(in[0], in[1], .stride = {2, 3}, .padding = SOMA_PAD_SAME))
GOLDEN(conv_transpose2d_same_lower,
       soma_conv_transpose2d(in[0], in[1], .stride = {2, 3}, .padding = SOMA_PAD_SAME_LOWER))
GOLDEN(avg_pool2d_dilation,
       soma_avg_pool2d(in[0], .size = {3, 2}, .stride = {1, 2}, .dilation = {2, 3},
                       .pad = {2, 1, 1, 1}, .count_pad = true))
GOLDEN(avg_pool2d_dilation_real, soma_avg_pool2d(in[0], .size = {3, 2}, .stride = {1, 2},
                                                 .dilation = {2, 3}, .pad = {2, 1, 1, 1}))
GOLDEN(lp_pool2d_pads,
       soma_lp_pool2d(in[0], .size = {3, 2}, .stride = {2, 3}, .pad = {1, 0, 1, 1}, .p = 3))
GOLDEN(max_pool2d_same_lower,
       soma_max_pool2d(in[0], .size = {2, 4}, .stride = {1, 1}, .padding = SOMA_PAD_SAME_LOWER))

#define CONV_ROW(name_)                                                                            \
    {                                                                                              \
#name_, "x w", name_                                                                       \
    }
#define POOL_ROW(name_)                                                                            \
    {                                                                                              \
#name_, "x", name_                                                                         \
    }
static const golden cases[] = {
    CONV_ROW(conv1d),
    CONV_ROW(conv1d_same),
    CONV_ROW(conv3d),
    CONV_ROW(conv3d_groups),
    CONV_ROW(conv_transpose1d),
    CONV_ROW(conv_transpose1d_dilation),
    CONV_ROW(conv_transpose2d),
    CONV_ROW(conv_transpose2d_groups),
    CONV_ROW(conv_transpose3d),
    POOL_ROW(max_pool1d),
    POOL_ROW(max_pool2d_dilation),
    POOL_ROW(max_pool2d_ceil),
    POOL_ROW(max_pool3d),
    POOL_ROW(avg_pool1d),
    POOL_ROW(avg_pool2d_ceil),
    POOL_ROW(avg_pool2d_ceil_real),
    POOL_ROW(avg_pool2d_divisor),
    POOL_ROW(avg_pool3d),
    POOL_ROW(avg_pool3d_real),
    POOL_ROW(lp_pool1d),
    POOL_ROW(lp_pool2d),
    POOL_ROW(lp_pool3d),
    POOL_ROW(adaptive_max_pool1d),
    POOL_ROW(adaptive_max_pool2d),
    POOL_ROW(adaptive_max_pool3d),
    POOL_ROW(adaptive_avg_pool1d),
    POOL_ROW(adaptive_avg_pool2d),
    POOL_ROW(adaptive_avg_pool3d),
    POOL_ROW(global_lp_pool),
    POOL_ROW(max_pool2d_indices),
    {"max_unpool2d", "x index", max_unpool2d},
    CONV_ROW(conv2d_same_lower),
    CONV_ROW(conv_transpose2d_same),
    CONV_ROW(conv_transpose2d_same_lower),
    POOL_ROW(avg_pool2d_dilation),
    POOL_ROW(avg_pool2d_dilation_real),
    POOL_ROW(lp_pool2d_pads),
    POOL_ROW(max_pool2d_same_lower),
};

int main(void)
{
    return golden_run("windows.safetensors", cases, sizeof(cases) / sizeof(cases[0]));
}
