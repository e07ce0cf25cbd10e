/* evaluate_report.c - the numbers of an evaluation as JSON and as CSV. */
#include <math.h>
#include <string.h>

#include "evaluate_api.h"
#include "file.h"

/* ---- JSON ---- */

static void json_text(struct pt_out *o, const char *s) {
  pt_write(o, "\"", 1);
  for (; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if (c == '"' || c == '\\')
      pt_writef(o, "\\%c", c);
    else if (c < ' ')
      pt_writef(o, "\\u%04x", c);
    else
      pt_write(o, s, 1);
  }
  pt_write(o, "\"", 1);
}

/* JSON has no NaN: a mean over no class is null. */
static void json_number(struct pt_out *o, const char *name, double v, const char *after) {
  if (isfinite(v))
    pt_writef(o, "\"%s\": %.9g%s", name, v, after);
  else
    pt_writef(o, "\"%s\": null%s", name, after);
}

static void json_classes(struct pt_out *o, const struct ptv3_scores *s) {
  pt_writef(o, "  \"classes\": [");
  for (int c = 0; c < s->classes; c++) {
    const struct ptv3_class_score *k = &s->per_class[c];
    pt_writef(o, "%s\n    {\"class\": %d, ", c ? "," : "", c);
    if (k->name) {
      pt_writef(o, "\"name\": ");
      json_text(o, k->name);
      pt_writef(o, ", ");
    }
    pt_writef(o, "\"points\": %lld, ", (long long)k->points);
    json_number(o, "iou", k->iou, ", ");
    json_number(o, "accuracy", k->accuracy, "}");
  }
  pt_writef(o, "\n  ],\n");
}

static void json_scenes(struct pt_out *o, const struct ptv3_scores *s) {
  pt_writef(o, "  \"scenes\": [");
  for (int64_t i = 0; i < s->scenes; i++) {
    const struct ptv3_scene_score *k = &s->per_scene[i];
    pt_writef(o, "%s\n    {\"name\": ", i ? "," : "");
    json_text(o, k->name);
    pt_writef(o, ", \"points\": %lld, \"voxels\": %lld, ", (long long)k->points,
              (long long)k->voxels);
    json_number(o, "miou", k->miou, ", ");
    json_number(o, "macc", k->macc, ", ");
    json_number(o, "allacc", k->allacc, ", ");
    json_number(o, "seconds", k->seconds, "}");
  }
  pt_writef(o, "\n  ],\n");
}

static void write_json(struct pt_out *o, const struct ptv3_scores *s) {
  pt_writef(o, "{\n  \"protocol\": \"validation\",\n  ");
  json_number(o, "miou", s->miou, ",\n  ");
  json_number(o, "macc", s->macc, ",\n  ");
  json_number(o, "allacc", s->allacc, ",\n  ");
  json_number(o, "miou_present", s->miou_present, ",\n");
  json_classes(o, s);
  json_scenes(o, s);
  pt_writef(o, "  \"confusion\": [");
  for (int i = 0; i < s->classes; i++) {
    pt_writef(o, "%s\n    [", i ? "," : "");
    for (int j = 0; j < s->classes; j++)
      pt_writef(o, "%s%lld", j ? ", " : "",
                (long long)s->confusion[(int64_t)i * s->classes + j]);
    pt_writef(o, "]");
  }
  pt_writef(o, "\n  ]\n}\n");
}

/* ---- CSV (RFC 4180) ---- */

static void csv_text(struct pt_out *o, const char *s) {
  if (!strpbrk(s, ",\"\r\n")) {
    pt_write(o, s, (int64_t)strlen(s));
    return;
  }
  pt_write(o, "\"", 1);
  for (; *s; s++) pt_write(o, *s == '"' ? "\"\"" : s, *s == '"' ? 2 : 1);
  pt_write(o, "\"", 1);
}

static void csv_number(struct pt_out *o, double v) {
  if (isfinite(v))
    pt_writef(o, ",%.9g", v);
  else
    pt_writef(o, ",");
}

static void csv_class(struct pt_out *o, const struct ptv3_scores *s, int c) {
  if (s->per_class[c].name)
    csv_text(o, s->per_class[c].name);
  else
    pt_writef(o, "%d", c);
}

/* The pairs of label and prediction that occur. */
static void csv_confusion(struct pt_out *o, const struct ptv3_scores *s) {
  for (int64_t i = 0; i < (int64_t)s->classes * s->classes; i++) {
    if (!s->confusion[i]) continue;
    pt_writef(o, "confusion,");
    csv_class(o, s, (int)(i / s->classes));
    pt_writef(o, ",%lld,,,,,,", (long long)s->confusion[i]);
    csv_class(o, s, (int)(i % s->classes));
    pt_writef(o, "\n");
  }
}

/* One table: a row for all, one a class (IoU and accuracy), one a scene, one a pair. */
static void write_csv(struct pt_out *o, const struct ptv3_scores *s) {
  int64_t points = 0;
  for (int c = 0; c < s->classes; c++) points += s->per_class[c].points;
  pt_writef(o, "kind,name,points,voxels,miou,macc,allacc,seconds,predicted\n");
  pt_writef(o, "all,,%lld,", (long long)points);
  csv_number(o, s->miou);
  csv_number(o, s->macc);
  csv_number(o, s->allacc);
  pt_writef(o, ",,\n");
  for (int c = 0; c < s->classes; c++) {
    const struct ptv3_class_score *k = &s->per_class[c];
    pt_writef(o, "class,");
    csv_class(o, s, c);
    pt_writef(o, ",%lld,", (long long)k->points);
    csv_number(o, k->iou);
    csv_number(o, k->accuracy);
    pt_writef(o, ",,,\n");
  }
  for (int64_t i = 0; i < s->scenes; i++) {
    const struct ptv3_scene_score *k = &s->per_scene[i];
    pt_writef(o, "scene,");
    csv_text(o, k->name);
    pt_writef(o, ",%lld,%lld", (long long)k->points, (long long)k->voxels);
    csv_number(o, k->miou);
    csv_number(o, k->macc);
    csv_number(o, k->allacc);
    csv_number(o, k->seconds);
    pt_writef(o, ",\n");
  }
  csv_confusion(o, s);
}

int ptv3_evaluation_save(const struct ptv3_evaluation *evaluation, const char *path,
                         struct ptv3_error *err) {
  if (!evaluation || !path)
    return pt_api_null("ptv3_evaluation_save", !evaluation ? "evaluation" : "path", err);
  char extension[16];
  pt_extension(path, extension);
  bool json = strcmp(extension, "json") == 0;
  if (!json && strcmp(extension, "csv") != 0)
    return pt_fail(err, PTV3_UNSUPPORTED,
                   "cannot tell how to write '%s': name it .json or .csv", path);
  struct ptv3_scores s;
  struct pt_out out = {0};
  ptv3_evaluation_scores(evaluation, &s);
  int status = pt_out_open(&out, pt_ctx_mem(evaluation->ctx), path, err);
  if (status) return status;
  if (json)
    write_json(&out, &s);
  else
    write_csv(&out, &s);
  return pt_out_commit(&out, err);
}
