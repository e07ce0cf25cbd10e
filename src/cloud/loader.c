/* loader.c - see loader.h.
 *
 * Batch number b is made in slot b % slots. Threads take the batches in order, each as soon as
 * its slot is empty; the consumer takes them out in the same order. All states of slots, and
 * todo, head and quit, belong to the lock; what is in a slot belongs to whoever put it into
 * MAKING, and afterwards to the consumer. */
#include "loader.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "philox.h"
#include "size.h"

enum state {
  EMPTY,
  MAKING,
  READY,
  FAILED,
  LATER, /* did not fit beside the others: made by the consumer, alone */
  IN_USE
};

enum { WARNINGS = 4, WARNING = 600, MAX_THREADS = 256, MAX_SLOTS = 1024 };

struct slot {
  struct pt_env env; /* counts within the loader's; warnings go to warning */
  struct pt_loader *l;
  enum state state;
  struct pt_train_batch batch;
  struct ptv3_error err;    /* when FAILED */
  int warnings;             /* also those past the last that is kept */
  int64_t warned[WARNINGS]; /* scene */
  char warning[WARNINGS][WARNING];
  int64_t scene; /* being read */
  bool mine;     /* the consumer makes it, whose callbacks may be called */
};

struct pt_loader {
  struct pt_env *env;
  struct pt_loader_options o;
  uint64_t key; /* of the draws */
  struct pt_mem mem;
  int64_t reserved;
  int64_t samples, batches;
  int64_t epoch;
  int32_t *order; /* [samples] */
  uint8_t *told;  /* [scenes] its warnings were given */
  int slots, running;
  struct slot *slot; /* [slots] */
  pthread_t *thread; /* [running] */
  pthread_mutex_t lock;
  pthread_cond_t work, done; /* for threads; for the consumer */
  int64_t todo, head;        /* next batch to be begun; next to be handed out */
  bool started, quit, alone; /* alone: no thread may begin a batch */
  atomic_bool stop;          /* what is being made is not wanted any more */
  struct pt_loader_times times;
};

/* ---- what is drawn ---- */

/* Streams of the loader's key: samples have those below 2^62 (draw.h). */
static const uint64_t ORDER = UINT64_C(1) << 62, MIX = UINT64_C(1) << 63;

static void draw_order(struct pt_loader *l) {
  for (int64_t i = 0; i < l->samples; i++) l->order[i] = (int32_t)i;
  if (!l->o.shuffle) return;
  for (int64_t i = l->samples - 1; i > 0; i--) {
    int64_t j = (int64_t)pt_philox_below(l->key, ORDER | (uint64_t)l->epoch, (uint64_t)i,
                                         (uint64_t)i + 1);
    int32_t swap = l->order[i];
    l->order[i] = l->order[j];
    l->order[j] = swap;
  }
}

/* ---- making a batch ---- */

static void on_warn(void *user, const char *message) {
  struct slot *s = user;
  if (s->warnings < WARNINGS) {
    s->warned[s->warnings] = s->scene;
    snprintf(s->warning[s->warnings], WARNING, "%s", message);
  }
  s->warnings++;
}

static bool on_progress(void *user, const char *what, int64_t done, int64_t total) {
  const struct slot *s = user;
  if (s->mine) return !pt_progress(s->l->env, what, done, total, NULL);
  return !atomic_load(&s->l->stop);
}

static int make_sample(struct slot *s, int64_t i, struct pt_batch_part *part,
                       struct pt_cloud *c, struct ptv3_error *err) {
  const struct pt_loader *l = s->l;
  const struct pt_split *split = l->o.split;
  const struct pt_scene *scene = &split->set.scene[i % split->set.count];
  *part = (struct pt_batch_part){
      .scene = i % split->set.count, .occurrence = i / split->set.count, .name = scene->name};
  s->scene = part->scene;
  struct pt_draw draw = pt_draw_of(l->key, (uint64_t)l->epoch, (uint64_t)i);
  int st = pt_progress(&s->env, "reading", 0, 0, err);
  if (!st) st = pt_dataset_load(&split->set, &s->env, part->scene, &split->load, c, err);
  if (!st && l->o.classes)
    st = pt_cloud_check_labels(c, "segment", l->o.classes, split->set.ignore, scene->path, err);
  if (st) return st;
  part->points = c->n;
  st = pt_pipeline_apply(&split->pipeline, &s->env, c, &draw, false, err);
  return st ? pt_prefix(err, "'%s'", scene->path) : PTV3_OK;
}

