/* split.c - see split.h. */
#include "split.h"

#include <string.h>

static int read_loop(struct pt_split *s, const struct pt_value *root,
                     const struct pt_value *set, bool training, struct ptv3_error *err) {
  bool test_mode;
  int64_t loop, epoch, evals;
  int st = pt_get_int_in(set, "loop", 1, 1, INT32_MAX, &loop, err);
  if (!st) st = pt_get_bool(set, "test_mode", false, &test_mode, err);
  if (!st) st = pt_get_int_in(root, "epoch", 0, 0, INT32_MAX, &epoch, err);
  if (!st) st = pt_get_int_in(root, "eval_epoch", 0, 0, INT32_MAX, &evals, err);
  if (st) return st;
  s->loop = test_mode ? 1 : loop;
  if (!training || test_mode || !epoch || !evals) return PTV3_OK;
  if (epoch % evals)
    return pt_fail_value(err, pt_get(root, "epoch"),
                         "is %lld, and must be a multiple of eval_epoch, %lld",
                         (long long)epoch, (long long)evals);
  s->loop = epoch / evals;
  return PTV3_OK;
}

static int open_parts(struct pt_split *s, struct pt_env *env, const struct pt_value *root,
                      const char *which, const char *data_root, struct ptv3_error *err) {
  const struct pt_value *data = pt_need_dict(root, "data", err);
  const struct pt_value *set = data ? pt_need_dict(data, which, err) : NULL;
  if (!set) return pt_status(err);
  int st = read_loop(s, root, set, !strcmp(which, "train"), err);
  if (!st) st = pt_pipeline_parse(&s->pipeline, &env->mem, pt_get(set, "transform"), err);
  if (!st) st = pt_dataset_open(&s->set, env, set, data_root, err);
  if (st) return st;
  s->needs = pt_pipeline_needs(&s->pipeline, s->need, PT_SPLIT_NEEDS);
  s->load = (struct pt_load){.want = s->need,
                             .n_want = s->needs,
                             .labels = true,
                             .grid_size = pt_pipeline_grid_size(&s->pipeline)};
  return PTV3_OK;
}

int pt_split_open(struct pt_split *s, struct pt_env *env, const struct pt_value *root,
                  const char *which, const char *data_root, struct ptv3_error *err) {
  memset(s, 0, sizeof *s);
  int st = open_parts(s, env, root, which, data_root, err);
  if (st) pt_split_free(s);
  return st;
}

void pt_split_free(struct pt_split *s) {
  pt_pipeline_free(&s->pipeline);
  pt_dataset_free(&s->set);
  memset(s, 0, sizeof *s);
}
