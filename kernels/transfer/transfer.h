/* MLS-MPM (Hu et al. 2018) with APIC (Jiang et al. 2015) and quadratic B-splines, 2-D and 3-D: particles to
   grid, grid to particles, and the particle's own update between them.
   The trick: what a particle scatters is one row of 16 floats, its record

     [ m v_x  m v_y  m v_z  m | A_xx A_yx A_zx x | A_xy A_yy A_zy y | A_xz A_yz A_zz z ]

   so that node i receives w_i (q + A_x d_x + A_y d_y + A_z d_z), q the first quad, d = i - x in cells:
   momentum and mass at once. A = dx (m C - dt V 4/dx^2 tau) holds the affine velocity C and the Kirchhoff
   stress tau. Grid-to-particle, the constitutive update and the next record are therefore one pass over the
   particles.

   The grid is cut into blocks of 4^dim nodes and only blocks near particles exist: a block of particles is
   the one of its stencil's first node, base = floor(x - 1/2). Each block of particles sums into a tile of its
   own, tiles are added in a fixed order of neighbours, and so no atomics are needed and the bits repeat. */
#ifndef MOTE_KERNELS_TRANSFER_H
#define MOTE_KERNELS_TRANSFER_H

#include <mote/scene.h>

#include "kernels/kernel.h"
#include "kernels/constitutive/law.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_RECORD 16 /* floats of a particle's record, as above; in 2-D all z entries are 0 */
#define MOTE_SOLID                                                                                           \
  12 /* floats of a particle's solid row: F (dim^2 row-major), [9] history, [10] volume m^dim,               \
        [11] bits of the int32 material index */
#define MOTE_AFFINE                                                                                          \
  12 /* floats of a particle's affine row: C (1/s) by columns, as in the record: C_cd at 4 d + c */

/* Where a collider is at the time of the present step. */
typedef struct mote_pose {
  float center[3];
  float rotation[9]; /* row-major, from the collider's axes to the world's */
} mote_pose;

/* In device memory, written by kernels alone. */
typedef struct mote_transfer_status {
  int64_t step;       /* steps done */
  int32_t failed;     /* lowest scene row of a particle that failed in this step; INT32_MAX: none */
  int32_t halted;     /* set after the step that failed: later steps do nothing */
  int32_t needs_sort; /* CPU: a particle has left the margin of its block's tile */
  int32_t occupied;   /* blocks with particles */
  int32_t active;     /* blocks with grid nodes */
  int32_t unused;
} mote_transfer_status;

/* All that a kernel reads: scalars, and pointers to device memory. Lengths are in cells where not said. */
typedef struct mote_transfer_view {
  int dim;
  int count;          /* particles */
  int cells[3];       /* 1 for the absent axis of 2-D */
  int blocks[3];      /* blocks an axis, (cells + 1) / 4 + 1: nodes 0..cells+1 */
  int block_total;    /* product of those */
  int block_capacity; /* blocks that can be occupied at once */
  int boundary_cells;
  int collider_count;
  int law_count;
  float lower[3];   /* m */
  float spacing;    /* m */
  float time_step;  /* s */
  float gravity[3]; /* m/s^2 */
  float clip_low;   /* positions are clamped to [clip_low, cells - clip_low] */
  mote_wall walls[3][2];
  /* (count, ...) in the device's own order */
  float *record; /* MOTE_RECORD */
  float *solid;  /* MOTE_SOLID */
  float *affine; /* MOTE_AFFINE */
  int32_t *id;   /* the particle's row in the scene */
  const mote_law *laws;
  const mote_collider *colliders;
  mote_pose *poses;
  mote_transfer_status *status;
  /* Order and blocks, rebuilt by sort */
  uint32_t *key;         /* (count) */
  int32_t *order;        /* (count) particles by block, by cell within it */
  int32_t *block_start;  /* (occupied + 1) into order */
  int32_t *block_index;  /* (occupied) which block, row-major */
  int32_t *tile_slot;    /* (block_total) place in block_start of a block, -1: no particles */
  int32_t *active_index; /* (active) which block */
  int32_t *grid_slot;    /* (block_total) place of the block's nodes in grid, -1: none */
  float *tiles;          /* (occupied, tile) partial sums; the tile's shape is the device's own */
  float *grid; /* (active, 4^dim, 4): velocity m/s and mass kg, node (x*4+y)*4+z of the block, x*4+y in 2-D */
  float *momentum; /* the same before their update: momentum and mass; the CPU's to_grid leaves it there */
} mote_transfer_view;

