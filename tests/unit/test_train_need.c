/* test_train_need.c - what a training step is said to take is what it takes: the arena to the
 * byte for every level of what is kept, and with a file, from rows alone; gradients have the
 * same bits in each; and the public plan on top of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants the three above */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "match.h"
#include "philox.h"
#include "ptv3_train.h"
#include "pyconfig.h"
#include "tensors.h"
#include "train_need.h"
#include "train_step.h"

enum { SIDE = 24, LARGE = 144, THREADS = 2 };

static const char text[] =
    "batch_size = 2\nepoch = 4\neval_epoch = 4\nenable_amp = False\n"
    "optimizer = dict(type='AdamW', lr=0.01, weight_decay=0.01)\n"
    "model = dict(type='DefaultSegmentorV2', num_classes=3, backbone_out_channels=16,\n"
    "  backbone=dict(type='PT-v3m1', in_channels=4, order=('z', 'hilbert'), stride=(2, 2),\n"
    "    enc_depths=(1, 2, 1), enc_channels=(16, 32, 48), enc_num_head=(1, 2, 3),\n"
    "    enc_patch_size=(64, 64, 64), dec_depths=(2, 1), dec_channels=(16, 32),\n"
    "    dec_num_head=(1, 2), dec_patch_size=(64, 64), enable_flash=False),\n"
    "  criteria=[dict(type='CrossEntropyLoss', loss_weight=1.0, ignore_index=-1),\n"
    "            dict(type='LovaszLoss', mode='multiclass', loss_weight=1.0,\n"
    "                 ignore_index=-1)])\n"
    "data = dict(num_classes=3, train=dict(transform=[\n"
    "  dict(type='GridSample', grid_size=0.1), dict(type='SphereCrop', point_max=5000)]))\n";

/* The networks that are trained: changes to the configuration, and compat 1.5.1. */
struct network {
  bool old;
  const char *const *option;
  int options;
};
static const char *const enc_mode[] = {
    "model.backbone.enc_mode=True", "model.backbone_out_channels=96",
    "model.backbone.enc_depths=[2,2,1]"}; /* so that less is kept each time */
static const struct network usual, of_151 = {.old = true}, encoder = {false, enc_mode, 3},
                                   encoder_151 = {true, enc_mode, 3};

/* ---- a batch of two clouds, the second a part of the first ---- */

struct made {
  struct pt_env env;
  struct pt_config config;
  struct pt_ptv3 cfg;
  struct pt_criteria criteria;
  struct pt_train_weights w;
  int64_t offset[3];
  int32_t *coord, *label;
  float *feat;
  struct pt_batch batch;
};

static void *room(size_t bytes) {
  void *p = malloc(bytes);
  assert_non_null(p);
  return p;
}

static void make(struct made *m, const struct network *net, enum pt_dtype type, int32_t side) {
  static const char *const any[] = {"*"};
  struct ptv3_error e = {0};
  struct pt_tensors none = {0};
  struct pt_match match = {0};
  *m = (struct made){.offset = {0}};
  pt_env_init(&m->env, THREADS, 0);
  assert_int_equal(pt_config_parse(&m->env, text, (int64_t)strlen(text), "test", net->option,
                                   net->options, &m->config, &e),
                   0);
  const struct pt_value *model = pt_get(m->config.root, "model");
  assert_int_equal(pt_ptv3_from_value(model, &m->cfg, &e), 0);
  assert_int_equal(pt_criteria_parse(&m->env.mem, model, 3, &m->criteria, &e), 0);
  m->cfg.compat_151 = net->old;
  m->cfg.type = type;
  m->cfg.mat = pt_kernels_mat(pt_kernel_table(NULL), type);
  assert_int_equal(pt_match_build(&m->env, &m->cfg, &none, any, 1, &match, &e), 0);
  assert_int_equal(pt_train_weights_build(&m->env, &m->cfg, pt_match_fetch, &match, &m->w, &e),
                   0);
  pt_match_free(&match);

  /* A floor and a wall, and the third of them that comes first. */
  const int32_t first = side * (2 * side - 1), n = first + first / 3;
  m->coord = room((size_t)n * 12);
  m->feat = room((size_t)n * 16);
  m->label = room((size_t)n * 4);
  for (int32_t i = 0; i < n; i++) {
    const int32_t at = i % first, wall = at >= side * side, x = at % side,
                  y = at / side - (wall ? side - 1 : 0);
    const int32_t here[3] = {x, wall ? 0 : y, wall ? y : 0};
    memcpy(m->coord + 3 * i, here, sizeof here);
    for (int c = 0; c < 4; c++)
      m->feat[4 * i + c] = (float)pt_philox_uniform(7, (uint64_t)c, (uint64_t)i);
    m->label[i] = i % 4 - 1;
  }
  m->offset[1] = first;
  m->offset[2] = n;
  m->batch = (struct pt_batch){n, m->coord, m->feat, 2, m->offset};
}

