/* base.h: what every room may use. Each part has its own header; this one includes them all. */
#ifndef SOMA__BASE_H
#define SOMA__BASE_H
#include "soma/base.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#endif
