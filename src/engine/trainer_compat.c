/* trainer_compat.c - which network is trained: Pointcept's of today, or v1.5.1's. Names and
 * shapes of the weights are the same (model/compat.h), so that it is settled when a training
 * begins and noted in its checkpoints: one that is resumed stays what it was begun as. */
#include <string.h>

#include "compat.h"
#include "trainer_int.h"

static const char OLD[] = "1.5.1";

const char *pt_trainer_compat_text(const struct trainer *t) {
  return t->c.cfg.compat_151 ? OLD : "current";
}

int pt_trainer_take_compat(struct trainer *t, const char *noted, const char *path,
                           struct ptv3_error *err) {
  if (!noted) return PTV3_OK; /* another program's checkpoint */
  const bool old = strcmp(noted, OLD) == 0;
  if (t->o->compat_151 && !old)
    return pt_fail(err, PTV3_MISMATCH,
                   "'%s' was begun as Pointcept's network of today and cannot go on as that of "
                   "1.5.1: resume without compat, or begin anew with it as `weight`",
                   path);
  t->c.cfg.compat_151 = old;
  t->compat_noted = true;
  if (old && !t->o->compat_151)
    pt_info(t->env, "goes on as Pointcept 1.5.1's network, as which it was begun");
  return PTV3_OK;
}

/* Asks the first cloud of the first batch, which is read for that and given back. */
static int ask(struct trainer *t, struct ptv3_error *err) {
  struct pt_model m = {.cfg = t->c.cfg, .kernels = t->kernels};
  struct pt_compat_ask a = {.choose = t->o->compat_choose};
  struct pt_train_batch *b = NULL;
  int status = pt_loader_start(t->loader, 0, 0, err);
  if (!status) status = pt_loader_next(t->loader, &b, err);
  if (!status) status = pt_weights_build(t->env, &m.cfg, pt_trainer_fetch, &t->w, &m.w, err);
  if (!status) {
    const struct pt_batch batch = {b->n, b->grid_coord, b->feat, b->clouds, b->offset};
    status = pt_ask_compat(t->env, &m, &batch, &a, err);
  }
  pt_weights_free(t->env, &m.w);
  pt_loader_release(t->loader);
  pt_loader_yield(t->loader);
  if (!status) t->c.cfg.compat_151 = m.cfg.compat_151;
  return status;
}

int pt_trainer_choose_compat(struct trainer *t, struct ptv3_error *err) {
  const bool trained = t->o->weight || t->c.weight || t->resumed;
  struct ptv3_error e = {0};
  if (t->compat_noted) return PTV3_OK;
  t->c.cfg.compat_151 = t->o->compat_151;
  if (t->o->compat_151 || !trained || !pt_compat_matters(&t->c.cfg)) return PTV3_OK;
  const int status = ask(t, &e);
  if (!status) return PTV3_OK;
  if (pt_lacks_memory(status) && !t->o->compat_choose)
    return PTV3_OK; /* a warning is not worth failing for */
  *err = e;
  return status;
}
