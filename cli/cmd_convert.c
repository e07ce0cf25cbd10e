/* cmd_convert.c - ptv3 convert: weights from one format to another. */
#include "commands.h"
#include "session.h"

static int convert(struct session *s, const char *from, const char *to, const char *type) {
  struct ptv3_weights *w;
  if (ptv3_weights_load(s->ctx, from, &w, &s->err)) return session_fail(s);
  int code = EXIT_FINE;
  if (ptv3_weights_save(s->ctx, w, type, to, &s->err)) code = session_fail_write(s);
  if (code == EXIT_FINE)
    session_note(s, "wrote %s: %lld tensors", to, (long long)ptv3_weights_count(w));
  ptv3_weights_free(w);
  return code;
}

int cmd_convert(int argc, char **argv) {
  static const char *const types[] = {"keep", "f32", "f16", "bf16", "f64", NULL};
  static const char *const stored[] = {NULL, "F32", "F16", "BF16", "F64"};
  struct common common = {0};
  int type = 0;
  const struct arg table[] = {
      {"type", 't', ARG_CHOICE, &type, NULL, "number type of the tensors (keep)", types, 0},
      COMMON_ARGS(&common),
      {0}};
  const struct args args = {
      "convert",
      "[options] IN OUT",
      "Rewrites weights: IN is .pth or .safetensors, OUT is written as its extension says.\n"
      "Tensor names are kept (a leading 'module.' is taken off).",
      table,
      2,
      2};
  struct arg_list files;
  enum args_result r = args_read(&args, argc, argv, &files);
  if (r != ARGS_OK) return r == ARGS_HELP ? EXIT_FINE : EXIT_USAGE;
  struct session s;
  int code = session_open(&s, "convert", &common);
  if (code == EXIT_FINE) code = convert(&s, files.item[0], files.item[1], stored[type]);
  session_close(&s);
  args_free_list(&files);
  return code;
}
