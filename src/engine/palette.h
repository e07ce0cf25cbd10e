/* palette.h - colours of classes.
 *
 * A class is painted by its name where the usual data sets have one (ScanNet, S3DIS,
 * SemanticKITTI, nuScenes, ASPRS), so that ground is brown in every picture; other classes
 * get colours from a list chosen to be told apart, and past its end generated ones. */
#ifndef PT_PALETTE_H
#define PT_PALETTE_H

#include <stdint.h>

/* index >= 0; name may be NULL. */
void pt_palette(int index, const char *name, uint8_t rgb[3]);

/* Low to high: dark blue over green to yellow, equal steps looking equal. t is 0 to 1. */
void pt_palette_height(double t, uint8_t rgb[3]);

/* Points without a class. */
extern const uint8_t pt_palette_none[3];

#endif
