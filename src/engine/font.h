/* font.h - a bitmap font for the few words on a picture.
 *
 * Glyphs are 5 pixels wide and 7 high above the baseline, with 2 rows below it for g, j, p,
 * q and y. ASCII; any other character is drawn as a box. */
#ifndef PT_FONT_H
#define PT_FONT_H

#include <stdint.h>

enum { PT_FONT_WIDTH = 5, PT_FONT_ABOVE = 7, PT_FONT_BELOW = 2, PT_FONT_STEP = 6 };

/* A picture being drawn on. */
struct pt_image {
  uint8_t *rgb; /* [height, width, 3], top row first */
  int width;
  int height;
};

/* Draws UTF-8 text with its upper left corner at x, y, each font pixel scale pixels wide;
 * what lies outside of the picture is left out. */
void pt_text(struct pt_image *image, int x, int y, int scale, const uint8_t rgb[3],
             const char *text);

/* Width of text in pixels. */
int pt_text_width(const char *text, int scale);

/* A filled rectangle, cut to the picture. */
void pt_fill(struct pt_image *image, int x, int y, int width, int height, const uint8_t rgb[3]);

#endif
