/* test_train_log.c - the files of a training: lines in Pointcept's words, tables and events
 * that go on after a stop without a row twice, the report, damaged tables, running out of
 * memory. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "train_log.h"

#define EPOCHS 4
#define BATCHES 5

static char folder[64], lines[20000];
static const char *const names[] = {"floor", "a <b> & \"c\", d"};

static void keep_line(void *user, const char *text) {
  (void)user;
  size_t n = strlen(lines);
  snprintf(lines + n, sizeof lines - n, "%s\n", text);
}

static struct pt_train_log_setup setup(void) {
  return (struct pt_train_log_setup){.folder = folder,
                                     .title = "rooms <1>",
                                     .epochs = EPOCHS,
                                     .batches = BATCHES,
                                     .budget = 1 << 30,
                                     .classes = 2,
                                     .name = names,
                                     .part = {"CrossEntropyLoss", "LovaszLoss"},
                                     .class_events = true,
                                     .warmup = 1,
                                     .report_seconds = 1e9,
                                     .line = keep_line};
}

static void empty_folder(void) {
  char path[400];
  DIR *d = opendir(folder);
  for (struct dirent *e; d && (e = readdir(d));) {
    snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    unlink(path);
  }
  if (d) closedir(d);
}

static char *contents(const char *name, size_t *size) {
  char path[128];
  static char text[4][300000];
  static int turn;
  char *to = text[turn++ % 4];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  size_t n = fread(to, 1, sizeof text[0] - 1, f);
  fclose(f);
  to[n] = 0;
  if (size) *size = n;
  return to;
}

static void append(const char *name, const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *f = fopen(path, "ab");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

static int evaluate(struct pt_train_log *log, int64_t epoch, struct ptv3_error *err) {
  struct pt_metrics m;
  const int32_t target[] = {0, 0, 0, 1, 1}, pred[] = {0, 0, 1, 1, epoch > 1 ? 1 : 0};
  int status = pt_metrics_init(&m, &log->env->mem, 2, -1, err);
  if (status) return status;
  pt_metrics_add(&m, pred, target, 5);
  status = pt_train_log_val_begin(log, err);
  if (!status) status = pt_train_log_val_scene(log, 0, 3, 1.25, err);
  if (!status) status = pt_train_log_val_end(log, epoch, &m, 0.5, err);
  pt_metrics_free(&m);
  if (!status) status = pt_train_log_best(log, "mIoU", 0.5, 0.25, err);
  return status;
}

/* Steps from..to of a training, counted over all epochs. */
static int train(struct pt_env *env, int64_t from, int64_t to, struct ptv3_error *err) {
  struct pt_train_log_setup u = setup();
  struct pt_train_log log;
  u.resume = from > 0;
  u.epoch = from / BATCHES;
  u.batch = from % BATCHES;
  int status = pt_train_log_open(&log, env, &u, err);
  if (status) return status;
  for (int64_t i = from; i < to && !status; i++) {
    struct pt_train_step s = {.epoch = i / BATCHES,
                              .batch = i % BATCHES,
                              .loss = 3.0 / (double)(i + 1),
                              .part = {1, i == 7 ? -NAN : 0.1},
                              .lr = 0.001,
                              .grad_norm = i == 0 ? 1000 : 1 + (double)i,
                              .data_seconds = 0.003,
                              .seconds = 0.5,
                              .memory = 1000000 * (i + 1)};
    status = pt_train_log_step(&log, &s, err);
    if (!status && s.batch == BATCHES - 1) status = pt_train_log_epoch(&log, s.epoch, err);
    if (!status && s.batch == BATCHES - 1) status = evaluate(&log, s.epoch, err);
  }
  pt_train_log_close(&log, to == EPOCHS * BATCHES);
  return status;
}

static void run(int64_t from, int64_t to) {
  struct pt_env env;
  struct ptv3_error err;
  pt_env_init(&env, 1, 0);
  if (train(&env, from, to, &err)) fail_msg("%s", err.message);
  assert_int_equal(env.mem.used, 0);
}

static void has(const char *text, const char *words) {
  if (!strstr(text, words)) fail_msg("'%s' is not in: %s", words, text);
}

static int occurs(const char *text, const char *words) {
  int n = 0;
  for (; (text = strstr(text, words)); text++) n++;
  return n;
}

/* ---- what is written ---- */

