/* session.c - see session.h. */
#include "session.h"

#include <signal.h>
#include <stdarg.h>
#include <string.h>

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
  (void)number;
  interrupted = 1;
}

bool session_interrupted(void) { return interrupted != 0; }

static void on_warning(void *user, const char *message) {
  struct session *s = user;
  if (s->common.quiet) return;
  progress_clear(&s->progress);
  fprintf(stderr, "%swarning:%s %s\n", term_yellow(stderr), term_plain(stderr), message);
}

static void on_info(void *user, const char *message) {
  struct session *s = user;
  if (s->common.quiet) return;
  progress_clear(&s->progress);
  fprintf(stderr, "%s\n", message);
}

static bool on_progress(void *user, const char *what, int64_t done, int64_t total) {
  struct session *s = user;
  struct ptv3_memory memory;
  ptv3_context_memory(s->ctx, &memory);
  progress_show(&s->progress, what, done, total, memory.used, memory.limit);
  return !interrupted;
}

int session_open(struct session *s, const char *command, const struct common *common) {
  *s = (struct session){.command = command, .common = *common};
  progress_init(&s->progress, common->quiet);
  struct sigaction action = {.sa_handler = on_interrupt};
  action.sa_flags = (int)SA_RESETHAND; /* a second interrupt ends the program */
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  struct ptv3_options options = {
      .threads = (int)(common->threads > 4096 ? 4096 : common->threads),
      .memory = common->memory,
      .tmp = common->tmp,
      .info = on_info,
      .warn = on_warning,
      .progress = on_progress,
      .user = s};
  if (ptv3_context_create(&options, &s->ctx, &s->err) == PTV3_OK) return EXIT_FINE;
  return session_fail(s);
}

void session_close(struct session *s) {
  progress_clear(&s->progress);
  ptv3_context_free(s->ctx);
  s->ctx = NULL;
}

int session_main(const struct args *args, int argc, char **argv, const struct common *common,
                 session_work *work, void *request) {
  struct arg_list words = {0};
  const enum args_result r = args_read(args, argc, argv, &words);
  int code = r == ARGS_HELP ? EXIT_FINE : EXIT_USAGE;
  if (r == ARGS_OK) {
    struct session s;
    code = session_open(&s, args->command, common);
    if (code == EXIT_FINE) code = work(&s, request, &words);
    session_close(&s);
  }
  args_free_list(&words);
  args_free_table(args->table);
  return code;
}

void session_say(struct session *s, const char *format, ...) {
  progress_clear(&s->progress);
  va_list ap;
  va_start(ap, format);
  fprintf(stderr, "%sptv3 %s:%s ", term_red(stderr), s->command, term_plain(stderr));
  vfprintf(stderr, format, ap);
  fputc('\n', stderr);
  va_end(ap);
}

void session_note(struct session *s, const char *format, ...) {
  if (s->common.quiet) return;
  progress_clear(&s->progress);
  va_list ap;
  va_start(ap, format);
  vfprintf(stderr, format, ap);
  fputc('\n', stderr);
  va_end(ap);
}

static int code_of(int status) {
  switch (status) {
    case PTV3_OK: return EXIT_FINE;
    case PTV3_INVALID: return EXIT_USAGE;
    case PTV3_NO_MEMORY:
    case PTV3_BUDGET: return EXIT_BUDGET;
    case PTV3_IO:
    case PTV3_FORMAT:
    case PTV3_UNSUPPORTED:
    case PTV3_CONFIG:
    case PTV3_DATA: return EXIT_INPUT;
    case PTV3_MISMATCH: return EXIT_WEIGHTS;
    case PTV3_CANCELLED: return EXIT_INTERRUPT;
    default: return EXIT_FAILED;
  }
}

/* Where the budget went, for a choice of a larger one. */
static void explain_budget(const struct session *s) {
  const char *name, *between = "";
  int64_t used, peak;
  char text[24];
  fprintf(stderr, "the most in use before that: ");
  for (int i = 0; ptv3_context_memory_of(s->ctx, i, &name, &used, &peak); i++) {
    if (peak < 1 << 20) continue;
    fprintf(stderr, "%s%s %s", between, name, term_bytes(peak, text));
    between = ", ";
  }
  fprintf(stderr, "%s; raise --memory\n", *between ? "" : "less than 1 MiB");
}

int session_fail(struct session *s) {
  if (s->err.status == PTV3_CANCELLED)
    session_say(s, "interrupted");
  else
    session_say(s, "%s", s->err.message[0] ? s->err.message : ptv3_status_text(s->err.status));
  if (s->err.status == PTV3_BUDGET && s->ctx) explain_budget(s);
  return code_of(s->err.status);
}

int session_fail_write(struct session *s) {
  int code = session_fail(s);
  return s->err.status == PTV3_IO ? EXIT_FAILED : code;
}
