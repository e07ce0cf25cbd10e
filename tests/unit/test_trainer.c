/* The trainer: the same bits for any number of threads, stopped and resumed as if it had never
 * stopped, learning something, and ending well where something is wrong. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "npy.h"
#include "philox.h"
#include "pyconfig.h"
#include "tensors.h"
#include "trainer.h"

enum { SCENES = 5, POINTS = 3000 };

static char folder[64];

/* ---- scenes: a floor and a box on it, classes 0 and 1; some points without a label ---- */

static void write_scene(struct pt_mem *mem, const char *split, int s) {
  static float coord[POINTS][3];
  static int32_t segment[POINTS];
  struct ptv3_error e;
  char path[256];
  for (int i = 0; i < POINTS; i++) {
    const uint64_t at = (uint64_t)(4 * i);
    float u[4];
    for (int k = 0; k < 4; k++)
      u[k] = (float)pt_philox_uniform(7, (uint64_t)s + (split[0] == 'v' ? 100 : 0),
                                      at + (uint64_t)k);
    const int box = i % 3 == 0;
    coord[i][0] = box ? 1 + u[0] : 4 * u[0];
    coord[i][1] = box ? 1 + u[1] : 4 * u[1];
    coord[i][2] = box ? 1.0f : 0.02f * u[2];
    segment[i] = u[3] < 0.05f ? -1 : box;
  }
  snprintf(path, sizeof path, "%s/%s/scene%d", folder, split, s);
  assert_int_equal(mkdir(path, 0777), 0);
  snprintf(path, sizeof path, "%s/%s/scene%d/coord.npy", folder, split, s);
  assert_int_equal(pt_npy_write(mem, path, PT_F32, 2, (int64_t[]){POINTS, 3}, coord, &e), 0);
  snprintf(path, sizeof path, "%s/%s/scene%d/segment.npy", folder, split, s);
  assert_int_equal(pt_npy_write(mem, path, PT_I32, 1, (int64_t[]){POINTS}, segment, &e), 0);
}

static int make_data(void **state) {
  (void)state;
  struct pt_mem mem;
  char path[256];
  pt_mem_init(&mem, 0);
  snprintf(folder, sizeof folder, "/tmp/ptv3_trainer_XXXXXX");
  if (!mkdtemp(folder)) return -1;
  for (int k = 0; k < 2; k++) {
    snprintf(path, sizeof path, "%s/%s", folder, k ? "val" : "train");
    mkdir(path, 0777);
    for (int s = 0; s < (k ? 2 : SCENES); s++) write_scene(&mem, k ? "val" : "train", s);
  }
  return 0;
}

static int remove_data(void **state) {
  (void)state;
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  return system(command);
}

/* ---- the configuration ---- */

static const char text[] =
    "seed = 3\nbatch_size = 2\nepoch = 4\neval_epoch = 4\nclip_grad = 1.0\nmix_prob = 0.5\n"
    "gradient_accumulation_steps = 1\nenable_amp = False\n"
    "optimizer = dict(type='AdamW', lr=0.01, weight_decay=0.01)\n"
    "scheduler = dict(type='OneCycleLR', max_lr=[0.01, 0.005], pct_start=0.2,\n"
    "                 anneal_strategy='cos', div_factor=10.0, final_div_factor=100.0)\n"
    "param_dicts = [dict(keyword='block', lr=0.005)]\n"
    "model = dict(type='DefaultSegmentorV2', num_classes=2, backbone_out_channels=8,\n"
    "  backbone=dict(type='PT-v3m1', in_channels=3, order=('z', 'hilbert'), stride=(2,),\n"
    "    enc_depths=(1, 1), enc_channels=(8, 16), enc_num_head=(1, 2),\n"
    "    enc_patch_size=(64, 64), dec_depths=(1,), dec_channels=(8,), dec_num_head=(1,),\n"
    "    dec_patch_size=(64,), drop_path=0.2, proj_drop=0.1, attn_drop=0.1,\n"
    "    shuffle_orders=True),\n"
    "  criteria=[dict(type='CrossEntropyLoss', loss_weight=1.0, ignore_index=-1),\n"
    "            dict(type='LovaszLoss', mode='multiclass', loss_weight=1.0,\n"
    "                 ignore_index=-1)])\n"
    "t = [dict(type='RandomRotate', angle=[-1, 1], axis='z', center=[0, 0, 0], p=1.0)]\n"
    "g = dict(type='GridSample', grid_size=0.1, hash_type='fnv', mode='train',\n"
    "         return_grid_coord=True)\n"
    "v = dict(type='GridSample', grid_size=0.1, hash_type='fnv', mode='train',\n"
    "         return_grid_coord=True, return_inverse=True)\n"
    "data = dict(num_classes=2, ignore_index=-1, names=['floor', 'box'],\n"
    "  train=dict(type='DefaultDataset', split='train', data_root='ROOT', transform=[\n"
    "    dict(type='CenterShift', apply_z=True)] + t + [g, dict(type='ToTensor'),\n"
    "    dict(type='Collect', keys=('coord', 'grid_coord', 'segment'),\n"
    "         feat_keys=('coord',))]),\n"
    "  val=dict(type='DefaultDataset', split='val', data_root='ROOT', transform=[\n"
    "    dict(type='CenterShift', apply_z=True),\n"
    "    dict(type='Copy', keys_dict={'segment': 'origin_segment'}), v,\n"
    "    dict(type='ToTensor'),\n"
    "    dict(type='Collect', keys=('coord', 'grid_coord', 'segment', 'origin_segment',\n"
    "                               'inverse'), feat_keys=('coord',))]))\n";