static void words_of_pointcept(void **state) {
  (void)state;
  lines[0] = 0;
  empty_folder();
  run(0, 2 * BATCHES);
  has(lines,
      "Train: [1/4][1/5] Data 0.003 (0.003) Batch 0.500 (0.500) Remain 00:00:09 "
      "loss: 3.0000 Lr: 0.00100\n");
  has(lines, "Train: [2/4][5/5] Data 0.003 (0.003) Batch 0.500 (0.500) Remain 00:00:05 ");
  has(lines, "Train result: loss: 1.3700 \n");
  has(lines,
      ">>>>>>>>>>>>>>>> Start Evaluation >>>>>>>>>>>>>>>>\nTest: [1/3] Loss 1.2500 \n"
      "Val result: mIoU/mAcc/allAcc 0.4167/0.5833/0.6000.\n"
      "Class_0-floor Result: iou/accuracy 0.5000/0.6667\n");
  has(lines,
      "<<<<<<<<<<<<<<<<< End Evaluation <<<<<<<<<<<<<<<<<\n"
      "Best validation mIoU updated to: 0.5000\nCurrently Best mIoU: 0.5000\n");
  char *text = contents("train.log", NULL);
  assert_int_equal(occurs(text, " INFO ptv3] Train: ["), 10);
  has(contents("train.csv", NULL),
      "iteration,epoch,batch,loss,CrossEntropyLoss,LovaszLoss,lr,grad_norm,data_seconds,"
      "seconds,"
      "memory_bytes\n1,1,1,3,1,0.1,0.001,1000,0.003,0.5,1000000\n2,1,2,1.5,");
  has(contents("val.csv", NULL),
      "epoch,iteration,loss,mIoU,mAcc,allAcc,mIoU_present,floor,"
      "\"a <b> & \"\"c\"\", d\"\n1,5,0.5,");
  assert_null(strstr(lines, "classes present")); /* all are */
  empty_folder();
}

/* It is read again and again, and neither stopped nor finished. */
static void report_while_running(void) {
  struct pt_env env;
  struct ptv3_error err;
  struct pt_train_log log;
  struct pt_train_log_setup u = setup();
  const struct pt_train_step s = {.seconds = 1};
  pt_env_init(&env, 1, 0);
  assert_int_equal(pt_train_log_open(&log, &env, &u, &err), 0);
  assert_int_equal(pt_train_log_step(&log, &s, &err), 0);
  assert_int_equal(pt_train_log_report(&log, &err), 0);
  char *text = contents("report.html", NULL);
  has(text, "http-equiv=\"refresh\"");
  has(text, "00:00:19 left");
  assert_null(strstr(text, "stopped"));
  assert_null(strstr(text, "finished"));
  pt_train_log_close(&log, false);
  empty_folder();
}

static void the_report(void **state) {
  (void)state;
  lines[0] = 0;
  empty_folder();
  report_while_running();
  run(0, BATCHES - 1);
  char *text = contents("report.html", NULL);
  has(text, "Epoch 1 of 4, batch 4 of 5 &middot; <b>stopped</b>, not finished;");
  assert_null(strstr(text, "refresh"));
  assert_null(strstr(text, " left"));
  has(text, "<h1>rooms &lt;1&gt;</h1>");
  has(text, "nothing yet"); /* the chart of validations */
  run(BATCHES - 1, EPOCHS * BATCHES);
  text = contents("report.html", NULL);
  assert_null(strstr(text, "refresh"));
  assert_null(strstr(text, "stopped"));
  has(text, "finished");
  has(text, "a &lt;b&gt; &amp; &quot;c&quot;, d");
  has(text, "budget 1.00 GiB");
  has(text, "best mIoU, epoch 3");
  assert_int_equal(occurs(text, "<svg viewBox=\"0 0 560"), 6);
  assert_int_equal(occurs(text, "<svg"), occurs(text, "</svg>"));
  assert_int_equal(occurs(text, "<script"), 0);
  assert_int_equal(occurs(text, "nan"), 0);
  empty_folder();
}

/* Where labels have one class of two, the mean over it stands beside the mean over both, in
 * every place, and is read back. */