static int make_parts(struct slot *s, int64_t first, int64_t count, struct pt_cloud *cloud,
                      struct pt_batch_part *part, struct ptv3_error *err) {
  struct pt_loader *l = s->l;
  for (int64_t p = 0; p < count; p++) {
    int st = make_sample(s, l->order[first + p], &part[p], &cloud[p], err);
    if (!st) continue;
    if (pt_lacks_memory(st))
      pt_prefix(err, "'%s' for a batch of %lld", part[p].name, (long long)count);
    return st;
  }
  return PTV3_OK;
}

/* Batch number b into the slot, with nothing held. */
static int make_batch(struct slot *s, int64_t b, struct ptv3_error *err) {
  struct pt_loader *l = s->l;
  struct pt_mem *mem = &s->env.mem;
  double began = pt_seconds();
  int64_t first = b * l->o.batch_size;
  int64_t count = pt_min(l->o.batch_size, l->samples - first);
  struct pt_draw draw = {.seed = l->key,
                         .stream = MIX ^ (uint64_t)l->epoch << 40 ^ (uint64_t)b};
  double u = 1;
  struct pt_batch_part *part = NULL;
  struct pt_cloud *cloud = pt_zalloc(mem, count, sizeof *cloud, PT_MEM_CLOUD, err);
  if (cloud) part = pt_zalloc(mem, count, sizeof *part, PT_MEM_CLOUD, err);
  int st = part ? make_parts(s, first, count, cloud, part, err) : pt_status(err);
  if (!st) st = pt_draw_fill(&draw, PT_DRAW_CHANCE, 0, 1, 1, &u, err);
  if (!st)
    st = pt_batch_join(&s->batch, mem, cloud, part, count, u < l->o.mix_prob, &draw, err);
  for (int64_t p = 0; cloud && p < count; p++) pt_cloud_free(&cloud[p]);
  pt_free(mem, part);
  pt_free(mem, cloud);
  if (st) return st;
  s->batch.epoch = l->epoch;
  s->batch.number = b;
  s->batch.seconds = pt_seconds() - began;
  return PTV3_OK;
}

static void empty(struct slot *s) {
  pt_batch_free(&s->batch);
  s->state = EMPTY;
  s->warnings = 0;
}

/* Fills a slot that is MAKING; the lock is held before and after, not while. */
static void fill(struct slot *s, int64_t b) {
  struct pt_loader *l = s->l;
  struct ptv3_error err = {0};
  pthread_mutex_unlock(&l->lock);
  int st = make_batch(s, b, &err);
  pthread_mutex_lock(&l->lock);
  s->state = !st ? READY : pt_lacks_memory(st) && !(s->mine && l->alone) ? LATER : FAILED;
  s->err = err;
  pthread_cond_broadcast(&l->done);
}

/* ---- threads ---- */

/* The slot of the next batch, if a thread may begin it. */
static struct slot *next_work(struct pt_loader *l) {
  struct slot *s = &l->slot[l->todo % l->slots];
  return l->started && !l->alone && l->todo < l->batches && s->state == EMPTY ? s : NULL;
}

static void *run(void *user) {
  struct pt_loader *l = user;
  pthread_mutex_lock(&l->lock);
  while (!l->quit) {
    struct slot *s = next_work(l);
    if (!s) {
      pthread_cond_wait(&l->work, &l->lock);
      continue;
    }
    s->state = MAKING;
    fill(s, l->todo++);
  }
  pthread_mutex_unlock(&l->lock);
  return NULL;
}

static int start_threads(struct pt_loader *l, struct ptv3_error *err) {
  sigset_t all, before;
  sigfillset(&all); /* signals are for the program's own threads */
  pthread_sigmask(SIG_BLOCK, &all, &before);
  int why = 0;
  while (!why && l->running < l->o.threads) {
    why = pthread_create(&l->thread[l->running], NULL, run, l);
    l->running += !why;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return why ? pt_fail(err, PTV3_NO_MEMORY, "a thread for reading cannot be had: %s",
                       strerror(why))
             : PTV3_OK;
}

/* ---- opening and closing ---- */

static int check(const struct pt_loader_options *o, struct ptv3_error *err) {
  const struct pt_split *s = o->split;
  int64_t samples;
  if (o->batch_size < 1 || !(o->mix_prob >= 0 && o->mix_prob <= 1))
    return pt_fail(err, PTV3_INVALID, "a batch_size of %lld with mix_prob %g",
                   (long long)o->batch_size, o->mix_prob);
  if (o->threads < 0 || o->threads > MAX_THREADS || o->slots < 0 || o->slots > MAX_SLOTS)
    return pt_fail(err, PTV3_INVALID, "%d threads and %d slots to read ahead", o->threads,
                   o->slots);
  if (!pt_mul(s->set.count, s->loop, &samples) || samples < 1 || samples > INT32_MAX)
    return pt_fail(err, PTV3_INVALID, "%lld scenes, %lld times, make no epoch",
                   (long long)s->set.count, (long long)s->loop);
  return PTV3_OK;
}

static void init_lock(struct pt_loader *l) {
  pthread_condattr_t a;
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->work, NULL);
  pthread_condattr_init(&a);
  pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
  pthread_cond_init(&l->done, &a);
  pthread_condattr_destroy(&a);
}