/* Networks that are trained: compat 1.5.1, and changes to the configuration. */
enum compat { CURRENT, OLD, CHOOSE };
struct network {
  const char *name;
  enum compat compat;
  const char *option[3];
};
#define BLOCKS \
  { "model.backbone.enc_depths=[2,1]", "model.backbone.dec_depths=[2]", "batch_size=1" }
static const struct network usual = {"usual", CURRENT, {NULL}},
                            of_151 = {"of_151", OLD, BLOCKS},
                            two_blocks = {"two_blocks", CURRENT, BLOCKS},
                            whichever = {"whichever", CHOOSE, BLOCKS},
                            encoder = {"encoder",
                                       CURRENT,
                                       {"model.backbone.enc_mode=True",
                                        "model.backbone_out_channels=24"}},
                            other_classes = {"other_classes",
                                             CURRENT,
                                             {"model.num_classes=3", "data.num_classes=3",
                                              "data.names=['a','b','c']"}};

struct run {
  const char *name;          /* of its folder below `folder` */
  const struct network *net; /* NULL: the usual one */
  const char *weight;        /* the last checkpoint of this run; NULL: untrained */
  const char *allow;         /* weights that may be absent there */
  bool as_begun;             /* compat is not given */
  int threads, readers, type;
  int64_t stop_after, memory;
  int64_t fail_at;   /* the call of the allocator that fails; 0: none */
  int64_t cancel_at; /* calls of progress after which it says stop; 0: never */
  bool resume, skip_nan;
  const char *option; /* one change to the configuration */
  const char *more;   /* lines at the end of it */
  const char *val;    /* folder of data.val below `folder`; NULL: that itself */
};

static int64_t calls, calls_at_most, allocations;
static bool stop_validation, trained;
static char told[400]; /* the last message about compat */
static bool progress(void *user, const char *what, int64_t done, int64_t total) {
  (void)user, (void)done, (void)total;
  if (stop_validation && trained && strcmp(what, "training") != 0) return false;
  trained |= strcmp(what, "training") == 0;
  return calls_at_most == 0 || ++calls <= calls_at_most;
}

static void listen(void *user, const char *line) {
  (void)user;
  if (strstr(line, "1.5.1") || strstr(line, "are taken as") || strstr(line, "read again"))
    snprintf(told, sizeof told, "%s", line);
}

