/* bench_net.c - the whole network on rooms of several sizes: voxels a second, where the time
 * goes, how far each op is from the least its products and exponentials can take, and how much
 * memory a voxel takes. docs/speed.md has results.
 *
 *   bench_net [--sizes 20k,50k,100k,200k] [--all] [--inputs FOLDER,...] [--threads N]
 *             [--kernels NAME] [--precision fp32|bf16] [--reps N] [--best] [--json FILE]
 *             [--save FOLDER] [--tile ROWS] [--budget 100,75,50,35,25,15] [--tmp FOLDER]
 *
 * --all adds rooms of 400 000 and 1 000 000 voxels. --inputs replaces the synthetic rooms; see
 * net_inputs.h. --save writes the rooms for bench/peer. The network is that of
 * bench/s3dis_base.py (--config for another one with 6 input channels) with untrained weights
 * of seed 1: speed does not depend on their values. The first run of a size is counted and
 * measured for memory, not timed. Of the others the median by wall clock is shown, with --best
 * the shortest; cpu is the time of all threads together, which tells when another program had
 * the processor.
 *
 * --budget times the network in memory budgets instead: per cent of what a run without one
 * takes beside weights and inputs, as far as they do. */
#include "init.h"
#include "net_count.h"
#include "net_options.h"
#include "net_rates.h"
#include "pyconfig.h"

struct options {
  struct net_options net;
  const char *save;
  int tile;
  bool best;
  int share[MOST_INPUTS]; /* budgets, per cent */
  int share_count;
  const char *tmp;
};

/* One forward pass: by op, the structure pass last; wall clock, and all threads' CPU time. */
struct run {
  double wall, cpu, seconds[PT_OPS + 1], cpu_of[PT_OPS + 1];
  double last; /* CPU time at the end of the step before */
};

struct memory {
  int64_t cat[PT_MEM_COUNT]; /* peak of each category above what was there before */
  int64_t peak;              /* of all together */
  int64_t grown; /* of the resident set at its peak, as the system saw it; -1 unknown */
};

struct result {
  struct counts counts;
  struct memory memory;
  struct run run[MOST_RUNS];
  int runs;
};

/* ---- the model ---- */

struct source {
  struct pt_param *param;
  int64_t params;
};

static int fetch(void *user, const struct pt_param *p, float *dst, struct ptv3_error *err) {
  const struct source *s = user;
  for (int64_t i = 0; i < s->params; i++)
    if (!strcmp(s->param[i].name, p->name)) {
      pt_param_init(p, pt_param_fan(s->param, i), 1, dst);
      return PTV3_OK;
    }
  return pt_fail(err, PTV3_INTERNAL, "no parameter '%s'", p->name);
}

static void load_model(struct pt_env *env, const struct options *o, struct pt_model *m) {
  struct ptv3_error e = {0};
  struct pt_config config;
  struct source s;
  if (pt_config_load(env, o->net.config, NULL, 0, &config, &e)) die(&e);
  const struct pt_value *model = pt_need_dict(config.root, "model", &e);
  if (!model || pt_ptv3_from_value(model, &m->cfg, &e)) die(&e);
  pt_config_free(&config);
  if (m->cfg.in_channels != FEATURES) {
    fprintf(stderr, "bench_net: '%s' has in_channels = %d, not %d\n", o->net.config,
            m->cfg.in_channels, FEATURES);
    exit(1);
  }
  m->kernels = kernels_of(&o->net, &m->cfg.type, &m->cfg.mat);
  double start = clock_of(CLOCK_MONOTONIC);
  if (pt_ptv3_params(&env->mem, &m->cfg, &s.param, &s.params, &e)) die(&e);
  if (pt_weights_build(env, &m->cfg, fetch, &s, &m->w, &e)) die(&e);
  pt_free(&env->mem, s.param);
  printf("%s, %.1f M numbers of weights made and packed in %.2f s\n", o->net.config,
         1e-6 * (double)m->w.size, clock_of(CLOCK_MONOTONIC) - start);
}

/* ---- memory ---- */

