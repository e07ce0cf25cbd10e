/* test_spill.c - the temporary file: what is resident is what was counted, contents survive
 * being dropped, nothing is left in the folder, and folders that will not do are refused with
 * what to do. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "spill.h"

enum { GRAINS = 64 };
#define SIZE ((int64_t)GRAINS * PT_SPILL_GRAIN)

/* Bytes of files that are resident; -1 where that is not told. */
static int64_t resident_file(void) {
  char line[256];
  long long kib = -1;
  FILE *f = fopen("/proc/self/status", "r");
  while (f && kib < 0 && fgets(line, sizeof line, f)) {
    long long v;
    if (sscanf(line, "RssFile: %lld", &v) == 1) kib = v;
  }
  if (f) fclose(f);
  return kib < 0 ? -1 : 1024 * kib;
}

static int entries(const char *dir) {
  int count = 0;
  DIR *d = opendir(dir);
  assert_non_null(d);
  while (readdir(d)) count++;
  closedir(d);
  return count - 2;
}

static void test_contents(void **state) {
  (void)state;
  struct pt_spill s;
  struct ptv3_error err = {0};
  char dir[] = "/var/tmp/test_spill-XXXXXX";
  assert_non_null(mkdtemp(dir));
  assert_int_equal(pt_spill_open(&s, dir, SIZE - 5, &err), 0);
  assert_int_equal(s.size, SIZE);
  assert_int_equal((uintptr_t)s.data % PT_SPILL_GRAIN, 0);
  assert_int_equal(entries(dir), 0);
  for (int64_t i = 0; i < SIZE; i++) assert_int_equal(s.data[i], 0);
  for (int64_t i = 0; i < SIZE; i++) s.data[i] = (char)(i / 4096 + i);
  for (int round = 0; round < 2; round++) {
    pt_spill_drop(&s, 0, SIZE);
    pt_spill_fetch(&s, 3 * PT_SPILL_GRAIN, PT_SPILL_GRAIN);
    for (int64_t i = 0; i < SIZE; i++) assert_int_equal(s.data[i], (char)(i / 4096 + i));
  }
  /* Nothing past the end is dropped: it belongs to others. */
  pt_spill_drop(&s, SIZE - PT_SPILL_GRAIN, INT64_C(1) << 40);
  pt_spill_fetch(&s, 0, INT64_C(1) << 40);
  assert_int_equal(s.data[SIZE - 1], (char)((SIZE - 1) / 4096 + SIZE - 1));
  pt_spill_close(&s);
  pt_spill_close(&s);
  rmdir(dir);
}

/* An access makes its grain resident at most, and dropping gives all of it back. */
static void test_resident(void **state) {
  (void)state;
  struct pt_spill s;
  struct ptv3_error err = {0};
  if (resident_file() < 0) skip();
  assert_int_equal(pt_spill_open(&s, "/var/tmp", SIZE, &err), 0);
  memset(s.data, 1, (size_t)SIZE);
  pt_spill_drop(&s, 0, SIZE);
  const int64_t start = resident_file(), slack = 256 << 10; /* pages of code; counters */
  volatile char sum = 0;
  for (int g = 0; g < GRAINS; g += 4) sum = (char)(sum + s.data[g * PT_SPILL_GRAIN + 777]);
  int64_t grown = resident_file() - start;
  assert_in_range(grown, 0, GRAINS / 4 * PT_SPILL_GRAIN + slack);
  pt_spill_fetch(&s, 0, SIZE);
  assert_in_range(resident_file() - start, 0, GRAINS / 4 * PT_SPILL_GRAIN + slack);
  pt_spill_drop(&s, 0, SIZE);
  assert_true(resident_file() - start <= slack);
  for (int g = 0; g < GRAINS; g += 4) s.data[g * PT_SPILL_GRAIN + 777] = sum;
  assert_true(resident_file() - start <= GRAINS / 4 * PT_SPILL_GRAIN + slack);
  pt_spill_close(&s);
  assert_true(resident_file() - start <= slack);
}

static void refused(const char *dir, int64_t bytes, const char *words) {
  struct pt_spill s;
  struct ptv3_error err = {0};
  assert_int_equal(pt_spill_open(&s, dir, bytes, &err), PTV3_IO);
  if (!strstr(err.message, words)) fail_msg("'%s' not in: %s", words, err.message);
  assert_null(s.data);
  pt_spill_close(&s);
}

static void test_refused(void **state) {
  (void)state;
  refused("/no/such/folder", SIZE, "'/no/such/folder'");
  refused("/no/such/folder", SIZE, "--tmp");
  refused("/var/tmp", INT64_C(1) << 60, "are free");
  refused("/var/tmp", INT64_C(1) << 60, "'/var/tmp'");
  struct stat shm;
  if (stat("/dev/shm", &shm) == 0 && access("/dev/shm", W_OK) == 0)
    refused("/dev/shm", SIZE, "in memory (tmpfs)");
}

/* A limit on the size of files is an error, not the signal that would end the process. */
static void test_file_limit(void **state) {
  (void)state;
  struct rlimit was, small;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
  small = was;
  small.rlim_cur = 1 << 20;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  refused("/var/tmp", SIZE, "ulimit -f");
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
}

static void test_folder(void **state) {
  (void)state;
  assert_string_equal(pt_spill_folder("/a"), "/a");
  setenv("TMPDIR", "/b", 1);
  assert_string_equal(pt_spill_folder(NULL), "/b");
  assert_string_equal(pt_spill_folder(""), "/b");
  setenv("TMPDIR", "", 1);
  assert_string_equal(pt_spill_folder(NULL), "/var/tmp");
  unsetenv("TMPDIR");
  assert_string_equal(pt_spill_folder(NULL), "/var/tmp");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_contents), cmocka_unit_test(test_resident),
      cmocka_unit_test(test_refused),  cmocka_unit_test(test_file_limit),
      cmocka_unit_test(test_folder),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