static int train(const struct run *r, struct pt_train_summary *sum, struct ptv3_error *e) {
  struct pt_env env;
  struct pt_config config;
  char path[256], root[300], weight[300];
  const struct network *net = r->net ? r->net : &usual;
  const enum compat compat = r->as_begun ? CURRENT : net->compat;
  pt_env_init(&env, r->threads ? r->threads : 2, r->memory);
  env.progress = progress;
  env.info = env.warn = listen;
  told[0] = 0;
  env.mem.fail_at = r->fail_at;
  calls = 0;
  trained = false;
  calls_at_most = r->cancel_at;
  snprintf(path, sizeof path, "%s/%s", folder, r->name);
  snprintf(root, sizeof root, "data.train.data_root='%s'", folder);
  char val[300];
  snprintf(val, sizeof val, "data.val.data_root='%s/%s'", folder, r->val ? r->val : "");
  const char *options[6] = {root, val};
  int count = 2;
  if (r->option) options[count++] = r->option;
  for (int i = 0; i < 3 && net->option[i]; i++) options[count++] = net->option[i];
  char all[sizeof text + 400];
  snprintf(all, sizeof all, "%s%s", text, r->more ? r->more : "");
  int status =
      pt_config_parse(&env, all, (int64_t)strlen(all), "test", options, count, &config, e);
  if (status) return status;
  if (r->weight)
    snprintf(weight, sizeof weight, "%s/%s/model/model_last.pth", folder, r->weight);
  const struct pt_train_options o = {.save_path = path,
                                     .weight = r->weight ? weight : NULL,
                                     .resume = r->resume,
                                     .allow_missing = &r->allow,
                                     .allow_missing_count = r->allow != NULL,
                                     .compat_151 = compat == OLD,
                                     .compat_choose = compat == CHOOSE,
                                     .precision = r->type ? r->type : PT_F32,
                                     .seed = -1,
                                     .skip_nan = r->skip_nan,
                                     .readers = r->readers,
                                     .stop_after = r->stop_after};
  status = pt_train(&env, config.root, &o, sum, e);
  allocations = env.mem.calls;
  pt_config_free(&config);
  assert_int_equal(env.mem.used, 0);
  return status;
}

/* The bytes of a file of a run. */
static char *file_of(const char *name, const char *file, size_t *size) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s/%s", folder, name, file);
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  fseek(f, 0, SEEK_END);
  *size = (size_t)ftell(f);
  rewind(f);
  char *data = malloc(*size);
  assert_non_null(data);
  assert_int_equal(fread(data, 1, *size, f), *size);
  fclose(f);
  return data;
}

static bool same_file(const char *a, const char *b, const char *file) {
  size_t n, m;
  char *x = file_of(a, file, &n), *y = file_of(b, file, &m);
  const bool same = n == m && memcmp(x, y, n) == 0;
  free(x);
  free(y);
  return same;
}

/* The last checkpoint, and what validation found. */
static void assert_same(const char *a, const char *b) {
  assert_true(same_file(a, b, "model/model_last.pth"));
  assert_true(same_file(a, b, "val.csv"));
}

static void must(const struct run *r, struct pt_train_summary *sum) {
  struct ptv3_error e = {0};
  if (train(r, sum, &e)) fail_msg("%s", e.message);
}

/* ---- tests ---- */

/* Neither threads nor being stopped and resumed show in other networks either. */
static void other_networks(void **state) {
  (void)state;
  static const struct network *const net[] = {&of_151, &encoder};
  struct pt_train_summary s;
  char name[40];
  for (size_t i = 0; i < sizeof net / sizeof *net; i++) {
    must(&(struct run){.name = net[i]->name, .net = net[i]}, &s);
    assert_true(s.finished && isfinite(s.loss) && isfinite(s.miou));
    for (int64_t k = 0; k < 8; k += 3) {
      snprintf(name, sizeof name, "%s%d", net[i]->name, (int)k);
      must(&(struct run){.name = name, .net = net[i], .threads = 3, .stop_after = k}, &s);
      if (k) /* what it was begun as, the checkpoint says */
        must(&(struct run){.name = name, .net = net[i], .resume = true, .as_begun = true}, &s);
      assert_same(net[i]->name, name);
    }
    snprintf(name, sizeof name, "%s_bf16", net[i]->name);
    must(&(struct run){.name = name, .net = net[i], .type = PT_BF16}, &s);
    assert_true(s.finished && isfinite(s.loss));
  }
}