/* The memory behind the view's pointers; OTHER ones are what the CPU's sort moves particles to. */
enum {
  MOTE_BUFFER_RECORD,
  MOTE_BUFFER_SOLID,
  MOTE_BUFFER_AFFINE,
  MOTE_BUFFER_ID,
  MOTE_BUFFER_RECORD_OTHER,
  MOTE_BUFFER_SOLID_OTHER,
  MOTE_BUFFER_ID_OTHER,
  MOTE_BUFFER_LAWS,
  MOTE_BUFFER_COLLIDERS,
  MOTE_BUFFER_POSES,
  MOTE_BUFFER_STATUS,
  MOTE_BUFFER_KEY,
  MOTE_BUFFER_ORDER,
  MOTE_BUFFER_BLOCK_START,
  MOTE_BUFFER_BLOCK_INDEX,
  MOTE_BUFFER_TILE_SLOT,
  MOTE_BUFFER_ACTIVE_INDEX,
  MOTE_BUFFER_GRID_SLOT,
  MOTE_BUFFER_TILES,
  MOTE_BUFFER_GRID,
  MOTE_BUFFER_MOMENTUM,
  MOTE_BUFFER_FLAGS, /* the GPU's sort: marks, and their scan */
  MOTE_BUFFER_SCAN,
  MOTE_BUFFER_SCRATCH,
  MOTE_BUFFER_COUNT
};

/* One simulation's state on a device. */
typedef struct mote_transfer {
  mote_transfer_view view;
  int keep_affine;    /* the next step is one after which C is read: devices may leave `affine` stale else */
  int one_step;       /* a step at most follows each load: devices may leave out what only others need */
  int64_t first_step; /* what load begins to count at: it tells where colliders are */
  mote_buffer buffers[MOTE_BUFFER_COUNT];
} mote_transfer;

/* Device arrays in the order of the scene, as in mote_particles; row-major. */
typedef struct mote_transfer_arrays {
  float *position;             /* (n, dim) m */
  float *velocity;             /* (n, dim) m/s */
  float *deformation_gradient; /* (n, dim, dim) */
  float *affine_velocity;      /* (n, dim, dim) 1/s */
  float *history;              /* (n) */
  float *volume;               /* (n), load only */
  float *density;              /* (n), load only */
  int32_t *material;           /* (n), load only */
  const float *stress;         /* (n, dim, dim) Pa besides that of the materials, load only; NULL: none */
} mote_transfer_arrays;

/* Gradients by a state, device arrays in the order of the scene, row-major: by metres, m/s, 1/s and, of the
   stress that went into the records, Pa. And what they are of: the particles' volumes. */
typedef struct mote_transfer_gradients {
  float *position, *velocity;      /* (n, dim) */
  float *affine_velocity, *stress; /* (n, dim, dim) */
  const float *volume;             /* (n) m^3 */
} mote_transfer_gradients;

/* What the reverse of a step needs besides a simulation's memory: records, tiles and nodes of gradients, and
   sums over chunks of nodes. Sizes follow the first call; zero to begin with. */
typedef struct mote_transfer_reverse {
  mote_buffer record, tiles, grid, motion;
} mote_transfer_reverse;

/* A partial sum of the diagnostics: mass, momentum 3, angular momentum 3 (about `lower`), kinetic, elastic,
   potential energy, mass * (position - lower) 3, largest speed (a maximum). */
enum { MOTE_TRANSFER_SUMS = 14, MOTE_TRANSFER_CHUNK = 1024 };

/* Memory for what the reverse of a step reads, from a multiple of 64 bytes on; and how much of it was used,
   0: it is too little. Another number each step. A mote_transfer_view of it stands at the beginning. */
