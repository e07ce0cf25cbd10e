/* loader.h - batches for training, read ahead by threads at the side.
 *
 * What a batch holds depends on (seed, epoch, its number) and on nothing else: not on the
 * number of threads or slots, nor on where the epoch was begun.
 *  - An epoch has loop x scenes samples, in an order drawn for it (Fisher and Yates, Philox).
 *    Sample i is scene i % scenes for the (i / scenes)-th time.
 *  - Its transforms draw from the stream of (seed, epoch, i).
 *  - Whether and how a batch is mixed is drawn from the stream of (seed, epoch, number).
 * seed is not used as a key itself but made into one of the loader's own, so that others may
 * draw from streams of the same seed.
 *
 * Memory: everything a batch needs while it is made and after counts as "loader". A batch that
 * does not fit beside the others is made later, when it is asked for and alone; one that does
 * not fit even then is an error that names the scene.
 *
 * All functions are for one thread, the one that made the loader; env's callbacks are only
 * called on it, and env is not used elsewhere. */
#ifndef PT_LOADER_H
#define PT_LOADER_H

#include "batch.h"
#include "split.h"

struct pt_loader_options {
  const struct pt_split *split; /* outlives the loader */
  uint64_t seed;
  int64_t batch_size; /* samples a batch, >= 1 */
  double mix_prob;    /* 0 .. 1 that the clouds of a batch are mixed in pairs */
  bool shuffle;       /* draw the order; otherwise 0, 1, 2 ... */
  bool drop_last;     /* leave out a last batch with fewer samples */
  int classes;        /* labels must be 0 .. classes - 1 or the ignored one; 0: not checked */
  int threads;        /* that read ahead; 0: batches are made when asked for, by the caller */
  int slots;          /* batches in memory at most, that in use included; 0: threads + 1 */
  int64_t memory;     /* bytes set aside from the budget for all of them, at once; 0: they
                         take from what it has at the time */
};

/* Pointcept's rule: leave the rest out when the epoch has more samples than one batch. */
static inline bool pt_loader_drop_last(const struct pt_split *s, int64_t batch_size) {
  return s->set.count * s->loop > batch_size;
}

struct pt_loader;

int pt_loader_open(struct pt_loader **out, struct pt_env *env,
                   const struct pt_loader_options *options, struct ptv3_error *err);

/* Ends the threads and frees all, a batch in use included; NULL is allowed. At any time. */
void pt_loader_close(struct pt_loader *l);

int64_t pt_loader_samples(const struct pt_loader *l); /* of an epoch */
int64_t pt_loader_batches(const struct pt_loader *l); /* of an epoch */

/* Goes to batch `first` of an epoch, none of the earlier ones being read, and begins to read
 * ahead. At any time; what was read before is dropped. */
int pt_loader_start(struct pt_loader *l, int64_t epoch, int64_t first, struct ptv3_error *err);

/* The next batch; *batch is NULL at the end of the epoch. It is the loader's, to be read (and
 * written to) until the next call. Errors: what reading or a transform found in the batch that
 * was asked for, with the scene's name in front; PTV3_CANCELLED where
 * env's progress asks to stop. After an error the loader can be started again or closed. */
int pt_loader_next(struct pt_loader *l, struct pt_train_batch **batch, struct ptv3_error *err);

/* Gives the batch in use back before the next is asked for. */
void pt_loader_release(struct pt_loader *l);

/* Gives back what was read ahead, and reads no further until the next batch is asked for; the
 * batch in use stays. For a consumer that lacks the memory. What batches hold is not changed by
 * it: those given back are made again. */
void pt_loader_yield(struct pt_loader *l);

/* Bytes that reading ahead has taken before, on top of what it has now. */
int64_t pt_loader_wants(const struct pt_loader *l);

/* Since the loader was opened. */
struct pt_loader_times {
  int64_t batches;  /* handed out */
  double waited;    /* seconds pt_loader_next took in all: what training lost by data */
  double last_wait; /* of the last call */
  double made;      /* seconds of all threads spent making the batches handed out */
  int64_t peak;     /* bytes the slots held at most */
};
void pt_loader_times(const struct pt_loader *l, struct pt_loader_times *t);

#endif