/* A training stays what it was begun as. */
static void compat_is_kept(void **state) {
  (void)state;
  struct pt_train_summary s;
  struct ptv3_error e;
  struct run r = {.name = "kept", .net = &of_151, .stop_after = 1};
  must(&r, &s);
  r.resume = true, r.as_begun = true;
  must(&r, &s);
  assert_non_null(strstr(told, "goes on as Pointcept 1.5.1's network"));
  r = (struct run){.name = "begun", .net = &two_blocks, .stop_after = 1};
  must(&r, &s);
  r.resume = true, r.net = &of_151;
  assert_int_equal(train(&r, &s, &e), PTV3_MISMATCH);
  assert_non_null(strstr(e.message, "was begun as Pointcept's network of today"));
  r.net = &two_blocks;
  must(&r, &s);
}

/* What weights are for is told from their running statistics, or chosen by them. */
static void compat_is_told(void **state) {
  (void)state;
  struct pt_train_summary s;
  must(&(struct run){.name = "long151", .net = &of_151, .option = "epoch=32"}, &s);
  struct run r = {.name = "from", .net = &two_blocks, .weight = "long151", .stop_after = 1};
  must(&r, &s);
  assert_non_null(strstr(told, "need compat 1.5.1"));
  r.net = &whichever;
  must(&r, &s);
  assert_non_null(strstr(told, "are taken as Pointcept's of v1.5.1"));
  r.weight = NULL, r.resume = true;
  must(&r, &s);
  assert_non_null(strstr(told, "goes on as Pointcept 1.5.1's network"));
}

/* Weights of other classes, a new head: what it began from does not come in again. */
static void fine_tuning_goes_on(void **state) {
  (void)state;
  struct pt_train_summary s;
  struct ptv3_error e;
  struct run r = {.name = "tuned", .net = &other_classes, .weight = "whole"};
  assert_int_equal(train(&r, &s, &e), PTV3_MISMATCH);
  r.allow = "seg_head.*";
  must(&r, &s);
  assert_true(s.finished);
  for (int64_t k = 1; k < 8; k += 2) {
    char name[32];
    snprintf(name, sizeof name, "tuned%d", (int)k);
    r.name = name, r.stop_after = k, r.weight = "whole", r.resume = false;
    must(&r, &s);
    /* as it was begun, with the weights gone since, and without naming any */
    r.resume = true, r.stop_after = 0;
    r.weight = k == 1 ? "whole" : k == 3 ? "gone" : NULL;
    must(&r, &s);
    assert_true(k > 3 || strstr(told, "are not read again"));
    assert_true(s.finished);
    assert_same("tuned", name);
  }
}

/* Elements of tensors below a name that differ between the last checkpoints of two runs. */
static int64_t differing(const char *a, const char *b, const char *below, const char *part) {
  struct pt_mem mem;
  struct pt_tensors s[2];
  char path[256];
  const char *const run[] = {a, b};
  int64_t n = 0;
  pt_mem_init(&mem, 0);
  for (int k = 0; k < 2; k++) {
    snprintf(path, sizeof path, "%s/%s/model/model_last.pth", folder, run[k]);
    assert_int_equal(pt_tensors_open(&s[k], &mem, path, NULL), 0);
  }
  for (int64_t i = 0; i < s[0].count; i++) {
    const struct pt_tensor *x = &s[0].item[i], *y = pt_tensors_find(&s[1], x->name);
    static float u[100000], v[100000];
    if (strncmp(x->name, below, strlen(below)) != 0 || !strstr(x->name, part)) continue;
    if (strstr(x->name, "running") && !strstr(part, "running")) continue;
    assert_true(y && x->count == y->count && x->count <= 100000);
    pt_tensor_copy_f32(x, u), pt_tensor_copy_f32(y, v);
    for (int64_t k = 0; k < x->count; k++) n += u[k] != v[k];
  }
  pt_tensors_free(&s[0]), pt_tensors_free(&s[1]);
  return n;
}

/* model.freeze_backbone: the head alone is trained, by the gradients it has without; running
 * statistics go on, as in Pointcept, whose backbone is in train() too. */
