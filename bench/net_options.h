/* net_options.h - the options and the frame that bench_net and bench_train share. */
#ifndef BENCH_NET_OPTIONS_H
#define BENCH_NET_OPTIONS_H

#include <jansson.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"
#include "net_inputs.h"

enum { MOST_RUNS = 50, MOST_INPUTS = 64 };

struct net_options {
  const char *program; /* "bench_net" */
  const char *config, *kernels, *precision, *json;
  char *inputs[MOST_INPUTS];
  int input_count;
  int64_t sizes[MOST_INPUTS];
  int size_count;
  int threads, reps;
};

static void usage(const struct net_options *o, const char *what) {
  fprintf(stderr, "%s: %s; see the top of bench/%s.c\n", o->program, what, o->program);
  exit(2);
}

static int64_t parse_size(const char *s) {
  char *end;
  double v = strtod(s, &end);
  return (int64_t)(v * (*end == 'k' ? 1e3 : *end == 'M' ? 1e6 : 1));
}

static void parse_sizes(struct net_options *o, char *list) {
  o->size_count = 0;
  for (char *item = strtok(list, ","); item; item = strtok(NULL, ",")) {
    if (o->size_count == MOST_INPUTS) usage(o, "too many items");
    o->sizes[o->size_count++] = parse_size(item);
    if (o->sizes[o->size_count - 1] < 1000) usage(o, "a room has at least 1000 voxels");
  }
}

static void parse_inputs(struct net_options *o, char *list) {
  for (char *item = strtok(list, ","); item; item = strtok(NULL, ",")) {
    if (o->input_count == MOST_INPUTS) usage(o, "too many items");
    o->inputs[o->input_count++] = item;
  }
}

/* Whether it is one that all have. */
static bool parse_common(struct net_options *o, const char *name, char *value) {
  if (!strcmp(name, "--sizes"))
    parse_sizes(o, value);
  else if (!strcmp(name, "--inputs"))
    parse_inputs(o, value);
  else if (!strcmp(name, "--threads"))
    o->threads = atoi(value);
  else if (!strcmp(name, "--reps"))
    o->reps = atoi(value);
  else if (!strcmp(name, "--kernels"))
    o->kernels = value;
  else if (!strcmp(name, "--precision"))
    o->precision = value;
  else if (!strcmp(name, "--config"))
    o->config = value;
  else if (!strcmp(name, "--json"))
    o->json = value;
  else
    return false;
  return true;
}

static void check_common(const struct net_options *o) {
  if (o->threads < 1 || o->reps < 0 || o->reps > MOST_RUNS)
    usage(o, "threads or reps out of range");
  if (strcmp(o->precision, "fp32") && strcmp(o->precision, "bf16"))
    usage(o, "precisions are fp32 and bf16");
}

/* The kernels asked for, and what they compute in. */
static const struct pt_kernels *kernels_of(const struct net_options *o, enum pt_dtype *type,
                                           enum pt_dtype *mat) {
  const struct pt_kernels *k = pt_kernel_table(o->kernels);
  if (!k) fprintf(stderr, "%s: no kernels '%s'\n", o->program, o->kernels), exit(1);
  *type = strcmp(o->precision, "bf16") ? PT_F32 : PT_BF16;
  *mat = pt_kernels_mat(k, *type);
  return k;
}

/* Writes results with what they were taken with, where a file was asked for. */
static void write_json(const struct net_options *o, const struct pt_kernels *k, json_t *list) {
  json_t *all = json_pack("{s:s,s:s,s:i,s:o}", "kernels", k->name, "precision", o->precision,
                          "threads", o->threads, "results", list);
  if (o->json && json_dump_file(all, o->json, JSON_INDENT(2)))
    fprintf(stderr, "%s: cannot write '%s'\n", o->program, o->json), exit(1);
  json_decref(all);
}

/* ---- the resident set, as the system sees it ---- */

/* A line of /proc/self/status in bytes; -1 where there is none. */
static int64_t status_of(const char *key) {
  char line[256];
  long long kib = -1;
  FILE *f = fopen("/proc/self/status", "r");
  while (f && kib < 0 && fgets(line, sizeof line, f))
    if (!strncmp(line, key, strlen(key))) sscanf(line + strlen(key), ":%lld", &kib);
  if (f) fclose(f);
  return kib < 0 ? -1 : 1024 * kib;
}

/* What is resident now, its peak forgotten; -1 where that cannot be. */
static int64_t resident_begin(void) {
#if defined(__GLIBC__)
  malloc_trim(0); /* what inputs left behind would hide growth */
#endif
  FILE *f = fopen("/proc/self/clear_refs", "w");
  if (!f) return -1;
  bool written = fputs("5", f) >= 0;
  return fclose(f) == 0 && written ? status_of("VmRSS") : -1;
}

/* By how much it grew since then at most; -1 unknown. */
static int64_t resident_grown(int64_t begin) {
  return begin >= 0 ? status_of("VmHWM") - begin : -1;
}

#endif
