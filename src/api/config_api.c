/* config_api.c - public configurations. */
#include "config_api.h"

#include <stdlib.h>
#include <string.h>

static int give(struct ptv3_context *ctx, struct ptv3_config *c, int status,
                struct ptv3_config **out, const struct ptv3_error *inner,
                struct ptv3_error *err) {
  if (!status) {
    c->ctx = ctx;
    *out = c;
    return PTV3_OK;
  }
  pt_free(pt_ctx_mem(ctx), c);
  if (err) *err = *inner;
  return status;
}

static int check_options(const char *const *options, int count, struct ptv3_error *err) {
  if (count < 0 || (count > 0 && !options))
    return pt_fail(err, PTV3_INVALID, "%d configuration options", count);
  return PTV3_OK;
}

int ptv3_config_load(struct ptv3_context *ctx, const char *path, const char *const *options,
                     int count, struct ptv3_config **out, struct ptv3_error *err) {
  if (out) *out = NULL;
  if (!ctx || !path || !out)
    return pt_api_null("ptv3_config_load", !ctx ? "ctx" : !path ? "path" : "out", err);
  struct ptv3_error inner = {0};
  int status = check_options(options, count, err);
  if (status) return status;
  struct ptv3_config *c = pt_zalloc(pt_ctx_mem(ctx), 1, sizeof *c, PT_MEM_OTHER, &inner);
  status = c ? pt_config_load(&ctx->env, path, options, count, &c->tree, &inner) : inner.status;
  return give(ctx, c, status, out, &inner, err);
}

int ptv3_config_parse(struct ptv3_context *ctx, const char *text, int64_t length,
                      const char *name, const char *const *options, int count,
                      struct ptv3_config **out, struct ptv3_error *err) {
  if (out) *out = NULL;
  if (!ctx || !text || !out)
    return pt_api_null("ptv3_config_parse", !ctx ? "ctx" : !text ? "text" : "out", err);
  struct ptv3_error inner = {0};
  int status = check_options(options, count, err);
  if (status) return status;
  if (length < 0) return pt_fail(err, PTV3_INVALID, "a text of %lld bytes", (long long)length);
  struct ptv3_config *c = pt_zalloc(pt_ctx_mem(ctx), 1, sizeof *c, PT_MEM_OTHER, &inner);
  status = c ? pt_config_parse(&ctx->env, text, length, name ? name : "configuration", options,
                               count, &c->tree, &inner)
             : inner.status;
  return give(ctx, c, status, out, &inner, err);
}

void ptv3_config_free(struct ptv3_config *config) {
  if (!config) return;
  struct pt_mem *mem = pt_ctx_mem(config->ctx);
  pt_config_free(&config->tree);
  pt_free(mem, config->text);
  pt_free(mem, config);
}

/* One step down: the entry of a dict, or the item of a list. NULL: there is none. */
static const struct pt_value *child(const struct pt_value *v, const char *name) {
  if (pt_is_dict(v)) return pt_get(v, name);
  char *end;
  long i = strtol(name, &end, 10);
  return *name && !*end && i >= 0 ? pt_item(v, i) : NULL;
}

static const struct pt_value *find(const struct pt_value *v, const char *key) {
  char name[128];
  while (v && *key) {
    size_t n = strcspn(key, ".");
    if (n >= sizeof name) return NULL;
    memcpy(name, key, n);
    name[n] = 0;
    v = child(v, name);
    key += n + (key[n] == '.');
  }
  return v;
}

int ptv3_config_text(struct ptv3_config *config, const char *key, const char **text,
                     struct ptv3_error *err) {
  if (!config || !text)
    return pt_api_null("ptv3_config_text", !config ? "config" : "text", err);
  *text = NULL;
  struct ptv3_error inner = {0};
  struct pt_mem *mem = pt_ctx_mem(config->ctx);
  const struct pt_value *v = find(config->tree.root, key ? key : "");
  if (!v) return pt_fail(err, PTV3_CONFIG, "the configuration has no '%s'", key);
  char *json = NULL;
  int status = pt_value_json(mem, v, &json, NULL, &inner);
  if (status) {
    if (err) *err = inner;
    return status;
  }
  pt_free(mem, config->text);
  *text = config->text = json;
  return PTV3_OK;
}