static void memory_begin(struct pt_mem *mem, struct memory *m) {
  for (int c = 0; c < PT_MEM_COUNT; c++)
    atomic_store(&mem->cat_peak[c], m->cat[c] = atomic_load(&mem->cat[c]));
  atomic_store(&mem->peak, m->peak = atomic_load(&mem->used));
  m->grown = resident_begin();
}

static void memory_end(struct pt_mem *mem, struct memory *m) {
  for (int c = 0; c < PT_MEM_COUNT; c++) m->cat[c] = atomic_load(&mem->cat_peak[c]) - m->cat[c];
  m->peak = atomic_load(&mem->peak) - m->peak;
  m->grown = resident_grown(m->grown);
}

/* ---- runs ---- */

static void forward(struct pt_env *env, const struct pt_model *m, const struct input *in,
                    const struct pt_forward *opt) {
  struct ptv3_error e;
  const int64_t offset[2] = {0, in->n};
  struct pt_batch batch = {in->n, in->coord, in->feat, 1, offset};
  float *logits =
      pt_alloc(&env->mem, in->n, m->cfg.classes * (int64_t)sizeof *logits, PT_MEM_OUTPUT, &e);
  if (!logits || pt_forward(env, m, &batch, opt, logits, &e)) die(&e);
  pt_free(&env->mem, logits);
}

static int by_wall(const void *a, const void *b) {
  return compare_doubles(&((const struct run *)a)->wall, &((const struct run *)b)->wall);
}

static void run_begin(void *user, const struct pt_structure *s) {
  struct run *r = user;
  double t = cpu_seconds();
  (void)s;
  r->cpu_of[PT_OPS] += t - r->last;
  r->last = t;
}

static void run_observe(void *user, const struct pt_step *step, const void *data,
                        enum pt_dtype type, int64_t rows, int channels) {
  struct run *r = user;
  double t = cpu_seconds();
  (void)data, (void)type, (void)rows, (void)channels;
  r->cpu_of[step->op] += t - r->last;
  r->last = t;
}

/* reps 0: as many runs as take about 6 s, 3 to 9. */
static void measure(struct pt_env *env, const struct pt_model *m, const struct input *in,
                    int reps, struct result *r) {
  struct pt_forward count = {
      .begin = count_begin, .observe = count_observe, .user = &r->counts};
  memory_begin(&env->mem, &r->memory);
  forward(env, m, in, &count);
  memory_end(&env->mem, &r->memory);
  double total = 0;
  for (r->runs = 0; reps ? r->runs < reps : r->runs < 3 || (r->runs < 9 && total < 6);) {
    struct run *run = &r->run[r->runs++];
    *run = (struct run){0};
    struct pt_forward timed = {
        .begin = run_begin, .observe = run_observe, .user = run, .seconds = run->seconds};
    double wall = clock_of(CLOCK_MONOTONIC), cpu = run->last = cpu_seconds();
    forward(env, m, in, &timed);
    run->wall = clock_of(CLOCK_MONOTONIC) - wall;
    run->cpu = cpu_seconds() - cpu;
    total += run->wall;
  }
  qsort(r->run, (size_t)r->runs, sizeof *r->run, by_wall);
}

/* ---- budgets ---- */

static char chosen[600]; /* what the last run said about how it fits */

static void keep_info(void *user, const char *message) {
  (void)user;
  snprintf(chosen, sizeof chosen, "%s", message);
}

struct limited {
  double wall; /* of the median run, or the best */
  double cpu;  /* the least: other programs only add to it */
  struct memory memory;
  int status;
  struct ptv3_error err;
};

