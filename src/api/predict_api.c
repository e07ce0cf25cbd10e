/* predict_api.c - the public call that classifies a cloud. */
#include <string.h>

#include "cloud_api.h"
#include "model_api.h"
#include "predict.h"

int pt_api_check_needs(const struct ptv3_model *m, const struct ptv3_cloud *cloud,
                       struct ptv3_error *err) {
  for (int i = 0; i < m->needs; i++)
    if (!pt_cloud_find(&cloud->points, m->need[i]))
      return pt_fail(err, PTV3_DATA,
                     "the cloud has no '%s', which the model's features need (%s)", m->need[i],
                     m->needs_text);
  return PTV3_OK;
}

/* The answers stand in the first n_origin rows; moves them to the rows of the input and
 * fills the others. Rows ascend, so that going backwards nothing is overwritten early. */
static void spread(const struct pt_cloud *c, int classes, struct pt_predicted *out) {
  if (!c->source) return;
  int64_t j = c->n_origin - 1;
  for (int64_t row = c->n_input - 1; row >= 0; row--) {
    bool there = j >= 0 && c->source[j] == row;
    out->label[row] = there ? out->label[j] : PTV3_IGNORE;
    if (out->confidence) out->confidence[row] = there ? out->confidence[j] : 0;
    if (out->probability) {
      float *to = out->probability + row * classes;
      if (there)
        memmove(to, out->probability + j * classes, (size_t)classes * sizeof *to);
      else
        memset(to, 0, (size_t)classes * sizeof *to);
    }
    j -= there;
  }
}

int ptv3_predict(struct ptv3_model *model, const struct ptv3_cloud *cloud,
                 const struct ptv3_predict_options *options, int32_t *label, float *confidence,
                 float *probability, struct ptv3_error *err) {
  if (!model || !cloud || !label)
    return pt_api_null("ptv3_predict", !model ? "model" : !cloud ? "cloud" : "label", err);
  if (!model->net.w.data) return pt_fail(err, PTV3_INVALID, "the model has no weights");
  struct ptv3_error inner = {0};
  struct ptv3_predict_options o = options ? *options : (struct ptv3_predict_options){0};
  struct pt_predict how = {.pipeline = &model->pipeline,
                           .grid_size = pt_pipeline_grid_size(&model->pipeline),
                           .seed = o.seed,
                           .shuffle_orders = o.shuffle_orders,
                           .shuffle_seed = o.shuffle_seed,
                           .compat = &model->compat};
  struct pt_predicted out = {0, label, confidence, probability};
  struct pt_cloud work = {0}; /* the transforms work in place: what they change is copied */
  int status = pt_api_check_needs(model, cloud, &inner);
  pt_cloud_borrow(&work, &cloud->points);
  if (!status)
    status = pt_predict_cloud(&model->ctx->env, &model->net, &work, &how, &out, &inner);
  pt_cloud_free(&work);
  if (!status) spread(&cloud->points, model->net.cfg.classes, &out);
  if (status && err) *err = inner;
  return status;
}
