/* model.h - configuration and weights given on the command line, made a model. */
#ifndef CLI_MODEL_H
#define CLI_MODEL_H

#include "session.h"

/* Options of the commands that run a network. */
struct model_args {
  const char *weight; /* a file, or "random:SEED" */
  struct arg_list options;
  struct arg_list allow_missing;
  int compat;    /* enum ptv3_compat */
  int precision; /* enum ptv3_precision */
};

extern const char *const model_compat_names[];
extern const char *const model_precision_names[];

#define MODEL_ARGS(m)                                                                          \
  {"weight",     'w',    ARG_TEXT,                                                             \
   &(m)->weight, "FILE", "weights, .pth or .safetensors; random:SEED makes\nuntrained ones",   \
   NULL,         0},                                                                           \
      {"options",      0,                                                                      \
       ARG_PAIRS,      &(m)->options,                                                          \
       "KEY=VALUE...", "changes to CONFIG, as Pointcept takes them",                           \
       NULL,           0},                                                                     \
      {"allow-missing",                                                                        \
       0,                                                                                      \
       ARG_LIST,                                                                               \
       &(m)->allow_missing,                                                                    \
       "PATTERN",                                                                              \
       "weights that may be absent, e.g. 'seg_head.*';\nmay be given again",                   \
       NULL,                                                                                   \
       0},                                                                                     \
      {"compat",                                                                               \
       0,                                                                                      \
       ARG_CHOICE,                                                                             \
       &(m)->compat,                                                                           \
       "VERSION",                                                                              \
       "current, 1.5.1 for weights of Pointcept before\n2024-03-26, or auto: whichever fits "  \
       "(current)",                                                                            \
       model_compat_names,                                                                     \
       0},                                                                                     \
  {                                                                                            \
    "precision", 0, ARG_CHOICE, &(m)->precision, "TYPE",                                       \
        "fp32, or bf16: half the memory, faster where\nthe processor has AVX-512 BF16 (fp32)", \
        model_precision_names, 0                                                               \
  }

struct model {
  struct ptv3_config *config;
  struct ptv3_model *model;
  struct ptv3_model_info info;
};

/* Returns an exit code; a message was printed when it is not EXIT_FINE. */
int model_open(struct session *s, const char *config, const struct model_args *args,
               struct model *m);
void model_close(struct model *m);

#endif