typedef struct mote_transfer_kept {
  void *memory;
  size_t bytes, used;
} mote_transfer_kept;

struct mote_transfer_kernels {
  int keeps; /* whether to_grid keeps anything; else who goes back goes to the grid once more */

  /* Floats of a tile of this device's p2g. */
  int (*tile_floats)(int dim);

  /* Builds records, in an order of the device's own, and the status of step first_step from arrays; no return
     mapping is applied. */
  mote_status (*load)(mote_stream *stream, mote_transfer *transfer, const mote_transfer_arrays *arrays);

  /* The inverse of load, in scene order; members that are NULL are left out. */
  mote_status (*unload)(mote_stream *stream, const mote_transfer *transfer,
                        const mote_transfer_arrays *arrays);

  /* The four passes of a step, in this order. sort: order, blocks and lists from the positions.
     p2g: tiles from records. grid_update: tiles to node velocities = momentum / mass + gravity dt, then
     colliders, then walls. g2p: velocity and C gathered, positions advected and clamped, F = (I + dt C) F,
     return mapping, stress, new records; failures recorded. `to`, unless NULL: as unload() of what comes out,
     with `affine` kept. */
  mote_status (*sort)(mote_stream *stream, mote_transfer *transfer);
  mote_status (*p2g)(mote_stream *stream, mote_transfer *transfer);
  mote_status (*grid_update)(mote_stream *stream, mote_transfer *transfer);
  mote_status (*g2p)(mote_stream *stream, mote_transfer *transfer, const mote_transfer_arrays *to);

  /* load, sort, p2g and grid_update, where one step at most follows (one_step), whose g2p then is to have
     `to`. kept, unless NULL: for the reverse. */
  mote_status (*to_grid)(mote_stream *stream, mote_transfer *transfer, const mote_transfer_arrays *arrays,
                         mote_transfer_kept *kept);

  /* Behind g2p (or load): adds a stress, Pa, to the records of the particles of a material. tau (count, dim,
     dim), rows in the device's own order. */
  mote_status (*add_stress)(mote_stream *stream, mote_transfer *transfer, int32_t material, const float *tau);

  /* The reverse of p2g, grid_update and g2p (but not of its deformation and stress; reverse.h), of the view
     behind to_grid, where view.record is the state before the step and view.grid its nodes, or of one that
     was kept there. In: the gradients by the state after it, affine_velocity with what the deformation
     brings; `stress` is not read. Out: by the state before, in the same arrays, and by the stress of the
     state before. motion (collider_count, MOTE_MOTION) float64, unless NULL: added to, sums in a fixed order.
   */
  mote_status (*reverse)(mote_stream *stream, const mote_transfer_view *view, mote_transfer_reverse *room,
                         const mote_transfer_gradients *gradients, double *motion);

  /* Ends a step: counts it, or halts when it failed, and moves the colliders to the next one's time. */
  mote_status (*advance)(mote_stream *stream, mote_transfer *transfer);

  /* dense[(node row-major over (cells+1)^dim), 4] = velocity and mass of the last grid_update; 0 elsewhere.
   */
  mote_status (*dense_grid)(mote_stream *stream, const mote_transfer *transfer, float *dense);

  /* sums[(count + CHUNK - 1) / CHUNK, SUMS] in float64, each row a chunk's, summed in a fixed order. */
  mote_status (*diagnose)(mote_stream *stream, const mote_transfer *transfer, double *sums);
};

/* Allocates for the view's dim, count, cells, law_count and collider_count on the stream's device and sets
   all of the view's other members: blocks, block_total, block_capacity and the pointers. (reserve.c) */
mote_status mote_transfer_reserve(mote_stream *stream, mote_transfer *transfer);
void mote_transfer_free(mote_transfer *transfer);

/* The room of a view's reverse; chunks: how many sums by colliders there are. (reserve.c) */
mote_status mote_transfer_reverse_reserve(mote_stream *stream, const mote_transfer_view *view,
                                          mote_transfer_reverse *room, int chunks);
void mote_transfer_reverse_free(mote_transfer_reverse *room);

#ifdef __cplusplus
}
#endif
#endif
