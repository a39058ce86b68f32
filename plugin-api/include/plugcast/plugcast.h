/* The Plugcast plugin contract. Start with core.h. */
#ifndef PLUGCAST_H
#define PLUGCAST_H
#include "auth.h"
#include "config.h"
#include "core.h"
#include "exec.h"
#include "feeds.h"
#include "hash.h"
#include "http.h"
#include "log.h"
#include "mem.h"
#include "metrics.h"
#include "net.h"
#include "streams.h"
#include "tasks.h"
#endif
