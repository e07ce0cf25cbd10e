/* check.c - see check.h. One scene: check_scene.c. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_int.h"
#include "file.h"
#include "size.h"

static const bool is_error[] = {
#define SEVERITY(name, error) error,
    PT_CHECK_LIST(SEVERITY)
#undef SEVERITY
};

static const char *const split_name[PT_CHECK_SPLITS] = {"train", "val", "test"};

bool pt_check_ends(int status) {
  return pt_lacks_memory(status) || status == PTV3_CANCELLED || status == PTV3_INTERNAL;
}

/* ---- findings ---- */

/* The next letter of a text that counts for `alike`: none in quotes or parentheses, of a
 * number, or of a plural. */
static char next_letter(const char **p) {
  for (;; ++*p) {
    while (**p == '\'' || **p == '(') {
      const char *end = strchr(*p + 1, **p == '(' ? ')' : '\'');
      *p = end ? end + 1 : *p + strlen(*p);
    }
    if (!**p) return 0;
    if (strchr("0123456789.,+-", **p) || (**p == 's' && strchr(" :", (*p)[1]))) continue;
    return *(*p)++;
  }
}

/* Whether two texts say the same of different scenes. */
static bool alike(const char *a, const char *b) {
  char c;
  do
    if ((c = next_letter(&a)) != next_letter(&b)) return false;
  while (c);
  return true;
}

/* One scene more that has it. */
static void count(struct pt_finding *f, const char *path) {
  f->scenes++;
  if (!path) return;
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  const size_t used = strlen(f->also);
  if (used + strlen(name) + 10 < sizeof f->also)
    snprintf(f->also + used, sizeof f->also - used, "%s'%s'", used ? ", " : "", name);
  else if (used + 6 < sizeof f->also && strcmp(f->also + used - 3, "..."))
    strcat(f->also, ", ...");
}

int pt_check_note(struct pt_look *k, enum pt_check_kind kind, const char *path,
                  const char *text, const char *fix, struct ptv3_error *err) {
  struct pt_check *c = k->check;
  for (int64_t i = 0; i < c->findings; i++) {
    struct pt_finding *f = &c->finding[i];
    if (f->kind != kind || f->split != k->to->name || strcmp(f->fix, fix)) continue;
    if (!alike(f->text, text)) continue;
    count(f, path);
    return PTV3_OK;
  }
  char *copy = path ? pt_strdup(c->mem, path, err) : NULL;
  if (path && !copy) return pt_status(err);
  int st = pt_grow(c->mem, &c->finding, &c->cap, c->findings + 1, sizeof *c->finding,
                   PT_MEM_OTHER, err);
  if (st) {
    pt_free(c->mem, copy);
    return st;
  }
  struct pt_finding *f = &c->finding[c->findings++];
  *f = (struct pt_finding){.error = is_error[kind],
                           .kind = kind,
                           .split = k->to->name,
                           .scenes = path != NULL,
                           .path = copy};
  snprintf(f->text, sizeof f->text, "%s", text);
  snprintf(f->fix, sizeof f->fix, "%s", fix);
  c->errors += f->error;
  return PTV3_OK;
}

static int order_of(const struct pt_finding *f) {
  int s = 0;
  while (s + 1 < PT_CHECK_SPLITS && strcmp(split_name[s], f->split)) s++;
  return (s * 2 + !f->error) * PT_CHECK_KINDS + (int)f->kind;
}

static int by_split(const void *a, const void *b) {
  const struct pt_finding *f = a, *g = b;
  int d = order_of(f) - order_of(g);
  if (!d) d = strcmp(f->fix, g->fix);
  return d ? d : strcmp(f->path ? f->path : "", g->path ? g->path : "");
}

/* ---- a split ---- */