static void freezing(void **state) {
  (void)state;
  static const struct network frozen = {"frozen",
                                        CURRENT,
                                        {"model.freeze_backbone=True", "clip_grad=1e30"}},
                              free_one = {"free", CURRENT, {"clip_grad=1e30"}},
                              encoders = {
                                  "encoders",
                                  CURRENT,
                                  {"model.freeze_backbone=True", "model.backbone.enc_mode=True",
                                   "model.backbone_out_channels=24"}};
  struct pt_train_summary s;
  struct run r = {.name = "frozen", .net = &frozen, .weight = "whole"};
  must(&r, &s);
  assert_true(s.finished);
  assert_int_equal(differing("whole", "frozen", "backbone.", "weight"), 0);
  assert_int_equal(differing("whole", "frozen", "backbone.", "bias"), 0);
  assert_true(differing("whole", "frozen", "backbone.", "running_mean") > 0);
  assert_true(differing("whole", "frozen", "seg_head.", "") > 0);
  r.name = "frozen3", r.stop_after = 3;
  must(&r, &s);
  r.stop_after = 0, r.resume = true;
  must(&r, &s);
  assert_same("frozen", "frozen3");
  r = (struct run){.name = "frozen1", .net = &frozen, .weight = "whole", .stop_after = 1};
  must(&r, &s);
  r.name = "free1", r.net = &free_one;
  must(&r, &s);
  assert_int_equal(differing("frozen1", "free1", "seg_head.", ""), 0);
  assert_true(differing("frozen1", "free1", "backbone.", "weight") > 0);
  r = (struct run){.name = "no_groups",
                   .net = &frozen,
                   .weight = "whole",
                   .more = "param_dicts = None\nscheduler['max_lr'] = 0.01\n"};
  must(&r, &s);
  assert_int_equal(differing("whole", "no_groups", "backbone.", "weight"), 0);
  r = (struct run){.name = "enc0", .net = &encoders, .stop_after = 1};
  must(&r, &s);
  r = (struct run){.name = "enc1", .net = &encoders};
  must(&r, &s);
  assert_int_equal(differing("enc0", "enc1", "backbone.", "weight"), 0);
  assert_true(differing("enc0", "enc1", "seg_head.", "") > 0);
}

/* What CheckpointLoader says of names, and what hooks are refused. */
static void hooks(void **state) {
  (void)state;
  static const struct {
    const char *option;
    int status;
    const char *words;
  } cases[] = {
      {"hooks=[dict(type='CheckpointLoader',keywords='module.',replacement='module.')]", 0, ""},
      {"hooks=[dict(type='CheckpointLoader',keywords='module.',replacement='module.b.')]",
       PTV3_MISMATCH, "0 of"},
      {"hooks=[dict(type='CheckpointLoader',keywords='seg_head',replacement='x')]",
       PTV3_MISMATCH, "missing: seg_head.weight"},
      {"hooks=[dict(type='CheckpointLoader',keywords='nowhere',replacement='x')]", 0, ""},
      {"hooks=[dict(type='CheckpointLoader',strict=True)]", 0, ""},
      {"hooks=[dict(type='CheckpointLoader',stict=True)]", PTV3_CONFIG, "no option 'stict'"},
      {"hooks=[dict(type='ModelHook'),dict(type='PreciseEvaluator',test_last=True)]", 0, ""},
      {"hooks=[dict(type='IterationTimer',warmup_iter=-1)]", PTV3_CONFIG, "warmup_iter"},
      {"hooks=[dict(type='CheckpointSaver',save_freq=0)]", PTV3_CONFIG, "save_freq"},
      {"hooks=[dict(type='WeightDecaySchedular')]", PTV3_CONFIG, "weight decay that changes"},
      {"hooks=[dict(type='InsSegEvaluator')]", PTV3_CONFIG, "scores another task"},
      {"hooks=[dict(type='Mine')]", PTV3_CONFIG, "'Mine': no hook"},
      {"hooks=['Mine']", PTV3_CONFIG, "a dict"},
      {"hooks=3", PTV3_CONFIG, "a list"},
      {"train=dict(type='MultiDatasetTrainer')", PTV3_CONFIG, "DefaultTrainer"},
      {"train=dict(type='DefaultTrainer')", 0, ""},
  };
  struct pt_train_summary s;
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    struct ptv3_error e = {0};
    const struct run r = {
        .name = "hooks", .weight = "whole", .stop_after = 1, .more = cases[k].option};
    const int status = train(&r, &s, &e);
    if (status != cases[k].status || !strstr(e.message, cases[k].words))
      fail_msg("%s: %d '%s'", cases[k].option, status, e.message);
  }
}

