/* What the files of the emulated CUDA runtime share: errors, and streams that may be recording. */
#ifndef MOTE_EMULATOR_RUNTIME_H
#define MOTE_EMULATOR_RUNTIME_H

namespace mote_emulator {

using work = std::function<void()>;

/* Does the work now, or adds it to the recording of the stream. */
void on_stream(cudaStream_t stream, work job);
/* Whether a recording goes on, during which nothing may allocate or wait. */
bool recording();

/* The pending error, which is then no longer pending. */
cudaError_t take_error();
/* For functions that fail by themselves: returns the error, and keeps the text for cudaGetErrorString. */
cudaError_t fail_call(cudaError_t error, const char *text);

} // namespace mote_emulator

struct CUgraph_st {
  std::vector<mote_emulator::work> jobs;
};
struct CUgraphExec_st {
  std::vector<mote_emulator::work> jobs;
};
struct CUstream_st {
  CUgraph_st *recorded = nullptr;
};
#endif