/* Opens the split; what cannot be opened is noted, and *open false. */
static int open_split(struct pt_look *k, const struct pt_value *root, bool *open,
                      struct ptv3_error *err) {
  struct ptv3_error e = {0};
  const char *which = k->to->name;
  const struct pt_value *set = pt_get(pt_get(root, "data"), which);
  int st = pt_split_open(&k->s, k->env, root, which, k->opt->data_root, &e);
  if (!st && k->test)
    st = pt_pipeline_parse(&k->post, &k->env->mem,
                           pt_get(pt_get(set, "test_cfg"), "post_transform"), &e);
  *open = !st;
  if (!st) return PTV3_OK;
  if (pt_check_ends(st)) {
    if (err) *err = e;
    return st;
  }
  bool files = st == PTV3_DATA || st == PTV3_IO, val = k->to == &k->check->split[1];
  char fix[200];
  if (pt_is_none(set))
    snprintf(fix, sizeof fix,
             "add the data set that is scored after each epoch, or set evaluate=False");
  else
    snprintf(
        fix, sizeof fix, "%s%s", files ? "data_root is looked for from the current folder" : "",
        files && val && k->check->split[0].given ? "; evaluate=False trains without data.val"
                                                 : "");
  return pt_check_note(k, PT_CHECK_NO_SPLIT, NULL, e.message, fix, err);
}

static void find_needs(struct pt_look *k) {
  if (k->test) k->s.needs = pt_pipeline_needs(&k->post, k->s.need, PT_SPLIT_NEEDS);
  /* a missing channel is to be noted, not to be an error of reading */
  k->load = k->s.load;
  k->load.want = NULL;
  k->load.n_want = 0;
  k->load.also = k->s.need;
  k->load.n_also = k->s.needs;
}

static int look_for_scenes(struct pt_look *k, struct ptv3_error *err) {
  for (int64_t i = 0; i < k->s.set.count; i++) {
    const char *path = k->s.set.scene[i].path;
    if (pt_is_file(path) || pt_is_dir(path)) continue;
    int st = pt_check_note(k, PT_CHECK_NO_SCENE, path, "there is no such file or folder",
                           "correct the list of scenes, or fetch the file", err);
    if (st) return st;
  }
  return PTV3_OK;
}

static int look_at_scenes(struct pt_look *k, struct ptv3_error *err) {
  int64_t count = k->s.set.count;
  int64_t looks = k->opt->scenes > 0 ? pt_min(k->opt->scenes, count) : count;
  char what[32];
  snprintf(what, sizeof what, "checking %s", k->to->name);
  for (int64_t j = 0; j < looks; j++) {
    int64_t i = (int64_t)((double)j * (double)count / (double)looks);
    k->env->within.what = what; /* also in place of a scene's own progress */
    k->env->within.done = j;
    k->env->within.total = looks;
    int st = pt_progress(k->env, what, j, looks, err);
    const char *path = k->s.set.scene[i].path;
    bool there = pt_is_file(path) || pt_is_dir(path);
    if (!st && there) st = pt_check_scene(k, i, err);
    k->env->within.what = NULL;
    if (st) return st;
  }
  return PTV3_OK;
}

static int look_at_split(struct pt_look *k, const struct pt_value *root,
                         struct ptv3_error *err) {
  bool open;
  k->to->labels =
      pt_zalloc(k->check->mem, k->opt->classes, sizeof *k->to->labels, PT_MEM_OTHER, err);
  int st = k->to->labels ? open_split(k, root, &open, err) : pt_status(err);
  if (st || !open) return st;
  k->to->scenes = k->s.set.count;
  k->to->loop = k->s.loop;
  k->print = pt_zalloc(k->check->mem, k->s.set.count, sizeof *k->print, PT_MEM_OTHER, err);
  if (!k->print) return pt_status(err);
  find_needs(k);
  st = look_for_scenes(k, err);
  return st ? st : look_at_scenes(k, err);
}

/* ---- splits beside each other ---- */

