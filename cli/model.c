/* model.c - see model.h. */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const model_compat_names[] = {"current", "1.5.1", "auto", NULL};
const char *const model_precision_names[] = {"fp32", "bf16", NULL};

static int open_random(struct session *s, const char *seed, const struct model *m,
                       struct ptv3_weights **w) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(seed, &end, 10);
  if (end == seed || *end || errno || *seed == '-') {
    session_say(s, "--weight random:%s: the seed is to be a whole number", seed);
    return EXIT_USAGE;
  }
  if (ptv3_weights_random(s->ctx, m->config, value, w, &s->err)) return session_fail(s);
  if (!s->common.quiet)
    fprintf(stderr,
            "%swarning:%s the weights are not trained (made from seed %llu): what is "
            "predicted means nothing\n",
            term_yellow(stderr), term_plain(stderr), value);
  return EXIT_FINE;
}

static int open_weights(struct session *s, const char *name, const struct model *m,
                        struct ptv3_weights **w) {
  if (strncmp(name, "random:", 7) == 0) return open_random(s, name + 7, m, w);
  if (ptv3_weights_load(s->ctx, name, w, &s->err)) return session_fail(s);
  return EXIT_FINE;
}

int model_open(struct session *s, const char *config, const struct model_args *args,
               struct model *m) {
  *m = (struct model){0};
  if (!args->weight) {
    session_say(s, "--weight FILE is missing");
    return EXIT_USAGE;
  }
  if (ptv3_config_load(s->ctx, config, args->options.item, args->options.count, &m->config,
                       &s->err))
    return session_fail(s);
  struct ptv3_weights *w = NULL;
  int code = open_weights(s, args->weight, m, &w);
  if (code == EXIT_FINE) {
    struct ptv3_model_options options = {.compat = (enum ptv3_compat)args->compat,
                                         .precision = (enum ptv3_precision)args->precision,
                                         .allow_missing = args->allow_missing.item,
                                         .allow_missing_count = args->allow_missing.count};
    if (ptv3_model_create(s->ctx, m->config, w, &options, &m->model, &s->err))
      code = session_fail(s);
    else
      ptv3_model_get_info(m->model, &m->info);
  }
  ptv3_weights_free(w);
  if (code != EXIT_FINE) model_close(m);
  return code;
}

void model_close(struct model *m) {
  ptv3_model_free(m->model);
  ptv3_config_free(m->config);
  *m = (struct model){0};
}
