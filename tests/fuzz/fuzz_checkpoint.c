/* fuzz_checkpoint.c - checkpoints of a training from arbitrary bytes: what is read of weights,
 * optimiser, schedule, scaler and notes. The first byte is the kind of training; the rest is
 * the file, whose checksums are made right, as nothing else would be reached. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create */
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit/training_made.h"
#include "zipwrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { END = 22, ENTRY = 46, HEADER = 30 };

/* Gives each stored record the checksum of its bytes, as far as the directory makes sense. */
static void fix_checksums(uint8_t *p, int64_t n) {
  if (n < END) return;
  const uint8_t *end = p + n - END;
  int64_t at = pt_le32(end + 16);
  for (int64_t k = 0; k < pt_le16(end + 10) && at + ENTRY <= n; k++) {
    uint8_t *e = p + at;
    const int64_t header = pt_le32(e + 42), bytes = pt_le32(e + 20);
    if (header + HEADER <= n) {
      const uint8_t *h = p + header;
      const int64_t from = header + HEADER + pt_le16(h + 26) + pt_le16(h + 28);
      if (from + bytes <= n) pt_put32(e + 16, pt_crc32(0, p + from, bytes));
    }
    at += ENTRY + pt_le16(e + 28) + pt_le16(e + 30) + pt_le16(e + 32);
  }
}

static const char *const texts[] = {
    "o = dict(type='AdamW', lr=0.02)\nd = [dict(keyword='block', lr=0.002)]\n"
    "s = dict(type='OneCycleLR', max_lr=[0.02, 0.002], three_phase=True)\n",
    "o = dict(type='AdamW', lr=0.02, amsgrad=True)\nd = None\n"
    "s = dict(type='CosineAnnealingLR', eta_min=1e-4)\n",
    "o = dict(type='SGD', lr=0.1, momentum=0.9)\nd = None\n"
    "s = dict(type='MultiStepLR', milestones=[0.3, 0.3, 0.8])\n",
    "o = dict(type='Adam', lr=0.02)\nd = None\ns = dict(type='PolyLR')\n"};

static void begin(struct trial *t, int kind) {
  struct ptv3_error err;
  if (made_training(t, texts[kind], 9, 64 << 20, NULL, &err)) __builtin_trap();
  t->c.scaler = pt_scaler_new();
  t->c.scaler.on = true;
}

static void end(struct trial *t) {
  pt_optim_free(&t->o);
  pt_config_free(&t->config);
  if (t->env.mem.used != 0) __builtin_trap(); /* a leak */
}

/* What was taken over is what a step can go on from, and what was refused left all as it was.
 */
static void look(struct trial *t, const char *path) {
  struct ptv3_error err = {0};
  struct pt_notes notes;
  char buf[100];
  const int status = pt_checkpoint_read(&t->c, &notes, &t->env, path, &err);
  if (status) {
    if (status != err.status || !err.message[0] || t->b[1] != 2 || t->c.step != 0)
      __builtin_trap();
  } else {
    pt_notes_number(&notes, "batch", 0);
    pt_notes_text(&notes, "precision", buf, NULL);
    if (t->c.step < 0 || t->c.epoch < 0 || !(t->c.scaler.scale > 0)) __builtin_trap();
    if (pt_schedule_apply(&t->s, t->c.step, &t->o, &err) == 0) pt_optim_step(&t->o, 1);
  }
  pt_notes_free(&notes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static int file = -1;
  struct trial t;
  char path[64];
  if (size < 2 || size > 1 << 20) return 0;
  const int64_t n = (int64_t)size - 1;
  uint8_t *copy = malloc((size_t)n);
  if (!copy) return 0;
  memcpy(copy, data + 1, (size_t)n);
  fix_checksums(copy, n);
  if (file < 0) file = memfd_create("checkpoint", 0);
  if (file < 0 || ftruncate(file, n) || pwrite(file, copy, (size_t)n, 0) != n) __builtin_trap();
  free(copy);
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  begin(&t, data[0] % 4);
  look(&t, path);
  end(&t);
  return 0;
}
