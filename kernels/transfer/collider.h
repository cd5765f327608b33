/* What walls and rigid colliders do to a grid node's velocity. Contacts act on the velocity relative to the
   obstacle and only on motion into it (as in Stomakhin et al. 2013, section 8), so matter can always leave.
 */
#ifndef MOTE_KERNELS_TRANSFER_COLLIDER_H
#define MOTE_KERNELS_TRANSFER_COLLIDER_H

#include <math.h>

#include "kernels/transfer/transfer.h"

MOTE_HD static inline float mote_dot3(const float a[3], const float b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* v: velocity relative to the obstacle, n: its outward normal. */
MOTE_HD static inline void mote_contact_apply(mote_contact contact, float friction, const float n[3],
                                              float v[3]) {
  if (contact == MOTE_NO_SLIP) {
    v[0] = v[1] = v[2] = 0;
    return;
  }
  float into = mote_dot3(v, n);
  if (!(into < 0)) return;
  for (int d = 0; d < 3; d++) v[d] -= into * n[d];
  if (contact != MOTE_SEPARATE || !(friction > 0)) return;
  /* Coulomb: the impulse along the surface is at most friction times the one into it. */
  float slide = sqrtf(mote_dot3(v, v));
  float kept = slide > -friction * into ? 1 + friction * into / slide : 0;
  for (int d = 0; d < 3; d++) v[d] *= kept;
}

/* Signed distance to a box centred at 0 and, where that matters, its outward gradient. */
MOTE_HD static inline float mote_box_distance(int dim, const float half[3], const float p[3], float n[3]) {
  float outside = 0, inside = -3.4e38f;
  int face = 0;
  n[0] = n[1] = n[2] = 0;
  for (int d = 0; d < dim; d++) {
    float q = fabsf(p[d]) - half[d];
    if (q > inside) inside = q, face = d;
    if (q > 0) outside += q * q;
  }
  if (inside > 0) return sqrtf(outside); /* no contact: the normal is not needed */
  n[face] = p[face] < 0 ? -1.f : 1.f;
  return inside;
}

/* Distance (m) from x to the collider and its outward normal where the distance is <= 0. */
MOTE_HD static inline float mote_collider_distance(const mote_collider *c, const mote_pose *pose, int dim,
                                                   const float x[3], float n[3]) {
  float r[3] = {x[0] - pose->center[0], x[1] - pose->center[1], dim == 3 ? x[2] - pose->center[2] : 0};
  const float *Q = pose->rotation;
  float local[3], normal[3] = {0, 0, 0}, distance;
  for (int d = 0; d < 3; d++) local[d] = Q[d] * r[0] + Q[3 + d] * r[1] + Q[6 + d] * r[2];
  switch (c->shape) {
  case MOTE_COLLIDER_PLANE: {
    for (int d = 0; d < dim; d++) normal[d] = c->normal[d];
    float inverse = 1 / sqrtf(mote_dot3(normal, normal));
    for (int d = 0; d < dim; d++) normal[d] *= inverse;
    distance = mote_dot3(local, normal);
    break;
  }
  case MOTE_COLLIDER_BOX: distance = mote_box_distance(dim, c->half_size, local, normal); break;
  default: { /* a sphere is a capsule of no length */
    float half = c->shape == MOTE_COLLIDER_CAPSULE ? c->half_length : 0;
    float along = local[1] < -half ? -half : local[1] > half ? half : local[1];
    local[1] -= along;
    float length = sqrtf(mote_dot3(local, local));
    distance = length - c->radius;
    if (length > 0)
      for (int d = 0; d < 3; d++) normal[d] = local[d] / length;
    else
      normal[0] = 1;
  }
  }
  for (int d = 0; d < 3; d++)
    n[d] = Q[3 * d] * normal[0] + Q[3 * d + 1] * normal[1] + Q[3 * d + 2] * normal[2];
  return distance;
}

MOTE_HD static inline void mote_collider_apply(const mote_collider *c, const mote_pose *pose, int dim,
                                               const float x[3], float v[3]) {
  float n[3];
  if (mote_collider_distance(c, pose, dim, x, n) > 0) return;
  const float *w = c->angular_velocity;
  float r[3] = {x[0] - pose->center[0], x[1] - pose->center[1], dim == 3 ? x[2] - pose->center[2] : 0};
  float wx = dim == 3 ? w[0] : 0, wy = dim == 3 ? w[1] : 0;
  float own[3] = {c->velocity[0] + wy * r[2] - w[2] * r[1], c->velocity[1] + w[2] * r[0] - wx * r[2],
                  dim == 3 ? c->velocity[2] + wx * r[1] - wy * r[0] : 0};
  for (int d = 0; d < 3; d++) v[d] -= own[d];
  mote_contact_apply(c->contact, c->friction, n, v);
  for (int d = 0; d < 3; d++) v[d] += own[d];
}

MOTE_HD static inline int mote_node_in_wall(const mote_transfer_view *t, const int node[3], int axis,
                                            int side) {
  return side ? node[axis] > t->cells[axis] - t->boundary_cells : node[axis] < t->boundary_cells;
}

MOTE_HD static inline void mote_walls_apply(const mote_transfer_view *t, const int node[3], float v[3]) {
  for (int axis = 0; axis < t->dim; axis++)
    for (int side = 0; side < 2; side++) {
      if (!mote_node_in_wall(t, node, axis, side)) continue;
      float n[3] = {0, 0, 0};
      n[axis] = side ? -1.f : 1.f;
      mote_contact_apply(t->walls[axis][side].contact, t->walls[axis][side].friction, n, v);
    }
}

/* Of a node that has mass. */
MOTE_HD static inline void mote_node_move(const mote_transfer_view *t, const int node[3], float q[4]) {
  float inverse = 1 / q[3], v[3], x[3];
  for (int d = 0; d < 3; d++) {
    v[d] = q[d] * inverse + (d < t->dim ? t->gravity[d] * t->time_step : 0);
    x[d] = t->lower[d] + (float)node[d] * t->spacing;
  }
  for (int c = 0; c < t->collider_count; c++)
    mote_collider_apply(&t->colliders[c], &t->poses[c], t->dim, x, v);
  mote_walls_apply(t, node, v);
  q[0] = v[0];
  q[1] = v[1];
  q[2] = v[2];
}

/* (momentum, mass) of a node to (velocity, mass) after gravity, colliders and walls. Most nodes have no mass:
   what is asked of them is inlined, the rest is not. */
MOTE_INLINE void mote_node_update(const mote_transfer_view *t, const int node[3], float q[4]) {
  if (q[3] > 0)
    mote_node_move(t, node, q);
  else
    q[0] = q[1] = q[2] = q[3] = 0;
}

/* The pose at `time`: center + velocity t, and the rotation by angular_velocity t after the orientation. */
MOTE_HD static inline void mote_pose_at(const mote_collider *c, int dim, double time, mote_pose *pose) {
  double w[3] = {dim == 3 ? c->angular_velocity[0] : 0, dim == 3 ? c->angular_velocity[1] : 0,
                 c->angular_velocity[2]};
  double rate = sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2]), half = 0.5 * rate * time;
  double s = rate > 0 ? sin(half) / rate : 0, a = cos(half), b = w[0] * s, e = w[1] * s, f = w[2] * s;
  double p = c->orientation[0], q = c->orientation[1], r = c->orientation[2], u = c->orientation[3];
  double W = a * p - b * q - e * r - f * u, X = a * q + b * p + e * u - f * r;
  double Y = a * r - b * u + e * p + f * q, Z = a * u + b * r - e * q + f * p;
  if (p == 0 && q == 0 && r == 0 && u == 0) W = 1; /* an orientation left at zero: none */
  double n = 1 / (W * W + X * X + Y * Y + Z * Z);
  double R[9] = {1 - 2 * n * (Y * Y + Z * Z), 2 * n * (X * Y - W * Z),     2 * n * (X * Z + W * Y),
                 2 * n * (X * Y + W * Z),     1 - 2 * n * (X * X + Z * Z), 2 * n * (Y * Z - W * X),
                 2 * n * (X * Z - W * Y),     2 * n * (Y * Z + W * X),     1 - 2 * n * (X * X + Y * Y)};
  for (int k = 0; k < 9; k++) pose->rotation[k] = (float)R[k];
  for (int d = 0; d < 3; d++) pose->center[d] = (float)(c->center[d] + (double)c->velocity[d] * time);
}

#endif
