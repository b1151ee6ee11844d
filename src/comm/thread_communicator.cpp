#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "cellmill/comm/communicator.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

using Bytes = std::vector<std::byte>;

/// What a rank brings to a collective: the others read it between two barriers.
struct Contribution {
  const char* operation = "";
  std::span<const std::byte> bytes;
  int root = 0;
};

/// What the ranks share.
struct World {
  explicit World(int ranks)
      : size(ranks),
        ended(static_cast<std::size_t>(ranks), false),
        contributions(static_cast<std::size_t>(ranks)),
        sent(static_cast<std::size_t>(ranks * ranks)),
        posted(static_cast<std::size_t>(ranks)) {}

  const int size;
  std::mutex mutex;
  std::condition_variable changed;
  int arrived = 0;
  std::int64_t generation = 0;
  std::vector<bool> ended;
  std::exception_ptr first_error;
  std::vector<Contribution> contributions;               ///< written before, read after a barrier
  std::vector<std::deque<Bytes>> sent;                   ///< [from * size + to]
  std::vector<std::deque<Communicator::Posted>> posted;  ///< [to]

  void end(int rank, std::exception_ptr error) {
    const std::lock_guard lock(mutex);
    ended[static_cast<std::size_t>(rank)] = true;
    if (error && !first_error) first_error = std::move(error);
    changed.notify_all();
  }
};

