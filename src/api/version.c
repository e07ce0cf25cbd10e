/* version.c - what this library is and what it was built with. */
#include <stdio.h>
#include <string.h>

#include "cpu.h"
#include "env.h"
#include "png.h"
#include "ptv3.h"

#ifndef PTV3_VERSION
#error "PTV3_VERSION is set by the Makefile"
#endif

const char *ptv3_version(void) { return PTV3_VERSION; }

static void compiler(char *value, size_t size) {
#if defined(__clang__)
  snprintf(value, size, "clang %d.%d.%d", __clang_major__, __clang_minor__,
           __clang_patchlevel__);
#elif defined(__GNUC__)
  snprintf(value, size, "gcc %d.%d.%d", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#else
  snprintf(value, size, "unknown");
#endif
}

static void kernels(char *value, size_t size) {
#if defined(__x86_64__)
  snprintf(value, size, "generic, AVX2, AVX-512");
#else
  snprintf(value, size, "generic");
#endif
}

static void processor(char *value, size_t size) {
  struct pt_cpu cpu = pt_cpu_detect();
  snprintf(value, size, "%s%s",
           cpu.avx512 ? "AVX-512"
           : cpu.avx2 ? "AVX2"
                      : "no extension that is used",
           cpu.bf16 ? " with BF16" : "");
}

static void threads(char *value, size_t size) {
  struct pt_env env;
  pt_env_init(&env, 0, 0);
  snprintf(value, size, "%d", env.threads);
}

static void checks(char *value, size_t size) {
#if defined(__SANITIZE_ADDRESS__)
  snprintf(value, size, "address sanitizer");
#else
  snprintf(value, size, "none");
#endif
}

static void image(char *value, size_t size) {
  snprintf(value, size, "PNG through libpng %s", pt_png_version());
}

bool ptv3_build_info(int index, const char **name, char *value, int size) {
  static const struct {
    const char *name;
    void (*fill)(char *value, size_t size);
  } item[] = {{"compiler", compiler},  {"kernels", kernels}, {"processor", processor},
              {"processors", threads}, {"images", image},    {"sanitizers", checks}};
  if (index < 0 || index >= (int)(sizeof item / sizeof *item) || size < 1) return false;
  *name = item[index].name;
  item[index].fill(value, (size_t)size);
  return true;
}