/* Scenes that train has too; both lists are sorted by path. */
static int look_for_shared(struct pt_look *k, const struct pt_look *train,
                           struct ptv3_error *err) {
  const struct pt_dataset *a = &train->s.set, *b = &k->s.set;
  for (int64_t i = 0, j = 0; i < a->count && j < b->count;) {
    int d = strcmp(a->scene[i].path, b->scene[j].path);
    if (!d) {
      int st =
          pt_check_note(k, PT_CHECK_SHARED, b->scene[j].path, "data.train has it too",
                        "scores on what was trained on say little; take it out of one", err);
      if (st) return st;
    }
    i += d <= 0;
    j += d >= 0;
  }
  return PTV3_OK;
}

struct print {
  uint64_t print;
  int64_t scene;
};

static int by_print(const void *a, const void *b) {
  const struct print *p = a, *q = b;
  if (p->print != q->print) return p->print < q->print ? -1 : 1;
  return (p->scene > q->scene) - (p->scene < q->scene);
}

/* The scene with this print, among count sorted ones; NULL: none. */
static const struct print *find_print(const struct print *p, int64_t count, uint64_t print) {
  int64_t lo = 0, hi = count;
  while (lo < hi) {
    int64_t mid = lo + (hi - lo) / 2;
    if (p[mid].print < print)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo < count && p[lo].print == print ? &p[lo] : NULL;
}

/* Scenes whose points are those of a scene of train under another path: copies. */
static int look_for_copies(struct pt_look *k, const struct pt_look *train,
                           struct ptv3_error *err) {
  const struct pt_dataset *a = &train->s.set, *b = &k->s.set;
  if (!k->print || !train->print) return PTV3_OK;
  struct print *p = pt_alloc(k->check->mem, a->count, sizeof *p, PT_MEM_OTHER, err);
  int st = p ? PTV3_OK : pt_status(err);
  for (int64_t i = 0; !st && i < a->count; i++) p[i] = (struct print){train->print[i], i};
  if (!st) qsort(p, (size_t)a->count, sizeof *p, by_print);
  for (int64_t j = 0; !st && j < b->count; j++) {
    const struct print *twin = k->print[j] ? find_print(p, a->count, k->print[j]) : NULL;
    const char *path = twin ? a->scene[twin->scene].path : "", *own = b->scene[j].path;
    char text[600];
    if (!twin || !strcmp(path, own)) continue;
    snprintf(text, sizeof text, "its points are those of '%s' in data.train", path);
    st = pt_check_note(k, PT_CHECK_SHARED, own, text,
                       "scores on what was trained on say little; take it out of one", err);
  }
  pt_free(k->check->mem, p);
  return st;
}

/* Classes without a label, told only where all scenes were read. */
static int look_for_classes(struct pt_look *train, struct pt_look *val,
                            struct ptv3_error *err) {
  char list[400] = "", lost[400] = "";
  const struct pt_check_split *t = train->to, *v = val->to;
  if (!t->read_ok || t->read_ok < t->scenes) return PTV3_OK;
  for (int c = 0; c < train->opt->classes; c++) {
    bool missed = v->given && v->labels && v->labels[c];
    char *to = missed ? lost : list;
    if (t->labels[c] || strlen(to) > sizeof list - 16) continue;
    snprintf(to + strlen(to), 16, "%s%d", *to ? ", " : "", c);
  }
  char text[500];
  snprintf(text, sizeof text, "no point is of class %s, in train and val", list);
  int st = !*list
               ? PTV3_OK
               : pt_check_note(train, PT_CHECK_UNSEEN, NULL, text,
                               "its IoU will be 0 and lower the mIoU; check learning_map and "
                               "num_classes",
                               err);
  snprintf(text, sizeof text, "no point of train is of class %s, which val has", lost);
  if (st || !*lost) return st;
  return pt_check_note(train, PT_CHECK_ONLY_VAL, NULL, text,
                       "it cannot be learnt; move a scene, or map it to another class", err);
}

/* ---- all of it ---- */

static bool has_split(const struct pt_value *root, int s) {
  return !pt_is_none(pt_get(pt_get(root, "data"), split_name[s]));
}

/* data.val is missed where there is something to be trained and it is to be scored. */
static bool wanted(const struct pt_check_options *o, const struct pt_value *root, int s) {
  bool evaluated = true;
  if (pt_get_bool(root, "evaluate", true, &evaluated, NULL)) evaluated = true;
  if (o->training) return s == 0 || (s == 1 && evaluated);
  return has_split(root, s) || (s == 1 && evaluated && has_split(root, 0));
}

static int check_all(struct pt_look look[PT_CHECK_SPLITS], const struct pt_value *root,
                     struct ptv3_error *err) {
  if (!has_split(root, 0) && !has_split(root, 1) && !has_split(root, 2))
    return pt_fail_value(err, pt_get(root, "data"),
                         "has no 'train', 'val' or 'test' to look at");
  for (int s = 0; s < PT_CHECK_SPLITS; s++) {
    struct pt_look *k = &look[s];
    k->to->given = wanted(k->opt, root, s);
    int st = k->to->given ? look_at_split(k, root, err) : PTV3_OK;
    if (!st && s) st = look_for_shared(k, &look[0], err);
    if (!st && s) st = look_for_copies(k, &look[0], err);
    if (st) return st;
  }
  return look[0].to->given ? look_for_classes(&look[0], &look[1], err) : PTV3_OK;
}

int pt_check_data(struct pt_check *c, struct pt_env *env, const struct pt_value *root,
                  const struct pt_check_options *options, struct ptv3_error *err) {
  *c = (struct pt_check){.mem = &env->mem, .classes = options->classes};
  struct pt_look *look = pt_zalloc(&env->mem, PT_CHECK_SPLITS, sizeof *look, PT_MEM_OTHER, err);
  if (!look) return pt_status(err);
  for (int s = 0; s < PT_CHECK_SPLITS; s++) {
    c->split[s].name = split_name[s];
    look[s] = (struct pt_look){
        .check = c, .env = env, .opt = options, .to = &c->split[s], .test = s == 2};
  }
  int st = check_all(look, root, err);
  for (int s = 0; s < PT_CHECK_SPLITS; s++) {
    pt_free(&env->mem, look[s].print);
    pt_pipeline_free(&look[s].post);
    pt_split_free(&look[s].s);
  }
  pt_free(&env->mem, look);
  if (st)
    pt_check_free(c);
  else if (c->findings)
    qsort(c->finding, (size_t)c->findings, sizeof *c->finding, by_split);
  return st;
}

void pt_check_free(struct pt_check *c) {
  for (int64_t i = 0; i < c->findings; i++) pt_free(c->mem, c->finding[i].path);
  for (int s = 0; c->mem && s < PT_CHECK_SPLITS; s++) pt_free(c->mem, c->split[s].labels);
  if (c->mem) pt_free(c->mem, c->finding);
  memset(c, 0, sizeof *c);
}

/* ---- before training ---- */

static void write_finding(const struct pt_finding *f, char *text, size_t size) {
  char more[300] = "";
  if (f->scenes > 1)
    snprintf(more, sizeof more, " (and %lld scene%s more: %s)", (long long)f->scenes - 1,
             f->scenes > 2 ? "s" : "", f->also);
  bool named = f->path && !strstr(f->text, f->path);
  snprintf(text, size, "data.%s: %s%s%s%s%s%s%s", f->split, named ? "'" : "",
           named ? f->path : "", named ? "': " : "", f->text, more, *f->fix ? ": " : "",
           f->fix);
}

int pt_check_before_training(struct pt_env *env, const struct pt_value *root,
                             const struct pt_check_options *options, struct ptv3_error *err) {
  struct pt_check c;
  struct pt_check_options o = *options;
  o.quick = o.training = true;
  int st = pt_check_data(&c, env, root, &o, err);
  for (int64_t i = 0; !st && i < c.findings; i++) {
    char text[1200];
    write_finding(&c.finding[i], text, sizeof text);
    if (c.finding[i].error)
      st = pt_fail(err, PTV3_DATA, "%s", text);
    else
      pt_warn(env, "%s", text);
  }
  pt_check_free(&c);
  return st;
}
