/* tiles.c - see tiles.h. */
extern _Thread_local int pt_tiles_depth __attribute__((tls_model("initial-exec")));
_Thread_local int pt_tiles_depth;