/* reps runs within `more` bytes beside what is in use; 0: no limit. */
static struct limited run_limited(struct pt_env *env, const struct pt_model *m,
                                  const struct input *in, int reps, bool best, int64_t more) {
  struct limited r = {.status = PTV3_OK};
  struct run run[MOST_RUNS] = {{0}};
  const int64_t offset[2] = {0, in->n};
  struct pt_batch batch = {in->n, in->coord, in->feat, 1, offset};
  memory_begin(&env->mem, &r.memory);
  env->mem.limit = more ? env->mem.used + more : INT64_MAX;
  env->info = keep_info;
  chosen[0] = 0;
  for (int i = 0; i < reps && !r.status; i++) {
    run[i].wall = clock_of(CLOCK_MONOTONIC), run[i].cpu = cpu_seconds();
    r.status = pt_forward(env, m, &batch, NULL, NULL, &r.err);
    run[i].wall = clock_of(CLOCK_MONOTONIC) - run[i].wall;
    run[i].cpu = cpu_seconds() - run[i].cpu;
  }
  env->info = NULL;
  env->mem.limit = INT64_MAX;
  memory_end(&env->mem, &r.memory);
  qsort(run, (size_t)reps, sizeof *run, by_wall);
  r.wall = run[best ? 0 : (reps - 1) / 2].wall, r.cpu = run[0].cpu;
  for (int i = 1; i < reps; i++) r.cpu = fmin(r.cpu, run[i].cpu);
  return r;
}

/* Time against budget. */
static void bench_budgets(struct pt_env *env, const struct pt_model *m, const struct options *o,
                          struct input in, json_t *list) {
  const int reps = o->net.reps ? o->net.reps : 3;
  run_limited(env, m, &in, 1, false, 0);
  struct limited plain = run_limited(env, m, &in, reps, o->best, 0);
  if (plain.status) die(&plain.err);
  printf(
      "\n%s, %lld voxels; without a limit %.1f MB beside weights and input, %.3f s, cpu %.3f "
      "s\n",
      in.name, (long long)in.n, 1e-6 * (double)plain.memory.peak, plain.wall, plain.cpu);
  for (int i = 0; i < o->share_count; i++) {
    int64_t more = plain.memory.peak * o->share[i] / 100;
    struct limited r = run_limited(env, m, &in, reps, o->best, more);
    json_t *j = json_pack("{s:s,s:I,s:i,s:I,s:b,s:s}", "input", in.name, "voxels",
                          (json_int_t)in.n, "percent", o->share[i], "budget", (json_int_t)more,
                          "done", !r.status, "chosen", r.status ? r.err.message : chosen);
    printf("  %3d %% %8.1f MB ", o->share[i], 1e-6 * (double)more);
    if (r.status) {
      printf("refused: %s\n", r.err.message);
    } else {
      printf(
          "%8.3f s, cpu %8.3f s: %.2f, cpu %.2f times as long; counted %.1f MB, the process "
          "grew by %.1f MB; %s\n",
          r.wall, r.cpu, r.wall / plain.wall, r.cpu / plain.cpu, 1e-6 * (double)r.memory.peak,
          1e-6 * (double)r.memory.grown, chosen);
      json_object_set_new(j, "seconds", json_real(r.wall));
      json_object_set_new(j, "cpu", json_real(r.cpu));
      json_object_set_new(j, "counted", json_integer(r.memory.peak));
      json_object_set_new(j, "rss_growth", json_integer(r.memory.grown));
    }
    fflush(stdout);
    json_array_append_new(list, j);
  }
  input_free(env, &in);
}

/* ---- reports ---- */

/* FLOP/s: of products, and of everything else. */
struct peaks {
  double product, plain;
};

static struct peaks measure_peaks(const struct pt_model *m, int threads) {
  struct peaks p = {0, peak_rate(m->kernels->name, false, threads)};
  p.product = m->cfg.mat == PT_BF16 ? peak_rate(m->kernels->name, true, threads) : p.plain;
  return p;
}

static double floor_of(const struct counts *c, int op, struct peaks peak) {
  return c->flop[op] / peak.product + EXP_FLOPS * c->exps[op] / peak.plain;
}

static void print_row(const char *name, const double took[2], const double whole[2],
                      double least, double flop, int threads) {
  printf("  %-10s %8.1f ms %5.1f %% | cpu %8.1f ms %5.1f %%", name, 1e3 * took[0],
         100 * took[0] / whole[0], 1e3 * took[1], 100 * took[1] / whole[1]);
  if (least > 0)
    printf(" | floor %7.1f ms, reached %3.0f %%, by cpu %3.0f %% | %5.0f GFLOP/s", 1e3 * least,
           100 * least / took[0], 100 * least * threads / took[1], 1e-9 * flop / took[0]);
  printf("\n");
}

