/* cmd_train.c - ptv3 train: train a model as its configuration says. */
#include <math.h>

#include "commands.h"
#include "model.h"
#include "ptv3_train.h"
#include "session.h"

struct request {
  struct common common;
  struct arg_list options, allow_missing;
  const char *weight, *data_root, *save_path;
  int64_t seed, readers, save_every, stop_after;
  bool resume;
  int compat;    /* enum ptv3_compat */
  int precision; /* enum ptv3_train_precision */
  int on_nan;    /* 0 stop, 1 skip */
};

static void report(const struct ptv3_train_summary *v) {
  char time[24];
  printf("%lld steps, %lld epochs done, %s", (long long)v->steps, (long long)v->epochs,
         term_time(v->seconds, time));
  if (!isnan(v->loss)) printf(", loss %.4g", v->loss);
  if (v->skipped) printf(", %lld batches left out", (long long)v->skipped);
  if (!isnan(v->best) && v->best_epoch > 0)
    printf("; best mIoU %.4f after epoch %lld", v->best, (long long)v->best_epoch);
  else if (!isnan(v->best)) /* a checkpoint of another program does not say when */
    printf("; best mIoU %.4f, of the checkpoint it went on from", v->best);
  printf("\n");
}

static int run(struct session *s, void *request, const struct arg_list *words) {
  const struct request *q = request;
  struct ptv3_config *config;
  if (ptv3_config_load(s->ctx, words->item[0], q->options.item, q->options.count, &config,
                       &s->err))
    return session_fail(s);
  const struct ptv3_train_options o = {.data_root = q->data_root,
                                       .save_path = q->save_path,
                                       .weight = q->weight,
                                       .resume = q->resume,
                                       .allow_missing = q->allow_missing.item,
                                       .allow_missing_count = q->allow_missing.count,
                                       .compat = (enum ptv3_compat)q->compat,
                                       .precision = (enum ptv3_train_precision)q->precision,
                                       .has_seed = q->seed >= 0,
                                       .seed = q->seed >= 0 ? q->seed : 0,
                                       .skip_nan = q->on_nan == 1,
                                       .readers = q->readers == 0  ? -1
                                                  : q->readers > 0 ? (int)q->readers
                                                                   : 0,
                                       .save_every = q->save_every,
                                       .stop_after = q->stop_after};
  struct ptv3_train_summary v;
  int status = ptv3_train(s->ctx, config, &o, &v, &s->err);
  progress_clear(&s->progress);
  int code = !status ? EXIT_FINE : v.unwritten ? session_fail_write(s) : session_fail(s);
  if (!status || v.steps > 0) report(&v);
  if (status && v.saved) session_note(s, "saved; go on with --resume");
  ptv3_config_free(config);
  return code;
}

int cmd_train(int argc, char **argv) {
  static const char *const precision[] = {"config", "fp32", "bf16", NULL};
  static const char *const on_nan[] = {"stop", "skip", NULL};
  struct request q = {.seed = -1, .readers = -1};
  const struct arg table[] = {
      {"save-path", 0, ARG_TEXT, &q.save_path, "FOLDER", "where checkpoints and logs go", NULL,
       0},
      {"data-root", 0, ARG_TEXT, &q.data_root, "FOLDER",
       "the data set (data.train.data_root, data.val.data_root)", NULL, 0},
      {"weight", 'w', ARG_TEXT, &q.weight, "FILE",
       "weights to start from, .pth or .safetensors", NULL, 0},
      {"allow-missing", 0, ARG_LIST, &q.allow_missing, "PATTERN",
       "weights that may be absent or of another shape,\ne.g. 'seg_head.*' for other classes",
       NULL, 0},
      {"compat", 0, ARG_CHOICE, &q.compat, "VERSION",
       "current, 1.5.1 for weights of Pointcept before\n2024-03-26, or auto: whichever fits "
       "(current);\nwhat is resumed stays what it was begun as",
       model_compat_names, 0},
      {"resume", 0, ARG_FLAG, &q.resume, NULL, "go on from the last checkpoint of the folder",
       NULL, 0},
      {"options", 0, ARG_PAIRS, &q.options, "KEY=VALUE...",
       "changes to CONFIG, as Pointcept takes them", NULL, 0},
      {"precision", 0, ARG_CHOICE, &q.precision, "TYPE",
       "fp32, bf16, or config: by its enable_amp (config)", precision, 0},
      {"seed", 0, ARG_INT, &q.seed, "N", "of everything that is drawn (the config's, or 0)",
       NULL, 0},
      {"on-nan", 0, ARG_CHOICE, &q.on_nan, "WHAT",
       "stop or skip where a loss or gradient is not\nfinite (stop)", on_nan, 0},
      {"readers", 0, ARG_INT, &q.readers, "N",
       "threads that read batches ahead (one for every\nfour); 0: none", NULL, 0},
      {"save-every", 0, ARG_INT, &q.save_every, "STEPS",
       "write the last checkpoint more often than once\nan epoch", NULL, 1},
      {"stop-after", 0, ARG_INT, &q.stop_after, "STEPS", "save and end then; --resume goes on",
       NULL, 1},
      COMMON_ARGS(&q.common),
      {0}};
  const struct args args = {
      "train",
      "CONFIG [options]",
      "Trains the model of a configuration on its data.train and scores "
      "it on data.val after\n"
      "each epoch. Checkpoints load in PyTorch and Pointcept. Interrupted "
      "or killed, it goes\n"
      "on with --resume as if it had never stopped.",
      table,
      1,
      1};
  return session_main(&args, argc, argv, &q.common, run, &q);
}
