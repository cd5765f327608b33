/* How a launch is described to the emulator: a kernel with its arguments, of which it sees bytes, and a
   function that runs one thread. The trick: the arguments are kept as the host gave them, and translated to
   the addresses that kernels see each time the launch runs, so that a replayed graph is checked again. */
#ifndef MOTE_EMULATOR_EXECUTION_H
#define MOTE_EMULATOR_EXECUTION_H

#define MOTE_EMULATOR_HIDDEN __attribute__((visibility("hidden")))

namespace mote_emulator {

struct index_state {
  uint3 thread;
  uint3 block;
  dim3 block_dim;
  dim3 grid_dim;
};
extern MOTE_EMULATOR_HIDDEN index_state position;

struct argument {
  void *data;
  size_t bytes;
  bool is_pointer; /* otherwise its aligned words are searched for device pointers */
};

class kernel_call {
public:
  kernel_call(const char *name, dim3 grid, dim3 block, size_t shared)
      : name(name), grid(grid), block(block), shared(shared) {}
  virtual ~kernel_call() = default;
  /* Copies the given arguments to those the threads take, and returns the latter for translation. */
  virtual std::vector<argument> fresh_arguments() = 0;
  virtual void thread() = 0;

  std::string name;
  dim3 grid, block;
  size_t shared;
  bool is_library = false; /* one host call in place of a library's kernels */
};

/* Runs the call now, or records it where the stream is being captured. Failures are left for
   cudaGetLastError(). */
void submit(std::shared_ptr<kernel_call> call, cudaStream_t stream);

/* The dynamic shared memory of the block that runs. */
void *dynamic_shared();

template <typename... P> class kernel_call_of final : public kernel_call {
public:
  template <typename... A>
  kernel_call_of(const char *name, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, A &&...given)
      : kernel_call(name, grid, block, shared), kernel_(kernel), given_(std::forward<A>(given)...),
        seen_(given_) {}
  std::vector<argument> fresh_arguments() override {
    copy_given(std::index_sequence_for<P...>());
    std::vector<argument> list;
    std::apply([&](auto &...each) { (list.push_back(describe(each)), ...); }, seen_);
    return list;
  }
  void thread() override { std::apply(kernel_, seen_); }

private:
  template <typename T> static argument describe(T &value) {
    static_assert(std::is_trivially_copy_constructible_v<T> && std::is_trivially_destructible_v<T>,
                  "a kernel's arguments are copied as bytes");
    void *data = const_cast<void *>(static_cast<const volatile void *>(&value));
    return {data, std::is_arithmetic_v<T> || std::is_enum_v<T> ? 0 : sizeof(T), std::is_pointer_v<T>};
  }
  /* As bytes: closures have no assignment. */
  template <size_t... I> void copy_given(std::index_sequence<I...>) {
    (memcpy(const_cast<void *>(static_cast<const volatile void *>(&std::get<I>(seen_))),
            static_cast<const void *>(&std::get<I>(given_)), sizeof(std::get<I>(given_))),
     ...);
  }
  void (*kernel_)(P...);
  std::tuple<std::decay_t<P>...> given_, seen_;
};

template <typename... P, typename... A>
void launch(const char *name, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, cudaStream_t stream,
            A &&...arguments) {
  static_assert(sizeof...(P) == sizeof...(A), "a launch gives every argument of its kernel");
  submit(std::make_shared<kernel_call_of<P...>>(name, kernel, grid, block, shared,
                                                std::forward<A>(arguments)...),
         stream);
}

/* A library's work (sort, BLAS) as one call on the host: body(pointers...) runs as one emulated thread, with
   the pointers translated and checked; everything else it needs is captured by value. */
template <typename Body, typename... T> void library_body(Body body, T *...pointers) {
  body(pointers...);
}
template <typename Body, typename... T>
void run_library(const char *name, cudaStream_t stream, Body body, T *...pointers) {
  auto call = std::make_shared<kernel_call_of<Body, T *...>>(name, library_body<Body, T...>, dim3(1), dim3(1),
                                                             0, body, pointers...);
  call->is_library = true;
  submit(call, stream);
}

} // namespace mote_emulator
#endif