static void drop(struct made *m) {
  pt_train_weights_free(&m->env, &m->w);
  pt_criteria_free(&m->criteria);
  pt_config_free(&m->config);
  assert_int_equal(m->env.mem.used, 0);
  free(m->coord);
  free(m->feat);
  free(m->label);
}

/* Nothing but rows, clouds and offsets of a batch's real structure; *bytes: what that takes. */
static struct pt_structure sizes_of(struct made *m, int64_t offset[PT_MAX_STAGES][3],
                                    int64_t *bytes) {
  struct pt_structure real = {0},
                      s = {.clouds = 2, .stages = m->cfg.stages, .orders = m->cfg.orders};
  struct ptv3_error e = {0};
  const int64_t before = m->env.mem.used;
  assert_int_equal(pt_batch_structure(&m->env, &m->cfg, &m->batch, NULL, &real, &e), 0);
  *bytes = m->env.mem.used - before;
  for (int i = 0; i < s.stages; i++) {
    s.stage[i].n = real.stage[i].n;
    for (int c = 0; c < 3; c++) offset[i][c] = real.stage[i].offset[c];
    s.stage[i].offset = offset[i];
  }
  pt_structure_free(&m->env, &real);
  return s;
}

static struct pt_train_job job_of(const struct made *m, const struct pt_loss *loss) {
  return (struct pt_train_job){.cfg = &m->cfg,
                               .w = &m->w,
                               .kernels = pt_kernel_table(NULL),
                               .batch = &m->batch,
                               .label = m->label,
                               .loss = loss};
}

/* The step as the trainer runs it, in a budget. */
static struct pt_train_result step(struct made *m, const struct pt_loss *loss, int64_t limit) {
  struct pt_room room = {0};
  struct pt_train_result r;
  struct ptv3_error e = {0};
  const struct pt_train_job job = job_of(m, loss);
  m->env.mem.limit = limit;
  m->env.mem.peak = m->env.mem.used;
  if (pt_train_step(&m->env, &job, &room, &r, &e)) fail_msg("%s", e.message);
  m->env.mem.limit = INT64_MAX;
  assert_true(r.arena == room.bytes + room.window);
  pt_room_free(&m->env, &room);
  return r;
}

/* What a step of a made batch needs, and what to compare it with. */
struct planned {
  struct made m;
  struct pt_train_weights w; /* without memory */
  int64_t offset[PT_MAX_STAGES][3], others;
  struct pt_structure s;
  struct pt_loss loss;
  struct pt_train_task task;
  struct pt_train_need need; /* without a limit */
};

static struct pt_train_need need_within(struct planned *p, int64_t limit) {
  struct pt_train_need need;
  struct ptv3_error e = {0};
  p->m.env.mem.limit = limit;
  assert_int_equal(pt_train_need(&p->m.env, &p->task, p->others, &need, &e), 0);
  p->m.env.mem.limit = INT64_MAX;
  return need;
}