static void classes_present(void **state) {
  (void)state;
  struct pt_env env;
  struct ptv3_error err;
  struct pt_train_log log;
  struct pt_train_log_setup u = setup();
  struct pt_metrics m;
  const int32_t target[] = {0, 0, 0, -1}, pred[] = {0, 0, 1, 1};
  const struct pt_train_step s = {.batch = BATCHES - 1, .seconds = 1};
  lines[0] = 0;
  empty_folder();
  pt_env_init(&env, 1, 0);
  assert_int_equal(pt_train_log_open(&log, &env, &u, &err), 0);
  assert_int_equal(pt_metrics_init(&m, &env.mem, 2, -1, &err), 0);
  pt_metrics_add(&m, pred, target, 4);
  assert_int_equal(pt_train_log_step(&log, &s, &err), 0);
  assert_int_equal(pt_train_log_val_end(&log, 0, &m, 0.5, &err), 0);
  pt_metrics_free(&m);
  pt_train_log_close(&log, false);
  has(lines,
      "mIoU/mAcc/allAcc 0.3333/0.3333/0.6667.\n"
      "Val result: mIoU 0.6667 over the 1 of 2 classes present.\n");
  has(contents("val.csv", NULL), "\n1,5,0.5,0.333333333,0.333333333,0.666666667,0.666666667,");
  has(contents("report.html", NULL), "<b>0.6667</b><span>over the classes present, epoch 1<");
  u.resume = true;
  u.epoch = 1;
  assert_int_equal(pt_train_log_open(&log, &env, &u, &err), 0);
  pt_train_log_close(&log, false);
  has(contents("report.html", NULL), "<b>0.6667</b><span>over the classes present, epoch 1<");
  assert_int_equal(env.mem.used, 0);
  empty_folder();
}

/* ---- going on ---- */

static void no_row_twice(void **state) {
  (void)state;
  size_t n, steps_n, vals_n;
  lines[0] = 0;
  empty_folder();
  run(0, EPOCHS * BATCHES);
  char *steps = contents("train.csv", &steps_n), *vals = contents("val.csv", &vals_n);
  char *kept_steps = malloc(steps_n), *kept_vals = malloc(vals_n);
  memcpy(kept_steps, steps, steps_n), memcpy(kept_vals, vals, vals_n);
  contents("events.out.tfevents.ptv3", &n);
  for (int64_t stop = 1; stop < EPOCHS * BATCHES; stop += 3) {
    /* killed three steps behind the checkpoint, in the middle of a row */
    empty_folder();
    run(0, stop + 3 < EPOCHS * BATCHES ? stop + 3 : EPOCHS * BATCHES);
    append("train.csv", "21,5,1,0.1");
    append("val.csv", "1,");
    append("events.out.tfevents.ptv3", "xyz");
    lines[0] = 0;
    run(stop, EPOCHS * BATCHES);
    size_t now;
    assert_memory_equal(contents("train.csv", &now), kept_steps, steps_n);
    assert_int_equal(now, steps_n);
    assert_memory_equal(contents("val.csv", &now), kept_vals, vals_n);
    assert_int_equal(now, vals_n);
    contents("events.out.tfevents.ptv3", &now);
    assert_int_equal(now, n);
    has(lines, "Resuming train at epoch: ");
    /* the mean of the epoch is of all its steps */
    if (stop < BATCHES) has(lines, "Train result: loss: 1.3700 \n");
  }
  free(kept_steps);
  free(kept_vals);
  empty_folder();
}

static void other_files(void **state) {
  (void)state;
  struct pt_env env;
  struct ptv3_error err = {0};
  pt_env_init(&env, 1, 0);
  empty_folder();
  append("train.csv", "iteration,loss\n1,2\n");
  assert_int_equal(train(&env, 5, 6, &err), PTV3_DATA);
  has(err.message, "other columns");
  empty_folder();
  run(0, 5);
  append("train.csv",
         "1e300,1,1,1,1,1,1,1,1,1,1\nnan,1,1,1,1,1,1,1,1,1,1\n\n,,,\nabc\n"
         "-9e15,1,1,1,1,1,1,1,1,1,1\n4,1,4,1,1,1,1,1,1,1,1e300\n");
  append("val.csv", "1,1,1,1,1,1,1,nan,inf\n0,1e9,1,1,1,1,1,1,1\n");
  append("events.out.tfevents.ptv3", "damaged");
  lines[0] = 0;
  run(5, 7);
  has(contents("train.csv", NULL), "\n6,2,1,0.5,");
  empty_folder();
  run(5, 7); /* nothing there: begun anew */
  has(contents("train.csv", NULL), "memory_bytes\n6,2,1,0.5,");
  empty_folder();
  assert_int_equal(env.mem.used, 0);
}

