/* fuzz_pyconfig.c - configurations from arbitrary text; the first line, when it begins with
 * "#o ", is an option that is applied. */
#include <string.h>

#include "pyconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct pt_env env;
  struct pt_config c;
  struct ptv3_error err;
  char option[256], *json = NULL;
  const char *options[1] = {option};
  size_t n = 0;
  pt_env_init(&env, 1, 256 << 20);
  if (size > 3 && memcmp(data, "#o ", 3) == 0)
    for (; n + 3 < size && n < 255 && data[n + 3] && data[n + 3] != '\n'; n++)
      option[n] = (char)data[n + 3];
  option[n] = 0;
  if (!pt_config_parse(&env, (const char *)data, (int64_t)size, "fuzz.py", options, n > 0, &c,
                       &err)) {
    if (!pt_value_json(&env.mem, c.root, &json, NULL, &err)) pt_free(&env.mem, json);
    pt_config_warn_unused(&env, c.root);
    pt_config_free(&c);
  }
  if (env.mem.used != 0) __builtin_trap(); /* a leak */
  return 0;
}