static void plan_made(struct planned *p, const struct network *net, enum pt_dtype type,
                      int32_t side) {
  struct ptv3_error e = {0};
  int64_t structure;
  make(&p->m, net, type, side);
  p->s = sizes_of(&p->m, p->offset, &structure);
  p->loss = pt_train_loss(&p->m.criteria);
  assert_int_equal(pt_train_weights_build(&p->m.env, &p->m.cfg, NULL, NULL, &p->w, &e), 0);
  assert_true(pt_train_weights_bytes(&p->w) == pt_train_weights_bytes(&p->m.w));
  p->task = (struct pt_train_task){.cfg = &p->m.cfg,
                                   .w = &p->w,
                                   .s = &p->s,
                                   .loss = &p->loss,
                                   .kernels = pt_kernel_table(NULL)};
  p->others = p->m.env.mem.used + structure + p->m.batch.n * 4 + 128;
  p->need = need_within(p, INT64_MAX);
}

static void drop_planned(struct planned *p) {
  pt_train_weights_free(&p->m.env, &p->w);
  drop(&p->m);
}

/* The gradients of a step within a budget; that of no limit the first time. */
static struct pt_train_result same_bits(struct planned *p, int64_t limit, float **want) {
  const size_t bytes = (size_t)p->m.w.numbers * sizeof **want;
  memset(p->m.w.grad, 0, bytes);
  const struct pt_train_result r = step(&p->m, &p->loss, limit);
  if (*want)
    assert_memory_equal(*want, p->m.w.grad, bytes);
  else
    memcpy(*want = room(bytes), p->m.w.grad, bytes);
  return r;
}

static void check_ways(const struct network *net, enum pt_dtype type) {
  struct planned p;
  float *want = NULL;
  plan_made(&p, net, type, SIDE);
  assert_int_equal(p.need.chosen, PT_KEEP_INPUTS);
  assert_true(p.need.fits && p.need.total == p.need.way[0].total && p.need.disk == 0 &&
              p.need.way[0].seconds > 0);
  for (int k = 0; k < PT_KEEPS; k++) {
    const struct pt_train_way *way = &p.need.way[k];
    if (k) assert_true(way->total < way[-1].total && way->work > way[-1].work);
    const struct pt_train_need tight = need_within(&p, way->total);
    assert_true(tight.chosen == k && tight.fits && tight.total == way->total);
    const struct pt_train_result r = same_bits(&p, way->total, &want);
    assert_int_equal(r.keep, k);
    assert_true(r.arena == way->arena && r.file == 0);
    const struct pt_mem *mem = &p.m.env.mem;
    assert_true(mem->peak <= way->total && mem->peak > way->total - 4096);
  }
  free(want);
  drop_planned(&p);
}

static void arena_is_that_of_the_step(void **state) {
  (void)state;
  static const struct network *const net[] = {&usual, &of_151, &encoder, &encoder_151};
  for (size_t i = 0; i < sizeof net / sizeof *net; i++) {
    check_ways(net[i], PT_F32);
    check_ways(net[i], PT_BF16);
  }
}

/* From what keeps least in memory down to the least there is, and below. */
static void check_file(const struct network *net, enum pt_dtype type) {
  struct planned p;
  struct pt_mem *mem = &p.m.env.mem;
  float *want = NULL;
  plan_made(&p, net, type, LARGE);
  const int64_t whole = p.need.way[PT_KEEP_STAGES].total, least = p.need.least;
  assert_true(least < p.others + (whole - p.others) / 2);
  same_bits(&p, INT64_MAX, &want);
  for (int i = 1; i <= 4; i++) {
    const int64_t limit = whole - (whole - least) * i / 4;
    const struct pt_train_need tight = need_within(&p, limit);
    assert_true(tight.fits && tight.chosen == PT_KEEP_STAGES && tight.total <= limit);
    const struct pt_train_result r = same_bits(&p, limit, &want);
    assert_int_equal(r.keep, PT_KEEP_STAGES);
    assert_true(r.file == tight.disk);
    assert_true(mem->peak <= limit && mem->peak > tight.total - 4096);
    if (i >= 2) assert_true(r.file > 0 && tight.window > 0 && tight.spilled > 0);
  }
  assert_false(need_within(&p, least - 1).fits);
  assert_true(need_within(&p, least - 1).least == least);
  free(want);
  drop_planned(&p);
}

