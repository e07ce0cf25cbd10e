/* cmd_convert.c - ptv3 convert: weights from one format to another. */
#include "commands.h"
#include "session.h"

struct request {
  struct common common;
  int type;
};

static int run(struct session *s, void *request, const struct arg_list *words) {
  static const char *const stored[] = {NULL, "F32", "F16", "BF16", "F64"};
  const struct request *q = request;
  const char *to = words->item[1];
  struct ptv3_weights *w;
  if (ptv3_weights_load(s->ctx, words->item[0], &w, &s->err)) return session_fail(s);
  int code = EXIT_FINE;
  if (ptv3_weights_save(s->ctx, w, stored[q->type], to, &s->err)) code = session_fail_write(s);
  if (code == EXIT_FINE)
    session_note(s, "wrote %s: %lld tensors", to, (long long)ptv3_weights_count(w));
  ptv3_weights_free(w);
  return code;
}

int cmd_convert(int argc, char **argv) {
  static const char *const types[] = {"keep", "f32", "f16", "bf16", "f64", NULL};
  struct request q = {0};
  const struct arg table[] = {
      {"type", 't', ARG_CHOICE, &q.type, NULL, "number type of the tensors (keep)", types, 0},
      COMMON_ARGS(&q.common),
      {0}};
  const struct args args = {
      "convert",
      "[options] IN OUT",
      "Rewrites weights: IN is .pth or .safetensors, OUT is written as its extension says.\n"
      "Tensor names are kept (a leading 'module.' is taken off).",
      table,
      2,
      2};
  return session_main(&args, argc, argv, &q.common, run, &q);
}
