/* cmd_render.c - ptv3 render: a cloud as a PNG picture. */
#include <stdlib.h>
#include <string.h>

#include "cloud.h"
#include "commands.h"
#include "names.h"
#include "session.h"

struct request {
  struct common common;
  const char *out, *title, *prediction, *names, *config;
  struct cloud_args cloud;
  struct arg_list options;
  int view, paint;
  int64_t width, height;
  double azimuth, elevation, point_size;
  bool no_legend, no_shading;
};

static int draw(struct session *s, const struct request *q, const struct ptv3_cloud *cloud,
                const int32_t *prediction, const struct names *names) {
  struct ptv3_render_options o = {.width = (int)q->width,
                                  .height = (int)q->height,
                                  .view = (enum ptv3_view)q->view,
                                  .paint = (enum ptv3_paint)q->paint,
                                  .azimuth = q->azimuth,
                                  .elevation = q->elevation,
                                  .point_size = q->point_size,
                                  .no_legend = q->no_legend,
                                  .no_shading = q->no_shading,
                                  .title = q->title,
                                  .prediction = prediction,
                                  .classes = names->count,
                                  .class_name = names->count ? names->item : NULL};
  if (ptv3_render_png(s->ctx, cloud, &o, q->out, &s->err)) return session_fail_write(s);
  session_note(s, "wrote %s", q->out);
  return EXIT_FINE;
}

/* The classes of a LAS file are codes: the configuration's las_codes turned round, other codes
 * becoming no class. json: that list. */
static void classes_of_codes(const char *json, int64_t n, int32_t *label) {
  int32_t class_of[256];
  int count = 0;
  for (int i = 0; i < 256; i++) class_of[i] = PTV3_IGNORE;
  for (const char *c = json + strcspn(json, "0123456789"); *c; count++) {
    char *end;
    long code = strtol(c, &end, 10);
    if (code < 256 && class_of[code] == PTV3_IGNORE) class_of[code] = count;
    c = end + strcspn(end, "0123456789");
  }
  for (int64_t i = 0; i < n; i++)
    label[i] = label[i] >= 0 && label[i] < 256 ? class_of[label[i]] : PTV3_IGNORE;
}

static bool is_las(const char *path) {
  size_t n = strlen(path);
  return n > 4 && (strcmp(path + n - 4, ".las") == 0 || strcmp(path + n - 4, ".laz") == 0);
}

static int load_prediction(struct session *s, const struct request *q,
                           struct ptv3_config *config, int64_t n, int32_t *label) {
  const char *json;
  struct ptv3_error none;
  if (ptv3_labels_load(s->ctx, q->prediction, n, label, &s->err)) return session_fail(s);
  if (config && is_las(q->prediction) && !ptv3_config_text(config, "las_codes", &json, &none))
    classes_of_codes(json, n, label);
  return EXIT_FINE;
}

static int with_prediction(struct session *s, const struct request *q,
                           const struct ptv3_cloud *cloud, struct ptv3_config *config,
                           const struct names *names) {
  if (!q->prediction) return draw(s, q, cloud, NULL, names);
  struct ptv3_cloud_info info;
  ptv3_cloud_get_info(cloud, &info);
  int32_t *label = malloc((size_t)info.n * sizeof *label);
  int code = EXIT_BUDGET;
  if (!label)
    session_say(s, "the system has no more memory");
  else
    code = load_prediction(s, q, config, info.n, label);
  if (label && code == EXIT_FINE) code = draw(s, q, cloud, label, names);
  free(label);
  return code;
}

static int render_with(struct session *s, const struct request *q, const char *path,
                       struct ptv3_config *config) {
  struct names names = {0};
  int code = names_get(s, q->names, config, &names);
  if (code != EXIT_FINE) return code;
  struct ptv3_cloud_options options = cloud_options(&q->cloud);
  options.config = config;
  struct ptv3_cloud *cloud;
  if (ptv3_cloud_load(s->ctx, path, &options, &cloud, &s->err)) {
    code = session_fail(s);
  } else {
    code = with_prediction(s, q, cloud, config, &names);
    ptv3_cloud_free(cloud);
  }
  names_free(&names);
  return code;
}

static int run(struct session *s, void *request, const struct arg_list *words) {
  const struct request *q = request;
  struct ptv3_config *config = NULL;
  if (!q->out) {
    session_say(s, "-o PNG is missing");
    return EXIT_USAGE;
  }
  if (q->config &&
      ptv3_config_load(s->ctx, q->config, q->options.item, q->options.count, &config, &s->err))
    return session_fail(s);
  int code = render_with(s, q, words->item[0], config);
  ptv3_config_free(config);
  return code;
}

int cmd_render(int argc, char **argv) {
  static const char *const views[] = {"top", "perspective", NULL};
  static const char *const paints[] = {"auto",       "color", "height", "label",
                                       "prediction", "error", NULL};
  struct request q = {.width = 1280, .height = 960};
  const struct arg table[] = {
      {"output", 'o', ARG_TEXT, &q.out, "PNG", "the picture to write", NULL, 0},
      {"view", 'v', ARG_CHOICE, &q.view, NULL, "from above or from the side (top)", views, 0},
      {"by", 'b', ARG_CHOICE, &q.paint, "WHAT",
       "what colours the points: auto, color, height,\nlabel, prediction or error (auto)",
       paints, 0},
      {"prediction", 'p', ARG_TEXT, &q.prediction, "FILE",
       "predicted classes: .npy, .label, lidarseg .bin,\nor the label column of a .las, .ply "
       "or .pcd",
       NULL, 0},
      {"names", 0, ARG_TEXT, &q.names, "A,B,...", "class names for the legend", NULL, 0},
      {"config", 'c', ARG_TEXT, &q.config, "CONFIG",
       "take class names from there, and the numbering\nof labels (data.val)", NULL, 0},
      {"options", 0, ARG_PAIRS, &q.options, "KEY=VALUE...", "changes to CONFIG", NULL, 0},
      {"width", 0, ARG_INT, &q.width, "PIXELS", "width of the picture (1280)", NULL, 16},
      {"height", 0, ARG_INT, &q.height, "PIXELS", "height of the picture (960)", NULL, 16},
      {"azimuth", 0, ARG_REAL, &q.azimuth, "DEGREES",
       "direction of view, 0 north, 90 east (30)", NULL, 0},
      {"elevation", 0, ARG_REAL, &q.elevation, "DEGREES", "above the horizon (40)", NULL, 0},
      {"point-size", 0, ARG_REAL, &q.point_size, "PIXELS", "size of a point (by density)", NULL,
       0},
      {"title", 0, ARG_TEXT, &q.title, "TEXT", "words above the picture", NULL, 0},
      {"no-legend", 0, ARG_FLAG, &q.no_legend, NULL, "points only", NULL, 0},
      {"no-shading", 0, ARG_FLAG, &q.no_shading, NULL, "flat colours", NULL, 0},
      CLOUD_ARGS(&q.cloud),
      COMMON_ARGS(&q.common),
      {0}};
  const struct args args = {
      "render",
      "CLOUD -o PNG [options]",
      "Draws a cloud from above or in perspective. Without --by: predicted\n"
      "classes if given, else colours, else labels, else height.",
      table,
      1,
      1};
  return session_main(&args, argc, argv, &q.common, run, &q);
}
