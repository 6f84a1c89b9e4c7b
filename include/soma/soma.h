/* soma.h: all of soma. */
#ifndef SOMA_SOMA_H
#define SOMA_SOMA_H

#include "base.h"
#include "check.h"
#include "ctc.h"
#include "custom.h"
#include "data.h"
#include "generate.h"
#include "graph.h"
#include "metrics.h"
#include "networks.h"
#include "nn.h"
#include "ops.h"
#include "optim.h"
#include "recipe.h"
#include "sound.h"
#include "tensor.h"
#include "text.h"
#include "text_scores.h"
#include "train.h"

#endif
