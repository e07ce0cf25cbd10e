/* cmd_config.c - ptv3 config: a configuration as it is after bases and changes. */
#include "commands.h"
#include "session.h"

struct request {
  struct common common;
  struct arg_list options;
  const char *key;
};

static int run(struct session *s, void *request, const struct arg_list *words) {
  const struct request *q = request;
  struct ptv3_config *config;
  const char *text;
  if (ptv3_config_load(s->ctx, words->item[0], q->options.item, q->options.count, &config,
                       &s->err))
    return session_fail(s);
  int code = EXIT_FINE;
  if (ptv3_config_text(config, q->key, &text, &s->err))
    code = session_fail(s);
  else
    printf("%s\n", text);
  ptv3_config_free(config);
  return code;
}

int cmd_config(int argc, char **argv) {
  struct request q = {0};
  const struct arg table[] = {
      {"options", 0, ARG_PAIRS, &q.options, "KEY=VALUE...", "changes, as Pointcept takes them",
       NULL, 0},
      {"key", 'k', ARG_TEXT, &q.key, "KEY", "only the value at model.backbone...", NULL, 0},
      COMMON_ARGS(&q.common),
      {0}};
  const struct args args = {
      "config",
      "[options] CONFIG",
      "Shows a configuration of Pointcept as JSON, with its _base_ files and\n"
      "the changes given resolved. The file is read, not run.",
      table,
      1,
      1};
  return session_main(&args, argc, argv, &q.common, run, &q);
}
