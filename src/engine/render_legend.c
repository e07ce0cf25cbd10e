/* render_legend.c - the words on a picture: classes with their colours and shares, the range
 * of heights, a scale bar. */
#include <math.h>
#include <stdio.h>

#include "palette.h"
#include "render_parts.h"

static const uint8_t ink[3] = {40, 40, 44}, faint[3] = {120, 120, 126};
static const uint8_t right_rgb[3] = {168, 190, 204}, wrong_rgb[3] = {206, 40, 46};

enum { ROW = 14, SWATCH = 9, GAP = 5, MARGIN = 8, NAME_MOST = 28 };

struct entry {
  char name[64];
  char share[16];
  uint8_t rgb[3];
};

int pt_legend_scale(const struct pt_image *image) {
  int scale = (image->height < image->width ? image->height : image->width) / 400;
  return scale < 1 ? 1 : scale > 8 ? 8 : scale;
}

static void fill_entry(struct entry *e, const char *name, const uint8_t rgb[3], int64_t count,
                       int64_t total) {
  snprintf(e->name, sizeof e->name, "%.*s", NAME_MOST, name);
  double percent = total > 0 ? 100.0 * (double)count / (double)total : 0;
  if (count > 0 && percent < 0.1)
    snprintf(e->share, sizeof e->share, "<0.1 %%");
  else
    snprintf(e->share, sizeof e->share, percent >= 10 || count == 0 ? "%.0f %%" : "%.1f %%",
             percent);
  for (int k = 0; k < 3; k++) e->rgb[k] = rgb[k];
}

/* Entry number `want` of the legend, counting those that have points; false past the last. */
static bool entry_at(const struct pt_render *s, const struct pt_painting *p, int want,
                     struct entry *e) {
  if (p->paint == PT_PAINT_ERROR) {
    static const char *const name[] = {"right", "wrong", "no label"};
    const uint8_t *rgb[] = {right_rgb, wrong_rgb, pt_palette_none};
    int64_t count[] = {p->right, p->wrong, p->none};
    if (want > 2 || (want == 2 && !p->none)) return false;
    fill_entry(e, name[want], rgb[want], count[want], want == 2 ? s->n : p->right + p->wrong);
    return true;
  }
  for (int c = 0; c < p->classes; c++) {
    if (p->count[c] == 0 || want-- > 0) continue;
    char number[24];
    snprintf(number, sizeof number, "class %d", c);
    const char *name = s->class_name && c < s->classes ? s->class_name[c] : NULL;
    uint8_t rgb[3];
    pt_palette(c, name, rgb);
    fill_entry(e, name ? name : number, rgb, p->count[c], s->n);
    return true;
  }
  if (want != 0 || !p->none) return false;
  fill_entry(e, "no class", pt_palette_none, p->none, s->n);
  return true;
}

static bool has_legend(const struct pt_painting *p) { return p->paint != PT_PAINT_COLOR; }

int pt_legend_width(const struct pt_render *s, const struct pt_painting *p, int scale) {
  if (!has_legend(p)) return 0;
  if (p->paint == PT_PAINT_HEIGHT)
    return (2 * MARGIN + SWATCH + GAP) * scale + pt_text_width("-0000.0 m", scale);
  struct entry e;
  int most = 0;
  for (int i = 0; i < 256 && entry_at(s, p, i, &e); i++) {
    int w = pt_text_width(e.name, scale) + pt_text_width(e.share, scale);
    if (w > most) most = w;
  }
  return most + (2 * MARGIN + SWATCH + 3 * GAP) * scale;
}

static void draw_height(const struct pt_render *s, const struct pt_painting *p,
                        struct pt_image *image, int x, int y, int scale) {
  int length = image->height / 3, top = y + 4 * scale;
  char text[32];
  for (int j = 0; j < length; j++) {
    uint8_t rgb[3];
    pt_palette_height(1 - (double)j / (length - 1), rgb);
    pt_fill(image, x + MARGIN * scale, top + j, SWATCH * scale, 1, rgb);
  }
  int words = x + (MARGIN + SWATCH + GAP) * scale;
  for (int k = 0; k <= 2; k++) {
    double z = p->high + (p->low - p->high) * k / 2 + s->offset_z;
    snprintf(text, sizeof text, "%.1f m", z);
    pt_text(image, words, top + (length - 1) * k / 2 - 3 * scale, scale, ink, text);
  }
}

void pt_legend_draw(const struct pt_render *s, const struct pt_painting *p,
                    struct pt_image *image, int x, int y, int scale) {
  if (!has_legend(p)) return;
  if (p->paint == PT_PAINT_HEIGHT) {
    draw_height(s, p, image, x, y, scale);
    return;
  }
  struct entry e;
  int room = (image->height - y) / (ROW * scale) - 1, total = 0;
  while (total < 65536 && entry_at(s, p, total, &e)) total++;
  for (int i = 0; i < total; i++, y += ROW * scale) {
    if (i >= room && total - i > 1) {
      char text[32];
      snprintf(text, sizeof text, "and %d more", total - i);
      pt_text(image, x + MARGIN * scale, y, scale, faint, text);
      return;
    }
    entry_at(s, p, i, &e);
    pt_fill(image, x + MARGIN * scale, y - scale, SWATCH * scale, SWATCH * scale, e.rgb);
    pt_text(image, x + (MARGIN + SWATCH + GAP) * scale, y, scale, ink, e.name);
    int share = image->width - MARGIN * scale - pt_text_width(e.share, scale);
    pt_text(image, share, y, scale, faint, e.share);
  }
}

/* The largest of 1, 2, 5 times a power of ten that is not above most. */
static double round_length(double most) {
  double p = pow(10, floor(log10(most)));
  return most >= 5 * p ? 5 * p : most >= 2 * p ? 2 * p : p;
}

void pt_scale_bar(struct pt_image *image, int x, int y, int most, double metre, int scale) {
  double length = round_length(most / metre);
  int width = (int)lround(length * metre);
  char text[32];
  if (length >= 1000)
    snprintf(text, sizeof text, "%g km", length / 1000);
  else if (length >= 1)
    snprintf(text, sizeof text, "%g m", length);
  else
    snprintf(text, sizeof text, "%g cm", length * 100);
  pt_fill(image, x, y - scale, width, scale, ink);
  pt_fill(image, x, y - 4 * scale, scale, 4 * scale, ink);
  pt_fill(image, x + width - scale, y - 4 * scale, scale, 4 * scale, ink);
  pt_text(image, x + 3 * scale, y - 12 * scale, scale, ink, text);
}
