/* The emulated runtime's streams, events and graphs. A recording keeps each piece of work as a closure, and a
   replay calls them in order: pointers are checked then, so that a graph that outlives a buffer is caught.
   What a second stream does in a recording comes as late as it may, when the first one waits for it: who
   reads it before that, or overwrites what it reads, is found out. */
#include "tests/emulator/runtime.h"

#include <algorithm>
#include <chrono>

#include "tests/emulator/launch.h"

struct CUevent_st {
  std::chrono::steady_clock::time_point at;
  bool marked = false;
  CUstream_st *stream = nullptr; /* that it was recorded on, in a recording */
};

namespace mote_emulator {

static CUstream_st *recorder = nullptr;

bool recording() {
  return recorder != nullptr;
}

void on_stream(cudaStream_t stream, work job) {
  if (stream && stream->recorded)
    stream->recorded->jobs.push_back(std::move(job));
  else
    job();
}

void submit(std::shared_ptr<kernel_call> call, cudaStream_t stream) {
  on_stream(stream, [call] { run_call(*call); });
}

} // namespace mote_emulator

using namespace mote_emulator;

extern "C" {

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned) {
  *stream = new CUstream_st;
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t *stream) {
  return cudaStreamCreateWithFlags(stream, 0);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (recorder == stream) recorder = nullptr;
  if (stream) delete stream->recorded;
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (stream && stream->recorded)
    return fail_call(cudaErrorStreamCaptureUnsupported,
                     "cudaStreamSynchronize during the recording of a graph");
  return take_error();
}
cudaError_t cudaStreamQuery(cudaStream_t) {
  return take_error();
}
/* Outside of recordings all work is done when it is given. */
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (!event->stream || event->stream == stream) return cudaSuccess;
  CUgraph_st *given = event->stream->recorded;
  if (!given)
    return fail_call(cudaErrorStreamCaptureIsolation, "cudaStreamWaitEvent: the event's recording has ended");
  if (!stream->recorded && !given->of) { /* forks */
    stream->recorded = new CUgraph_st;
    stream->recorded->of = given;
    given->forked.push_back(stream);
    return cudaSuccess;
  }
  if (given->of != stream->recorded)
    return fail_call(cudaErrorStreamCaptureIsolation, "cudaStreamWaitEvent between two recordings");
  std::vector<CUstream_st *> &forked = stream->recorded->forked; /* joins */
  forked.erase(std::find(forked.begin(), forked.end(), event->stream));
  for (work &job : given->jobs) stream->recorded->jobs.push_back(std::move(job));
  event->stream->recorded = nullptr;
  delete given;
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
/* The overload of the toolkit's C++ header calls the former; this is the C one. */
cudaError_t cudaEventCreate(cudaEvent_t *event) {
  return cudaEventCreateWithFlags(event, 0);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
/* In a recording an event is but what others may wait for. */
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->stream = stream && stream->recorded ? stream : nullptr;
  if (event->stream) return cudaSuccess;
  event->at = std::chrono::steady_clock::now();
  event->marked = true;
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) {
  return recording() ? fail_call(cudaErrorStreamCaptureUnsupported,
                                 "cudaEventSynchronize during the recording of a graph")
                     : take_error();
}
cudaError_t cudaEventQuery(cudaEvent_t) {
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (!start->marked || !end->marked)
    return fail_call(cudaErrorInvalidResourceHandle, "cudaEventElapsedTime: an event was not recorded");
  *milliseconds = std::chrono::duration<float, std::milli>(end->at - start->at).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (!stream) return fail_call(cudaErrorStreamCaptureUnsupported, "the default stream cannot be recorded");
  if (recorder) return fail_call(cudaErrorIllegalState, "another stream is being recorded");
  stream->recorded = new CUgraph_st;
  recorder = stream;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
  *graph = nullptr;
  if (!stream || !stream->recorded)
    return fail_call(cudaErrorIllegalState, "the stream is not being recorded");
  if (stream->recorded->of)
    return fail_call(cudaErrorStreamCaptureUnmatched, "the recording was begun on another stream");
  std::swap(*graph, stream->recorded);
  recorder = nullptr;
  if ((*graph)->forked.empty()) return cudaSuccess;
  for (CUstream_st *side : (*graph)->forked) delete std::exchange(side->recorded, nullptr);
  delete std::exchange(*graph, nullptr);
  return fail_call(cudaErrorStreamCaptureUnjoined,
                   "a recording ended without waiting for a stream that it forked into");
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status) {
  *status = stream && stream->recorded ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long) {
  *executable = new CUgraphExec_st{graph->jobs};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  on_stream(stream, [executable] {
    for (const work &job : executable->jobs) job();
  });
  return take_error();
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

} // extern "C"
