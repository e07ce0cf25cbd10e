/* commands.h - the list of commands; each has a file of its own, cli/cmd_<name>.c. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

/* X(name, summary) */
#define COMMAND_LIST(X)                                          \
  X(predict, "classify the points of clouds")                    \
  X(eval, "score a model on a labelled data set")                \
  X(check, "look at a configuration's data before training")     \
  X(train, "train a model as its configuration says")            \
  X(plan, "show what a prediction would take, before it is run") \
  X(render, "draw a cloud, its classes or its errors as PNG")    \
  X(info, "show what a cloud, weights or configuration holds")   \
  X(config, "show a configuration with its bases resolved")      \
  X(convert, "rewrite weights in another format")                \
  X(version, "show the version and what was built in")

/* argv[0] is the command's name; returns an exit code of session.h. */
#define COMMAND_DECLARE(name, summary) int cmd_##name(int argc, char **argv);
COMMAND_LIST(COMMAND_DECLARE)
#undef COMMAND_DECLARE

#endif
