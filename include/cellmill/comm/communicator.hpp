#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace cellmill {

/// How ranks talk. All calls on the rank's main thread. Implementations: self (one rank), threads
/// (tests), MPI. A rank that ends while others wait for it in a collective, send or receive makes
/// them throw Error(comm) that names it; one that is killed does not (the launcher or the pulse
/// sees to that). After an Error(comm) the communicator is of no more use.
class Communicator {
 public:
  Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  virtual ~Communicator() = default;

  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int size() const = 0;
  /// Ranks on this rank's node.
  [[nodiscard]] virtual int local_size() const = 0;

  /// **Collective.** Sums element by element over all ranks; every rank gets them. Exact and
  /// independent of the number of ranks, because the elements are integers. Any length (split below
  /// MPI's int counts, alike everywhere).
  virtual void all_reduce_sum(std::span<std::int64_t> values) = 0;
  /// **Collective.** Element-wise maximum. No NaN.
  virtual void all_reduce_max(std::span<double> values) = 0;
  /// **Collective.** The sum of `value` over the ranks before this one.
  [[nodiscard]] virtual std::int64_t exscan_sum(std::int64_t value) = 0;
  /// **Collective.** `bytes` of the root on every rank; sizes agree.
  virtual void broadcast(std::span<std::byte> bytes, int root) = 0;
  /// **Collective.** Every rank's bytes on the root, by rank; empty elsewhere. Lengths may differ.
  [[nodiscard]] virtual std::vector<std::vector<std::byte>> gather(std::span<const std::byte> bytes,
                                                                   int root) = 0;

  /// Messages between two ranks arrive in the order they were sent. A rank may send to itself.
  virtual void send(std::span<const std::byte> bytes, int to) = 0;  ///< may wait for the receiver
  [[nodiscard]] virtual std::vector<std::byte> receive(int from) = 0;  ///< waits

  /// A small message that needs no matching call: returns at once, is kept until it left. For the
  /// pulse.
  virtual void post(std::span<const std::byte> bytes, int to) = 0;
  /// A posted message that has come, if any.
  struct Posted {
    int from = 0;
    std::vector<std::byte> bytes;
  };
  [[nodiscard]] virtual std::optional<Posted> poll() = 0;
  /// Whether `rank` is known to have ended. True only once poll() has given all that it posted.
  [[nodiscard]] virtual bool has_left(int rank) const = 0;

  /// Ends all ranks at once, with `message` on standard error and this exit status. Does not
  /// return.
  [[noreturn]] virtual void abort(const std::string& message, int status) = 0;

  /// What talking has cost this rank so far. MPI only; one rank and threads leave it at zero but
  /// for the waits of the pulse.
  struct Cost {
    double waiting = 0;      ///< seconds until the others were there
    double moving = 0;       ///< seconds of the operations themselves
    std::int64_t bytes = 0;  ///< that this rank brought to collectives, or sent

    [[nodiscard]] double seconds() const { return waiting + moving; }
  };
  [[nodiscard]] const Cost& cost() const { return cost_; }
  /// For the pulse: a wait for other ranks that no collective accounts for.
  void add_waiting(double seconds) { cost_.waiting += seconds; }

  /// Numbers this rank's pulses from 1, so that a late message of one pulse is not taken for the
  /// next one's.
  [[nodiscard]] std::int64_t next_pulse() { return ++pulses_; }

 protected:
  Cost cost_;

 private:
  std::int64_t pulses_ = 0;
};

/// One rank.
[[nodiscard]] std::unique_ptr<Communicator> make_self_communicator();

/// Runs `body` on `ranks` threads, each with a communicator of its own; rethrows the first
/// exception. For tests: abort() throws Error(comm).
void run_as_threads(int ranks, const std::function<void(Communicator&)>& body);

// Collective helpers made of the above
// ---------------------------------------------------------------------------

/// **Collective.** The root's string on every rank.
void broadcast_string(Communicator& comm, std::string& value, int root);
/// **Collective.** Every rank's `values`, one after the other, on every rank. Lengths may differ.
[[nodiscard]] std::vector<std::int64_t> all_gather(Communicator& comm,
                                                   std::span<const std::int64_t> values);

}  // namespace cellmill
