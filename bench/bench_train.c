/* bench_train.c - a training step of the S3DIS base model on synthetic rooms: forward, loss,
 * backward and AdamW; voxels a second, where the time goes, and memory a voxel. docs/speed.md
 * has results.
 *
 *   bench_train [--sizes 10k,20k,50k] [--inputs FOLDER,...] [--threads N] [--kernels NAME]
 *               [--precision fp32|bf16] [--reps N] [--memory MiB] [--config FILE] [--json FILE]
 *
 * Inputs are those of bench_net. Weights are untrained, labels drawn at random, the losses
 * cross entropy and Lovasz. The first step is measured for memory, not timed; of the others the
 * median is shown. --memory limits what is allocated besides the weights, their gradients and
 * the optimiser's state. */
#include "match.h"
#include "net_options.h"
#include "net_rates.h"
#include "pyconfig.h"
#include "schedule.h"
#include "train_step.h"

struct options {
  struct net_options net;
  int64_t memory; /* bytes, 0: no limit */
};

struct trainee {
  struct pt_config config;
  struct pt_ptv3 cfg;
  const struct pt_kernels *kernels;
  struct pt_train_weights w;
  struct pt_optim optim;
  struct pt_room room;
};

struct run {
  double wall, optimiser;
  double seconds[PT_OPS + 1];
};

/* ---- the model ---- */

static const char optimiser[] = "optimizer = dict(type='AdamW', lr=0.001, weight_decay=0.05)\n";

static void load(struct pt_env *env, const struct options *o, struct trainee *t) {
  static const char *const any[] = {"*"};
  struct ptv3_error e = {0};
  struct pt_tensors none = {0};
  struct pt_match match;
  struct pt_config config;
  if (pt_config_load(env, o->net.config, NULL, 0, &config, &e)) die(&e);
  if (pt_ptv3_from_value(pt_get(config.root, "model"), &t->cfg, &e)) die(&e);
  pt_config_free(&config);
  t->kernels = kernels_of(&o->net, &t->cfg.type, &t->cfg.mat);
  if (pt_match_build(env, &t->cfg, &none, any, 1, &match, &e)) die(&e);
  if (pt_train_weights_build(env, &t->cfg, pt_match_fetch, &match, &t->w, &e)) die(&e);
  pt_match_free(&match);
  if (pt_config_parse(env, optimiser, (int64_t)strlen(optimiser), "optimiser", NULL, 0,
                      &t->config, &e) ||
      pt_optim_parse(&t->optim, env, pt_get(t->config.root, "optimizer"), NULL, &e))
    die(&e);
  struct pt_param_ref *ref = need(env, t->w.params, sizeof *ref);
  int64_t count = 0;
  for (int64_t i = 0; i < t->w.params; i++)
    if (!t->w.param[i].buffer)
      ref[count++] = (struct pt_param_ref){t->w.param[i].name, t->w.param[i].size,
                                           t->w.value + t->w.at[i], t->w.grad + t->w.at[i]};
  if (pt_optim_bind(&t->optim, env, ref, count, &e)) die(&e);
  pt_free(&env->mem, ref);
}

/* ---- steps ---- */

struct job {
  struct pt_train_job job;
  struct pt_batch batch;
  struct pt_loss loss;
  int64_t offset[2];
  int32_t *label;
};

static void make_job(struct pt_env *env, const struct trainee *t, const struct input *in,
                     struct job *j) {
  *j = (struct job){.offset = {0, in->n}, .label = need(env, in->n, sizeof *j->label)};
  j->batch = (struct pt_batch){in->n, in->coord, in->feat, 1, j->offset};
  for (int64_t i = 0; i < in->n; i++)
    j->label[i] = (int32_t)pt_philox_below(4, 0, (uint64_t)i, (uint64_t)t->cfg.classes);
  j->loss =
      (struct pt_loss){.criteria = 2,
                       .scale = 1,
                       .criterion = {{.kind = PT_CROSS_ENTROPY, .loss_weight = 1, .ignore = -1},
                                     {.kind = PT_LOVASZ, .loss_weight = 1, .ignore = -1}}};
  j->job = (struct pt_train_job){.cfg = &t->cfg,
                                 .w = &t->w,
                                 .kernels = t->kernels,
                                 .batch = &j->batch,
                                 .label = j->label,
                                 .loss = &j->loss,
                                 .running = true,
                                 .tell = true};
}

static struct pt_train_result step(struct pt_env *env, struct trainee *t, struct job *j,
                                   struct run *run) {
  struct ptv3_error e;
  struct pt_train_result r;
  const double start = pt_seconds();
  pt_train_weights_clear(&t->w, env->threads);
  *run = (struct run){0};
  j->job.seconds = run->seconds;
  j->job.iteration++;
  if (pt_train_step(env, &j->job, &t->room, &r, &e)) die(&e);
  const double middle = pt_seconds();
  pt_optim_norm(&t->optim, 1, NULL);
  pt_optim_step(&t->optim, 1);
  pt_train_weights_pack(&t->w, env->threads);
  run->optimiser = pt_seconds() - middle;
  run->wall = pt_seconds() - start;
  return r;
}

