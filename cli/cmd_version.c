/* cmd_version.c - ptv3 version. */
#include "commands.h"
#include "session.h"

int cmd_version(int argc, char **argv) {
  const struct arg table[] = {{"help", 'h', ARG_FLAG, NULL, NULL, "this text", NULL, 0}, {0}};
  const struct args args = {"version", "", "Shows the version and what was built in.",
                            table,     0,  0};
  struct arg_list operands;
  enum args_result r = args_read(&args, argc, argv, &operands);
  if (r != ARGS_OK) return r == ARGS_HELP ? EXIT_FINE : EXIT_USAGE;
  args_free_list(&operands);
  printf("ptv3 %s\n", ptv3_version());
  const char *name;
  char value[256];
  for (int i = 0; ptv3_build_info(i, &name, value, (int)sizeof value); i++)
    printf("  %-12s %s\n", name, value);
  return EXIT_FINE;
}
