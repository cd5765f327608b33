/* The reverse of collider.h: from the gradient by a node's velocity behind gravity, colliders and walls to
   that by its momentum and mass, and by the colliders' motion.

   A contact is v_out = f(v - own; n) + own with f linear in v but for friction. The trick: nothing is kept of
   the contacts before; a node that touches something is a rare one, and its velocities on the way are
   computed again. At the kinks (matter that just parts, or just begins to slide) the derivative is that of
   the side that the forward pass took. */
#ifndef MOTE_KERNELS_TRANSFER_COLLIDER_REVERSE_H
#define MOTE_KERNELS_TRANSFER_COLLIDER_REVERSE_H

#include "kernels/transfer/collider.h"

/* Gradients by a collider's motion in a step: by the pose's center, the linear velocity, the angular velocity
   that the surface moves with, and a small rotation of the pose about its center (axes of the world). */
enum { MOTE_MOTION_CENTER = 0, MOTE_MOTION_VELOCITY = 3, MOTE_MOTION_ANGULAR = 6, MOTE_MOTION_TURN = 9 };
#define MOTE_MOTION 12

MOTE_HD static inline void mote_cross3(const float a[3], const float b[3], float c[3]) {
  c[0] = a[1] * b[2] - a[2] * b[1];
  c[1] = a[2] * b[0] - a[0] * b[2];
  c[2] = a[0] * b[1] - a[1] * b[0];
}

/* v: the relative velocity in front of mote_contact_apply(), g: the gradient by what it left; becomes that by
   v. d_n is set. */
MOTE_HD static inline void mote_contact_reverse(mote_contact contact, float friction, const float n[3],
                                                const float v[3], float g[3], float d_n[3]) {
  d_n[0] = d_n[1] = d_n[2] = 0;
  if (contact == MOTE_NO_SLIP) {
    g[0] = g[1] = g[2] = 0;
    return;
  }
  const float into = mote_dot3(v, n);
  if (!(into < 0)) return;
  float t[3], by_into = 0; /* t = v - into n */
  for (int d = 0; d < 3; d++) t[d] = v[d] - into * n[d];
  if (contact == MOTE_SEPARATE && friction > 0) {
    const float slide = sqrtf(mote_dot3(t, t));
    if (!(slide > -friction * into)) { /* it sticks */
      g[0] = g[1] = g[2] = 0;
      return;
    }
    /* t (1 + friction into / slide) */
    const float along = mote_dot3(t, g) / slide, share = friction * into / slide;
    by_into = friction * along;
    for (int d = 0; d < 3; d++) g[d] += share * (g[d] - along * t[d] / slide);
  }
  by_into -= mote_dot3(n, g);
  for (int d = 0; d < 3; d++) {
    d_n[d] = by_into * v[d] - into * g[d];
    g[d] += by_into * n[d];
  }
}

/* What the normal at r = x - center depends on: d_r of d_n, where the normal is not the same everywhere
   around. a: the capsule's axis. */
MOTE_HD static inline void mote_normal_reverse(const mote_collider *c, const mote_pose *pose,
                                               const float r[3], const float n[3], const float d_n[3],
                                               float d_r[3]) {
  d_r[0] = d_r[1] = d_r[2] = 0;
  if (c->shape != MOTE_COLLIDER_SPHERE && c->shape != MOTE_COLLIDER_CAPSULE) return;
  const float a[3] = {pose->rotation[1], pose->rotation[4], pose->rotation[7]};
  const float half = c->shape == MOTE_COLLIDER_CAPSULE ? c->half_length : 0, along = mote_dot3(r, a);
  const float end = along < -half ? -half : along > half ? half : along;
  const int on_side = c->shape == MOTE_COLLIDER_CAPSULE && along >= -half && along <= half;
  float from[3];
  for (int d = 0; d < 3; d++) from[d] = r[d] - end * a[d];
  const float length = sqrtf(mote_dot3(from, from)), by_n = mote_dot3(n, d_n), by_a = mote_dot3(a, d_n);
  if (!(length > 0)) return;
  for (int d = 0; d < 3; d++) d_r[d] = (d_n[d] - by_n * n[d] - (on_side ? by_a * a[d] : 0)) / length;
}

/* The surface's own velocity at r. */
MOTE_HD static inline void mote_collider_velocity(const mote_collider *c, int dim, const float r[3],
                                                  float own[3]) {
  const float w[3] = {dim == 3 ? c->angular_velocity[0] : 0, dim == 3 ? c->angular_velocity[1] : 0,
                      c->angular_velocity[2]};
  mote_cross3(w, r, own);
  for (int d = 0; d < 3; d++) own[d] = d < dim ? own[d] + c->velocity[d] : 0;
}

