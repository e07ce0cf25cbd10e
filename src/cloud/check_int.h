/* check_int.h - what the files of check.h share. Inside cloud/ only. */
#ifndef PT_CHECK_INT_H
#define PT_CHECK_INT_H

#include "check.h"
#include "split.h"

enum { PT_CHECK_TOLD = 4, PT_CHECK_LINE = 600 };

/* One split being looked at. */
struct pt_look {
  struct pt_check *check;
  struct pt_env *env;
  const struct pt_check_options *opt;
  struct pt_check_split *to;
  struct pt_split s;
  struct pt_pipeline post; /* of data.test: its features are collected there */
  bool test;
  struct pt_load load;
  uint64_t *print; /* [scenes] of the points of each that was read; 0: it was not */
  /* What reading the scene at hand warned of. */
  char told[PT_CHECK_TOLD][PT_CHECK_LINE];
  int tolds;
};

/* Notes something; one that is known for this split, by kind, fix and the words of the text
 * apart from what it quotes and counts, is noted as another scene's. path: the scene's, or
 * NULL. */
int pt_check_note(struct pt_look *k, enum pt_check_kind kind, const char *path,
                  const char *text, const char *fix, struct ptv3_error *err);

/* Reads scene i and notes what is found. The status is of what ends the check. */
int pt_check_scene(struct pt_look *k, int64_t i, struct ptv3_error *err);

/* Whether the whole check ends with this status, rather than noting it. */
bool pt_check_ends(int status);

#endif
