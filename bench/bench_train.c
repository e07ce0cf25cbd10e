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
#include <jansson.h>
#include <malloc.h>

#include "match.h"
#include "net_inputs.h"
#include "net_rates.h"
#include "pyconfig.h"
#include "schedule.h"
#include "train_step.h"

enum { MOST_RUNS = 50, MOST_INPUTS = 64 };

struct options {
  const char *config, *kernels, *precision, *json;
  char *inputs[MOST_INPUTS];
  int input_count;
  int64_t sizes[MOST_INPUTS];
  int size_count;
  int threads, reps;
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
  if (pt_config_load(env, o->config, NULL, 0, &config, &e)) die(&e);
  if (pt_ptv3_from_value(pt_get(config.root, "model"), &t->cfg, &e)) die(&e);
  pt_config_free(&config);
  t->kernels = pt_kernel_table(o->kernels);
  if (!t->kernels) fprintf(stderr, "bench_train: no kernels '%s'\n", o->kernels), exit(1);
  t->cfg.type = strcmp(o->precision, "bf16") ? PT_F32 : PT_BF16;
  t->cfg.mat = pt_kernels_mat(t->kernels, t->cfg.type);
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

/* ---- memory ---- */

static int64_t status_of(const char *key) {
  char line[256];
  long long kib = -1;
  FILE *f = fopen("/proc/self/status", "r");
  while (f && kib < 0 && fgets(line, sizeof line, f))
    if (!strncmp(line, key, strlen(key))) sscanf(line + strlen(key), ":%lld", &kib);
  if (f) fclose(f);
  return kib < 0 ? -1 : 1024 * kib;
}

static bool forget_peak(void) {
  FILE *f = fopen("/proc/self/clear_refs", "w");
  if (!f) return false;
  bool written = fputs("5", f) >= 0;
  return fclose(f) == 0 && written;
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
  memset(t->w.grad, 0, (size_t)t->w.numbers * sizeof *t->w.grad);
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
  malloc_trim(0); /* what inputs left behind would hide growth */
  const int64_t before = env->mem.used, fixed = forget_peak() ? status_of("VmRSS") : -1;
  atomic_store(&env->mem.peak, before);
  if (o->memory) env->mem.limit = before + o->memory;
  struct pt_train_result r = step(env, t, &j, &run[0]);
  const int64_t peak = env->mem.peak - before;
  const int64_t grown = fixed >= 0 ? status_of("VmHWM") - fixed : -1;
  j.job.tell = false;
  int runs = 0;
  for (double total = 0; o->reps ? runs < o->reps : runs < 3 || (runs < 9 && total < 6);) {
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

/* ---- options ---- */

static void usage(const char *what) {
  fprintf(stderr, "bench_train: %s; see the top of bench/bench_train.c\n", what);
  exit(2);
}

static int64_t parse_size(const char *s) {
  char *end;
  double v = strtod(s, &end);
  return (int64_t)(v * (*end == 'k' ? 1e3 : *end == 'M' ? 1e6 : 1));
}

static void parse_list(struct options *o, char *list, bool sizes) {
  int *count = sizes ? &o->size_count : &o->input_count;
  *count = 0;
  for (char *item = strtok(list, ","); item; item = strtok(NULL, ",")) {
    if (*count == MOST_INPUTS) usage("too many items");
    if (sizes)
      o->sizes[(*count)++] = parse_size(item);
    else
      o->inputs[(*count)++] = item;
  }
}

static void parse(int argc, char **argv, struct options *o) {
  static char sizes[] = "10k,20k,50k";
  parse_list(o, sizes, true);
  for (int i = 1; i + 1 < argc; i += 2) {
    const char *name = argv[i];
    char *value = argv[i + 1];
    if (!strcmp(name, "--sizes"))
      parse_list(o, value, true);
    else if (!strcmp(name, "--inputs"))
      parse_list(o, value, false);
    else if (!strcmp(name, "--threads"))
      o->threads = atoi(value);
    else if (!strcmp(name, "--reps"))
      o->reps = atoi(value);
    else if (!strcmp(name, "--memory"))
      o->memory = (int64_t)atoll(value) << 20;
    else if (!strcmp(name, "--kernels"))
      o->kernels = value;
    else if (!strcmp(name, "--precision"))
      o->precision = value;
    else if (!strcmp(name, "--config"))
      o->config = value;
    else if (!strcmp(name, "--json"))
      o->json = value;
    else
      usage("unknown option");
  }
  if (argc % 2 == 0) usage("an option without its value");
  if (o->threads < 1 || o->reps < 0 || o->reps > MOST_RUNS)
    usage("threads or reps out of range");
  if (strcmp(o->precision, "fp32") && strcmp(o->precision, "bf16"))
    usage("precisions are fp32 and bf16");
}

int main(int argc, char **argv) {
  struct options o = {.config = "bench/s3dis_base.py", .precision = "fp32", .threads = 2};
  struct pt_env env;
  struct trainee t = {0};
  parse(argc, argv, &o);
  pt_env_init(&env, o.threads, 0);
  load(&env, &o, &t);
  printf(
      "kernels %s, %s, %d threads; weights, gradients and packed copies %.0f MB, optimiser "
      "%.0f MB\n",
      t.kernels->name, o.precision, o.threads, 1e-6 * (double)pt_train_weights_bytes(&t.w),
      1e-6 * (double)env.mem.cat[PT_MEM_OPTIMISER]);
  json_t *list = json_array();
  for (int i = 0; i < o.input_count; i++)
    bench(&env, &t, &o, input_scene(&env, o.inputs[i]), list);
  for (int i = 0; i < o.size_count && !o.input_count; i++)
    bench(&env, &t, &o, input_room(&env, o.sizes[i]), list);
  json_t *all = json_pack("{s:s,s:s,s:i,s:o}", "kernels", t.kernels->name, "precision",
                          o.precision, "threads", o.threads, "results", list);
  if (o.json && json_dump_file(all, o.json, JSON_INDENT(2)))
    fprintf(stderr, "bench_train: cannot write '%s'\n", o.json), exit(1);
  json_decref(all);
  pt_optim_free(&t.optim);
  pt_config_free(&t.config);
  pt_train_weights_free(&env, &t.w);
  return 0;
}