static int by_wall(const void *a, const void *b) {
  return compare_doubles(&((const struct run *)a)->wall, &((const struct run *)b)->wall);
}

static void print_row(const char *name, double seconds, double whole) {
  if (seconds > 0)
    printf("  %-16s %9.1f ms %5.1f %%\n", name, 1e3 * seconds, 100 * seconds / whole);
}

static void print_ops(const struct run *r) {
  double rest = r->wall - r->optimiser;
  for (int op = 0; op <= PT_OPS; op++) {
    print_row(op < PT_OPS ? pt_op_name((enum pt_op)op) : "structure", r->seconds[op], r->wall);
    rest -= r->seconds[op];
  }
  print_row("optimiser", r->optimiser, r->wall);
  print_row("rest", rest, r->wall);
}

static json_t *json_of(const struct input *in, const struct run *r, int64_t peak, int64_t grown,
                       const struct pt_train_result *result) {
  json_t *ops = json_object();
  for (int op = 0; op <= PT_OPS; op++)
    json_object_set_new(ops, op < PT_OPS ? pt_op_name((enum pt_op)op) : "structure",
                        json_real(r->seconds[op]));
  return json_pack("{s:s,s:I,s:f,s:f,s:f,s:I,s:I,s:s,s:o}", "input", in->name, "voxels",
                   (json_int_t)in->n, "seconds", r->wall, "voxels_per_second",
                   (double)in->n / r->wall, "optimiser", r->optimiser, "bytes_peak",
                   (json_int_t)peak, "rss_growth", (json_int_t)grown, "kept",
                   pt_keep_text(result->keep), "ops", ops);
}

static void bench(struct pt_env *env, struct trainee *t, const struct options *o,
                  struct input in, json_t *list) {
  static struct run run[MOST_RUNS];
  struct job j;
  make_job(env, t, &in, &j);
  const int64_t before = env->mem.used, fixed = resident_begin();
  atomic_store(&env->mem.peak, before);
  if (o->memory) env->mem.limit = before + o->memory;
  struct pt_train_result r = step(env, t, &j, &run[0]);
  const int64_t peak = env->mem.peak - before;
  const int64_t grown = resident_grown(fixed);
  j.job.tell = false;
  const int reps = o->net.reps;
  int runs = 0;
  for (double total = 0; reps ? runs < reps : runs < 3 || (runs < 9 && total < 6);) {
    step(env, t, &j, &run[runs]);
    total += run[runs++].wall;
  }
  env->mem.limit = INT64_MAX;
  qsort(run, (size_t)runs, sizeof *run, by_wall);
  const struct run *mid = &run[(runs - 1) / 2];
  printf(
      "\n%s, %lld voxels: %.0f voxels/s; median of %d steps %.3f s (%.3f to %.3f), loss %.3f\n",
      in.name, (long long)in.n, (double)in.n / mid->wall, runs, mid->wall, run[0].wall,
      run[runs - 1].wall, r.value[0]);
  print_ops(mid);
  printf("  kept: %s; bytes a voxel at the peak besides weights and optimiser: %.0f",
         pt_keep_text(r.keep), (double)peak / (double)in.n);
  if (grown >= 0) printf("; the process grew by %.0f", (double)grown / (double)in.n);
  printf("\n");
  fflush(stdout);
  json_array_append_new(list, json_of(&in, mid, peak, grown, &r));
  pt_room_free(env, &t->room);
  pt_free(&env->mem, j.label);
  input_free(env, &in);
}

static void parse(int argc, char **argv, struct options *o) {
  static char sizes[] = "10k,20k,50k";
  parse_sizes(&o->net, sizes);
  for (int i = 1; i + 1 < argc; i += 2)
    if (!strcmp(argv[i], "--memory"))
      o->memory = (int64_t)atoll(argv[i + 1]) << 20;
    else if (!parse_common(&o->net, argv[i], argv[i + 1]))
      usage(&o->net, "unknown option");
  if (argc % 2 == 0) usage(&o->net, "an option without its value");
  check_common(&o->net);
}

int main(int argc, char **argv) {
  struct options o = {.net = {.program = "bench_train",
                              .config = "bench/s3dis_base.py",
                              .precision = "fp32",
                              .threads = 2}};
  const struct net_options *net = &o.net;
  struct pt_env env;
  struct trainee t = {0};
  parse(argc, argv, &o);
  pt_env_init(&env, net->threads, 0);
  load(&env, &o, &t);
  printf(
      "kernels %s, %s, %d threads; weights, gradients and packed copies %.0f MB, optimiser "
      "%.0f MB\n",
      t.kernels->name, net->precision, net->threads,
      1e-6 * (double)pt_train_weights_bytes(&t.w),
      1e-6 * (double)env.mem.cat[PT_MEM_OPTIMISER]);
  json_t *list = json_array();
  for (int i = 0; i < net->input_count; i++)
    bench(&env, &t, &o, input_scene(&env, net->inputs[i]), list);
  for (int i = 0; i < net->size_count && !net->input_count; i++)
    bench(&env, &t, &o, input_room(&env, net->sizes[i]), list);
  write_json(net, t.kernels, list);
  pt_optim_free(&t.optim);
  pt_config_free(&t.config);
  pt_train_weights_free(&env, &t.w);
  return 0;
}
