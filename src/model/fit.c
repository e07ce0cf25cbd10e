/* fit.c - see fit.h. */
#include "fit.h"

#include <stdio.h>

#include "size.h"

static int64_t total(const struct pt_env *env, const struct pt_plan *p) {
  return env->mem.used + p->arena + PT_BLOCK_HEAD;
}

/* As pt_bytes_text, but rounded up: who grants what the text says must have granted enough. */
static const char *text_up(int64_t bytes, char buf[static 24]) {
  int64_t unit = 1;
  while (bytes / unit >= 1024) unit *= 1024;
  return pt_bytes_text(bytes + (unit > 1 ? unit / 200 + 1 : 0), buf);
}

static int refuse(struct pt_env *env, const struct pt_plan *p, struct ptv3_error *err) {
  char need[24], have[24], part[PT_MEM_COUNT][24], list[200] = "";
  size_t at = 0;
  for (int c = 0; c < PT_MEM_COUNT; c++) {
    int64_t bytes = env->mem.cat[c];
    if (c == PT_MEM_ARENA) bytes = p->arena;
    if (bytes * 20 < total(env, p)) continue; /* below a twentieth: not what matters */
    at += (size_t)snprintf(list + at, sizeof list - at, "%s%s %s", at ? ", " : "",
                           pt_memcat_text((enum pt_memcat)c), pt_bytes_text(bytes, part[c]));
    if (at >= sizeof list) break;
  }
  return pt_fail(err, PTV3_BUDGET, "needs a memory budget of at least %s, has %s (%s)",
                 text_up(total(env, p), need), pt_bytes_text(env->mem.limit, have), list);
}

int pt_fit(struct pt_env *env, struct pt_plan *p, struct ptv3_error *err) {
  static const int tile[] = {0, 128, 64, 32, PT_SMALLEST_TILE};
  int threads = p->threads, wish = p->tile;
  for (; p->threads >= 1; p->threads -= p->threads > 1 ? p->threads / 2 : 1)
    for (size_t i = 0; i < sizeof tile / sizeof *tile; i++) {
      pt_plan_scratch(p, i ? tile[i] : wish, p->threads);
      if (total(env, p) > env->mem.limit) continue;
      if (i || p->threads < threads)
        pt_info(env, "to fit the budget: tiles of %d rows, %d thread%s", p->tile, p->threads,
                p->threads == 1 ? "" : "s");
      return PTV3_OK;
    }
  pt_plan_scratch(p, PT_SMALLEST_TILE, 1);
  return refuse(env, p, err);
}
