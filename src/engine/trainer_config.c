/* trainer_config.c - config.py in the folder of a training: the configuration as it was
 * trained, bases and changes resolved, what was given beside it at the end. */
#include <stdio.h>

#include "file.h"
#include "trainer_int.h"

static void put_text(struct pt_out *out, const char *key, const char *text) {
  if (!text) return;
  pt_writef(out, "%s = ", key);
  pt_python_string(out, text);
  pt_writef(out, "\n");
}

/* What was given in place of the configuration's. */
static void put_given(struct trainer *t, struct pt_out *out) {
  const struct pt_train_options *o = t->o;
  put_text(out, "save_path", o->save_path);
  put_text(out, "weight", o->weight);
  put_text(out, "data[\"train\"][\"data_root\"]", o->data_root);
  if (t->c.evaluate) put_text(out, "data[\"val\"][\"data_root\"]", o->data_root);
  if (o->seed >= 0) pt_writef(out, "seed = %lld\n", (long long)o->seed);
}

int pt_trainer_keep_config(struct trainer *t, struct ptv3_error *err) {
  char path[4200];
  struct pt_out out;
  if (snprintf(path, sizeof path, "%s/config.py", t->path) >= (int)sizeof path)
    return pt_fail(err, PTV3_INVALID, "'%s': the path is too long", t->path);
  if (t->resumed && pt_is_file(path)) return PTV3_OK; /* what it was begun with */
  int status = pt_out_open(&out, &t->env->mem, path, err);
  if (status) return status;
  status = pt_value_python(&out, t->root, err);
  put_given(t, &out);
  if (!status) return pt_out_commit(&out, err);
  pt_out_abort(&out);
  return status;
}
