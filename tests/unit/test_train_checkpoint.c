/* test_train_checkpoint.c - checkpoints of a training: going on as if never stopped, files that
 * do not fit, damaged and hostile files, running out of memory. Files of PyTorch:
 * tests/reference. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pth_write.h"
#include "unit/training_made.h"

#define STEPS 9
#define ADAMW "o = dict(type='AdamW', lr=0.02, weight_decay=0.05)\n"
#define AMSGRAD "o = dict(type='AdamW', lr=0.02, amsgrad=True)\n"
#define SGD "o = dict(type='SGD', lr=0.1, momentum=0.9, dampening=0.1)\n"
#define BLOCK "d = [dict(keyword='block', lr=0.002)]\n"
#define CYCLE "s = dict(type='OneCycleLR', max_lr=[0.02, 0.002], three_phase=True)\n"
#define MULTI "s = dict(type='MultiStepLR', milestones=[0.3, 0.3, 0.8])\n"
#define COSINE "s = dict(type='CosineAnnealingLR', eta_min=1e-4)\n"
#define POLY "s = dict(type='PolyLR')\n"

static char warned[600], path[64];
static int warnings;

static void keep_warning(void *user, const char *message) {
  (void)user;
  warnings++;
  snprintf(warned, sizeof warned, "%s", message);
}

static int begin_total(struct trial *t, const char *text, int64_t total,
                       struct ptv3_error *err) {
  return made_training(t, text, total, 0, keep_warning, err);
}

static void begin(struct trial *t, const char *text) {
  struct ptv3_error err;
  if (begin_total(t, text, STEPS, &err)) fail_msg("%s", err.message);
}

static void end(struct trial *t) {
  pt_optim_free(&t->o);
  pt_config_free(&t->config);
  assert_int_equal(t->env.mem.used, 0);
}

static void train(struct trial *t, int64_t to) {
  for (; t->c.step < to; t->c.step++) {
    for (int i = 0; i < 6; i++) t->grad[i] = (float)sin((double)(7 * t->c.step + i));
    assert_int_equal(pt_schedule_apply(&t->s, t->c.step, &t->o, NULL), 0);
    pt_optim_step(&t->o, 1);
    t->batches++;
  }
}

static const struct pt_checkpoint_note some_notes[] = {
    {"iteration", NULL, 12}, {"seed", NULL, INT64_MIN}, {"precision", "bf16", 0}};

static void save(struct trial *t) {
  struct ptv3_error err;
  if (pt_checkpoint_write(&t->c, some_notes, 3, &t->env, path, &err))
    fail_msg("%s", err.message);
}

/* Stopping after `stop` steps and going on gives the same bits. */
static void stop_and_go_on(const char *text, int64_t stop) {
  struct trial whole, first, second;
  struct ptv3_error err;
  struct pt_notes notes;
  char buf[100];
  begin(&whole, text);
  train(&whole, STEPS);
  begin(&first, text);
  train(&first, stop);
  first.c.epoch = 3;
  first.c.best = 0.625;
  save(&first);
  end(&first);
  begin(&second, text);
  warnings = 0;
  if (pt_checkpoint_read(&second.c, &notes, &second.env, path, &err))
    fail_msg("%s", err.message);
  assert_int_equal(warnings, 0);
  assert_int_equal(second.c.step, stop);
  assert_int_equal(second.c.epoch, 3);
  assert_true(second.c.best == 0.625);
  assert_int_equal(pt_notes_number(&notes, "iteration", 0), 12);
  assert_true(pt_notes_number(&notes, "seed", 0) == INT64_MIN);
  assert_int_equal(pt_notes_number(&notes, "precision", 5), 5);
  assert_int_equal(pt_notes_number(&notes, "none", 5), 5);
  assert_string_equal(pt_notes_text(&notes, "precision", buf, "fp32"), "bf16");
  assert_string_equal(pt_notes_text(&notes, "seed", buf, "none"), "none");
  pt_notes_free(&notes);
  train(&second, STEPS);
  assert_memory_equal(whole.a, second.a, sizeof whole.a);
  assert_memory_equal(whole.b, second.b, sizeof whole.b);
  assert_memory_equal(whole.w, second.w, sizeof whole.w);
  assert_int_equal(whole.batches, second.batches);
  end(&whole);
  end(&second);
}

