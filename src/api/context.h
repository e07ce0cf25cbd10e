/* context.h - what a public context is inside: an environment and the caller's callbacks.
 * Every public object keeps a pointer to its context and takes its memory from there. */
#ifndef PT_API_CONTEXT_H
#define PT_API_CONTEXT_H

#include "env.h"
#include "ptv3.h"

struct ptv3_context {
  struct pt_env env;
  char *tmp; /* what env.tmp is, owned; or NULL */
};

/* The budget of a context. */
static inline struct pt_mem *pt_ctx_mem(struct ptv3_context *ctx) { return &ctx->env.mem; }

/* PTV3_INVALID with a message that names the argument. */
int pt_api_null(const char *function, const char *argument, struct ptv3_error *err);

#endif