static void learns(void **state) {
  (void)state;
  struct pt_train_summary s;
  /* Each of 4 epochs goes through the data 6 times. Height tells the classes apart. */
  must(&(struct run){.name = "long", .option = "epoch=24"}, &s);
  assert_true(s.finished);
  assert_int_equal(s.steps, 4 * 15);
  print_message("loss %.3f, mIoU %.3f\n", s.loss, s.best);
  assert_true(s.loss < 0.6);
  assert_true(s.best > 0.7);
}

static void counts_steps(void **state) {
  (void)state;
  struct pt_train_summary s;
  must(&(struct run){.name = "whole"}, &s);
  assert_true(s.finished);
  assert_int_equal(s.steps, 4 * 2); /* 5 scenes, batches of 2, the last left out */
}

static void threads_do_not_show(void **state) {
  (void)state;
  struct pt_train_summary s;
  must(&(struct run){.name = "one", .threads = 1}, &s);
  must(&(struct run){.name = "three", .threads = 3, .readers = 2}, &s);
  assert_same("whole", "one");
  assert_same("whole", "three");
}

static void stopping_does_not_show(void **state) {
  (void)state;
  struct pt_train_summary s;
  for (int64_t k = 1; k < 8; k++) {
    char name[32];
    snprintf(name, sizeof name, "stop%d", (int)k);
    must(&(struct run){.name = name, .stop_after = k, .readers = (int)k % 2}, &s);
    assert_int_equal(s.steps, k);
    assert_false(s.finished);
    must(&(struct run){.name = name, .resume = true}, &s);
    assert_true(s.finished);
    assert_same("whole", name);
  }
}

/* The caller asks to stop anywhere: in the middle of a step, of reading, of validation. */
static void cancelling_does_not_show(void **state) {
  (void)state;
  struct pt_train_summary s;
  struct ptv3_error e;
  for (int64_t k = 1; k <= 8; k++) {
    char name[32];
    snprintf(name, sizeof name, "cancel%d", (int)k);
    const int64_t at = 40 + (int64_t)pt_philox_below(5, 0, (uint64_t)k, 500);
    int status = train(&(struct run){.name = name, .cancel_at = at}, &s, &e);
    assert_true(status == PTV3_OK || status == PTV3_CANCELLED);
    must(&(struct run){.name = name, .resume = true}, &s);
    assert_same("whole", name);
  }
}

/* Between an epoch and the next: it is validated when the training goes on. */
static void validation_is_not_lost(void **state) {
  (void)state;
  struct pt_train_summary s;
  struct ptv3_error e;
  for (int k = 0; k < 5; k++) {
    stop_validation = k < 4; /* in that of each epoch */
    int status = train(&(struct run){.name = "validation", .resume = k > 0}, &s, &e);
    stop_validation = false;
    if (status) assert_int_equal(status, PTV3_CANCELLED);
    if (!status) break;
    must(&(struct run){.name = "validation", .resume = true, .stop_after = 1}, &s);
  }
  assert_true(s.finished);
  assert_same("whole", "validation");
}

/* What was done before memory ran out is kept, and can be gone on from. */
static void lacking_memory_keeps_what_was_done(void **state) {
  (void)state;
  struct pt_train_summary s;
  struct ptv3_error e;
  int kept = 0;
  for (int64_t kb = 1000; kb <= 60000; kb += kb / 25) {
    int status = train(&(struct run){.name = "lack", .memory = kb << 10, .threads = 1}, &s, &e);
    if (!status) break;
    assert_true(status == PTV3_BUDGET || status == PTV3_NO_MEMORY);
    assert_true(s.saved == (s.steps > 0));
    if (s.steps == 0) continue;
    must(&(struct run){.name = "lack", .resume = true}, &s);
    assert_same("whole", "lack");
    kept++;
  }
  assert_true(s.finished);
  print_message("%d trainings lacked memory after some steps\n", kept);
  assert_same("whole", "lack");
}

static void accumulating(void **state) {
  (void)state;
  struct pt_train_summary s;
  const char *option = "gradient_accumulation_steps=2";
  must(&(struct run){.name = "acc", .option = option}, &s);
  assert_int_equal(s.steps, 4);
  must(&(struct run){.name = "acc2", .option = option, .stop_after = 3}, &s);
  must(&(struct run){.name = "acc2", .option = option, .resume = true}, &s);
  assert_same("acc", "acc2");
}

