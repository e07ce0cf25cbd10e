/* embed.c - classify points that are in memory: arrays in, labels out, no cloud file.
 *
 * usage: embed CONFIG [WEIGHTS]
 *
 * CONFIG is a configuration of Pointcept, WEIGHTS a .pth or .safetensors file; without
 * WEIGHTS the network is filled from a seed, which shows the calls and nothing else.
 *
 *   cc embed.c $(pkg-config --cflags --libs ptv3) -lm */
#include <math.h>
#include <ptv3.h>
#include <stdio.h>
#include <stdlib.h>

enum { POINTS = 20000 };

/* A stand-in for a sensor: a floor of 10 m x 10 m with two walls, strength from the height. */
static void scan(float *xyz, float *strength) {
  unsigned state = 1;
  for (int i = 0; i < POINTS; i++) {
    float u[3];
    for (int k = 0; k < 3; k++) {
      state = state * 1664525u + 1013904223u;
      u[k] = (float)(state >> 8) / 16777216.0f;
    }
    int part = i % 4; /* two of four points lie on the floor */
    xyz[3 * i] = part == 2 ? 0.0f : 10 * u[0];
    xyz[3 * i + 1] = part == 3 ? 10.0f : 10 * u[1];
    xyz[3 * i + 2] = part < 2 ? 0.02f * u[2] : 3 * u[2];
    strength[i] = 0.2f + 0.1f * xyz[3 * i + 2];
  }
}

static int classify(struct ptv3_context *ctx, const char *config_path, const char *weights_path,
                    const struct ptv3_points *points, int32_t *label, float *confidence,
                    int *classes, struct ptv3_error *err) {
  struct ptv3_config *config = NULL;
  struct ptv3_weights *weights = NULL;
  struct ptv3_model *model = NULL;
  struct ptv3_cloud *cloud = NULL;
  struct ptv3_model_info info;
  int status = ptv3_config_load(ctx, config_path, NULL, 0, &config, err);
  if (!status && weights_path) status = ptv3_weights_load(ctx, weights_path, &weights, err);
  if (!status && !weights_path) status = ptv3_weights_random(ctx, config, 1, &weights, err);
  if (!status) status = ptv3_model_create(ctx, config, weights, NULL, &model, err);
  ptv3_weights_free(weights); /* the model has its own copy */
  if (!status) status = ptv3_cloud_create(ctx, points, &cloud, err);
  if (!status) status = ptv3_predict(model, cloud, NULL, label, confidence, NULL, err);
  if (!status) {
    ptv3_model_get_info(model, &info);
    *classes = info.classes;
  }
  ptv3_cloud_free(cloud);
  ptv3_model_free(model);
  ptv3_config_free(config);
  return status;
}

static void print_counts(const int32_t *label, const float *confidence, int classes) {
  for (int c = 0; c < classes; c++) {
    int count = 0;
    double sum = 0;
    for (int i = 0; i < POINTS; i++) {
      count += label[i] == c;
      sum += label[i] == c ? confidence[i] : 0;
    }
    if (count) printf("class %d: %d points, mean confidence %.3f\n", c, count, sum / count);
  }
}

int main(int argc, char **argv) {
  static float xyz[3 * POINTS], strength[POINTS], confidence[POINTS];
  static int32_t label[POINTS];
  struct ptv3_points points = {0};
  struct ptv3_options options = {0};
  struct ptv3_context *ctx = NULL;
  struct ptv3_error err = {0};
  int classes = 0, status;
  if (argc < 2) {
    fprintf(stderr, "usage: embed CONFIG [WEIGHTS]\n");
    return 2;
  }
  scan(xyz, strength);
  points.n = POINTS;
  points.coord_f32 = xyz;
  points.strength = strength;
  options.memory = (int64_t)1 << 30; /* never more than 1 GiB */
  status = ptv3_context_create(&options, &ctx, &err);
  if (!status)
    status = classify(ctx, argv[1], argc > 2 ? argv[2] : NULL, &points, label, confidence,
                      &classes, &err);
  if (status)
    fprintf(stderr, "embed: %s\n", err.message);
  else
    print_counts(label, confidence, classes);
  ptv3_context_free(ctx);
  return status ? 1 : 0;
}