/* The reverse of mote_collider_apply(); v: in front of it; motion (MOTE_MOTION), unless NULL: added to. */
MOTE_HD static inline void mote_collider_reverse(const mote_collider *c, const mote_pose *pose, int dim,
                                                 const float x[3], const float v[3], float g[3],
                                                 double *motion) {
  float n[3], own[3], relative[3], out[3], d_n[3], d_r[3], turn[3], spin[3], part[3];
  if (mote_collider_distance(c, pose, dim, x, n) > 0) return;
  const float r[3] = {x[0] - pose->center[0], x[1] - pose->center[1], dim == 3 ? x[2] - pose->center[2] : 0};
  mote_collider_velocity(c, dim, r, own);
  for (int d = 0; d < 3; d++) {
    relative[d] = v[d] - own[d];
    out[d] = g[d];
  }
  mote_contact_reverse(c->contact, c->friction, n, relative, g, d_n);
  if (!motion) return;
  const float w[3] = {dim == 3 ? c->angular_velocity[0] : 0, dim == 3 ? c->angular_velocity[1] : 0,
                      c->angular_velocity[2]};
  for (int d = 0; d < 3; d++) out[d] -= g[d]; /* by own, as v_out = f(v - own) + own */
  mote_normal_reverse(c, pose, r, n, d_n, d_r);
  /* n = Q n'(Q^T r): a turn takes n along, and turns r back */
  mote_cross3(n, d_n, turn);
  mote_cross3(r, d_r, part);
  for (int d = 0; d < 3; d++) turn[d] -= part[d];
  mote_cross3(r, out, spin);
  mote_cross3(out, w, part); /* by r, of w x r */
  for (int d = 0; d < dim; d++) {
    motion[MOTE_MOTION_CENTER + d] -= (double)d_r[d] + (double)part[d];
    motion[MOTE_MOTION_VELOCITY + d] += (double)out[d];
  }
  for (int d = dim == 3 ? 0 : 2; d < 3; d++) {
    motion[MOTE_MOTION_ANGULAR + d] += (double)spin[d];
    motion[MOTE_MOTION_TURN + d] += (double)turn[d];
  }
}

/* The velocity of a node in front of contact `k` of colliders and then walls, axis by axis, both sides. */
MOTE_HD static inline void mote_node_velocity(const mote_transfer_view *t, const int node[3],
                                              const float q[4], int k, float x[3], float v[3]) {
  for (int d = 0; d < 3; d++) {
    v[d] = q[d] / q[3] + (d < t->dim ? t->gravity[d] * t->time_step : 0);
    x[d] = t->lower[d] + (float)node[d] * t->spacing;
  }
  for (int c = 0; c < t->collider_count && c < k; c++)
    mote_collider_apply(&t->colliders[c], &t->poses[c], t->dim, x, v);
  for (int c = 0; c < 2 * t->dim && c + t->collider_count < k; c++) {
    const mote_wall *wall = &t->walls[c / 2][c % 2];
    float n[3] = {0, 0, 0};
    if (!mote_node_in_wall(t, node, c / 2, c % 2)) continue;
    n[c / 2] = c % 2 ? -1.f : 1.f;
    mote_contact_apply(wall->contact, wall->friction, n, v);
  }
}

/* The reverse of mote_node_move(), to dq[0..2]; dq[3] is added to. */
MOTE_HD static inline void mote_node_move_reverse(const mote_transfer_view *t, const int node[3],
                                                  const float q[4], const float by_velocity[3], float dq[4],
                                                  double *motion) {
  float x[3], v[3], d_n[3], g[3] = {by_velocity[0], by_velocity[1], by_velocity[2]};
  for (int c = 2 * t->dim - 1; c >= 0; c--) {
    const mote_wall *wall = &t->walls[c / 2][c % 2];
    float n[3] = {0, 0, 0};
    if (!mote_node_in_wall(t, node, c / 2, c % 2)) continue;
    n[c / 2] = c % 2 ? -1.f : 1.f;
    mote_node_velocity(t, node, q, t->collider_count + c, x, v);
    mote_contact_reverse(wall->contact, wall->friction, n, v, g, d_n);
  }
  for (int c = t->collider_count - 1; c >= 0; c--) {
    mote_node_velocity(t, node, q, c, x, v);
    mote_collider_reverse(&t->colliders[c], &t->poses[c], t->dim, x, v, g,
                          motion ? motion + (int64_t)c * MOTE_MOTION : NULL);
  }
  for (int d = 0; d < 3; d++) {
    dq[d] = g[d] / q[3];
    dq[3] -= dq[d] * q[d] / q[3];
  }
}

/* The reverse of mote_node_update(): q (momentum and mass, summed), g: by the node's velocity; dq: by
   momentum and mass. motion (collider_count, MOTE_MOTION), unless NULL: added to. */
MOTE_INLINE void mote_node_reverse(const mote_transfer_view *t, const int node[3], const float q[4],
                                   const float by_velocity[3], float dq[4], double *motion) {
  dq[0] = dq[1] = dq[2] = dq[3] = 0;
  if (q[3] > 0) mote_node_move_reverse(t, node, q, by_velocity, dq, motion);
}

#endif
