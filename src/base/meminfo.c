/* meminfo.c - see meminfo.h. Linux; elsewhere there are no such files and no limit is found. */
#include "meminfo.h"

#include <stdio.h>
#include <string.h>

#include "size.h"

/* The number in a file of one number; -1 for "max" or no such file. */
static int64_t number_in(const char *folder, const char *file) {
  char path[600];
  long long v = -1;
  snprintf(path, sizeof path, "%s/%s", folder, file);
  FILE *f = fopen(path, "re");
  if (!f) return -1;
  if (fscanf(f, "%lld", &v) != 1) v = -1;
  fclose(f);
  return v;
}

static int64_t system_available(void) {
  char line[200];
  long long kib = -1;
  FILE *f = fopen("/proc/meminfo", "re");
  if (!f) return INT64_MAX;
  while (fgets(line, sizeof line, f))
    if (sscanf(line, "MemAvailable: %lld kB", &kib) == 1) break;
  fclose(f);
  return kib >= 0 ? kib * 1024 : INT64_MAX;
}

/* What a group's limit leaves; INT64_MAX without one. */
static int64_t group_left(const char *folder, const char *limit, const char *usage) {
  int64_t most = number_in(folder, limit), now = number_in(folder, usage);
  if (most < 0 || now < 0) return INT64_MAX;
  return pt_max(0, most - now);
}

/* The group named in a line of /proc/self/cgroup and all groups above it. */
static int64_t groups_left(const char *root, char *group, const char *limit,
                           const char *usage) {
  int64_t left = INT64_MAX;
  char folder[500];
  for (;;) {
    snprintf(folder, sizeof folder, "%s%s", root, group);
    left = pt_min(left, group_left(folder, limit, usage));
    char *slash = strrchr(group, '/');
    if (!slash || group[1] == 0) return left;
    slash[slash == group ? 1 : 0] = 0;
  }
}

static int64_t groups_available(void) {
  int64_t left = INT64_MAX;
  char line[400];
  FILE *f = fopen("/proc/self/cgroup", "re");
  if (!f) return left;
  while (fgets(line, sizeof line, f)) {
    line[strcspn(line, "\n")] = 0;
    char *first = strchr(line, ':'), *group = first ? strchr(first + 1, ':') : NULL;
    if (!group) continue;
    *group++ = 0;
    if (strcmp(line, "0:") == 0)
      left = pt_min(left, groups_left("/sys/fs/cgroup", group, "memory.max", "memory.current"));
    else if (strstr(first + 1, "memory"))
      left = pt_min(left, groups_left("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes",
                                      "memory.usage_in_bytes"));
  }
  fclose(f);
  return left;
}

int64_t pt_memory_available(void) { return pt_min(system_available(), groups_available()); }

int64_t pt_memory_default(void) {
  int64_t most = pt_memory_available(), least = INT64_C(64) << 20;
  if (most == INT64_MAX) return most;
  return pt_max(least, most - most / 10 - least);
}