static void mishaps(void **state) {
  (void)state;
  struct pt_env env;
  struct ptv3_error err = {0};
  struct pt_train_log log;
  struct pt_train_log_setup u = setup();
  pt_env_init(&env, 1, 0);
  u.folder = "/no/such/folder";
  assert_int_equal(pt_train_log_open(&log, &env, &u, &err), PTV3_IO);
  has(err.message, "/no/such/folder");
  pt_train_log_close(&log, true);
  u = setup();
  u.batches = -1;
  assert_int_equal(pt_train_log_open(&log, &env, &u, &err), PTV3_INVALID);
  u = setup();
  u.classes = 100000;
  assert_int_equal(pt_train_log_open(&log, &env, &u, &err), PTV3_UNSUPPORTED);
  u = setup();
  struct pt_metrics m;
  assert_int_equal(pt_train_log_open(&log, &env, &u, &err), 0);
  assert_int_equal(pt_metrics_init(&m, &env.mem, 3, -1, &err), 0);
  assert_int_equal(pt_train_log_val_end(&log, 0, &m, 0, &err), PTV3_INVALID);
  pt_metrics_free(&m);
  pt_train_log_close(&log, true);
  assert_int_equal(env.mem.used, 0);
  empty_folder();
}

static void every_allocation_fails(void **state) {
  (void)state;
  empty_folder();
  run(0, 12);
  int status = 1;
  for (int64_t k = 1; status; k++) {
    struct pt_env env;
    struct ptv3_error err = {0};
    pt_env_init(&env, 1, 0);
    env.mem.fail_at = k;
    status = train(&env, 10, 15, &err);
    if (status) assert_int_equal(status, err.status);
    assert_int_equal(env.mem.used, 0);
    assert_true(k < 1000);
  }
  empty_folder();
}

/* Runs of values are merged, and keep what a chart shows of them. */
static void a_long_series(void **state) {
  (void)state;
  static struct pt_series s;
  int64_t n = 100 * PT_SERIES;
  for (int64_t i = 0; i < n; i++) pt_series_add(&s, (double)i, i == 777 ? 1e6 : (double)i);
  pt_series_add(&s, (double)n, NAN);
  assert_true(s.n <= PT_SERIES && s.n > PT_SERIES / 2 && s.per == 128);
  double sum = 0, top = 0;
  for (int64_t i = 0; i < s.n; i++) {
    sum += s.x[i] * (double)(i + 1 < s.n ? s.per : s.last);
    top = fmax(top, s.hi[i]);
    assert_true(s.lo[i] <= s.mean[i] && s.mean[i] <= s.hi[i]);
  }
  assert_true(fabs(sum / ((double)n * (double)(n - 1) / 2) - 1) < 1e-9);
  assert_true(top == 1e6);
}

/* The memory of a log is the same after many steps and evaluations as after a few. */
static void a_long_training(void **state) {
  (void)state;
  struct pt_env env;
  struct ptv3_error err = {0};
  struct pt_train_log log;
  struct pt_train_log_setup u = setup();
  int64_t used[2] = {0, 0};
  u.line = NULL;
  pt_env_init(&env, 1, 0);
  empty_folder();
  assert_int_equal(pt_train_log_open(&log, &env, &u, &err), 0);
  for (int64_t i = 0; i < 1000000; i++) { /* the report's part of a step and an evaluation */
    const struct pt_train_step s = {.epoch = i / BATCHES, .batch = i % BATCHES, .loss = 1};
    const double iou[] = {(double)(i % 7), i == 5000 ? 0.75 : 0.5};
    const struct pt_val_row r = {i, i, 1, i == 3000 ? 0.9 : 0.1, 0.5, 0.5, 0.5};
    pt_log_take_step(&log, &s);
    pt_log_take_val(&log, &r, iou);
    if (i == 10) used[0] = env.mem.used;
  }
  used[1] = env.mem.used;
  assert_int_equal(used[0], used[1]);
  assert_int_equal(log.best.epoch, 3000);
  assert_true(log.iou[PT_LOG_IOU_TOP * 2 + 1] == 0.75);
  assert_true(log.iou[PT_LOG_IOU_BEST * 2 + 0] == (double)(3000 % 7));
  assert_int_equal(pt_train_log_report(&log, &err), 0);
  size_t n;
  contents("report.html", &n);
  assert_true(n < 200000);
  pt_train_log_close(&log, true);
  assert_int_equal(env.mem.used, 0);
  empty_folder();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(words_of_pointcept),
      cmocka_unit_test(the_report),
      cmocka_unit_test(classes_present),
      cmocka_unit_test(no_row_twice),
      cmocka_unit_test(other_files),
      cmocka_unit_test(mishaps),
      cmocka_unit_test(every_allocation_fails),
      cmocka_unit_test(a_long_series),
      cmocka_unit_test(a_long_training),
  };
  snprintf(folder, sizeof folder, "/tmp/ptv3-log-XXXXXX");
  if (!mkdtemp(folder)) return 2;
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  empty_folder();
  rmdir(folder);
  return failed;
}