class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(World& world, int rank) : world_(world), rank_(rank) {}

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return world_.size; }
  [[nodiscard]] int local_size() const override { return world_.size; }

  void all_reduce_sum(std::span<std::int64_t> values) override {
    std::vector<std::int64_t> sums(values.size());
    collective("all_reduce_sum", std::as_bytes(values), 0, Lengths::agree, [&] {
      for (const Contribution& other : world_.contributions) {
        const auto* theirs = reinterpret_cast<const std::int64_t*>(other.bytes.data());
        for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += theirs[i];
      }
    });
    std::copy(sums.begin(), sums.end(), values.begin());
  }

  void all_reduce_max(std::span<double> values) override {
    std::vector<double> highest(values.begin(), values.end());
    collective("all_reduce_max", std::as_bytes(values), 0, Lengths::agree, [&] {
      for (const Contribution& other : world_.contributions) {
        const auto* theirs = reinterpret_cast<const double*>(other.bytes.data());
        for (std::size_t i = 0; i < highest.size(); ++i) {
          highest[i] = std::max(highest[i], theirs[i]);
        }
      }
    });
    std::copy(highest.begin(), highest.end(), values.begin());
  }

  [[nodiscard]] std::int64_t exscan_sum(std::int64_t value) override {
    std::int64_t sum = 0;
    collective("exscan_sum", std::as_bytes(std::span(&value, 1)), 0, Lengths::agree, [&] {
      for (int other = 0; other < rank_; ++other) {
        std::int64_t theirs = 0;
        std::memcpy(&theirs, contribution(other).bytes.data(), sizeof theirs);
        sum += theirs;
      }
    });
    return sum;
  }

  void broadcast(std::span<std::byte> bytes, int root) override {
    require_rank("broadcast", root);
    collective("broadcast", bytes, root, Lengths::agree, [&] {
      const auto source = contribution(root).bytes;
      if (rank_ != root) std::copy(source.begin(), source.end(), bytes.begin());
    });
  }

  [[nodiscard]] std::vector<Bytes> gather(std::span<const std::byte> bytes, int root) override {
    require_rank("gather", root);
    std::vector<Bytes> all;
    collective("gather", bytes, root, Lengths::differ, [&] {
      if (rank_ != root) return;
      for (const Contribution& other : world_.contributions) {
        all.emplace_back(other.bytes.begin(), other.bytes.end());
      }
    });
    return all;
  }

  void send(std::span<const std::byte> bytes, int to) override {
    require_rank("send", to);
    const std::lock_guard lock(world_.mutex);
    channel(rank_, to).emplace_back(bytes.begin(), bytes.end());
    world_.changed.notify_all();
  }

  [[nodiscard]] Bytes receive(int from) override {
    require_rank("receive", from);
    std::unique_lock lock(world_.mutex);
    std::deque<Bytes>& queue = channel(from, rank_);
    world_.changed.wait(lock, [&] { return !queue.empty() || ended(from); });
    if (queue.empty()) throw left_error(from, "receive");
    Bytes first = std::move(queue.front());
    queue.pop_front();
    return first;
  }

  void post(std::span<const std::byte> bytes, int to) override {
    require_rank("post", to);
    const std::lock_guard lock(world_.mutex);
    world_.posted[static_cast<std::size_t>(to)].push_back(
        {rank_, Bytes(bytes.begin(), bytes.end())});
  }

  [[nodiscard]] std::optional<Posted> poll() override {
    const std::lock_guard lock(world_.mutex);
    auto& queue = world_.posted[static_cast<std::size_t>(rank_)];
    if (queue.empty()) return std::nullopt;
    Posted first = std::move(queue.front());
    queue.pop_front();
    return first;
  }

  [[nodiscard]] bool has_left(int rank) const override {
    const std::lock_guard lock(world_.mutex);
    const auto& queue = world_.posted[static_cast<std::size_t>(rank_)];
    return ended(rank) && std::none_of(queue.begin(), queue.end(),
                                       [&](const Posted& posted) { return posted.from == rank; });
  }

  [[noreturn]] void abort(const std::string& message, int) override { throw comm_error(message); }

 private:
  enum class Lengths { agree, differ };

  /// Shows `bytes` to all ranks while `read` runs on each. The second barrier keeps a rank from
  /// leaving, and its buffer from dying, while others still read.
  template <class Read>
  void collective(const char* operation, std::span<const std::byte> bytes, int root,
                  Lengths lengths, Read&& read) {
    world_.contributions[static_cast<std::size_t>(rank_)] = {operation, bytes, root};
    barrier(operation);
    const std::string mismatch = find_mismatch(lengths);
    if (mismatch.empty()) read();
    barrier(operation);
    if (!mismatch.empty()) throw comm_error(mismatch);
  }

  /// Says where the ranks' calls don't match, the commonest mistake in collective code.
  [[nodiscard]] std::string find_mismatch(Lengths lengths) const {
    const Contribution& first = contribution(0);
    for (int other = 1; other < world_.size; ++other) {
      const Contribution& theirs = contribution(other);
      if (std::strcmp(first.operation, theirs.operation) != 0 || first.root != theirs.root) {
        return fmt::format("rank 0 called {} (root {}) while rank {} called {} (root {})",
                           first.operation, first.root, other, theirs.operation, theirs.root);
      }
      if (lengths == Lengths::agree && first.bytes.size() != theirs.bytes.size()) {
        return fmt::format("{}: rank 0 brought {} bytes, rank {} brought {}", first.operation,
                           first.bytes.size(), other, theirs.bytes.size());
      }
    }
    return {};
  }

  void barrier(const char* operation) {
    std::unique_lock lock(world_.mutex);
    const std::int64_t generation = world_.generation;
    if (++world_.arrived == world_.size) {
      world_.arrived = 0;
      ++world_.generation;
      world_.changed.notify_all();
      return;
    }
    const auto& ended = world_.ended;
    const auto missing = [&] { return std::find(ended.begin(), ended.end(), true); };
    world_.changed.wait(
        lock, [&] { return world_.generation != generation || missing() != ended.end(); });
    if (world_.generation != generation) return;
    --world_.arrived;
    throw left_error(static_cast<int>(missing() - ended.begin()), operation);
  }

  [[nodiscard]] Error left_error(int other, const char* operation) const {
    return comm_error(
        fmt::format("rank {} ended while rank {} waited for it in {}", other, rank_, operation));
  }
  void require_rank(const char* operation, int rank) const {
    if (rank < 0 || rank >= world_.size) {
      throw comm_error(fmt::format("{}: no rank {} among {}", operation, rank, world_.size));
    }
  }
  [[nodiscard]] const Contribution& contribution(int rank) const {
    return world_.contributions[static_cast<std::size_t>(rank)];
  }
  [[nodiscard]] std::deque<Bytes>& channel(int from, int to) {
    return world_.sent[static_cast<std::size_t>(from * world_.size + to)];
  }
  [[nodiscard]] bool ended(int rank) const { return world_.ended[static_cast<std::size_t>(rank)]; }

  World& world_;
  const int rank_;
};

}  // namespace

void run_as_threads(int ranks, const std::function<void(Communicator&)>& body) {
  World world(ranks);
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < ranks; ++rank) {
      threads.emplace_back([&world, &body, rank] {
        std::exception_ptr error;
        try {
          ThreadCommunicator comm(world, rank);
          body(comm);
        } catch (...) {
          error = std::current_exception();
        }
        world.end(rank, std::move(error));
      });
    }
  }
  if (world.first_error) std::rethrow_exception(world.first_error);
}

}  // namespace cellmill
