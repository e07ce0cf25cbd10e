/* check_api.c - the public check of data: what cloud/check.c finds, in public words. */
#include <string.h>

#include "check.h"
#include "config_api.h"
#include "known_keys.h"
#include "ptv3_check.h"
#include "ptv3_config.h"

struct ptv3_check {
  struct ptv3_context *ctx;
  struct pt_check found;
  const char **class_name; /* [classes] of the config tree; NULL */
  struct ptv3_check_split split[PT_CHECK_SPLITS];
  int splits;
  struct ptv3_finding *finding; /* [findings] */
};

static const char *const kind_name[] = {
    "no-split",   "no-scene",     "unreadable", "no-channel", "constant",   "no-labels",
    "bad-labels", "only-ignored", "set-aside",  "said",       "transform",  "width",
    "feature",    "small",        "shared",     "unseen",     "only-in-val"};
_Static_assert(sizeof kind_name / sizeof *kind_name == PT_CHECK_KINDS, "a name for each kind");

static int read_names(struct ptv3_check *c, const struct pt_value *data,
                      struct ptv3_error *err) {
  const struct pt_value *list = pt_get(data, "names");
  int64_t classes;
  int st = pt_get_int(data, "num_classes", c->found.classes, &classes, err);
  if (st || pt_is_none(list)) return st;
  if (classes != c->found.classes || pt_len(list) != classes)
    return pt_fail_value(err, list,
                         "has %lld names, data.num_classes is %lld, model.num_classes %d: make "
                         "them equal",
                         (long long)pt_len(list), (long long)classes, c->found.classes);
  c->class_name =
      pt_zalloc(pt_ctx_mem(c->ctx), classes, sizeof *c->class_name, PT_MEM_OTHER, err);
  if (!c->class_name) return err->status;
  for (int64_t i = 0; !st && i < classes; i++)
    st = pt_as_str(pt_item(list, i), &c->class_name[i], err);
  return st;
}

static struct ptv3_check_range range_of(const struct pt_range *r, int64_t n) {
  return (struct ptv3_check_range){r->min, r->max, n ? (double)r->sum / (double)n : 0};
}

static int write_out(struct ptv3_check *c, struct ptv3_error *err) {
  for (int s = 0; s < PT_CHECK_SPLITS; s++) {
    const struct pt_check_split *f = &c->found.split[s];
    if (!f->given) continue;
    c->split[c->splits++] =
        (struct ptv3_check_split){.name = f->name,
                                  .scenes = f->scenes,
                                  .looked = f->looked,
                                  .loop = f->loop,
                                  .points = range_of(&f->points, f->read_ok),
                                  .voxels = range_of(&f->voxels, f->sampled),
                                  .labels = f->labels,
                                  .ignored = f->ignored,
                                  .wrong = f->wrong};
  }
  c->finding =
      pt_zalloc(pt_ctx_mem(c->ctx), c->found.findings, sizeof *c->finding, PT_MEM_OTHER, err);
  if (!c->finding) return err->status;
  for (int64_t i = 0; i < c->found.findings; i++) {
    const struct pt_finding *f = &c->found.finding[i];
    c->finding[i] = (struct ptv3_finding){
        f->error, kind_name[f->kind], f->split, f->path, f->scenes, f->text, f->fix, f->also};
  }
  return PTV3_OK;
}

static int check(struct ptv3_check *c, const struct ptv3_config *config,
                 const struct ptv3_check_options *o, struct ptv3_error *err) {
  const struct pt_value *root = config->tree.root;
  const struct pt_value *model = pt_need_dict(root, "model", err);
  struct pt_ptv3 net;
  if (!model) return err->status;
  pt_warn_model_keys(c->ctx, config);
  int st = pt_ptv3_from_value(model, &net, err);
  if (st) return st;
  c->found.classes = net.classes;
  const struct pt_value *data = pt_need_dict(root, "data", err);
  st = data ? read_names(c, data, err) : err->status;
  if (st) return st;
  const struct pt_check_options how = {.classes = net.classes,
                                       .in_channels = net.in_channels,
                                       .scenes = o->scenes,
                                       .data_root = o->data_root,
                                       .quick = o->quick};
  pt_warn_root_keys(c->ctx, config); /* first: what does not open may be misspelt */
  st = pt_check_data(&c->found, &c->ctx->env, root, &how, err);
  return st ? st : write_out(c, err);
}

int ptv3_check_create(struct ptv3_context *ctx, const struct ptv3_config *config,
                      const struct ptv3_check_options *options, struct ptv3_check **out,
                      struct ptv3_error *err) {
  if (out) *out = NULL;
  if (!ctx || !config || !out)
    return pt_api_null("ptv3_check_create", !ctx ? "ctx" : !config ? "config" : "out", err);
  struct ptv3_check_options o = options ? *options : (struct ptv3_check_options){0};
  if (o.scenes < 0)
    return pt_fail(err, PTV3_INVALID, "ptv3_check_create: %lld scenes", (long long)o.scenes);
  struct ptv3_error inner = {0};
  struct ptv3_check *c = pt_zalloc(pt_ctx_mem(ctx), 1, sizeof *c, PT_MEM_OTHER, &inner);
  int st = inner.status;
  if (c) {
    c->ctx = ctx;
    st = check(c, config, &o, &inner);
  }
  if (st) {
    ptv3_check_free(c);
    if (err) *err = inner;
    return st;
  }
  *out = c;
  return PTV3_OK;
}

void ptv3_check_free(struct ptv3_check *c) {
  if (!c) return;
  struct pt_mem *mem = pt_ctx_mem(c->ctx);
  pt_free(mem, c->class_name);
  pt_free(mem, c->finding);
  pt_check_free(&c->found);
  pt_free(mem, c);
}

void ptv3_check_get_info(const struct ptv3_check *c, struct ptv3_check_info *info) {
  *info = (struct ptv3_check_info){.classes = c->found.classes,
                                   .class_name = c->class_name,
                                   .splits = c->splits,
                                   .split = c->split,
                                   .findings = c->found.findings,
                                   .errors = c->found.errors,
                                   .finding = c->finding};
}
