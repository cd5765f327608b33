/* Cameras. The trick of the framing: with the view direction fixed, each corner of the box gives the least
   distance at which it is on the screen; the target is then shifted until the box's picture is centred. */
#include "host/render/camera.h"

#include <string.h>

static void corner_of(const double lower[3], const double upper[3], int dim, int index, double corner[3]) {
  for (int k = 0; k < 3; k++) corner[k] = k >= dim ? 0 : (index >> k & 1) ? upper[k] : lower[k];
}

static double dot(const double a[3], const double b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* right, up and back of a camera that stands at azimuth and elevation. */
static void make_frame(double azimuth, double elevation, int axis, double frame[3][3]) {
  int a = (axis + 2) % 3, b = (axis + 1) % 3;
  double az = azimuth * M_PI / 180, el = elevation * M_PI / 180;
  memset(frame, 0, 9 * sizeof(double));
  frame[0][a] = cos(az);
  frame[0][b] = -sin(az);
  frame[2][a] = cos(el) * sin(az);
  frame[2][b] = cos(el) * cos(az);
  frame[2][axis] = sin(el);
  frame[1][a] = -sin(el) * sin(az);
  frame[1][b] = -sin(el) * cos(az);
  frame[1][axis] = cos(el);
}

static double fit_distance(const mote_render_options *o, double frame[3][3], const double target[3],
                           double tx, double ty) {
  double distance = 0;
  for (int i = 0; i < 8; i++) {
    double p[3];
    corner_of(o->lower, o->upper, 3, i, p);
    for (int k = 0; k < 3; k++) p[k] -= target[k];
    double near = dot(p, frame[2]);
    distance = fmax(distance, near + fmax(fabs(dot(p, frame[0])) / tx, fabs(dot(p, frame[1])) / ty));
  }
  return distance;
}

/* Moves the target sideways so that the box's picture is centred. */
static void recentre(const mote_render_options *o, double frame[3][3], double distance, double target[3]) {
  double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
  for (int i = 0; i < 8; i++) {
    double p[3];
    corner_of(o->lower, o->upper, 3, i, p);
    for (int k = 0; k < 3; k++) p[k] -= target[k];
    double depth = fmax(distance - dot(p, frame[2]), 1e-3 * distance);
    for (int c = 0; c < 2; c++) {
      double s = dot(p, frame[c]) / depth;
      low[c] = fmin(low[c], s);
      high[c] = fmax(high[c], s);
    }
  }
  for (int k = 0; k < 3; k++)
    for (int c = 0; c < 2; c++) target[k] += frame[c][k] * distance * (low[c] + high[c]) / 2;
}

static void store(double frame[3][3], const double eye[3], mote_camera *camera) {
  for (int k = 0; k < 3; k++) {
    camera->eye[k] = (float)eye[k];
    camera->right[k] = (float)frame[0][k];
    camera->up[k] = (float)frame[1][k];
    camera->forward[k] = (float)-frame[2][k];
  }
}

static void frame_flat(const mote_render_options *o, int width, int height, mote_camera *camera) {
  double frame[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, extent[2], eye[3] = {0, 0, 1};
  for (int k = 0; k < 2; k++) {
    extent[k] = o->upper[k] - o->lower[k];
    eye[k] = (o->upper[k] + o->lower[k]) / 2;
  }
  camera->orthographic = 1;
  camera->focal = (float)fmin(0.96 * width / extent[0], 0.96 * height / extent[1]);
  store(frame, eye, camera);
}

void mote_camera_frame(const mote_render_options *o, int width, int height, mote_camera *camera) {
  *camera = (mote_camera){.center = {(float)width / 2, (float)height / 2}};
  if (o->dim == 2) {
    frame_flat(o, width, height, camera);
    return;
  }
  double frame[3][3], target[3], ty = tan(o->field_of_view * M_PI / 360), tx = ty * width / height,
                                 distance = 0;
  make_frame(o->azimuth, o->elevation, o->up, frame);
  for (int k = 0; k < 3; k++) target[k] = (o->lower[k] + o->upper[k]) / 2;
  for (int pass = 0; pass < 6; pass++) {
    distance = o->distance > 0 ? o->distance : fit_distance(o, frame, target, 0.95 * tx, 0.95 * ty);
    recentre(o, frame, distance, target);
  }
  double eye[3];
  for (int k = 0; k < 3; k++) eye[k] = target[k] + distance * frame[2][k];
  camera->focal = (float)(height / 2 / ty);
  store(frame, eye, camera);
}

static void normalize(float v[3]) {
  float length = sqrtf(mote_dot3(v, v));
  for (int k = 0; k < 3; k++) v[k] /= length;
}

void mote_camera_light(const float forward[3], int up_axis, const float lower[3], const float upper[3],
                       int size, mote_camera *camera) {
  *camera = (mote_camera){.orthographic = 1, .center = {(float)size / 2, (float)size / 2}};
  memcpy(camera->forward, forward, sizeof camera->forward);
  normalize(camera->forward);
  float side[3] = {0, 0, 0}, *r = camera->right, *f = camera->forward, *u = camera->up;
  side[(up_axis + 2) % 3] = 1;
  float along = mote_dot3(side, f);
  for (int k = 0; k < 3; k++) r[k] = side[k] - along * f[k];
  normalize(r);
  for (int k = 0; k < 3; k++) u[k] = r[(k + 1) % 3] * f[(k + 2) % 3] - r[(k + 2) % 3] * f[(k + 1) % 3];
  float half = 0, radius = 0;
  for (int k = 0; k < 3; k++) {
    camera->eye[k] = (lower[k] + upper[k]) / 2;
    radius += (upper[k] - lower[k]) * (upper[k] - lower[k]) / 4;
  }
  radius = sqrtf(radius);
  for (int i = 0; i < 8; i++) {
    float p[3];
    for (int k = 0; k < 3; k++) p[k] = ((i >> k & 1) ? upper[k] : lower[k]) - camera->eye[k];
    half = fmaxf(half, fmaxf(fabsf(mote_dot3(p, r)), fabsf(mote_dot3(p, u))));
  }
  camera->focal = (float)size / 2 * 0.94f / half;
  for (int k = 0; k < 3; k++) camera->eye[k] -= radius * f[k]; /* depth 0 to 2 radius */
}