static void print_ops(const struct run *run, const struct counts *c, struct peaks peak,
                      int threads) {
  const double whole[2] = {run->wall, run->cpu};
  double rest[2] = {run->wall, run->cpu}, least = 0, flop = 0;
  for (int op = 0; op <= PT_OPS; op++) {
    const double took[2] = {run->seconds[op], run->cpu_of[op]};
    const double here = op < PT_OPS ? floor_of(c, op, peak) : 0;
    if (took[0] <= 0) continue; /* an op of training */
    print_row(op < PT_OPS ? pt_op_name((enum pt_op)op) : "structure", took, whole, here,
              op < PT_OPS ? c->flop[op] : 0, threads);
    rest[0] -= took[0], rest[1] -= took[1];
    least += here;
    flop += op < PT_OPS ? c->flop[op] : 0;
  }
  print_row("rest", rest, whole, 0, 0, threads);
  print_row("whole", whole, whole, least, flop, threads);
}

static void print_memory(const struct memory *m, double n) {
  printf("  bytes a voxel at the peak:");
  for (int c = 0; c < PT_MEM_COUNT; c++)
    if (m->cat[c])
      printf(" %s %.0f,", pt_memcat_text((enum pt_memcat)c), (double)m->cat[c] / n);
  printf(" together %.0f", (double)m->peak / n);
  if (m->grown >= 0)
    printf("; predicted %.1f MB, the process grew by %.1f MB", 1e-6 * (double)m->peak,
           1e-6 * (double)m->grown);
  printf("\n");
}

static void print_result(const struct input *in, const struct result *r, struct peaks peak,
                         const struct options *o) {
  const struct run *run = &r->run[o->best ? 0 : (r->runs - 1) / 2];
  printf("\n%s, %lld voxels: %.0f voxels/s; %s of %d runs %.3f s (%.3f to %.3f), cpu %.3f s\n",
         in->name, (long long)in->n, (double)in->n / run->wall, o->best ? "best" : "median",
         r->runs, run->wall, r->run[0].wall, r->run[r->runs - 1].wall, run->cpu);
  printf("  neighbours a voxel %.2f of 27, %.2f of 125; rows", r->counts.pairs3,
         r->counts.pairs5);
  for (int s = 0; s < PT_MAX_STAGES && r->counts.rows[s]; s++)
    printf(" %lld", (long long)r->counts.rows[s]);
  printf("; peak of multiply-adds %.0f GFLOP/s\n", 1e-9 * peak.product);
  print_ops(run, &r->counts, peak, o->net.threads);
  print_memory(&r->memory, (double)in->n);
  fflush(stdout);
}

static json_t *json_of(const struct input *in, const struct result *r, struct peaks peak,
                       bool best) {
  const struct run *mid = &r->run[best ? 0 : (r->runs - 1) / 2];
  json_t *ops = json_object(), *bytes = json_object(), *walls = json_array();
  for (int op = 0; op < PT_OPS; op++)
    json_object_set_new(ops, pt_op_name((enum pt_op)op),
                        json_pack("{s:f,s:f,s:f,s:f,s:f}", "seconds", mid->seconds[op], "cpu",
                                  mid->cpu_of[op], "floor", floor_of(&r->counts, op, peak),
                                  "flop", r->counts.flop[op], "exps", r->counts.exps[op]));
  json_object_set_new(
      ops, "structure",
      json_pack("{s:f,s:f}", "seconds", mid->seconds[PT_OPS], "cpu", mid->cpu_of[PT_OPS]));
  for (int c = 0; c < PT_MEM_COUNT; c++)
    json_object_set_new(bytes, pt_memcat_text((enum pt_memcat)c),
                        json_integer(r->memory.cat[c]));
  for (int i = 0; i < r->runs; i++) json_array_append_new(walls, json_real(r->run[i].wall));
  return json_pack("{s:s,s:I,s:f,s:f,s:f,s:f,s:f,s:o,s:o,s:I,s:I,s:o}", "input", in->name,
                   "voxels", (json_int_t)in->n, "seconds", mid->wall, "cpu", mid->cpu,
                   "voxels_per_second", (double)in->n / mid->wall, "neighbours_of_27",
                   r->counts.pairs3, "neighbours_of_125", r->counts.pairs5, "ops", ops, "bytes",
                   bytes, "bytes_peak", (json_int_t)r->memory.peak, "rss_growth",
                   (json_int_t)r->memory.grown, "walls", walls);
}