static int make_slots(struct pt_loader *l, struct ptv3_error *err) {
  struct pt_mem *mem = &l->env->mem;
  if (l->o.memory > 0) {
    int st = pt_mem_reserve(mem, l->o.memory, PT_MEM_LOADER, err);
    if (st) return pt_prefix(err, "memory to read ahead");
    l->reserved = l->o.memory;
  }
  pt_mem_init_within(&l->mem, l->reserved ? NULL : mem, PT_MEM_LOADER, l->reserved);
  if (!(l->order = pt_alloc(mem, l->samples, sizeof *l->order, PT_MEM_LOADER, err)) ||
      !(l->told = pt_zalloc(mem, l->o.split->set.count, 1, PT_MEM_LOADER, err)) ||
      !(l->thread = pt_alloc(mem, l->o.threads, sizeof *l->thread, PT_MEM_LOADER, err)) ||
      !(l->slot = pt_zalloc(mem, l->slots, sizeof *l->slot, PT_MEM_LOADER, err)))
    return pt_status(err);
  for (int i = 0; i < l->slots; i++) {
    struct slot *s = &l->slot[i];
    s->l = l;
    s->env = (struct pt_env){.threads = 1, .warn = on_warn, .progress = on_progress, .user = s};
    pt_mem_init_within(&s->env.mem, &l->mem, PT_MEM_LOADER, 0);
  }
  return PTV3_OK;
}

int pt_loader_open(struct pt_loader **out, struct pt_env *env,
                   const struct pt_loader_options *options, struct ptv3_error *err) {
  *out = NULL;
  int st = check(options, err);
  struct pt_loader *l = st ? NULL : pt_zalloc(&env->mem, 1, sizeof *l, PT_MEM_LOADER, err);
  if (!l) return st ? st : pt_status(err);
  l->env = env;
  l->o = *options;
  l->key = pt_philox_u64(options->seed, UINT64_C(0x6c6f61646572), 0); /* "loader" */
  l->samples = options->split->set.count * options->split->loop;
  l->batches = options->drop_last ? l->samples / options->batch_size
                                  : pt_div_up(l->samples, options->batch_size);
  l->slots = options->slots ? options->slots : options->threads + 1;
  init_lock(l);
  st = make_slots(l, err);
  if (!st) st = start_threads(l, err);
  if (!st)
    *out = l;
  else
    pt_loader_close(l);
  return st;
}

/* Ends what threads make, and empties all slots, that in use only when asked to. Threads must
 * be kept from beginning others. The lock is held. */
static void drop_all(struct pt_loader *l, bool in_use) {
  atomic_store(&l->stop, true);
  for (int i = 0; i < l->slots; i++) {
    struct slot *s = &l->slot[i];
    while (s->state == MAKING) pthread_cond_wait(&l->done, &l->lock);
    if (in_use || s->state != IN_USE) empty(s);
  }
  atomic_store(&l->stop, false);
}

static void drain(struct pt_loader *l) {
  l->started = l->alone = false;
  drop_all(l, true);
}

void pt_loader_yield(struct pt_loader *l) {
  pthread_mutex_lock(&l->lock);
  l->alone = true; /* until pt_loader_next */
  drop_all(l, false);
  l->todo = l->head;
  pthread_mutex_unlock(&l->lock);
}

void pt_loader_close(struct pt_loader *l) {
  if (!l) return;
  struct pt_mem *mem = &l->env->mem;
  pthread_mutex_lock(&l->lock);
  l->quit = true;
  if (l->slot) drain(l);
  pthread_cond_broadcast(&l->work);
  pthread_mutex_unlock(&l->lock);
  for (int i = 0; i < l->running; i++) pthread_join(l->thread[i], NULL);
  pthread_cond_destroy(&l->done);
  pthread_cond_destroy(&l->work);
  pthread_mutex_destroy(&l->lock);
  pt_free(mem, l->slot);
  pt_free(mem, l->thread);
  pt_free(mem, l->told);
  pt_free(mem, l->order);
  if (l->reserved) pt_mem_give_back(mem, l->reserved, PT_MEM_LOADER);
  pt_free(mem, l);
}

int64_t pt_loader_samples(const struct pt_loader *l) { return l->samples; }
int64_t pt_loader_batches(const struct pt_loader *l) { return l->batches; }