/* Whatever is no longer left out at random, another training comes out of it. */
static void dropout_shows(void **state) {
  (void)state;
  static const char *const without[] = {"model.backbone.drop_path=0.0",
                                        "model.backbone.proj_drop=0.0",
                                        "model.backbone.attn_drop=0.0"};
  struct pt_train_summary s;
  must(&(struct run){.name = "dropped", .stop_after = 1}, &s);
  for (int i = 0; i < 3; i++) {
    must(&(struct run){.name = "kept", .option = without[i], .stop_after = 1}, &s);
    assert_false(same_file("dropped", "kept", "model/model_last.pth"));
  }
  const char *same = "model.backbone.attn_drop=0.1"; /* as it is: no option shows by itself */
  must(&(struct run){.name = "kept", .option = same, .stop_after = 1}, &s);
  assert_true(same_file("dropped", "kept", "model/model_last.pth"));
}

static void threads_do_not_show_in_bf16(void **state) {
  (void)state;
  struct pt_train_summary s;
  must(&(struct run){.name = "bf16", .type = PT_BF16}, &s);
  assert_true(s.finished && isfinite(s.loss));
  must(&(struct run){.name = "bf16b", .type = PT_BF16, .threads = 3}, &s);
  assert_same("bf16", "bf16b");
}

/* With enable_amp checkpoints have the state of a GradScaler, resumed or not. */
static void scaler_is_kept(void **state) {
  (void)state;
  struct pt_train_summary s;
  struct pt_mem mem;
  struct pt_tensors part;
  char path[256];
  const char *option = "enable_amp=True";
  must(&(struct run){.name = "amp", .option = option}, &s);
  must(&(struct run){.name = "amp2", .option = option, .stop_after = 3}, &s);
  must(&(struct run){.name = "amp2", .option = option, .resume = true}, &s);
  assert_same("amp", "amp2");
  pt_mem_init(&mem, 0);
  for (int k = 0; k < 2; k++) {
    snprintf(path, sizeof path, "%s/%s/model/model_last.pth", folder, k ? "whole" : "amp");
    assert_int_equal(pt_tensors_open_part(&part, &mem, path, "scaler", NULL), 0);
    const char *scale = pt_tensors_extra(&part, "scale");
    assert_true(k ? !scale : scale && strcmp(scale, "65536") == 0);
    pt_tensors_free(&part);
  }
}

static void diverging_is_told(void **state) {
  (void)state;
  struct pt_train_summary s;
  struct ptv3_error e;
  const char *option = "scheduler.max_lr=[1e30,1e30]";
  assert_int_equal(train(&(struct run){.name = "nan", .option = option}, &s, &e), PTV3_DATA);
  assert_non_null(strstr(e.message, "not finite"));
  assert_non_null(strstr(e.message, "scene"));
}

/* A scene of n points in a square of `size` metres. */
static void write_square(const char *name, int n, float size) {
  static float coord[40000][3];
  static int32_t segment[40000];
  struct pt_mem mem;
  struct ptv3_error e;
  char path[256];
  pt_mem_init(&mem, 0);
  for (int i = 0; i < n; i++) {
    for (int k = 0; k < 2; k++)
      coord[i][k] = size * (float)pt_philox_uniform(9, (uint64_t)k, (uint64_t)i);
    coord[i][2] = 0, segment[i] = i % 2;
  }
  snprintf(path, sizeof path, "%s/%s", folder, name);
  assert_int_equal(mkdir(path, 0777), 0);
  snprintf(path, sizeof path, "%s/%s/coord.npy", folder, name);
  assert_int_equal(pt_npy_write(&mem, path, PT_F32, 2, (int64_t[]){n, 3}, coord, &e), 0);
  snprintf(path, sizeof path, "%s/%s/segment.npy", folder, name);
  assert_int_equal(pt_npy_write(&mem, path, PT_I32, 1, (int64_t[]){n}, segment, &e), 0);
}

/* The scene with the most voxels is not that with the most points: where it does not fit,
 * nothing is trained, and with what is named as the least it is. */
