/* nearest.h - the word that a misspelt one may stand for. */
#ifndef PT_NEAREST_H
#define PT_NEAREST_H

#include <stdbool.h>

enum { PT_WORD = 64 }; /* bytes of a word with its end */

/* Whether `text` is one of the words, which a blank separates ("split data_root loop"). */
bool pt_is_word(const char *text, const char *words);

/* The word that the fewest edits make of `text`: a letter put in, left out or changed, or two
 * neighbours swapped (optimal string alignment). false where it takes more than a third of the
 * word's letters, or more than two of a word of up to eight; of several as near the first. */
bool pt_nearest_word(const char *text, const char *words, char near[PT_WORD]);

#endif
