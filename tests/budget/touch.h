/* touch.h - what the parts of steps really touch, against what windows say they do. */
#ifndef TOUCH_H
#define TOUCH_H

#include "cases.h"

/* Runs the case's network with every tensor in a file, in parts of random size, and asks the
 * system after each which pages became resident: all must lie in marked grains. Also counts
 * that no group marks more than its least. 0, or -1 with text filled; 1: cannot be asked. */
int touch_check(struct pt_env *env, struct budget_case *c, char *text, size_t size);

#endif