static void file_gives_the_same_bits(void **state) {
  (void)state;
  check_file(&usual, PT_F32);
  check_file(&usual, PT_BF16);
  check_file(&of_151, PT_F32);
  check_file(&encoder, PT_F32);
}

/* A step that is refused says what would do, and leaves nothing. */
static void too_little_is_refused(void **state) {
  (void)state;
  struct planned p;
  struct pt_room none = {0};
  struct pt_train_result r;
  struct ptv3_error e = {0};
  plan_made(&p, &usual, PT_F32, LARGE);
  const struct pt_train_job job = job_of(&p.m, &p.loss);
  const int64_t used = p.m.env.mem.used;
  p.m.env.mem.limit = p.need.least - 4096;
  assert_int_equal(pt_train_step(&p.m.env, &job, &none, &r, &e), PTV3_BUDGET);
  assert_non_null(strstr(e.message, "in a temporary file"));
  assert_true(p.m.env.mem.used == used && !none.arena && !none.spill.data);
  p.m.env.mem.limit = INT64_MAX;
  drop_planned(&p);
}

/* ---- the public call ---- */

static void public_plan(void **state) {
  (void)state;
  struct ptv3_context *ctx;
  struct ptv3_config *config;
  struct ptv3_train_plan p, q;
  struct ptv3_error e = {0};
  const struct ptv3_train_plan_options bf16 = {.precision = PTV3_TRAIN_BF16, .voxels = 10000},
                                       none = {.voxels = -1},
                                       old = {.compat = PTV3_COMPAT_1_5_1},
                                       odd = {.compat = (enum ptv3_compat)9};
  assert_int_equal(ptv3_context_create(NULL, &ctx, &e), 0);
  assert_int_equal(
      ptv3_config_parse(ctx, text, (int64_t)strlen(text), "test", NULL, 0, &config, &e), 0);
  assert_int_equal(ptv3_plan_train(ctx, config, NULL, &p, &e), 0);
  assert_true(p.estimated && p.voxels == 10000 && p.clouds == 2 && p.point_max == 5000);
  assert_int_equal(p.stages, 3);
  assert_true(p.rows[0] == 10000 && p.rows[1] == 3000);
  assert_true(p.optimiser >= 8 * p.parameters && p.optimiser < 9 * p.parameters);
  assert_true(p.gradients >= 4 * p.parameters && p.weights > 2 * p.gradients);
  assert_int_equal(ptv3_plan_train(ctx, config, &bf16, &q, &e), 0);
  assert_true(q.bf16 && q.point_max == 0 && q.rows[2] == p.rows[2]);
  assert_true(q.way[0].features < p.way[0].features);
  assert_int_equal(ptv3_plan_train(ctx, config, &old, &q, &e), 0);
  assert_true(q.way[1].features > p.way[1].features && q.parameters == p.parameters);
  assert_int_equal(ptv3_plan_train(ctx, config, &none, &q, &e), PTV3_INVALID);
  assert_int_equal(ptv3_plan_train(ctx, config, &odd, &q, &e), PTV3_INVALID);
  assert_int_equal(ptv3_plan_train(ctx, config, &bf16, NULL, &e), PTV3_INVALID);
  /* Every allocation fails once. */
  struct pt_mem *mem = pt_ctx_mem(ctx);
  const int64_t used = mem->used;
  int status = 1, tries = 0;
  for (; status && tries < 2000; tries++) {
    mem->fail_at = mem->calls + tries + 1;
    status = ptv3_plan_train(ctx, config, NULL, &q, &e);
    assert_true(mem->used == used);
  }
  mem->fail_at = 0;
  assert_int_equal(status, 0);
  assert_true(tries > 5 && q.total == p.total);
  ptv3_config_free(config);
  ptv3_context_free(ctx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(arena_is_that_of_the_step), cmocka_unit_test(file_gives_the_same_bits),
      cmocka_unit_test(too_little_is_refused), cmocka_unit_test(public_plan)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