static void as_if_never_stopped(void **state) {
  (void)state;
  static const char *const text[] = {ADAMW BLOCK CYCLE,
                                     AMSGRAD BLOCK COSINE,
                                     SGD BLOCK CYCLE,
                                     SGD BLOCK MULTI,
                                     ADAMW POLY,
                                     ADAMW BLOCK,
                                     "o = dict(type='SGD', lr=0.1)\n"};
  for (size_t k = 0; k < sizeof text / sizeof *text; k++)
    for (int64_t stop = 0; stop <= STEPS; stop += 3) stop_and_go_on(text[k], stop);
  unlink(path);
}

/* ---- what does not fit ---- */

static void refuse(struct trial *t, int status, const char *words) {
  struct ptv3_error err = {0};
  float before = t->b[1];
  int64_t step = t->c.step;
  int got = pt_checkpoint_read(&t->c, NULL, &t->env, path, &err);
  if (got != status || !strstr(err.message, words))
    fail_msg("status %d, not %d: '%s' lacks '%s'", got, status, err.message, words);
  assert_true(t->b[1] == before);
  assert_int_equal(t->c.step, step);
  end(t);
}

static void what_does_not_fit(void **state) {
  (void)state;
  struct trial t;
  struct ptv3_error err;
  begin(&t, ADAMW BLOCK CYCLE);
  train(&t, 4);
  save(&t);
  end(&t);
  begin(&t, ADAMW "s = dict(type='OneCycleLR', max_lr=0.02)\n");
  refuse(&t, PTV3_MISMATCH, "does not have 1 parameter groups");
  begin(&t, ADAMW "d = [dict(keyword='block'), dict(keyword='head')]\n");
  refuse(&t, PTV3_MISMATCH, "does not have 3 parameter groups");
  begin(&t, ADAMW "d = [dict(keyword='head')]\n");
  refuse(&t, PTV3_MISMATCH, "does not have 2 parameters");
  begin(&t, SGD BLOCK CYCLE);
  refuse(&t, PTV3_MISMATCH, "not that of SGD");
  begin(&t, AMSGRAD BLOCK CYCLE);
  refuse(&t, PTV3_MISMATCH, "amsgrad=False");
  begin(&t, ADAMW BLOCK COSINE);
  refuse(&t, PTV3_MISMATCH, "not a CosineAnnealingLR");
  begin(&t, ADAMW BLOCK MULTI);
  refuse(&t, PTV3_MISMATCH, "not a MultiStepLR");
  begin(&t, ADAMW BLOCK CYCLE);
  t.tensor[1].shape[0] = 4;
  refuse(&t, PTV3_MISMATCH, "head.bias is [3], the configured network has [4]");
  begin(&t, ADAMW BLOCK CYCLE);
  t.tensor[1].name = "head.weight";
  refuse(&t, PTV3_MISMATCH, "has no 'head.weight'");
  /* other numbers: the file's count, and a warning says so */
  warnings = 0;
  assert_int_equal(begin_total(&t, "o = dict(type='AdamW', weight_decay=0.5)\n" BLOCK CYCLE,
                               2 * STEPS, &err),
                   0);
  assert_int_equal(pt_checkpoint_read(&t.c, NULL, &t.env, path, &err), 0);
  assert_int_equal(warnings, 1);
  assert_non_null(strstr(warned, "keeps the numbers of its checkpoint"));
  assert_true(t.o.group[0].weight_decay == 0.05);
  assert_int_equal(t.s.total, STEPS);
  end(&t);
  unlink(path);
}

static void weights_alone(void **state) {
  (void)state;
  struct trial t;
  struct pt_tensors set;
  begin(&t, ADAMW BLOCK CYCLE);
  pt_tensors_init(&set, &t.env.mem);
  for (int i = 0; i < 4; i++)
    assert_int_equal(pt_tensors_add(&set, t.tensor[i].name, t.tensor[i].type, t.tensor[i].ndim,
                                    t.tensor[i].shape, t.tensor[i].data, NULL),
                     0);
  assert_int_equal(pt_tensors_write_pth(&set, path, NULL, NULL), 0);
  pt_tensors_free(&set);
  refuse(&t, PTV3_DATA, "cannot be resumed from weights alone");
  unlink(path);
  begin(&t, ADAMW BLOCK CYCLE);
  refuse(&t, PTV3_IO, path);
}

