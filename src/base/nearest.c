/* nearest.c - see nearest.h. */
#include "nearest.h"

#include <string.h>

static int least(int a, int b) { return a < b ? a : b; }

/* The next word at or behind *p, of n letters; false at the end. */
static bool next_word(const char **p, int *n) {
  while (**p == ' ') ++*p;
  *n = (int)strcspn(*p, " ");
  return *n > 0;
}

bool pt_is_word(const char *text, const char *words) {
  int n;
  for (const char *p = words; next_word(&p, &n); p += n)
    if (n == (int)strlen(text) && !memcmp(p, text, (size_t)n)) return true;
  return false;
}

/* Edits between a [n] and b [m], both shorter than PT_WORD. */
static int edits(const char *a, int n, const char *b, int m) {
  int row[3][PT_WORD]; /* those of i - 2, i - 1 and i letters of a */
  for (int j = 0; j <= m; j++) row[1][j] = j;
  for (int i = 1; i <= n; i++) {
    row[2][0] = i;
    for (int j = 1; j <= m; j++) {
      int d = row[1][j - 1] + (a[i - 1] != b[j - 1]);
      d = least(d, least(row[1][j], row[2][j - 1]) + 1);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d = least(d, row[0][j - 2] + 1);
      row[2][j] = d;
    }
    memcpy(row[0], row[1], sizeof row[0]);
    memcpy(row[1], row[2], sizeof row[1]);
  }
  return row[1][m];
}

bool pt_nearest_word(const char *text, const char *words, char near[PT_WORD]) {
  int len = (int)strnlen(text, PT_WORD), n, best = PT_WORD;
  if (len >= PT_WORD) return false;
  for (const char *p = words; next_word(&p, &n); p += n) {
    if (n >= PT_WORD) continue;
    int d = edits(text, len, p, n);
    if (d >= best || d >= n || d > (n <= 8 ? 2 : n / 3)) continue;
    best = d;
    memcpy(near, p, (size_t)n);
    near[n] = 0;
  }
  return best < PT_WORD;
}
