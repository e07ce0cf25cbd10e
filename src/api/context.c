/* context.c - contexts: threads, budget, callbacks. */
#include "context.h"

#include <stdlib.h>
#include <string.h>

#include "meminfo.h"

int pt_api_null(const char *function, const char *argument, struct ptv3_error *err) {
  return pt_fail(err, PTV3_INVALID, "%s: '%s' is NULL", function, argument);
}

int ptv3_context_create(const struct ptv3_options *options, struct ptv3_context **out,
                        struct ptv3_error *err) {
  if (!out) return pt_api_null("ptv3_context_create", "out", err);
  *out = NULL;
  struct ptv3_options o = options ? *options : (struct ptv3_options){0};
  if (o.threads < 0)
    return pt_fail(err, PTV3_INVALID, "ptv3_context_create: %d threads", o.threads);
  if (o.memory < 0)
    return pt_fail(err, PTV3_INVALID, "ptv3_context_create: a budget of %lld bytes",
                   (long long)o.memory);
  /* The one block that no budget counts (and the folder's name): it holds the budget. */
  struct ptv3_context *ctx = malloc(sizeof *ctx);
  if (!ctx) return pt_fail(err, PTV3_NO_MEMORY, "the system has no memory for a context");
  ctx->tmp = NULL;
  pt_env_init(&ctx->env, o.threads, o.memory ? o.memory : pt_memory_default());
  ctx->env.info = o.info;
  ctx->env.warn = o.warn;
  ctx->env.progress = o.progress;
  ctx->env.user = o.user;
  if (o.tmp && !(ctx->env.tmp = ctx->tmp = strdup(o.tmp))) {
    free(ctx);
    return pt_fail(err, PTV3_NO_MEMORY, "the system has no memory for a context");
  }
  *out = ctx;
  return PTV3_OK;
}

void ptv3_context_free(struct ptv3_context *ctx) {
  if (ctx) free(ctx->tmp);
  free(ctx);
}

void ptv3_context_memory(const struct ptv3_context *ctx, struct ptv3_memory *memory) {
  const struct pt_mem *m = &ctx->env.mem;
  *memory = (struct ptv3_memory){.limit = m->limit, .used = m->used, .peak = m->peak};
}

bool ptv3_context_memory_of(const struct ptv3_context *ctx, int index, const char **name,
                            int64_t *used, int64_t *peak) {
  if (index < 0 || index >= PT_MEM_COUNT) return false;
  *name = pt_memcat_text((enum pt_memcat)index);
  *used = ctx->env.mem.cat[index];
  *peak = ctx->env.mem.cat_peak[index];
  return true;
}