static void validation_fits(void **state) {
  (void)state;
  struct pt_train_summary s;
  struct ptv3_error e;
  char path[256];
  int told_so = 0;
  for (int k = 0; k < 2; k++) {
    snprintf(path, sizeof path, "%s/odd%s", folder, k ? "/val" : "");
    assert_int_equal(mkdir(path, 0777), 0);
  }
  write_square("odd/val/packed", 40000, 2);
  write_square("odd/val/spread", 20000, 60);
  write_square("odd/val/wide", 15000, 90);
  struct run r = {.name = "odd",
                  .val = "odd",
                  .threads = 1,
                  .more = "epoch = 1\neval_epoch = 1\nbatch_size = 1\n"};
  for (int64_t kb = 2000; kb <= 60000; kb += kb / 12) {
    r.memory = kb << 10;
    const int status = train(&r, &s, &e);
    if (!status) break;
    assert_int_equal(status, PTV3_BUDGET);
    assert_true(s.steps == 0 || !strstr(e.message, "validation"));
    const char *at =
        strstr(e.message, "validation of 'spread' needs a memory budget of at least ");
    double mib;
    if (!at) continue;
    told_so++;
    assert_int_equal(sscanf(strstr(at, "least ") + 6, "%lf MiB", &mib), 1);
    r.memory = (int64_t)((mib + 0.01) * 1048576);
    must(&r, &s);
    assert_true(s.finished && isfinite(s.miou));
  }
  print_message("%d budgets refused before the first step\n", told_so);
  assert_true(told_so > 0 && s.finished);
}

static void small_budgets(void **state) {
  (void)state;
  struct pt_train_summary s;
  struct ptv3_error e;
  int done = 0, refused = 0;
  for (int64_t kb = 200; kb <= 60000; kb += kb / 2) {
    int status =
        train(&(struct run){.name = "small", .memory = kb << 10, .threads = 1, .stop_after = 1},
              &s, &e);
    if (status) assert_true(status == PTV3_BUDGET || status == PTV3_NO_MEMORY);
    status ? refused++ : done++;
  }
  assert_true(done > 0 && refused > 0);
}

/* Whichever allocation fails: nothing stays allocated, and no half-written file. Steps and
 * checkpoints give way and try again, so some failures do not end the training: then its
 * result is the same. */
static void failing_allocations(void **state) {
  (void)state;
  struct pt_train_summary s;
  struct ptv3_error e;
  char command[256];
  const struct run whole = {
      .name = "fail", .net = &two_blocks, .weight = "begun", .threads = 1, .stop_after = 6};
  struct run r = whole;
  r.name = "failed";
  must(&whole, &s);
  const int64_t all = allocations;
  int refused = 0, done = 0;
  for (int64_t k = 1; k <= all; k += 1 + k / 14) {
    r.fail_at = k;
    const int status = train(&r, &s, &e);
    if (status) {
      assert_int_equal(status, PTV3_NO_MEMORY);
      refused++;
    } else {
      assert_same("fail", "failed");
      done++;
    }
    snprintf(command, sizeof command,
             "! find '%s' -name '*.tmp*' | grep -q . && rm -rf '%s/failed'", folder, folder);
    assert_int_equal(system(command), 0);
  }
  print_message("%d of %lld calls, refused %d, done %d\n", refused + done, (long long)all,
                refused, done);
  assert_true(refused > 0 && done > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(learns),
      cmocka_unit_test(counts_steps),
      cmocka_unit_test(threads_do_not_show),
      cmocka_unit_test(fine_tuning_goes_on),
      cmocka_unit_test(freezing),
      cmocka_unit_test(hooks),
      cmocka_unit_test(stopping_does_not_show),
      cmocka_unit_test(cancelling_does_not_show),
      cmocka_unit_test(validation_is_not_lost),
      cmocka_unit_test(lacking_memory_keeps_what_was_done),
      cmocka_unit_test(accumulating),
      cmocka_unit_test(dropout_shows),
      cmocka_unit_test(threads_do_not_show_in_bf16),
      cmocka_unit_test(other_networks),
      cmocka_unit_test(compat_is_kept),
      cmocka_unit_test(compat_is_told),
      cmocka_unit_test(scaler_is_kept),
      cmocka_unit_test(diverging_is_told),
      cmocka_unit_test(validation_fits),
      cmocka_unit_test(small_budgets),
      cmocka_unit_test(failing_allocations),
  };
  return cmocka_run_group_tests(tests, make_data, remove_data);
}
