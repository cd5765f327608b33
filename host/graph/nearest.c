/* Nearest neighbours: checks, copies, and the device's kernels. */
#include "host/graph/nearest.h"

static mote_status check(int64_t n, int64_t m, int dim, int k) {
  if (dim != 2 && dim != 3)
    return mote_fail(MOTE_ERROR_ARGUMENT, "nearest neighbours: dim is %d, expected 2 or 3", dim);
  if (k < 1 || k > MOTE_NEAREST_MAX_K)
    return mote_fail(MOTE_ERROR_ARGUMENT, "nearest neighbours: k is %d, expected 1 to %d", k,
                     MOTE_NEAREST_MAX_K);
  if (n < 1 || m < 0 || n > INT32_MAX / 4 || m > INT32_MAX / 4)
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "nearest neighbours: %lld points and %lld queries, expected 1 to %d", (long long)n,
                     (long long)m, INT32_MAX / 4);
  return MOTE_OK;
}

static mote_status check_state(const mote_nearest_state *state) {
  if (state->bad_point != INT32_MAX)
    return mote_fail(MOTE_ERROR_NUMERIC, "nearest neighbours: point %d has a coordinate that is not finite",
                     state->bad_point);
  if (state->bad_query != INT32_MAX)
    return mote_fail(MOTE_ERROR_NUMERIC, "nearest neighbours: query %d has a coordinate that is not finite",
                     state->bad_query);
  return MOTE_OK;
}

mote_status mote_nearest_search_on(mote_nearest_search *search, mote_stream *stream, const float *points,
                                   int64_t n, const float *queries, int64_t m, int dim, int k,
                                   int32_t *indices, float *distances2) {
  mote_device *device = stream->device;
  MOTE_TRY(check(n, m, dim, k));
  MOTE_TRY(mote_nearest_reserve(&search->tree, device, n, dim));
  MOTE_TRY(device->nearest->build(stream, &search->tree, points));
  if (m) MOTE_TRY(device->nearest->search(stream, &search->tree, queries, m, k, indices, distances2));
  mote_nearest_state state;
  MOTE_TRY(mote_download(stream, &state, search->tree.state.data, sizeof state));
  return check_state(&state);
}

void mote_nearest_search_free(mote_nearest_search *search) {
  mote_nearest_free(&search->tree);
  mote_buffer_free(&search->points);
  mote_buffer_free(&search->queries);
  mote_buffer_free(&search->indices);
  mote_buffer_free(&search->distances2);
}

static mote_status on_host_memory(mote_nearest_search *search, mote_stream *stream, const float *points,
                                  int64_t n, const float *queries, int64_t m, int dim, int k,
                                  int32_t *indices, float *distances2) {
  size_t row = (size_t)dim * sizeof(float), results = (size_t)(m * k) * sizeof(float);
  MOTE_TRY(mote_buffer_reserve(&search->points, stream->device, (size_t)n * row));
  MOTE_TRY(mote_buffer_reserve(&search->queries, stream->device, (size_t)m * row + 1));
  MOTE_TRY(mote_buffer_reserve(&search->indices, stream->device, results + 1));
  MOTE_TRY(mote_buffer_reserve(&search->distances2, stream->device, results + 1));
  MOTE_TRY(mote_upload(stream, search->points.data, points, (size_t)n * row));
  MOTE_TRY(mote_upload(stream, search->queries.data, queries, (size_t)m * row));
  MOTE_TRY(mote_nearest_search_on(search, stream, search->points.data, n, search->queries.data, m, dim, k,
                                  search->indices.data, search->distances2.data));
  MOTE_TRY(mote_download(stream, indices, search->indices.data, results));
  return distances2 ? mote_download(stream, distances2, search->distances2.data, results) : MOTE_OK;
}

mote_status mote_nearest(mote_device *device, const float *points, int64_t n, const float *queries, int64_t m,
                         int dim, int k, int32_t *indices, float *distances2) {
  MOTE_TRY(check(n, m, dim, k));
  mote_nearest_search search = {0};
  mote_stream *stream;
  MOTE_TRY(mote_stream_create(device, &stream));
  mote_status status = on_host_memory(&search, stream, points, n, queries, m, dim, k, indices, distances2);
  mote_nearest_search_free(&search);
  mote_stream_destroy(stream);
  return status;
}