int pt_loader_start(struct pt_loader *l, int64_t epoch, int64_t first, struct ptv3_error *err) {
  if (epoch < 0 || epoch >> 22 || first < 0 || first > l->batches)
    return pt_fail(err, PTV3_INVALID, "batch %lld of epoch %lld: an epoch has %lld",
                   (long long)first, (long long)epoch, (long long)l->batches);
  pthread_mutex_lock(&l->lock);
  drain(l);
  l->epoch = epoch;
  draw_order(l);
  l->todo = l->head = first;
  l->started = true;
  pthread_cond_broadcast(&l->work);
  pthread_mutex_unlock(&l->lock);
  return PTV3_OK;
}

/* ---- the consumer ---- */

/* Waits for a sign of the threads, at most a fifth of a second; the lock is held. */
static int wait_done(struct pt_loader *l, struct ptv3_error *err) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_nsec += 200000000;
  t.tv_sec += t.tv_nsec / 1000000000;
  t.tv_nsec %= 1000000000;
  if (pthread_cond_timedwait(&l->done, &l->lock, &t) != ETIMEDOUT) return PTV3_OK;
  pthread_mutex_unlock(&l->lock);
  int st = pt_progress(l->env, "reading", 0, 0, err);
  pthread_mutex_lock(&l->lock);
  return st;
}

static void make_here(struct slot *s, int64_t b) {
  s->state = MAKING;
  s->mine = true;
  fill(s, b);
  s->mine = false;
}

/* Makes the head's batch with no other one in memory. */
static int make_alone(struct pt_loader *l, struct slot *head, struct ptv3_error *err) {
  int st = PTV3_OK;
  l->alone = true;
  for (int i = 0; i < l->slots && !st; i++) {
    struct slot *s = &l->slot[i];
    while (s->state == MAKING && !st) st = wait_done(l, err);
    if (st || s == head || s->state != READY) continue;
    empty(s);
    s->state = LATER;
  }
  if (!st) {
    empty(head);
    make_here(head, l->head);
  }
  l->alone = false;
  pthread_cond_broadcast(&l->work);
  return st;
}

static int take_head(struct pt_loader *l, struct slot *s, struct ptv3_error *err) {
  while (s->state != READY && s->state != FAILED) {
    int st = PTV3_OK;
    if (s->state == LATER) {
      st = make_alone(l, s, err);
    } else if (s->state == EMPTY && !l->running) {
      make_here(s, l->todo++);
    } else {
      st = wait_done(l, err);
    }
    if (st) return st;
  }
  if (s->state == READY) return PTV3_OK;
  if (err) *err = s->err;
  return s->err.status;
}

/* Warnings of a scene are given the first time it comes. */
static void tell(struct pt_loader *l, const struct slot *s) {
  for (int i = 0; i < s->warnings && i < WARNINGS; i++)
    if (!l->told[s->warned[i]]) pt_warn(l->env, "%s", s->warning[i]);
  for (int64_t p = 0; p < s->batch.parts; p++) l->told[s->batch.part[p].scene] = 1;
}

void pt_loader_release(struct pt_loader *l) {
  pthread_mutex_lock(&l->lock);
  for (int i = 0; i < l->slots; i++)
    if (l->slot[i].state == IN_USE) empty(&l->slot[i]);
  pthread_cond_broadcast(&l->work);
  pthread_mutex_unlock(&l->lock);
}

int pt_loader_next(struct pt_loader *l, struct pt_train_batch **batch, struct ptv3_error *err) {
  double began = pt_seconds();
  *batch = NULL;
  pt_loader_release(l);
  if (!l->started)
    return pt_fail(err, PTV3_INVALID, "a batch is asked for and no epoch was begun");
  if (l->head == l->batches) return PTV3_OK;
  struct slot *s = &l->slot[l->head % l->slots];
  pthread_mutex_lock(&l->lock);
  l->alone = false; /* after pt_loader_yield */
  pthread_cond_broadcast(&l->work);
  int st = take_head(l, s, err);
  if (!st) {
    s->state = IN_USE;
    l->head++;
  }
  pthread_mutex_unlock(&l->lock);
  l->times.last_wait = pt_seconds() - began;
  l->times.waited += l->times.last_wait;
  if (st) return st;
  tell(l, s);
  l->times.batches++;
  l->times.made += s->batch.seconds;
  *batch = &s->batch;
  return PTV3_OK;
}

int64_t pt_loader_wants(const struct pt_loader *l) { return l->mem.peak - l->mem.used; }

void pt_loader_times(const struct pt_loader *l, struct pt_loader_times *t) {
  *t = l->times;
  t->peak = l->mem.peak;
}
