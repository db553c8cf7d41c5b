#ifndef VHDRESYNC_CLZ4_H
#define VHDRESYNC_CLZ4_H

#include <lz4.h>

#endif