/* ---- hostile files: a checkpoint with one number changed ---- */

static void put(struct pt_pickler *pk, const char *key, const char *change, const char *value,
                double usual) {
  pt_pk_str(pk, key);
  if (strcmp(key, change) != 0)
    pt_pk_float(pk, usual);
  else if (strcmp(value, "None") == 0)
    pt_pk_none(pk);
  else
    pt_pk_float(pk, strtod(value, NULL));
}

static void put_tensor(struct pt_pth_out *o, const char *key,
                       const struct pt_checkpoint_tensor *x, const char *change) {
  struct pt_tensor t = {.name = x->name, .type = x->type, .ndim = x->ndim, .data = x->data};
  if (strcmp(change, key) == 0) return;
  memcpy(t.shape, x->shape, sizeof t.shape);
  pt_tensor_pack(&t);
  pt_pk_str(&o->pk, key);
  pt_pth_tensor(o, &t, t.type);
}

static void open_dict(struct pt_pickler *pk, const char *key) {
  if (key) pt_pk_str(pk, key);
  pt_pk_dict(pk);
  pt_pk_mark(pk);
}

static void write_state(struct pt_pth_out *o, struct trial *t, const char *change,
                        const char *value) {
  static const int order[] = {0, 1, 3};
  struct pt_pickler *pk = &o->pk;
  open_dict(pk, "state");
  for (int i = 0; i < 3; i++) {
    pt_pk_int(pk, i);
    open_dict(pk, NULL);
    put(pk, "step", change, value, 1);
    put_tensor(o, "exp_avg", &t->tensor[order[i]], change);
    put_tensor(o, "exp_avg_sq", &t->tensor[order[i]], change);
    pt_pk_setitems(pk);
  }
  pt_pk_setitems(pk);
}

static void write_changed(struct trial *t, const char *change, const char *value) {
  static const char *const none[] = {"lr", "weight_decay", "eps"};
  struct pt_pth_out o;
  struct ptv3_error err;
  struct pt_pickler *pk = &o.pk;
  pt_pth_begin(&o, &t->env.mem);
  open_dict(pk, NULL);
  put(pk, "epoch", change, value, 1);
  open_dict(pk, "state_dict");
  for (int i = 0; i < 4; i++) put_tensor(&o, t->tensor[i].name, &t->tensor[i], change);
  pt_pk_setitems(pk);
  open_dict(pk, "optimizer");
  write_state(&o, t, change, value);
  pt_pk_str(pk, "param_groups");
  pt_pk_list(pk), pt_pk_mark(pk);
  open_dict(pk, NULL);
  for (int k = 0; k < 3; k++) put(pk, none[k], change, value, 0.01);
  pt_pk_str(pk, "betas");
  pt_pk_mark(pk), pt_pk_float(pk, 0.9);
  pt_pk_float(pk, strcmp(change, "beta") == 0 ? strtod(value, NULL) : 0.99), pt_pk_tuple(pk);
  pt_pk_str(pk, "params");
  pt_pk_list(pk), pt_pk_mark(pk);
  for (int i = 0; i < 3; i++) pt_pk_int(pk, strcmp(change, "params") == 0 ? INT64_MAX - i : i);
  pt_pk_appends(pk);
  pt_pk_setitems(pk);
  pt_pk_appends(pk);
  pt_pk_setitems(pk);
  open_dict(pk, "scheduler");
  put(pk, "T_max", change, value, STEPS);
  put(pk, "eta_min", change, value, 0);
  put(pk, "last_epoch", change, value, 1);
  pt_pk_setitems(pk);
  pt_pk_setitems(pk);
  if (pt_pth_commit(&o, path, &err)) fail_msg("%s", err.message);
}

