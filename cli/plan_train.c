/* plan_train.c - what a step of training would take, as tables or JSON. */
#include "plan_train.h"

static void print_batch(const struct ptv3_train_plan *p) {
  if (p->point_max)
    printf("a batch of %lld clouds of %lld voxels (batch_size, point_max of data.train)",
           (long long)p->clouds, (long long)p->point_max);
  else
    printf("a batch of %lld voxels in %lld cloud%s", (long long)p->voxels, (long long)p->clouds,
           p->clouds == 1 ? "" : "s");
  printf(", features in %s%s\n\n", p->bf16 ? "bf16" : "fp32",
         p->estimated ? "; the rows of the levels are guessed" : "");
}

static void print_rows(const struct ptv3_train_plan *p) {
  struct table t;
  table_init(&t, "lrr");
  table_cell(&t, "level");
  table_cell(&t, "rows");
  table_cell(&t, "of the one before");
  for (int l = 0; l < p->stages; l++) {
    table_cell(&t, "%d", l);
    table_cell(&t, "%lld", (long long)p->rows[l]);
    if (l)
      table_cell(&t, "%.0f %%", 100.0 * (double)p->rows[l] / (double)p->rows[l - 1]);
    else
      table_cell(&t, "%s", "");
  }
  table_print(&t, stdout);
  table_free(&t);
}

static void row_of_bytes(struct table *t, const char *name, int64_t bytes, int64_t voxels) {
  char text[24];
  table_cell(t, "%s", name);
  table_cell(t, "%s", term_bytes(bytes, text));
  if (voxels)
    table_cell(t, "%.0f", (double)bytes / (double)voxels);
  else
    table_cell(t, "%s", "");
}

static void print_bytes(const struct ptv3_train_plan *p) {
  const struct ptv3_train_way *w = &p->way[p->chosen];
  const int64_t n = p->voxels;
  struct table t;
  table_init(&t, "lrr");
  table_cell(&t, "during a step");
  table_cell(&t, "bytes");
  table_cell(&t, "a voxel");
  row_of_bytes(&t, "weights", p->weights, 0);
  row_of_bytes(&t, "gradients of weights", p->gradients, 0);
  row_of_bytes(&t, "optimiser", p->optimiser, 0);
  row_of_bytes(&t, "structure", p->structure, n);
  row_of_bytes(&t, "loader", p->loader, n);
  row_of_bytes(&t, "features and their gradients", w->features, n);
  row_of_bytes(&t, "working memory of all threads", w->scratch, 0);
  table_print(&t, stdout);
  table_free(&t);
}

static void print_ways(const struct ptv3_train_plan *p) {
  char bytes[24], time[24];
  struct table t;
  table_init(&t, "lrrrrl");
  static const char *const head[] = {
      "kept for the backward pass", "features", "a voxel", "in all", "time", ""};
  for (int c = 0; c < 6; c++) table_cell(&t, "%s", head[c]);
  for (int k = 0; k < PTV3_TRAIN_WAYS; k++) {
    const struct ptv3_train_way *w = &p->way[k];
    table_cell(&t, "%s", w->kept);
    table_cell(&t, "%s", term_bytes(w->features, bytes));
    table_cell(&t, "%.0f", (double)w->features / (double)p->voxels);
    table_cell(&t, "%s", term_bytes(w->total, bytes));
    table_cell(&t, "%s", term_time(w->seconds, time));
    table_cell(&t, "%s", !w->fits ? "too large" : p->chosen == k ? "fits, is taken" : "fits");
  }
  table_print(&t, stdout);
  table_free(&t);
}

static void print_verdict(const struct ptv3_train_plan *p) {
  char budget[24], least[24], total[24], disk[24], window[24];
  if (!p->fits) {
    printf("does not fit the budget of %s; the least that would do is %s\n",
           term_bytes(p->budget, budget), term_bytes(p->least, least));
    return;
  }
  printf("fits the budget of %s: %s, keeping %s", term_bytes(p->budget, budget),
         term_bytes(p->total, total), p->way[p->chosen].kept);
  if (!p->way[p->chosen].fits) {
    if (p->tile) printf(", with tiles of %d rows", p->tile);
    printf(", on %d thread%s", p->threads, p->threads == 1 ? "" : "s");
  }
  if (p->spilled)
    printf(", with %d tensors in a temporary file of %s, %s of it in memory at a time",
           p->spilled, term_bytes(p->disk, disk), term_bytes(p->window, window));
  printf("\n");
}

static void print_json(const struct ptv3_train_plan *p) {
  printf(
      "{\"estimated\": %s, \"precision\": \"%s\", \"voxels\": %lld, \"clouds\": %lld, "
      "\"point_max\": %lld,\n \"parameters\": %lld, \"rows\": [",
      p->estimated ? "true" : "false", p->bf16 ? "bf16" : "fp32", (long long)p->voxels,
      (long long)p->clouds, (long long)p->point_max, (long long)p->parameters);
  for (int l = 0; l < p->stages; l++) printf("%s%lld", l ? ", " : "", (long long)p->rows[l]);
  printf(
      "],\n \"bytes\": {\"weights\": %lld, \"gradients\": %lld, \"optimiser\": %lld, "
      "\"structure\": %lld, \"loader\": %lld},\n \"ways\": [",
      (long long)p->weights, (long long)p->gradients, (long long)p->optimiser,
      (long long)p->structure, (long long)p->loader);
  for (int k = 0; k < PTV3_TRAIN_WAYS; k++) {
    const struct ptv3_train_way *w = &p->way[k];
    printf(
        "%s\n  {\"kept\": \"%s\", \"features\": %lld, \"scratch\": %lld, \"total\": %lld, "
        "\"bytes_a_voxel\": %.1f, \"flop\": %.6g, \"seconds\": %.3g, \"fits\": %s}",
        k ? "," : "", w->kept, (long long)w->features, (long long)w->scratch,
        (long long)w->total, (double)w->features / (double)p->voxels, w->work, w->seconds,
        w->fits ? "true" : "false");
  }
  printf(
      "],\n \"chosen\": %d, \"fits\": %s, \"tile\": %d, \"threads\": %d, \"spilled\": %d, "
      "\"disk\": %lld, \"window\": %lld, \"total\": %lld, \"least\": %lld, \"budget\": %lld}\n",
      p->chosen, p->fits ? "true" : "false", p->tile, p->threads, p->spilled,
      (long long)p->disk, (long long)p->window, (long long)p->total, (long long)p->least,
      (long long)p->budget);
}

int plan_train_show(struct session *s, const struct ptv3_config *config,
                    const struct ptv3_train_plan_options *options, bool json) {
  struct ptv3_train_plan p;
  if (ptv3_plan_train(s->ctx, config, options, &p, &s->err)) return session_fail(s);
  progress_clear(&s->progress);
  if (json) {
    print_json(&p);
  } else {
    print_batch(&p);
    print_rows(&p);
    putchar('\n');
    print_bytes(&p);
    putchar('\n');
    print_ways(&p);
    putchar('\n');
    print_verdict(&p);
  }
  return p.fits ? EXIT_FINE : EXIT_BUDGET;
}
