/* main.c - the program ptv3: finds the command and hands it the rest of the line.
 *
 * The program sees the library's public headers only. Each command is one file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "commands.h"
#include "session.h"

struct command {
  const char *name;
  const char *summary;
  int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
#define COMMAND_ENTRY(name, summary) {#name, summary, cmd_##name},
    COMMAND_LIST(COMMAND_ENTRY)
#undef COMMAND_ENTRY
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_usage(FILE *f) {
  fprintf(f,
          "usage: ptv3 COMMAND ...\n\n"
          "Point Transformer V3: semantic segmentation of point clouds.\n\ncommands:\n");
  for (int i = 0; i < COMMANDS; i++)
    fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].summary);
  fprintf(f, "\n'ptv3 help COMMAND' describes a command; 'man ptv3' all of them.\n");
}

static const struct command *find(const char *name) {
  for (int i = 0; i < COMMANDS; i++)
    if (strcmp(commands[i].name, name) == 0) return &commands[i];
  return NULL;
}

static int unknown(const char *name) {
  const char *names[COMMANDS];
  for (int i = 0; i < COMMANDS; i++) names[i] = commands[i].name;
  int near = args_nearest(name, names, COMMANDS);
  fprintf(stderr, "ptv3: unknown command '%s'", name);
  if (near >= 0) fprintf(stderr, "; did you mean '%s'?", names[near]);
  fprintf(stderr, "\n'ptv3 help' lists the commands\n");
  return EXIT_USAGE;
}

static int help(int argc, char **argv) {
  if (argc < 2) {
    print_usage(stdout);
    return EXIT_FINE;
  }
  const struct command *c = find(argv[1]);
  if (!c) return unknown(argv[1]);
  char flag[] = "--help";
  char *words[] = {argv[1], flag, NULL};
  return c->run(2, words);
}

/* Threads that wait for one another spin for about a millisecond before they sleep, libgomp's
 * default: where another program has a core, the one that is waited for does not get it back,
 * and a training takes four times as long as its share. A tenth of that costs nothing on an
 * idle machine. libgomp reads its environment before main, hence the second start; where there
 * is none, it stays as it is. */
static void spin_briefly(char **argv) {
  if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY")) return;
  if (setenv("GOMP_SPINCOUNT", "10000", 1) == 0) execv("/proc/self/exe", argv);
}

int main(int argc, char **argv) {
  spin_briefly(argv);
  if (argc < 2) {
    print_usage(stderr);
    return EXIT_USAGE;
  }
  const char *name = argv[1];
  if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
    return help(argc - 1, argv + 1);
  if (strcmp(name, "--version") == 0) name = "version";
  const struct command *c = find(name);
  if (!c) return unknown(name);
  int code = c->run(argc - 1, argv + 1);
  /* A result that could not be written (a full disk behind a pipe) is a failure. */
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fprintf(stderr, "ptv3: cannot write to standard output\n");
    if (code == EXIT_FINE) code = EXIT_FAILED;
  }
  return code;
}