static void hostile_numbers(void **state) {
  (void)state;
  static const struct {
    const char *key, *value;
    int status;
    const char *words;
  } cases[] = {
      {"", "", 0, ""},
      {"epoch", "-1", PTV3_DATA, "'epoch'"},
      {"epoch", "nan", PTV3_DATA, "'epoch'"},
      {"lr", "nan", PTV3_FORMAT, "param_groups.0.lr"},
      {"lr", "None", PTV3_MISMATCH, "parameter groups"},
      {"weight_decay", "-1", PTV3_FORMAT, "weight_decay"},
      {"eps", "None", PTV3_MISMATCH, "eps"},
      {"beta", "1", PTV3_FORMAT, "betas.1"},
      {"step", "-1", PTV3_FORMAT, "enc.block0.weight"},
      {"step", "1.5", PTV3_FORMAT, "lacks one of step"},
      {"step", "1e300", PTV3_FORMAT, "lacks one of step"},
      {"exp_avg", "", PTV3_FORMAT, "exp_avg"},
      {"head.bias", "", PTV3_MISMATCH, "head.bias"},
      {"params", "", PTV3_MISMATCH, "parameters"},
      {"T_max", "0", PTV3_MISMATCH, "T_max"},
      {"T_max", "inf", PTV3_MISMATCH, "T_max"},
      {"eta_min", "inf", PTV3_MISMATCH, "eta_min"},
      {"last_epoch", "-5", PTV3_MISMATCH, "last_epoch"},
      {"last_epoch", "1e18", PTV3_MISMATCH, "last_epoch"},
  };
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    struct trial t;
    struct ptv3_error err = {0};
    begin(&t, ADAMW COSINE);
    write_changed(&t, cases[k].key, cases[k].value);
    int got = pt_checkpoint_read(&t.c, NULL, &t.env, path, &err);
    if (got != cases[k].status || !strstr(err.message, cases[k].words))
      fail_msg("%s=%s: status %d: '%s'", cases[k].key, cases[k].value, got, err.message);
    end(&t);
  }
  unlink(path);
}

/* ---- the state of a GradScaler ---- */

static void write_scaled(struct trial *t, struct pt_scaler s) {
  t->c.scaler = s;
  save(t);
}

/* With enable_amp it is written and handed on; files with None, or none, are taken as well. */
static void scaler(void **state) {
  (void)state;
  struct trial t;
  struct ptv3_error err = {0};
  struct pt_tensors part;
  struct pt_scaler s = pt_scaler_new();
  begin(&t, ADAMW COSINE);
  write_scaled(&t, s); /* not on: None */
  assert_int_equal(pt_tensors_open_part(&part, &t.env.mem, path, "scaler", &err), 0);
  assert_null(pt_tensors_extra(&part, "scale"));
  pt_tensors_free(&part);
  s.on = true;
  t.c.scaler = s;
  assert_int_equal(pt_checkpoint_read(&t.c, NULL, &t.env, path, &err), 0);
  assert_true(t.c.scaler.scale == 65536);
  write_scaled(&t, s);
  assert_int_equal(pt_tensors_open_part(&part, &t.env.mem, path, "scaler", &err), 0);
  assert_string_equal(pt_tensors_extra(&part, "scale"), "65536");
  assert_string_equal(pt_tensors_extra(&part, "growth_factor"), "2");
  assert_string_equal(pt_tensors_extra(&part, "backoff_factor"), "0.5");
  assert_string_equal(pt_tensors_extra(&part, "growth_interval"), "2000");
  assert_string_equal(pt_tensors_extra(&part, "_growth_tracker"), "0");
  pt_tensors_free(&part);
  s.scale = 1024, s.growth_tracker = 77;
  write_scaled(&t, s);
  t.c.scaler = pt_scaler_new();
  t.c.scaler.on = true;
  assert_int_equal(pt_checkpoint_read(&t.c, NULL, &t.env, path, &err), 0);
  assert_true(t.c.scaler.scale == 1024 && t.c.scaler.growth_tracker == 77);
  t.c.scaler = pt_scaler_new(); /* without enable_amp it is not looked at */
  assert_int_equal(pt_checkpoint_read(&t.c, NULL, &t.env, path, &err), 0);
  assert_true(t.c.scaler.scale == 65536 && !t.c.scaler.on);
  write_changed(&t, "", ""); /* no `scaler` in the file */
  t.c.scaler.on = true;
  assert_int_equal(pt_checkpoint_read(&t.c, NULL, &t.env, path, &err), 0);
  assert_true(t.c.scaler.scale == 65536);
  s.scale = -1;
  write_scaled(&t, s);
  assert_int_equal(pt_checkpoint_read(&t.c, NULL, &t.env, path, &err), PTV3_FORMAT);
  assert_non_null(strstr(err.message, "'scale'"));
  end(&t);
  unlink(path);
}

