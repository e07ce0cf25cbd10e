/* cmd_info.c - ptv3 info: what a file holds. What kind of file it is, its extension says. */
#include <string.h>

#include "cloud.h"
#include "commands.h"
#include "session.h"

static bool has_extension(const char *path, const char *const *list) {
  const char *dot = strrchr(path, '.');
  for (; dot && *list; list++)
    if (strcmp(dot + 1, *list) == 0) return true;
  return false;
}

/* ---- weights ---- */

static const char *shape_text(const struct ptv3_tensor_info *t, char *out, size_t size) {
  size_t used = 0;
  out[0] = 0;
  for (int d = 0; d < t->dims && used < size; d++)
    used += (size_t)snprintf(out + used, size - used, "%s%lld", d ? " x " : "",
                             (long long)t->shape[d]);
  return out[0] ? out : "scalar";
}

static void list_tensors(const struct ptv3_weights *w) {
  struct table t;
  struct ptv3_tensor_info info;
  char shape[128];
  table_init(&t, "llr");
  table_cell(&t, "tensor");
  table_cell(&t, "type");
  table_cell(&t, "shape");
  for (int64_t i = 0; ptv3_weights_tensor(w, i, &info); i++) {
    table_cell(&t, "%s", info.name);
    table_cell(&t, "%s", info.type);
    table_cell(&t, "%s", shape_text(&info, shape, sizeof shape));
  }
  table_print(&t, stdout);
  table_free(&t);
}

/* "    enc_depths=(2, 2, 6)," */
static void print_row(const char *key, const int *v, int count) {
  printf("    %s=(", key);
  for (int i = 0; i < count; i++) printf("%s%d", i ? ", " : "", v[i]);
  printf("%s),\n", count == 1 ? "," : "");
}

/* What a configuration for these weights has to say, in its words. */
static void print_guess(const struct ptv3_weights *w) {
  struct ptv3_model_guess g;
  if (!ptv3_weights_guess(w, &g)) {
    printf("  model       not a PT-v3m1\n");
    return;
  }
  printf("  model       PT-v3m1; from names and shapes:\n");
  if (g.classes) printf("    num_classes=%d,\n", g.classes);
  printf("    in_channels=%d,\n", g.in_channels);
  print_row("enc_depths", g.enc_depths, g.stages);
  print_row("enc_channels", g.enc_channels, g.stages);
  if (g.enable_rpe) print_row("enc_num_head", g.enc_num_head, g.stages);
  if (!g.enc_mode) print_row("dec_depths", g.dec_depths, g.stages - 1);
  if (!g.enc_mode) print_row("dec_channels", g.dec_channels, g.stages - 1);
  if (g.enable_rpe && !g.enc_mode) print_row("dec_num_head", g.dec_num_head, g.stages - 1);
  printf("    mlp_ratio=%g,\n    qkv_bias=%s,\n", g.mlp_ratio, g.qkv_bias ? "True" : "False");
  printf("    enable_rpe=%s,\n    enc_mode=%s\n", g.enable_rpe ? "True" : "False",
         g.enc_mode ? "True" : "False");
}

static int info_weights(struct session *s, const char *path, bool all) {
  struct ptv3_weights *w;
  if (ptv3_weights_load(s->ctx, path, &w, &s->err)) return session_fail(s);
  struct ptv3_weights_info info;
  ptv3_weights_get_info(w, &info);
  printf("%s: weights, %s\n", path, info.format);
  printf("  tensors     %lld\n", (long long)info.tensors);
  printf("  parameters  %lld\n", (long long)info.parameters);
  if (info.has_epoch) printf("  epoch       %lld\n", (long long)info.epoch);
  if (info.has_best) printf("  best        %g\n", info.best);
  print_guess(w);
  if (all) list_tensors(w);
  ptv3_weights_free(w);
  return EXIT_FINE;
}

/* ---- clouds ---- */