static void bench(struct pt_env *env, const struct pt_model *m, const struct options *o,
                  struct input in, json_t *list) {
  static struct result r;
  if (o->save) input_save(env, &in, o->save);
  struct peaks peak = measure_peaks(m, o->net.threads);
  measure(env, m, &in, o->net.reps, &r);
  struct peaks after = measure_peaks(m, o->net.threads);
  if (after.plain > peak.plain) peak = after;
  print_result(&in, &r, peak, o);
  json_t *j = json_of(&in, &r, peak, o->best);
  json_object_set_new(j, "peak_flops", json_real(peak.product));
  json_array_append_new(list, j);
  input_free(env, &in);
}

/* ---- options ---- */

static void parse_shares(struct options *o, char *list) {
  for (char *item = strtok(list, ","); item; item = strtok(NULL, ",")) {
    if (o->share_count == MOST_INPUTS) usage(&o->net, "too many items");
    o->share[o->share_count++] = atoi(item);
    if (o->share[o->share_count - 1] < 1) usage(&o->net, "a budget is 1 per cent or more");
  }
}

/* Whether it is one with a value that only this program has. */
static bool parse_own(struct options *o, const char *name, char *value) {
  if (!strcmp(name, "--tile"))
    o->tile = atoi(value);
  else if (!strcmp(name, "--budget"))
    parse_shares(o, value);
  else if (!strcmp(name, "--tmp"))
    o->tmp = value;
  else if (!strcmp(name, "--save"))
    o->save = value;
  else
    return false;
  return true;
}

static void parse(int argc, char **argv, struct options *o) {
  static char sizes[] = "20k,50k,100k,200k", all[] = "20k,50k,100k,200k,400k,1M";
  parse_sizes(&o->net, sizes);
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--all")) {
      parse_sizes(&o->net, all);
    } else if (!strcmp(argv[i], "--best")) {
      o->best = true;
    } else {
      if (i + 1 == argc) usage(&o->net, "an option without its value, or unknown");
      if (!parse_common(&o->net, argv[i], argv[i + 1]) && !parse_own(o, argv[i], argv[i + 1]))
        usage(&o->net, "unknown option");
      i++;
    }
  }
  check_common(&o->net);
}

typedef void bench_fn(struct pt_env *, const struct pt_model *, const struct options *,
                      struct input, json_t *);

int main(int argc, char **argv) {
  struct options o = {.net = {.program = "bench_net",
                              .config = "bench/s3dis_base.py",
                              .precision = "fp32",
                              .threads = 2}};
  const struct net_options *net = &o.net;
  struct pt_env env;
  struct pt_model m = {0};
  parse(argc, argv, &o);
  pt_env_init(&env, net->threads, 0);
  load_model(&env, &o, &m);
  m.tile = o.tile;
  env.tmp = o.tmp;
  printf("kernels %s, %s, %d threads\n", m.kernels->name, net->precision, net->threads);
  json_t *list = json_array();
  bench_fn *measure_one = o.share_count ? bench_budgets : bench;
  for (int i = 0; i < net->input_count; i++)
    measure_one(&env, &m, &o, input_scene(&env, net->inputs[i]), list);
  for (int i = 0; i < net->size_count && !net->input_count; i++)
    measure_one(&env, &m, &o, input_room(&env, net->sizes[i]), list);
  write_json(net, m.kernels, list);
  pt_weights_free(&env, &m.w);
  return 0;
}
