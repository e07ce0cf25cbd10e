/* run_reference.c - runs every case of a reference folder:
 * run_reference [-k KERNELS] [DIR] [NAME...].
 *
 * Cases are found by their meta.json, at any depth; what a case is, its "what" says. With
 * names, only cases whose folder contains one of them. Without -k (ref, generic, avx2, ...)
 * the kernels are the fastest, or those PTV3_KERNELS names. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "file.h"
#include "refcase.h"

void ref_free_all(struct refcase *c);

static const struct refkind *const kinds[] = {refkinds_model, refkinds_cloud, refkinds_ops,
                                              refkinds_files, refkinds_optim, refkinds_loss,
                                              refkinds_train};
/* Kinds that are about training, which this library does not do yet. */
static const char *const later[] = {"DropPath"};

struct sum {
  const char *root;
  const char *kernels; /* NULL: the fastest */
  char **only;
  int only_count;
  int passed, failed, skipped;
};

static const struct refkind *kind_of(const char *what) {
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
    for (const struct refkind *r = kinds[k]; r->what; r++)
      if (strncmp(what, r->what, strlen(r->what)) == 0) return r;
  return NULL;
}

static bool is_later(const char *what) {
  for (size_t i = 0; i < sizeof later / sizeof *later; i++)
    if (strncmp(what, later[i], strlen(later[i])) == 0) return true;
  return false;
}

static void run_case(struct sum *sum, const char *dir, json_t *meta, const char *what) {
  struct pt_env env;
  struct ptv3_error e;
  pt_env_init(&env, 0, 0);
  struct refcase c = {.folder = dir + strlen(sum->root) + 1,
                      .dir = dir,
                      .meta = meta,
                      .env = &env,
                      .kernels = sum->kernels};
  const struct refkind *kind = kind_of(what);
  if (!kind) {
    bool known = is_later(what);
    printf("%-6s %-44s %s\n", known ? "later" : "FAIL", c.folder, known ? "" : "unknown kind");
    known ? sum->skipped++ : sum->failed++;
    return;
  }
  char path[1100];
  snprintf(path, sizeof path, "%s/data.safetensors", dir);
  FILE *f = fopen(path, "rb");
  if (f) {
    fclose(f);
    if (pt_tensors_open(&c.data, &env.mem, path, &e)) {
      printf("FAIL   %s\n", e.message);
      sum->failed++;
      return;
    }
  }
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  kind->run(&c);
  clock_gettime(CLOCK_MONOTONIC, &b);
  ref_free_all(&c);
  pt_tensors_free(&c.data);
  int64_t left = env.mem.used;
  ref_check(&c, left == 0, "%lld bytes not freed", (long long)left);
  ref_check(&c, c.checks > 1, "nothing was compared");
  printf("%-6s %-44s %4d checks", c.failures ? "FAIL" : "ok", c.folder, c.checks);
  if (c.worst > 0) printf(", largest error %3.0f %% of its tolerance", 100 * c.worst);
  printf(", %.2f s\n", (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec));
  fflush(stdout);
  c.failures ? sum->failed++ : sum->passed++;
}

static bool wanted(const struct sum *sum, const char *dir) {
  for (int i = 0; i < sum->only_count; i++)
    if (strstr(dir + strlen(sum->root), sum->only[i])) return true;
  return sum->only_count == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

static void walk(struct sum *sum, const char *dir) {
  char path[1024];
  snprintf(path, sizeof path, "%s/meta.json", dir);
  json_t *meta = json_load_file(path, 0, NULL);
  const char *what = json_string_value(json_object_get(meta, "what"));
  if (what && wanted(sum, dir) && strncmp(what, "state_dict of", 13) != 0)
    run_case(sum, dir, meta, what);
  json_decref(meta);
  struct dirent **entry;
  int n = scandir(dir, &entry, NULL, by_name);
  for (int i = 0; i < n; i++) {
    if (entry[i]->d_name[0] != '.' && strlen(dir) + strlen(entry[i]->d_name) < 1000) {
      snprintf(path, sizeof path, "%.500s/%.500s", dir, entry[i]->d_name);
      if (pt_is_dir(path)) walk(sum, path);
    }
    free(entry[i]);
  }
  if (n >= 0) free(entry);
}

int main(int argc, char **argv) {
  struct sum sum = {0};
  if (argc > 2 && strcmp(argv[1], "-k") == 0) {
    sum.kernels = argv[2];
    argv += 2;
    argc -= 2;
  }
  sum.root = argc > 1 ? argv[1] : "tests/reference/cases";
  sum.only = argv + 2;
  sum.only_count = argc > 2 ? argc - 2 : 0;
  walk(&sum, sum.root);
  if (sum.skipped) printf("%d cases are about training: later\n", sum.skipped);
  if (sum.passed + sum.failed == 0) {
    fprintf(stderr, "no cases in '%s'\n", sum.root);
    return 2;
  }
  printf("%d passed, %d failed\n", sum.passed, sum.failed);
  return sum.failed != 0;
}