static int info_cloud(struct session *s, const char *path, const struct cloud_args *args) {
  struct ptv3_cloud_options options = cloud_options(args);
  struct ptv3_cloud *cloud;
  if (ptv3_cloud_load(s->ctx, path, &options, &cloud, &s->err)) return session_fail(s);
  struct ptv3_cloud_info info;
  ptv3_cloud_get_info(cloud, &info);
  printf("%s: cloud\n", path);
  printf("  points      %lld\n", (long long)info.n);
  if (info.unusable) printf("  unusable    %lld\n", (long long)info.unusable);
  static const char axis[] = "xyz";
  for (int k = 0; k < 3; k++)
    printf("  %c           %.3f to %.3f m (%.3f m)\n", axis[k], info.min[k], info.max[k],
           info.max[k] - info.min[k]);
  printf("  features    coord%s%s%s%s\n", info.has_color ? ", color" : "",
         info.has_normal ? ", normal" : "", info.has_strength ? ", strength" : "",
         info.has_segment ? ", segment (labels)" : "");
  ptv3_cloud_free(cloud);
  return EXIT_FINE;
}

/* ---- configurations ---- */

/* The value at a key as text, "-" where there is none. */
static void print_key(struct session *s, struct ptv3_config *config, const char *label,
                      const char *key) {
  const char *text;
  struct ptv3_error ignored;
  if (ptv3_config_text(config, key, &text, &ignored)) text = "-";
  (void)s;
  printf("  %-11s ", label);
  for (const char *c = text; *c; c++) /* lists on one line */
    if (*c != '\n')
      putchar(*c);
    else
      while (c[1] == ' ') c++;
  putchar('\n');
}

static int info_config(struct session *s, const char *path) {
  struct ptv3_config *config;
  if (ptv3_config_load(s->ctx, path, NULL, 0, &config, &s->err)) return session_fail(s);
  printf("%s: configuration\n", path);
  print_key(s, config, "model", "model.type");
  print_key(s, config, "backbone", "model.backbone.type");
  print_key(s, config, "channels", "model.backbone.in_channels");
  print_key(s, config, "encoder", "model.backbone.enc_channels");
  print_key(s, config, "depths", "model.backbone.enc_depths");
  print_key(s, config, "patch", "model.backbone.enc_patch_size");
  print_key(s, config, "classes", "data.num_classes");
  print_key(s, config, "names", "data.names");
  print_key(s, config, "data set", "data.val.type");
  print_key(s, config, "data root", "data.val.data_root");
  ptv3_config_free(config);
  return EXIT_FINE;
}

static int info_file(struct session *s, const char *path, const struct cloud_args *args,
                     bool all) {
  static const char *const weights[] = {"pth", "pt", "safetensors", NULL};
  static const char *const configs[] = {"py", NULL};
  if (has_extension(path, weights)) return info_weights(s, path, all);
  if (has_extension(path, configs)) return info_config(s, path);
  return info_cloud(s, path, args);
}

struct request {
  struct common common;
  struct cloud_args cloud;
  bool all;
};

static int run(struct session *s, void *request, const struct arg_list *words) {
  const struct request *q = request;
  int code = EXIT_FINE;
  for (int i = 0; i < words->count && code == EXIT_FINE; i++)
    code = info_file(s, words->item[i], &q->cloud, q->all);
  return code;
}

int cmd_info(int argc, char **argv) {
  struct request q = {0};
  const struct arg table[] = {
      {"all", 'a', ARG_FLAG, &q.all, NULL, "list every tensor of weights", NULL, 0},
      CLOUD_ARGS(&q.cloud),
      COMMON_ARGS(&q.common),
      {0}};
  const struct args args = {
      "info",
      "[options] FILE...",
      "Shows what clouds (LAS, LAZ, PLY, PCD, NPY, XYZ, folders), weights\n"
      "(.pth, .safetensors) and configurations (.py) hold.",
      table,
      1,
      -1};
  return session_main(&args, argc, argv, &q.common, run, &q);
}