/* ---- damage and memory ---- */

static void write_bytes(const uint8_t *data, size_t n) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(data, 1, n, f), n);
  fclose(f);
}

static void every_damage(void **state) {
  (void)state;
  struct trial t;
  struct pt_map map;
  static uint8_t data[1 << 16];
  begin(&t, ADAMW BLOCK CYCLE);
  train(&t, 2);
  save(&t);
  assert_int_equal(pt_map_open(&map, path, NULL), 0);
  size_t size = (size_t)map.size;
  assert_true(size < sizeof data);
  memcpy(data, map.data, size);
  pt_map_close(&map);
  for (size_t n = 0; n < size; n += 5) {
    struct ptv3_error err = {0};
    write_bytes(data, n);
    assert_int_not_equal(pt_checkpoint_read(&t.c, NULL, &t.env, path, &err), 0);
    assert_true(err.message[0] != 0);
  }
  for (size_t n = 0; n < size; n += 11) {
    struct ptv3_error err = {0};
    struct pt_notes notes;
    data[n] ^= 0x41;
    write_bytes(data, size);
    if (pt_checkpoint_read(&t.c, &notes, &t.env, path, &err)) assert_true(err.message[0] != 0);
    pt_notes_free(&notes);
    data[n] ^= 0x41;
  }
  end(&t);
  unlink(path);
}

static void every_allocation_fails(void **state) {
  (void)state;
  struct trial t;
  struct ptv3_error err;
  struct pt_notes notes;
  int status = 1;
  begin(&t, ADAMW BLOCK CYCLE);
  train(&t, 2);
  int64_t used = t.env.mem.used;
  unlink(path);
  for (int64_t k = 1; status; k++) {
    t.env.mem.fail_at = t.env.mem.calls + k;
    status = pt_checkpoint_write(&t.c, some_notes, 3, &t.env, path, &err);
    assert_int_equal(t.env.mem.used, used);
    assert_int_equal(access(path, F_OK), status ? -1 : 0);
    if (status) assert_int_equal(status, err.status);
  }
  status = 1;
  for (int64_t k = 1; status; k++) {
    t.env.mem.fail_at = t.env.mem.calls + k;
    status = pt_checkpoint_read(&t.c, &notes, &t.env, path, &err);
    if (status) assert_int_equal(status, err.status);
    pt_notes_free(&notes);
    assert_int_equal(t.env.mem.used, used);
  }
  t.env.mem.fail_at = 0;
  end(&t);
  unlink(path);
}

static void copies(void **state) {
  (void)state;
  struct pt_mem mem;
  struct ptv3_error err;
  struct pt_map map;
  char other[80];
  pt_mem_init(&mem, 0);
  snprintf(other, sizeof other, "%s.best", path);
  write_bytes((const uint8_t *)"some bytes", 10);
  assert_int_equal(pt_checkpoint_copy(&mem, path, other, &err), 0);
  assert_int_equal(pt_map_open(&map, other, &err), 0);
  assert_int_equal(map.size, 10);
  assert_memory_equal(map.data, "some bytes", 10);
  pt_map_close(&map);
  unlink(other);
  unlink(path);
  assert_int_equal(pt_checkpoint_copy(&mem, path, other, &err), PTV3_IO);
  assert_int_equal(mem.used, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(as_if_never_stopped),
      cmocka_unit_test(what_does_not_fit),
      cmocka_unit_test(weights_alone),
      cmocka_unit_test(hostile_numbers),
      cmocka_unit_test(scaler),
      cmocka_unit_test(every_damage),
      cmocka_unit_test(every_allocation_fails),
      cmocka_unit_test(copies),
  };
  snprintf(path, sizeof path, "/tmp/ptv3-train-%d.pth", (int)getpid());
  return cmocka_run_group_tests(tests, NULL, NULL);
}
