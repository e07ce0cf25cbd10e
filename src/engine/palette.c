/* palette.c - see palette.h. */
#include "palette.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

const uint8_t pt_palette_none[3] = {190, 190, 190};

struct named {
  const char *name; /* letters and digits in lower case */
  uint8_t rgb[3];
};

static const struct named named[] = {
    /* aerial: the names of ASPRS's list */
    {"ground", {176, 141, 97}},
    {"vegetation", {60, 150, 62}},
    {"lowvegetation", {164, 205, 98}},
    {"mediumvegetation", {104, 178, 80}},
    {"highvegetation", {38, 128, 58}},
    {"tree", {38, 128, 58}},
    {"grass", {164, 205, 98}},
    {"building", {205, 84, 66}},
    {"roof", {205, 84, 66}},
    {"facade", {232, 150, 120}},
    {"water", {62, 124, 200}},
    {"bridge", {222, 158, 54}},
    {"bridgedeck", {222, 158, 54}},
    {"rail", {110, 90, 130}},
    {"road", {112, 112, 122}},
    {"roadsurface", {112, 112, 122}},
    {"wire", {240, 200, 40}},
    {"powerline", {240, 200, 40}},
    {"noise", {220, 40, 160}},
    {"unclassified", {190, 190, 190}},
    {"other", {160, 160, 168}},
    /* indoor: ScanNet's colours, and S3DIS's names beside them */
    {"wall", {174, 199, 232}},
    {"floor", {152, 223, 138}},
    {"ceiling", {222, 214, 190}},
    {"beam", {150, 120, 160}},
    {"column", {90, 110, 190}},
    {"cabinet", {31, 119, 180}},
    {"bed", {255, 187, 120}},
    {"chair", {188, 189, 34}},
    {"sofa", {140, 86, 75}},
    {"table", {255, 152, 150}},
    {"door", {214, 39, 40}},
    {"window", {197, 176, 213}},
    {"bookshelf", {148, 103, 189}},
    {"bookcase", {148, 103, 189}},
    {"board", {60, 160, 150}},
    {"picture", {196, 156, 148}},
    {"counter", {23, 190, 207}},
    {"desk", {247, 182, 210}},
    {"curtain", {219, 219, 141}},
    {"refrigerator", {255, 127, 14}},
    {"refridgerator", {255, 127, 14}}, /* as ScanNet spells it */
    {"showercurtain", {158, 218, 229}},
    {"toilet", {44, 160, 44}},
    {"sink", {112, 128, 144}},
    {"bathtub", {227, 119, 194}},
    {"otherfurniture", {82, 84, 163}},
    {"clutter", {120, 120, 130}},
    /* driving */
    {"car", {70, 120, 220}},
    {"truck", {80, 40, 160}},
    {"bus", {60, 70, 190}},
    {"trailer", {110, 70, 170}},
    {"othervehicle", {90, 90, 230}},
    {"constructionvehicle", {200, 140, 20}},
    {"bicycle", {90, 210, 230}},
    {"motorcycle", {30, 80, 140}},
    {"person", {235, 50, 50}},
    {"pedestrian", {235, 50, 50}},
    {"bicyclist", {230, 60, 190}},
    {"motorcyclist", {150, 30, 90}},
    {"parking", {220, 140, 220}},
    {"sidewalk", {216, 120, 190}},
    {"driveablesurface", {112, 112, 122}},
    {"otherground", {150, 60, 80}},
    {"otherflat", {150, 60, 80}},
    {"fence", {245, 140, 70}},
    {"barrier", {245, 140, 70}},
    {"trunk", {125, 70, 30}},
    {"terrain", {170, 205, 110}},
    {"pole", {235, 215, 120}},
    {"trafficsign", {220, 30, 30}},
    {"trafficcone", {245, 110, 20}},
    {"manmade", {200, 130, 110}},
};

static const uint8_t listed[][3] = {
    {230, 97, 51},  {52, 120, 190}, {64, 160, 74},   {240, 190, 50},
    {145, 90, 170}, {80, 185, 205}, {215, 95, 150},  {140, 100, 60},
    {150, 190, 60}, {90, 90, 100},  {240, 160, 150}, {30, 110, 110},
};

/* Letters and digits in lower case; the rest is left out. */
static bool fold(const char *name, char *out, size_t size) {
  size_t n = 0;
  for (; *name; name++) {
    if (!isalnum((unsigned char)*name)) continue;
    if (n + 1 >= size) return false;
    out[n++] = (char)tolower((unsigned char)*name);
  }
  out[n] = 0;
  return n > 0;
}

static const struct named *lookup(const char *name) {
  char text[64];
  if (!name || !fold(name, text, sizeof text)) return NULL;
  for (int pass = 0; pass < 2; pass++) {
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
      if (strcmp(named[i].name, text) == 0) return &named[i];
    size_t n = strlen(text); /* "buildings" is building */
    if (n < 4 || text[n - 1] != 's') return NULL;
    text[n - 1] = 0;
  }
  return NULL;
}

static uint8_t byte_of(double v) {
  return (uint8_t)(v <= 0 ? 0 : v >= 1 ? 255 : lround(255 * v));
}

/* Hue turned by the golden angle each step; lightness and saturation in three rings. */
static void generated(int index, uint8_t rgb[3]) {
  double hue = fmod(0.61803398874989485 * index, 1.0) * 6;
  double s = 0.45 + 0.2 * (index % 3), v = 0.9 - 0.14 * (index / 3 % 3);
  for (int c = 0; c < 3; c++) {
    double k = fmod(hue + (double)(c == 0 ? 5 : c == 1 ? 3 : 1), 6.0);
    double m = fmin(fmin(k, 4 - k), 1.0);
    rgb[c] = byte_of(v - v * s * fmax(m, 0));
  }
}

void pt_palette(int index, const char *name, uint8_t rgb[3]) {
  int count = (int)(sizeof listed / sizeof *listed);
  const struct named *known = lookup(name);
  if (known)
    memcpy(rgb, known->rgb, 3);
  else if (index < 0)
    memcpy(rgb, pt_palette_none, 3);
  else if (index < count)
    memcpy(rgb, listed[index], 3);
  else
    generated(index - count, rgb);
}

void pt_palette_height(double t, uint8_t rgb[3]) {
  static const double stop[][3] = {{0.20, 0.16, 0.42}, {0.18, 0.36, 0.60}, {0.14, 0.54, 0.58},
                                   {0.36, 0.70, 0.44}, {0.74, 0.80, 0.30}, {0.98, 0.90, 0.42}};
  int last = (int)(sizeof stop / sizeof *stop) - 1;
  t = t >= 0 ? t <= 1 ? t : 1 : 0;
  int i = (int)(t * last);
  if (i >= last) i = last - 1;
  double f = t * last - i;
  for (int c = 0; c < 3; c++) rgb[c] = byte_of(stop[i][c] * (1 - f) + stop[i + 1][c] * f);
}
