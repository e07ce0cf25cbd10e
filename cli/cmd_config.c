/* cmd_config.c - ptv3 config: a configuration as it is after bases and changes. */
#include "commands.h"
#include "session.h"

static int show(struct session *s, const char *path, const struct arg_list *options,
                const char *key) {
  struct ptv3_config *config;
  const char *text;
  if (ptv3_config_load(s->ctx, path, options->item, options->count, &config, &s->err))
    return session_fail(s);
  int code = EXIT_FINE;
  if (ptv3_config_text(config, key, &text, &s->err))
    code = session_fail(s);
  else
    printf("%s\n", text);
  ptv3_config_free(config);
  return code;
}

int cmd_config(int argc, char **argv) {
  struct common common = {0};
  struct arg_list options = {0};
  const char *key = NULL;
  const struct arg table[] = {
      {"options", 0, ARG_PAIRS, &options, "KEY=VALUE...", "changes, as Pointcept takes them",
       NULL, 0},
      {"key", 'k', ARG_TEXT, &key, "KEY", "only the value at model.backbone...", NULL, 0},
      COMMON_ARGS(&common),
      {0}};
  const struct args args = {
      "config",
      "[options] CONFIG",
      "Shows a configuration of Pointcept as JSON, with its _base_ files and\n"
      "the changes given resolved. The file is read, not run.",
      table,
      1,
      1};
  struct arg_list files;
  enum args_result r = args_read(&args, argc, argv, &files);
  if (r == ARGS_OK) {
    struct session s;
    int code = session_open(&s, "config", &common);
    if (code == EXIT_FINE) code = show(&s, files.item[0], &options, key);
    session_close(&s);
    args_free_list(&files);
    args_free_list(&options);
    return code;
  }
  args_free_list(&options);
  return r == ARGS_HELP ? EXIT_FINE : EXIT_USAGE;
}
